"""Classification of patches into blur levels by a convolutional network."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, check_memory

from skdefocus import network
from skdefocus._estimators import (
    JOBS,
    ImageTransformer,
    Settings,
    choice,
    flag,
    integer,
    map_samples,
    optional,
    threads_per_worker,
)
from skdefocus._images import check_image
from skdefocus._typing import Float32Array, Float64Array, IndexArray
from skdefocus._validation import as_array, check_sequence
from skdefocus.pipeline._cells import labeled_cells
from skdefocus.pipeline._head import (
    Head,
    Labeled,
    check_labels,
    check_variety,
    learned_head,
    prior_of,
    save_head,
)
from skdefocus.pipeline._inference import Inference, infer, level_grid
from skdefocus.pipeline._octaves import softmax
from skdefocus.pipeline._records import LevelGrid, PatchGrid, mean_level, sigma_at

#: Number of halvings beyond which nothing is left of the largest photographs.
MAX_OCTAVES = 6


def _model(value: Any, name: str) -> str:
    return network.model_path(value)


def _memory(value: Any, name: str) -> Any:
    return check_memory(value)


def _providers(value: Any, name: str) -> tuple[str, ...]:
    return tuple(check_sequence(value, name))


@dataclass(frozen=True)
class ClassifierSettings(Settings):
    """Checked parameters of :class:`BlurLevelClassifier`."""

    model: Annotated[str, _model]
    inference: Annotated[str, choice("dense", "patches")]
    octaves: Annotated[int, integer(0, MAX_OCTAVES)]
    fit_head: Annotated[bool, flag]
    batch_size: Annotated[int, integer(1)]
    memory: Annotated[Any, optional(_memory)]
    n_threads: Annotated[int | None, optional(integer(1))]
    providers: Annotated[tuple[str, ...] | None, optional(_providers)]
    n_jobs: Annotated[int | None, JOBS]


class BlurLevelClassifier(ClassifierMixin, ImageTransformer):  # type: ignore[misc]
    """Classify patches into levels of Gaussian blur with a pre-trained network.

    In a pipeline it transforms the records of :class:`PatchExtractor`. By itself it is a classifier
    of arrays of patches, with the network's own levels as classes. The network ships with the
    package, so nothing has to be fitted first.

    Parameters
    ----------
    model : path or None, default=None
        ONNX file of another network, see *Notes*; None is the one that ships with the package.
    inference : {"dense", "patches"}, default="dense"
        ``"dense"`` runs the network once over the whole image, so that every cell also sees its
        surroundings. It needs a step that is a multiple of the network's stride (4).
        ``"patches"`` answers for every patch by itself, as `predict` does, at the photograph's own
        size only. It is meant for comparisons.
    octaves : int, default=3
        Number of times that the photograph is halved and shown to the network again, from 0 to 6,
        as long as its shorter side keeps 96 pixels. The network measures blur up to 8 px; with 3
        octaves the levels go up to 64 px, in a third more time.
    fit_head : bool, default=False
        Learn the last layer of the network anew in a pipeline's ``fit(images, maps)``, from true
        maps of σ, which `fit` then requires. A search or a cross-validation does so in every fold.
        False ignores the maps. Labels of an array of patches are used in either case.
    batch_size : int, default=256
        Patches per call of the network in patch mode.
    memory : None, str or object with the joblib.Memory interface, default=None
        Cache of the network's answers by the image's content: a search over the parameters of
        later stages then runs the network once per image. Up to 64 MiB of them stay in memory as
        well, and `proba` of the records is read-only then.
    n_threads : int or None, default=None
        Threads of ONNX Runtime per image; it ignores ``OMP_NUM_THREADS``. None shares the cores
        evenly among `n_jobs`. Keep n_jobs × n_threads ≤ cores.
    providers : sequence of str or None, default=None
        Execution providers of ONNX Runtime in order of preference; None is the CPU.
    n_jobs : int or None, default=None
        Number of images that are worked on at once, see :class:`joblib.Parallel`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_levels,), int
        The levels, 0 the sharpest.
    sigmas_ : ndarray of shape (n_levels,), float64
        Their σ in pixels, read from the model file.
    head_ : tuple of ndarray (n_levels, n_features) and (n_levels,), or None
        The last layer as re-fitted by ``fit(X, y)``, or None for the network's own. Not set before
        `fit`.
    label_counts_ : ndarray of shape (n_levels,), int
        Number of patches or cells of each level that ``fit(X, y)`` has seen. Set only with such a
        layer.
    network_digest_ : str
        SHA-256 of the file of the network that such a layer belongs to. It serves no other one.

    Notes
    -----
    What ``fit(X, y)`` has learned is part of this instance and of copies by pickle, joblib and
    skops. ``clone``, and with it searches and cross-validation, starts from the network's own layer
    again, and so does ``fit`` without labels. Both warn, unless `fit_head` makes the copy learn
    too. :meth:`save` writes it to a model file, which stays if it is passed as `model`, because
    that is a parameter.

    A model file takes ``image`` (N, 1, H, W) float32 and gives ``logits`` (N, L, h, w) and
    ``features`` (N, F, h, w), h and w being H and W divided by the stride, and its metadata state
    ``format``, ``sigmas``, ``patch_size``, ``stride``, ``multiple``, ``reach`` and optionally
    ``prior``. It is checked before use.

    The shipped file also has a network for patches by themselves, which answers arrays of patches.
    It takes ``patches`` (M, 1, patch_size, patch_size) and gives ``patch_logits`` (M, L, 1, 1) and
    ``patch_features`` (M, F, 1, 1), from which a re-fitted layer makes logits as from ``features``.
    A file without it shows patches to its only network, with mirrored surroundings.

    References
    ----------
    .. [1] F. J. Galetto and G. Deng, "Single image deep defocus estimation and its applications",
       arXiv:2107.14443.
    .. [2] M. Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from skdefocus import BlurLevelClassifier
    >>> patches = np.random.default_rng(0).random((3, 32, 32))
    >>> classifier = BlurLevelClassifier()
    >>> classifier.predict_proba(patches).shape
    (3, 20)
    >>> classifier.sigmas_[[0, -1]]
    array([0., 8.])
    """

    _table = ClassifierSettings

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        inference: str = "dense",
        octaves: int = 3,
        fit_head: bool = False,
        batch_size: int = 256,
        memory: Any = None,
        n_threads: int | None = None,
        providers: Sequence[str] | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.model = model
        self.inference = inference
        self.octaves = octaves
        self.fit_head = fit_head
        self.batch_size = batch_size
        self.memory = memory
        self.n_threads = n_threads
        self.providers = providers
        self.n_jobs = n_jobs

    @property
    def _network(self) -> network.ModelFacts:
        """Facts of the model file."""
        return network.load_facts(network.model_path(self.model))

    @property
    def _facts(self) -> network.ModelFacts:
        """Facts of the network; after a fit to labels, with their prior."""
        check_is_fitted(self)
        facts = self._network
        if getattr(self, "head_", None) is None:
            return facts
        if facts.digest != self.network_digest_:
            raise ValueError(
                "model must be the network whose last layer fit(X, y) has learned, "
                f"{facts.path!r} is another one; call fit again"
            )
        return replace(facts, prior=prior_of(self.label_counts_))

    @property
    def sigmas_(self) -> Float64Array:
        return np.array(self._network.sigmas)

    @property
    def classes_(self) -> IndexArray:
        return np.arange(len(self._network.sigmas))

    def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Check and load the network; with labeled patches or true maps, re-fit its last layer.

        Parameters
        ----------
        X : list of PatchGrid, or ndarray of shape (n, patch_size, patch_size)
            Records are ignored unless `fit_head`.
        y : ndarray of shape (n,) of int, list of n arrays of shape (H_i, W_i), or None
            For an array of patches, their levels (elements of ``classes_``). For records, true σ in
            pixels, at least 0 and NaN where it is unknown, if `fit_head`, and ignored otherwise (in
            a pipeline it is the truth for later stages). The features of the network stay as they
            are; :class:`sklearn.linear_model.LogisticRegression` learns from them, which takes a
            few hundred patches from your own camera. Of every map, it uses up to 500 cells, always
            the same. Patches and cells are shown to both networks of a file that has one for
            patches, because the layer serves both. Levels that do not occur in `y` keep a
            probability of (nearly) zero.
        sample_weight : array_like of shape (n,), optional
            Weight of each patch or image, at least 0; ignored if nothing is learned.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the model is not a path, a parameter has the wrong type, or `y` holds no integers
            (for records: no numbers).
        ValueError
            If the model or a parameter is wrong, if `y` does not fit `X` or the levels, or if it is
            None and `fit_head`.

        Warns
        -----
        UserWarning
            If a layer fitted before is dropped, because this call has no labels.

        Notes
        -----
        Every call starts from the network itself: if it learns nothing, as in the ``fit`` of a
        pipeline without `fit_head`, a layer that was fitted before is lost. ``transform`` needs no
        ``fit`` then, so leave it out, or :meth:`save` the layer and use the file as `model`.
        """
        settings, facts = ClassifierSettings.of(self), self._network
        if settings.fit_head and y is None:
            raise ValueError("y must hold the true σ maps if fit_head=True, got None")
        if y is None or (_are_records(X) and not settings.fit_head):
            self._warn_of_loss("fit without labels")
            self.head_: Head | None = None
            for name in ("label_counts_", "network_digest_"):
                self.__dict__.pop(name, None)
            return self
        self._learn(self._labeled(X, y, sample_weight, facts, settings), facts)
        return self

    def _labeled(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None,
        facts: network.ModelFacts,
        settings: ClassifierSettings,
    ) -> Labeled:
        """Return features, levels and weights of labeled patches, or of the cells of records."""
        inference = replace(self._inference(settings), head=None)
        if _are_records(X):
            return labeled_cells(X, y, sample_weight, facts, inference, settings.n_jobs)
        patches = self._check_patches(X)
        labels = check_labels(y, len(patches), len(facts.sigmas))
        weights = _check_sample_weight(sample_weight, patches)
        views = [inference.run_surrounded(facts, "features", patches)]
        if facts.has_patch_network:  # the layer has to serve both networks
            views.append(inference.run_patches(facts, "features", patches))
        count = len(views)
        return Labeled(
            np.concatenate(views), np.tile(labels, count), np.tile(weights, count), count
        )

    def _learn(self, labeled: Labeled, facts: network.ModelFacts) -> None:
        """Learn a last layer from features, levels and weights."""
        n_levels = len(facts.sigmas)
        check_variety(labeled.labels, n_levels)
        self.head_ = learned_head(labeled, n_levels)
        self.label_counts_ = labeled.label_counts(n_levels)
        self.network_digest_ = facts.digest

    def _warn_of_loss(self, call: str) -> None:
        """Warn that a call drops the last layer that was learned."""
        if getattr(self, "head_", None) is not None and not self.fit_head:
            warnings.warn(
                f"{call} drops the last layer that fit(X, y) has learned; to keep it, write it by "
                "save(path) and use model=path",
                UserWarning,
                stacklevel=3,
            )

    def __sklearn_is_fitted__(self) -> bool:
        return not self.fit_head or getattr(self, "head_", None) is not None

    def __sklearn_clone__(self) -> Self:
        self._warn_of_loss("clone")
        return super().__sklearn_clone__()

    def save(
        self, path: str | os.PathLike[str], *, overwrite: bool = False, note: str = ""
    ) -> None:
        """Write the network with the re-fitted last layer to a model file of its own.

        Parameters
        ----------
        path : str or path
            Ends in ``.onnx`` by convention. The folder must exist. As `model`, it gives what this
            instance gives, in clones, searches and other processes too.
        overwrite : bool, default=False
            Replace an existing file.
        note : str, default=""
            Description of the patches for the file: camera, lens, who labeled them.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If ``fit(X, y)`` has not learned a layer.
        FileExistsError
            If the file exists and `overwrite` is False.
        OSError
            If the file cannot be written.
        ValueError
            If the model is wrong, or has changed since.

        Notes
        -----
        The file's metadata are those of the network without ``temperature`` and ``held_out``, which
        describe its own last layer. ``prior`` is what the labels say. ``head`` states, as JSON, the
        SHA-256 of the network's file (``base``), the number of patches of each level
        (``patches``), the version of skdefocus and the note. No other package is needed.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> import numpy as np
        >>> from skdefocus import BlurLevelClassifier
        >>> patches = np.random.default_rng(0).random((6, 32, 32))
        >>> fitted = BlurLevelClassifier().fit(patches, [0, 0, 0, 3, 3, 3])
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "mine.onnx"
        >>> fitted.save(file, note="noise")
        >>> again = BlurLevelClassifier(model=file)
        >>> np.allclose(again.predict_proba(patches), fitted.predict_proba(patches), atol=1e-4)
        True
        """
        head: Head | None = getattr(self, "head_", None)
        if head is None:
            raise NotFittedError(
                "there is no re-fitted last layer to save; call fit(X, y) with labels"
            )
        save_head(path, overwrite, self._facts, head, self.label_counts_, note)

    def transform(self, X: Sequence[PatchGrid]) -> list[LevelGrid]:
        """Compute the probabilities of the blur levels of every cell of every record.

        Parameters
        ----------
        X : sequence of PatchGrid

        Returns
        -------
        list of LevelGrid, one per record, in order

        Raises
        ------
        TypeError
            If `X` holds anything but records.
        ValueError
            If a parameter or the model is wrong, the records' patches do not fit the network, or a
            re-fitted layer belongs to another network.
        sklearn.exceptions.NotFittedError
            If `fit_head` and ``fit(X, y)`` has not learned a layer.
        """
        settings = ClassifierSettings.of(self)
        if not _are_records(X):
            raise TypeError(
                "X must be a list of PatchGrid as made by PatchExtractor; "
                "for an array of patches use predict or predict_proba"
            )
        facts = self._facts
        for grid in X:
            if grid.patch_size != facts.patch_size:
                raise ValueError(
                    f"patch_size must be {facts.patch_size} for this network, got {grid.patch_size}"
                )
            if settings.inference == "dense" and grid.step % facts.stride:
                raise ValueError(
                    f"step must be a multiple of {facts.stride} if "
                    f"inference='dense', got {grid.step}; use inference='patches'"
                )
        memory = check_memory(settings.memory)
        cached = memory.cache(infer, ignore=["grid", "facts", "inference"])
        return map_samples(
            self.n_jobs,
            level_grid,
            X,
            cached,
            facts,
            settings.memory is not None,
            getattr(memory, "location", None),
            self._inference(settings),
        )

    def predict_proba(self, X: Any) -> Float32Array:
        """Compute the probabilities of the levels.

        Parameters
        ----------
        X : ndarray of shape (n, patch_size, patch_size)
            Gray patches; bool, uint8, uint16 or float in [0, 1].

        Returns
        -------
        ndarray of shape (n, n_levels), float32
            Sums to 1 along the last axis.

        Raises
        ------
        TypeError
            If the patches have another dtype.
        ValueError
            If `X` has another shape or values outside of its dtype's range, or a parameter or the
            model is wrong.
        sklearn.exceptions.NotFittedError
            See :meth:`transform`.
        """
        settings, facts = ClassifierSettings.of(self), self._facts
        patches = self._check_patches(X)
        return softmax(self._inference(settings).patch_logits(facts, patches))

    def predict(self, X: Any) -> IndexArray:
        """Return the most probable levels.

        Parameters
        ----------
        X : ndarray of shape (n, patch_size, patch_size)
            See :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n,), elements of ``classes_``

        Raises
        ------
        TypeError, ValueError
            See :meth:`predict_proba`.
        """
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_sigma(self, X: Any) -> Float32Array:
        """Estimate the σ of patches: that of their mean level.

        Parameters
        ----------
        X : ndarray of shape (n, patch_size, patch_size)
            See :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n,), float32, in pixels

        Raises
        ------
        TypeError, ValueError
            See :meth:`predict_proba`.
        """
        return sigma_at(mean_level(self.predict_proba(X)), self.sigmas_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = tags.target_tags.required = bool(self.fit_head)
        return tags

    def _inference(self, settings: ClassifierSettings) -> Inference:
        """Collect the checked parameters and the last layer for running the network."""
        return Inference(
            settings.inference,
            settings.octaves,
            getattr(self, "head_", None),
            settings.batch_size,
            settings.n_threads or threads_per_worker(settings.n_jobs),
            settings.providers,
        )

    def _check_patches(self, X: Any) -> Float32Array:
        """Check an array of patches and scale it to [0, 1]."""
        size = self._network.patch_size
        x = as_array(X, "X")
        if x.ndim != 3 or x.shape[1:] != (size, size) or not len(x):
            raise ValueError(f"X must have shape (n, {size}, {size}) with n >= 1, got {x.shape}")
        # As one image of patches below each other, dtype and range are checked at once.
        return check_image(x.reshape(-1, size), "X").reshape(x.shape)


def _are_records(X: Any) -> bool:
    return isinstance(X, Sequence) and len(X) > 0 and all(isinstance(grid, PatchGrid) for grid in X)
