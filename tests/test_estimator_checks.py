"""scikit-learn's checks, all that there are for each estimator, with those that fail and why.

They are meant for tables. So that none is left out, the list is the one that scikit-learn makes for
an estimator of the same kind that takes tables; it is run on the estimator as it is.
``test_common.py`` has versions for images of what does not suit here.
"""

import importlib
import inspect
import pkgutil
import warnings
from dataclasses import FrozenInstanceError, fields
from types import SimpleNamespace
from unittest import SkipTest

import pytest
from helpers.estimator_cases import ESTIMATORS, each_estimator
from sklearn.base import BaseEstimator, clone

pytest.importorskip("sklearn", minversion="1.6", reason="the checks are those of 1.6 and newer")
from sklearn.utils import estimator_checks, get_tags

import skdefocus as sd
from skdefocus import _estimators

#: Classes that others are made from.
BASES = {"ImageTransformer", "MapEffect"}

TABLE = "the check gives rows of numbers as X; a sample is an image, a stack or a record"
LATER = "the check wants fit to look at X; transform checks it, for fit learns nothing from X"
FEATURES = "an image has no number of features, so there is no n_features_in_"
WORDS = "the check wants an error in words for tables; the message names the shape for images"

#: Checks that fail for all, by name.
COMMON = {
    "check_fit_score_takes_y": TABLE,
    "check_estimators_dtypes": TABLE,
    "check_complex_data": LATER,
    "check_dtype_object": TABLE,
    "check_estimators_empty_data_messages": LATER,
    "check_pipeline_consistency": TABLE,
    "check_estimators_nan_inf": LATER,
    "check_estimator_sparse_tag": LATER,
    "check_estimators_pickle": TABLE,
    "check_f_contiguous_array_estimator": TABLE,
    "check_transformer_data_not_an_array": TABLE,
    "check_transformer_general": TABLE,
    "check_transformer_preserve_dtypes": TABLE,
    "check_transformers_unfitted_stateless": TABLE,
    "check_methods_sample_order_invariance": TABLE,
    "check_methods_subset_invariance": TABLE,
    "check_dict_unchanged": TABLE,
    "check_fit_idempotent": TABLE,
    "check_n_features_in": FEATURES,
    "check_fit1d": LATER,
    "check_fit2d_predict1d": TABLE,
}
#: The classifier looks at X in fit, and wants patches; a classifier has more checks.
CLASSIFIER = (COMMON | {
    "check_complex_data": WORDS,
    "check_estimators_empty_data_messages": WORDS,
    "check_estimator_sparse_tag": WORDS,
    "check_estimators_overwrite_params": TABLE,
    "check_dont_overwrite_parameters": TABLE,
    "check_estimators_fit_returns_self": TABLE,
    "check_readonly_memmap_input": TABLE,
    "check_positive_only_tag_during_fit": TABLE,
    "check_estimator_sparse_array": WORDS,
    "check_estimator_sparse_matrix": WORDS,
    "check_fit2d_1sample": WORDS,
    "check_fit2d_1feature": WORDS,
    "check_fit_check_is_fitted": TABLE,
    "check_classifier_data_not_an_array": TABLE,
    "check_classifiers_one_label": TABLE,
    "check_classifiers_classes": TABLE,
    "check_classifiers_train": TABLE,
    "check_supervised_y_2d": TABLE,
    "check_sample_weights_pandas_series": TABLE,
    "check_sample_weights_not_an_array": TABLE,
    "check_sample_weights_list": TABLE,
    "check_all_zero_sample_weights_error": TABLE,
    "check_sample_weights_shape": TABLE,
    "check_sample_weights_not_overwritten": TABLE,
    "check_sample_weight_equivalence_on_dense_data": TABLE,
    "check_classifiers_one_label_sample_weights": TABLE,
})  # fmt: skip
del CLASSIFIER["check_fit1d"]


def all_checks(estimator):
    """scikit-learn's checks for an estimator of this kind that takes tables, with their names."""

    def table_tags(self):
        tags = get_tags(estimator)
        tags.input_tags.two_d_array, tags.no_validation = True, False
        return tags

    cls = type(estimator)
    as_table = type(cls.__name__, (cls,), {"__sklearn_tags__": table_tags})
    as_table.__init__ = cls.__init__
    made = as_table(**estimator.get_params(deep=False))
    for _, check in estimator_checks.estimator_checks_generator(made, legacy=True):
        yield check.func.__name__, check


@pytest.mark.skipif(
    not hasattr(estimator_checks, "estimator_checks_generator"),
    reason="scikit-learn before 1.6 does not list its checks",
)
@each_estimator
def test_all_checks_of_scikit_learn(estimator):
    expected = CLASSIFIER if isinstance(estimator, sd.BlurLevelClassifier) else COMMON
    run, failed = set(), {}
    for name, check in all_checks(estimator):
        run.add(name)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                check(clone(estimator))
        except SkipTest:
            continue
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
    assert len(run) > 40
    unexpected = {name: error for name, error in failed.items() if name not in expected}
    assert not unexpected
    passed = {name for name in expected if name in run} - set(failed)
    assert not passed, "these pass now and are no longer to be expected to fail"


def all_estimators():
    """The package's estimators, as sklearn.utils.discovery lists scikit-learn's own."""
    found = {}
    for module in pkgutil.walk_packages(sd.__path__, "skdefocus."):
        if module.name.split(".")[1] in ("training", "__main__"):  # needs PyTorch, runs
            continue
        for name, thing in inspect.getmembers(
            importlib.import_module(module.name), inspect.isclass
        ):
            if issubclass(thing, BaseEstimator) and thing.__module__.startswith("skdefocus."):
                found[name] = thing
    return found


def test_every_estimator_is_public_and_checked():
    found = set(all_estimators()) - BASES
    assert found == {type(e).__name__ for e in ESTIMATORS}
    assert found == {n for n in sd.__all__ if hasattr(getattr(sd, n), "get_params")}


@each_estimator
def test_the_table_has_all_parameters(estimator):
    names = [field.name for field in fields(estimator._table)]
    assert sorted(names) == sorted(estimator.get_params(deep=False))
    settings = estimator._table.of(estimator)
    with pytest.raises(FrozenInstanceError):
        settings.n_jobs = 2


@each_estimator
def test_counts_no_features(estimator):
    """Images of different sizes have no number of features in common."""
    assert not hasattr(estimator, "n_features_in_")
    assert not hasattr(estimator, "feature_names_in_")


@each_estimator
def test_diagram_links_to_the_documentation_if_there_is_one(estimator, monkeypatch):
    page = f"api/skdefocus.{type(estimator).__name__}.html"
    for address in ("", "https://docs.example/"):
        monkeypatch.setattr(_estimators, "documentation", lambda address=address: address)
        shown = estimator._repr_html_()
        assert f"{type(estimator).__name__}" in shown
        assert (f'href="{address}{page}"' in shown) == bool(address)


@pytest.mark.parametrize(
    ("urls", "address"),
    [
        (
            ["Paper, https://a.example", "Documentation, https://b.example/x"],
            "https://b.example/x/",
        ),
        (["Paper, https://a.example"], ""),
        (None, ""),
    ],
)
def test_the_documentation_is_where_the_metadata_say(urls, address, monkeypatch):
    found = {} if urls is None else {"Project-URL": urls}
    stub = SimpleNamespace(get_all=found.get)
    monkeypatch.setattr(_estimators.metadata, "metadata", lambda name: stub)
    assert _estimators.documentation.__wrapped__() == address


def test_an_uninstalled_package_has_no_documentation(monkeypatch):
    def missing(name):
        raise _estimators.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(_estimators.metadata, "metadata", missing)
    assert _estimators.documentation.__wrapped__() == ""
