"""From patches to probabilities of blur levels, by a convolutional network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_memory

from skdefocus import network
from skdefocus._estimators import ImageTransformer, each, threads_each
from skdefocus._images import check_image
from skdefocus._validation import as_array, check_choice, check_int, check_sequence
from skdefocus.pipeline._dense import Answer, alone
from skdefocus.pipeline._inference import Head, Settings, infer, level_grid
from skdefocus.pipeline._octaves import softmax
from skdefocus.pipeline._records import LevelGrid, PatchGrid, sigma_at

#: Halvings beyond which nothing is left of the largest photographs.
MAX_OCTAVES = 6


class BlurLevelClassifier(ClassifierMixin, ImageTransformer):  # type: ignore[misc]
    """Classify patches into levels of Gaussian blur with a pre-trained network.

    In a pipeline it transforms the records of :class:`PatchExtractor`; by itself it is a
    classifier over arrays of patches, with the network's own levels. The network ships with the
    package, so nothing has to be fitted first.

    Parameters
    ----------
    model : path or None, default=None
        ONNX file of another network, see *Notes*; None takes the shipped one.
    inference : {"dense", "patches"}, default="dense"
        ``"dense"`` runs the network once over the whole image, so that every cell also sees its
        surroundings. It needs a step that is a multiple of the network's stride (4).
        ``"patches"`` shows it every patch alone, at the photograph's own size only: for
        comparisons.
    octaves : int, default=3
        How often the photograph is also shown at half the size before, from 0 to 6, as long as
        its shorter side keeps 96 pixels. The network tells blur up to 8 px; with 3 octaves the
        levels go on to 64 px, for a third more time.
    batch_size : int, default=256
        Patches per call of the network in patch mode.
    memory : None, str or object with the joblib.Memory interface, default=None
        Cache of the network's answers by the image's content: a search over the parameters of
        later stages then runs the network once per image.
    n_threads : int or None, default=None
        Threads of ONNX Runtime per image, which knows nothing of ``OMP_NUM_THREADS``; None
        shares the cores evenly among `n_jobs`. Keep n_jobs × n_threads ≤ cores.
    providers : sequence of str or None, default=None
        Execution providers of ONNX Runtime in order of preference; None is the CPU.
    n_jobs : int or None, default=None
        Images worked on at once, see :class:`joblib.Parallel`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_levels,), int
        The levels, 0 the sharpest.
    sigmas_ : ndarray of shape (n_levels,), float64
        Their σ in pixels, read from the model file.
    head_ : tuple of ndarray (n_levels, n_features) and (n_levels,), or None
        The last layer re-fitted by ``fit(X, y)``; None is the network's own. There is none before
        `fit`.

    Notes
    -----
    A model file takes ``image`` (N, 1, H, W) float32 and gives ``logits`` (N, L, h, w) and
    ``features`` (N, F, h, w), h and w being H and W divided by the stride, and its metadata state
    ``format``, ``sigmas``, ``patch_size``, ``stride``, ``multiple``, ``reach`` and, if it likes,
    ``prior``. It is checked before use.

    References
    ----------
    .. [1] A. Galetto and G. Deng, "Single image deep defocus estimation and its applications",
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

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        inference: str = "dense",
        octaves: int = 3,
        batch_size: int = 256,
        memory: Any = None,
        n_threads: int | None = None,
        providers: Sequence[str] | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.model = model
        self.inference = inference
        self.octaves = octaves
        self.batch_size = batch_size
        self.memory = memory
        self.n_threads = n_threads
        self.providers = providers
        self.n_jobs = n_jobs

    @property
    def _facts(self) -> network.ModelFacts:
        return network.load_facts(network.model_path(self.model))

    @property
    def sigmas_(self) -> NDArray[np.float64]:
        return np.array(self._facts.sigmas)

    @property
    def classes_(self) -> NDArray[np.intp]:
        return np.arange(len(self._facts.sigmas))

    def _check_params(self) -> None:
        check_choice(self.inference, "inference", ("dense", "patches"))
        check_int(self.octaves, "octaves", 0, MAX_OCTAVES)
        check_int(self.batch_size, "batch_size", 1)
        if self.n_threads is not None:
            check_int(self.n_threads, "n_threads", 1)
        check_memory(self.memory)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check and load the network; with labeled patches, re-fit its last layer.

        Parameters
        ----------
        X : list of PatchGrid, or ndarray of shape (n, patch_size, patch_size)
            Records are not looked at, nor is `y` beside them (in a pipeline it is the later
            stages' truth).
        y : ndarray of shape (n,) of int, or None
            Levels (elements of ``classes_``) of the patches in `X`. The features of the network
            stay as they are; :class:`sklearn.linear_model.LogisticRegression` learns from them,
            which takes some hundred patches of your own camera. Levels that do not occur in `y`
            keep a probability of (nearly) zero.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the model is no path, a parameter is of the wrong type, or `y` is not of integers.
        ValueError
            If the model or a parameter is wrong, or `y` does not fit `X` or the levels.

        Notes
        -----
        Every call starts from the network as it is: without labeled patches, as in a pipeline's
        ``fit``, a layer fitted before is gone.
        """
        self._check_params()
        facts = self._facts
        self.head_: Head | None = None
        if y is None or _are_records(X):
            return self
        patches = self._check_patches(X)
        labels = as_array(y, "y")
        if labels.dtype.kind not in "iu":
            raise TypeError(f"y must hold integers, the levels, got dtype {labels.dtype}")
        if labels.shape != (len(patches),):
            raise ValueError(f"y must have shape ({len(patches)},), got {labels.shape}")
        levels = np.unique(labels)
        if len(levels) < 2 or not np.isin(levels, self.classes_).all():
            raise ValueError(
                f"y must hold at least two different levels from 0 to {len(facts.sigmas) - 1}, "
                f"got {levels[:30]}"
            )
        features = self._alone(patches, partial(self._settings().run, facts, "features"))
        scale = np.maximum(features.std(axis=0), 1e-6)
        learner = LogisticRegression(C=0.1, max_iter=500).fit(features / scale, labels)
        weights, bias = learner.coef_ / scale, learner.intercept_
        if len(levels) == 2:  # one row then stands for both classes
            weights, bias = np.vstack([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
        head = (
            np.zeros((len(facts.sigmas), features.shape[1]), np.float32),
            np.full(len(facts.sigmas), -30, np.float32),
        )
        head[0][levels], head[1][levels] = weights, bias
        self.head_ = head
        return self

    def transform(self, X: Sequence[PatchGrid]) -> list[LevelGrid]:
        """Tell the blur level of every cell of every record.

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
            If a parameter or the model is wrong, or the records' patches do not fit the network.
        """
        self._check_params()
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
            if self.inference == "dense" and grid.step % facts.stride:
                raise ValueError(
                    f"step must be a multiple of {facts.stride} if "
                    f"inference='dense', got {grid.step}; use inference='patches'"
                )
        cached = check_memory(self.memory).cache(infer, ignore=["grid", "facts", "settings"])
        settings = self._settings()
        return each(self.n_jobs, level_grid, X, cached, facts, self.memory is not None, settings)

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Probabilities of the levels.

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
            If the patches are of another dtype.
        ValueError
            If `X` has another shape or values outside of its dtype's range, or a parameter or the
            model is wrong.
        """
        self._check_params()
        patches = self._check_patches(X)
        return softmax(self._alone(patches, partial(self._settings().logits, self._facts)))

    def predict(self, X: Any) -> NDArray[np.intp]:
        """Most probable level.

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

    def predict_sigma(self, X: Any) -> NDArray[np.float32]:
        """Estimate σ: that of the mean level.

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
        levels = np.arange(len(self.sigmas_), dtype=np.float32)
        return sigma_at(self.predict_proba(X) @ levels, self.sigmas_)

    def _settings(self) -> Settings:
        names = self.providers
        return Settings(
            self.inference,
            int(self.octaves),
            getattr(self, "head_", None),
            int(self.batch_size),
            threads_each(self.n_jobs) if self.n_threads is None else int(self.n_threads),
            None if names is None else tuple(check_sequence(names, "providers")),
        )

    def _check_patches(self, X: Any) -> NDArray[np.float32]:
        size = self._facts.patch_size
        x = as_array(X, "X")
        if x.ndim != 3 or x.shape[1:] != (size, size) or not len(x):
            raise ValueError(f"X must have shape (n, {size}, {size}) with n >= 1, got {x.shape}")
        # Patches side by side are one image to the check of dtype and range.
        return check_image(x.reshape(-1, size), "X").reshape(x.shape)

    def _alone(self, patches: NDArray[np.float32], answer: Answer) -> NDArray[np.float32]:
        """Answers (n, channels) for patches by themselves, batch by batch."""
        facts, size = self._facts, int(self.batch_size)
        starts = range(0, len(patches), size)
        return np.concatenate([alone(patches[i : i + size], facts, answer) for i in starts])


def _are_records(X: Any) -> bool:
    return isinstance(X, Sequence) and len(X) > 0 and all(isinstance(grid, PatchGrid) for grid in X)
