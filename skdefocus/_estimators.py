"""What all estimators share: tables of parameters; samples in, samples out, in order, in parallel.

A class declares its parameters in one table, a frozen dataclass. Its annotations say what a value
may be, and an instance exists only if every value passed::

    @dataclass(frozen=True)
    class BlurSettings(Settings):
        radius: Annotated[int, integer(1)]
        mode: Annotated[str, choice("reflect", "nearest")]
        n_jobs: Annotated[int | None, JOBS]

    class Blur(ImageTransformer):
        _table = BlurSettings

        def transform(self, X):
            settings = BlurSettings.of(self)

A function with the same parameters checks them with the same table: ``BlurSettings(radius, mode,
n_jobs=None)``. The work is done by functions that take the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import cache, partial
from importlib import metadata
from typing import Any, ClassVar, Self, get_type_hints

import numpy as np
from joblib import cpu_count, effective_n_jobs
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.parallel import Parallel, delayed

from skdefocus._validation import check_choice, check_int, check_real

#: Takes a value and its name; returns the value as a plain type, or raises an error that names it.
Check = Callable[[Any, str], Any]


@dataclass(frozen=True)
class Settings:
    """Base of the tables of parameters: checked when made, as plain values, and frozen.

    Every field is annotated as ``Annotated[type, check]``; a check is a function of the module or
    made by one of those below, for a lambda would not see the module's names. What holds between
    parameters goes into ``__post_init__``, after ``super().__post_init__()``.
    """

    def __post_init__(self) -> None:
        table: Any = type(self)  # mypy takes a class whose instances have a hash for one without
        for name, check in _checks(table):
            object.__setattr__(self, name, check(getattr(self, name), name))

    @classmethod
    def of(cls, estimator: Any) -> Self:
        """Check the parameters of an estimator.

        Raises
        ------
        TypeError, ValueError
            If a parameter is wrong; the message names it.
        """
        return cls(**{field.name: getattr(estimator, field.name) for field in fields(cls)})


@cache
def _checks(table: type[Settings]) -> tuple[tuple[str, Check], ...]:
    """Names and checks of a table's parameters, in order."""
    hints = get_type_hints(table, include_extras=True)
    return tuple((field.name, hints[field.name].__metadata__[0]) for field in fields(table))


def integer(low: int, high: int | None = None) -> Check:
    """Check for an integer from `low` to `high`."""
    return partial(check_int, low=low, high=high)


def real(low: float, high: float = np.inf, *, above: bool = False) -> Check:
    """Check for a finite number of at least `low`, or above it, and at most `high`."""
    return partial(check_real, low=low, high=high, above=above)


def choice(*choices: str) -> Check:
    """Check for one of some words."""
    return partial(check_choice, choices=choices)


def optional(check: Check) -> Check:
    """Check that lets None pass."""
    return lambda value, name: None if value is None else check(value, name)


def flag(value: Any, name: str) -> bool:
    """Check for True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be a bool, got {value!r}")
    return bool(value)


def _jobs(value: Any, name: str) -> int:
    """Check for what joblib takes as a number of workers."""
    value = check_int(value, name, -(2**31), 2**31)
    if value == 0:
        raise ValueError(f"{name} must be None or an integer other than 0, got 0")
    return int(value)


#: Check for ``n_jobs``.
JOBS = optional(_jobs)


class ImageTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Base of the transformers whose samples are images or records and that learn nothing.

    Subclasses name the table of their parameters in ``_table`` and, where an image is work, have
    an ``n_jobs`` parameter and call :func:`each`. One that makes rows of numbers is declared with
    ``class Name(ImageTransformer, tabular=True)`` and names its columns in
    ``get_feature_names_out``; only then does ``set_output`` make data frames.
    """

    _table: ClassVar[type[Settings]]
    _tabular: ClassVar[bool] = False

    def __init_subclass__(cls, tabular: bool | None = None, **options: Any) -> None:
        if tabular is not None:
            cls._tabular = tabular
        options.setdefault("auto_wrap_output_keys", ("transform",) if cls._tabular else None)
        super().__init_subclass__(**options)

    def _check_params(self) -> None:
        """Raise on a wrong parameter."""
        self._table.of(self)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters; nothing is learned.

        Parameters
        ----------
        X : sequence of samples
            Not looked at.
        y : ignored
            Present for scikit-learn.

        Returns
        -------
        self
        """
        self._check_params()
        return self

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name what a sample becomes.

        Parameters
        ----------
        input_features : ignored
            Present for scikit-learn.

        Returns
        -------
        ndarray of shape (1,), object
            The class's name in lower case and 0: a sample becomes one object. It lets a pipeline
            that begins with images and ends with columns name these.
        """
        return np.array([f"{type(self).__name__.lower()}0"], dtype=object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose the container of what ``transform`` returns, where that is a table.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            Images and records are no table and stay as they are, so that a pipeline with such a
            stage can be configured; None changes nothing.

        Returns
        -------
        self
        """
        if self._tabular:
            super().set_output(transform=transform)
        return self

    _doc_link_module = "skdefocus"

    @property
    def _doc_link_template(self) -> str:
        """Address of the class's page, for the diagram in a notebook; empty if there is none."""
        page = "api/skdefocus.{estimator_name}.html"
        return documentation() and documentation() + page

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


@cache
def documentation() -> str:
    """Address that the package's metadata give for its documentation, or nothing."""
    try:
        urls = metadata.metadata("skdefocus").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    named = dict(url.split(", ", 1) for url in urls)
    return f"{named['Documentation'].rstrip('/')}/" if "Documentation" in named else ""


def each(
    n_jobs: int | None, function: Callable[..., Any], samples: Iterable[Any], *args: Any
) -> list[Any]:
    """Call ``function(sample, *args)`` for every sample, in order.

    Names no backend, so that ``joblib.parallel_config`` decides where it runs. A single sample
    stays here: workers would be started for nothing.
    """
    samples = list(samples)
    if len(samples) == 1:
        return [function(samples[0], *args)]
    return list(Parallel(n_jobs=n_jobs)(delayed(function)(s, *args) for s in samples))


def threads_each(n_jobs: int | None) -> int:
    """Threads that each of `n_jobs` workers may use without crowding the cores."""
    return max(1, int(cpu_count()) // int(effective_n_jobs(n_jobs)))


def restack(results: list[Any], stacked: bool) -> Any:
    """One array if the samples came as one, a list otherwise."""
    return np.stack(results) if stacked else results
