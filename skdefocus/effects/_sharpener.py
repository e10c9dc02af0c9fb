"""The estimator that sharpens photographs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from skdefocus._estimators import JOBS
from skdefocus.effects._base import Effect, MapEffect, mapper
from skdefocus.effects._sharpen import Sharpening, sharpened


@dataclass(frozen=True)
class SharpenerSettings(Sharpening):
    """Checked parameters of :class:`AdaptiveSharpener`."""

    estimator: Annotated[Any, mapper]
    n_jobs: Annotated[int | None, JOBS]


class AdaptiveSharpener(MapEffect):
    """Sharpen what is nearly in focus, and leave the defocused background and its noise alone.

    Parameters
    ----------
    amount : float, default=1.0
        Share of the correction that is applied, 0 to 100; above 1 it is exaggerated.
    method : {"deconvolution", "unsharp"}, default="deconvolution"
        ``"deconvolution"`` undoes the Gaussian blur of each pixel's own σ as far as the noise
        allows (Wiener). ``"unsharp"`` adds the difference to a version that is blurred by the
        pixel's own σ.
    limit : float, default=1.0
        σ in pixels, above 0 and up to 100, up to which everything is sharpened; from twice that on
        nothing is.
    overshoot : float, default=0.1
        Largest distance, ≥ 0, by which a value may leave the range of its 3×3 neighborhood, full
        scale being 1. It may not leave it by more than half of that range either, so that smooth
        regions get no rings.
    noise : float or None, default=None
        Standard deviation of the noise, from 0 to 100, full scale being 1; None estimates it from
        each photograph.
    estimator : transformer or None, default=None
        Makes σ maps from photographs; None is :func:`skdefocus.make_defocus_pipeline`. It is not
        fitted here, and what it has learned is lost when this object is cloned, for example by a
        cross-validation. Wrap a fitted one in :class:`sklearn.frozen.FrozenEstimator`
        (scikit-learn 1.6 or newer).
    n_jobs : int or None, default=None
        Number of photographs that are worked on at once, see :class:`joblib.Parallel`.

    See Also
    --------
    sharpen : The function for a single photograph.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_image
    >>> import skdefocus as sd
    >>> flower = load_sample_image("flower.jpg")[100:260, 200:400]
    >>> sd.AdaptiveSharpener().fit_transform([flower])[0].shape
    (160, 200, 3)
    """

    _table = SharpenerSettings

    def __init__(
        self,
        amount: float = 1.0,
        method: str = "deconvolution",
        *,
        limit: float = 1.0,
        overshoot: float = 0.1,
        noise: float | None = None,
        estimator: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.amount = amount
        self.method = method
        self.limit = limit
        self.overshoot = overshoot
        self.noise = noise
        self.estimator = estimator
        self.n_jobs = n_jobs

    def _effect(self) -> Effect:
        return partial(sharpened, options=Sharpening.of(self))
