"""Mean over square windows."""

from __future__ import annotations

from numpy.typing import ArrayLike

from skdefocus._typing import FloatArray
from skdefocus._validation import as_array, check_int
from skdefocus.filters._arrays import check_finite_planes, check_out, check_planes, check_weights
from skdefocus.filters._linear_fits import inverse, weighted_mean
from skdefocus.filters._window_sums import box_sums
from skdefocus.filters._workers import effective_threads

#: Larger radii give the same result; sums over so many pixels stay within the range of float32.
MAX_RADIUS = 10**6


def box_mean(
    image: ArrayLike,
    radius: int,
    *,
    weights: ArrayLike | None = None,
    n_threads: int = 2,
    out: FloatArray | None = None,
) -> FloatArray:
    """Average over the square window around each pixel.

    Parameters
    ----------
    image : array_like of shape (H, W) or (H, W, C), floating
        Any values whose sums over a window stay within the range of the dtype. Channels are
        filtered one by one.
    radius : int
        At least 0; the window is ``2 * radius + 1`` pixels wide and may exceed the image.
    weights : array_like of shape (H, W), optional
        At least 0. The mean becomes ``sum(weights * image) / sum(weights)``; pixels of weight 0
        have no influence, whatever they hold, including NaN. Where a window has no weight at all,
        the result is the weighted mean of the full image, or 0 if that has no weight either.
    n_threads : int
        Largest number of threads, at least 1. Below half a million pixels one thread is as fast,
        and only one is used.
    out : ndarray of the shape of `image`, floating, optional
        Array for the result; may be `image` itself.

    Returns
    -------
    ndarray of the shape and dtype of `image`
        `out` if it was given.

    Raises
    ------
    TypeError
        If `image` is not floating, or a parameter has the wrong type.
    ValueError
        If a shape or a value is out of range, or values with weight are not finite.

    Notes
    -----
    Window sums are built by doubling. The cost per pixel grows with the logarithm of the radius,
    and nothing is subtracted, so that a float32 image needs no float64.

    Examples
    --------
    >>> import numpy as np
    >>> from skdefocus.filters import box_mean
    >>> box_mean(np.array([[0.0, 3.0, 6.0]]), 1)
    array([[1., 3., 5.]])
    >>> box_mean(np.array([[0.0, 3.0, 6.0]]), 1, weights=np.array([[1, 1, 0]]))
    array([[1. , 1.5, 3. ]])
    """
    radius = min(check_int(radius, "radius", 0), MAX_RADIUS)
    image = as_array(image, "image")
    w = check_weights(weights, image.shape[:2], image.dtype)
    x = check_finite_planes(check_planes(image), weights=w)
    n_threads = effective_threads(n_threads, x)
    out = check_out(out, image)
    factor: FloatArray | float = 1 / (2 * radius + 1) ** 2
    if w is not None:
        factor = inverse(box_sums(w, radius, n_threads=n_threads))
    for c in range(x.shape[2]):
        mean = box_sums(x[..., c], radius, weights=w, n_threads=n_threads)
        mean *= factor
        if w is not None:
            mean[factor == 0] = weighted_mean(x[..., c], w)
        (out if out.ndim == 2 else out[..., c])[...] = mean
    return out
