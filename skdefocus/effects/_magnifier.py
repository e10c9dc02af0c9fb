"""The estimator that magnifies the defocus of photographs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from skdefocus._estimators import JOBS, choice
from skdefocus.effects._base import Effect, MapEffect, mapper
from skdefocus.effects._magnify import Magnification, magnified
from skdefocus.effects._map_edges import EDGE_RADIUS
from skdefocus.effects._paper import paper_magnified


@dataclass(frozen=True)
class MagnifierSettings(Magnification):
    """Checked parameters of :class:`DefocusMagnifier`."""

    method: Annotated[str, choice("layers", "paper")]
    estimator: Annotated[Any, mapper]
    n_jobs: Annotated[int | None, JOBS]


class DefocusMagnifier(MapEffect):
    """Blur what is out of focus even more, as a wider aperture would have done.

    Parameters
    ----------
    strength : float, default=2.0
        Factor by which σ grows, from 1 to 100: the ratio of the wider aperture's diameter to that
        of the aperture used.
    aperture : {"disc", "polygon", "gaussian"}, default="disc"
        Shape of highlights out of focus.
    blades : int, default=6
        Corners of the polygon, ≥ 3.
    in_focus : float, default=0.8
        σ in pixels, from 0 to 1000, up to which a pixel stays as it is; from twice that on it gets
        the whole blur. Raise it where parts of the subject dissolve.
    edge_radius : int, default=12
        Radius in pixels, ≥ 0, of the windows in which a pixel on the map's slope between a subject
        and its background is given to one of the two. 0 takes the map as it is.
    method : {"layers", "paper"}, default="layers"
        ``"paper"`` mixes the photograph with one strongly blurred version of it [1]_, see
        :func:`paper_magnify`; it uses only `strength` of the other parameters.
    estimator : transformer or None, default=None
        Makes σ maps from photographs; None is :func:`skdefocus.make_defocus_pipeline`. It is not
        fitted here, and what it has learned is lost when this object is cloned, for example by a
        cross-validation. Wrap a fitted one in :class:`sklearn.frozen.FrozenEstimator`
        (scikit-learn 1.6 or newer).
    n_jobs : int or None, default=None
        Number of photographs that are worked on at once, see :class:`joblib.Parallel`.

    See Also
    --------
    magnify : The function for a single photograph.

    References
    ----------
    .. [1] F. J. Galetto and G. Deng, "Single image deep defocus estimation and its applications",
       arXiv:2107.14443.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_image
    >>> import skdefocus as sd
    >>> flower = load_sample_image("flower.jpg")[100:260, 200:400]
    >>> sd.DefocusMagnifier(strength=3).fit_transform([flower])[0].shape
    (160, 200, 3)
    """

    _table = MagnifierSettings

    def __init__(
        self,
        strength: float = 2.0,
        aperture: str = "disc",
        *,
        blades: int = 6,
        in_focus: float = 0.8,
        edge_radius: int = EDGE_RADIUS,
        method: str = "layers",
        estimator: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.strength = strength
        self.aperture = aperture
        self.blades = blades
        self.in_focus = in_focus
        self.edge_radius = edge_radius
        self.method = method
        self.estimator = estimator
        self.n_jobs = n_jobs

    def _effect(self) -> Effect:
        settings = Magnification.of(self)
        if self.method == "paper":
            return partial(paper_magnified, strength=settings.strength)
        return partial(magnified, options=settings)
