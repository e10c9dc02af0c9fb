"""The estimator that magnifies the defocus of photographs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from numpy.typing import ArrayLike

from skdefocus._typing import Float32Array
from skdefocus._validation import check_choice
from skdefocus.effects._base import MapEffect
from skdefocus.effects._magnify import check_magnification, magnify
from skdefocus.effects._map_edges import EDGE_RADIUS
from skdefocus.effects._paper import paper_magnify
from skdefocus.pipeline import check_mapper


class DefocusMagnifier(MapEffect):
    """Blur what is blurred already even more, as a larger aperture would have done.

    Parameters
    ----------
    strength : float, default=2.0
        What σ is multiplied by, from 1 to 100: the ratio of the wider aperture's diameter to the
        old one's.
    aperture : {"disc", "polygon", "gaussian"}, default="disc"
        Shape of highlights out of focus.
    blades : int, default=6
        Corners of the polygon, ≥ 3.
    in_focus : float, default=0.8
        σ in pixels, ≥ 0, up to which a pixel stays as it is; from twice that it gets the whole
        blur. Larger where parts of the subject dissolve.
    edge_radius : int, default=12
        Radius in pixels, ≥ 0, of the windows in which a pixel on the map's slope between a
        subject and its background is given to one of the two. 0 takes the map as it is.
    method : {"layers", "paper"}, default="layers"
        ``"paper"`` mixes the photograph with one strongly blurred version of it [1]_, see
        :func:`paper_magnify`; of the other parameters only `strength` counts then.
    estimator : transformer or None, default=None
        From photographs to σ maps; None is :func:`skdefocus.make_defocus_pipeline`. It must need no
        fit: it is not fitted here, and what it has learned is lost when this is cloned, as by a
        cross-validation. Wrap a fitted one in :class:`sklearn.frozen.FrozenEstimator`
        (scikit-learn 1.6 or newer).
    n_jobs : int or None, default=None
        Photographs worked on at once, see :class:`joblib.Parallel`.

    See Also
    --------
    magnify : the function, for a map that is there already.

    References
    ----------
    .. [1] A. Galetto and G. Deng, "Single image deep defocus estimation and its applications",
       arXiv:2107.14443.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_image
    >>> import skdefocus as sd
    >>> flower = load_sample_image("flower.jpg")[100:260, 200:400]
    >>> sd.DefocusMagnifier(strength=3).fit_transform([flower])[0].shape
    (160, 200, 3)
    """

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

    def _check_params(self) -> None:
        check_mapper(self.estimator)
        check_choice(self.method, "method", ("layers", "paper"))
        check_magnification(
            self.strength, self.aperture, self.blades, self.in_focus, self.edge_radius
        )

    def _effect(self) -> Callable[[Any, ArrayLike], Float32Array]:
        if self.method == "paper":
            return partial(paper_magnify, strength=self.strength)
        return partial(
            magnify, strength=self.strength, aperture=self.aperture, blades=self.blades,
            in_focus=self.in_focus, edge_radius=self.edge_radius
        )  # fmt: skip
