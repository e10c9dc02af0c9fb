"""Base of all estimators: tables of parameters, and parallel work on samples in order.

A class declares its parameters in one table, a frozen dataclass. Its annotations say what a value
may be, and an instance exists only if every value has passed::

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
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from functools import cache, partial
from importlib import metadata
from typing import Any, ClassVar, Self, get_type_hints

import numpy as np
from joblib import cpu_count, effective_n_jobs
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import ThreadpoolController

from skdefocus._validation import check_choice, check_int, check_real

#: Takes a value and its name; returns the value as a plain type, or raises an error that names it.
Check = Callable[[Any, str], Any]


@dataclass(frozen=True)
class Settings:
    """Base of the tables of parameters: frozen plain values, checked when the table is made.

    Every field is annotated as ``Annotated[type, check]``; a check is a function of the module or
    made by one of those below, because a lambda would not see the module's names. Checks that
    involve several parameters go into ``__post_init__``, after ``super().__post_init__()``.
    """

    def __post_init__(self) -> None:
        table: Any = type(self)  # mypy does not see that a class can be hashed
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
    """Check for one of several words."""
    return partial(check_choice, choices=choices)


def optional(check: Check) -> Check:
    """Check that also accepts None."""
    return lambda value, name: None if value is None else check(value, name)


def flag(value: Any, name: str) -> bool:
    """Check for True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be a bool, got {value!r}")
    return bool(value)


def _jobs(value: Any, name: str) -> int:
    """Check for a number of workers that joblib accepts."""
    value = check_int(value, name, -(2**31), 2**31)
    if value == 0:
        raise ValueError(f"{name} must be None or an integer other than 0, got 0")
    return int(value)


#: Check for ``n_jobs``.
JOBS = optional(_jobs)


class ImageTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Base of the transformers of images or records that learn nothing.

    Subclasses name the table of their parameters in ``_table``. Those whose work on an image takes
    long have an ``n_jobs`` parameter and call :func:`map_samples`. One that makes rows of numbers
    is declared with ``class Name(ImageTransformer, tabular=True)`` and names its columns in
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
        """Raise an error if a parameter is wrong."""
        self._table.of(self)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters; nothing is learned.

        Parameters
        ----------
        X : sequence of samples
            Ignored.
        y : ignored
            Present for scikit-learn.

        Returns
        -------
        self
        """
        self._check_params()
        return self

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name the columns of the output.

        Parameters
        ----------
        input_features : ignored
            Present for scikit-learn.

        Returns
        -------
        ndarray of shape (1,), object
            The class's name in lower case and 0, because a sample becomes one object. With it, a
            pipeline that begins with images and ends with columns can name its columns.
        """
        return np.array([f"{type(self).__name__.lower()}0"], dtype=object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose the container that ``transform`` returns tables in.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            Images and records are not tables and stay as they are, so that a pipeline with such a
            stage can be configured. None changes nothing.

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
        """State that samples are images, and that nothing has to be fitted."""
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        # scikit-learn assumes float64, which is true of tables alone.
        tags.transformer_tags.preserves_dtype = ["float64"] if self._tabular else []
        return tags


@cache
def documentation() -> str:
    """Return the address of the documentation in the package's metadata, or an empty string."""
    try:
        urls = metadata.metadata("skdefocus").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    named = dict(url.split(", ", 1) for url in urls)
    return f"{named['Documentation'].rstrip('/')}/" if "Documentation" in named else ""


def map_samples(
    n_jobs: int | None, function: Callable[..., Any], samples: Iterable[Any], *args: Any
) -> list[Any]:
    """Call ``function(sample, *args)`` for every sample and return the results in order.

    No backend is named, so that ``joblib.parallel_config`` decides where the calls run. A single
    sample is worked on in this process: starting workers for it would gain nothing.
    """
    samples = list(samples)
    if len(samples) == 1:
        return [function(samples[0], *args)]
    return list(Parallel(n_jobs=n_jobs)(delayed(function)(s, *args) for s in samples))


def in_threads(n_threads: int, function: Callable[[Any], None], parts: Iterable[Any]) -> None:
    """Call a function for every part of one image, in threads of this process.

    NumPy releases the interpreter's lock while it works on large arrays.
    """
    parts = list(parts)
    if min(n_threads, len(parts)) < 2:
        for part in parts:
            function(part)
        return
    with ThreadPoolExecutor(n_threads) as threads:
        for _ in threads.map(function, parts):
            pass


def one_blas_thread() -> AbstractContextManager[Any]:
    """Keep BLAS from starting threads, which for small matrices wait more than they work."""
    return _controller().limit(limits=1, user_api="blas")


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def threads_per_worker(n_jobs: int | None) -> int:
    """Return how many threads a worker may use so that `n_jobs` of them do not crowd the cores."""
    return max(1, int(cpu_count()) // int(effective_n_jobs(n_jobs)))


def restack(results: list[Any], stacked: bool) -> Any:
    """Return one array if the samples came as one, or a list otherwise."""
    return np.stack(results) if stacked else results
