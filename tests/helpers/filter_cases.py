"""Definition of the filters, window by window, and inputs for their tests."""

import itertools

import numpy as np
from hypothesis import strategies as st

SWITCHES = list(itertools.product([False, True], repeat=2))


def windows(x, radius):
    """View the windows of a mirrored image as (H, W, side, side[, C])."""
    pad = [(radius, radius)] * 2 + [(0, 0)] * (x.ndim - 2)
    side = 2 * radius + 1
    views = np.lib.stride_tricks.sliding_window_view(
        np.pad(x, pad, "symmetric"), (side, side), axis=(0, 1)
    )
    return views if x.ndim == 2 else np.moveaxis(views, 2, -1)


def naive(
    image, guide, radius, eps, *, weights=None, alpha=4.0, edge_aware=False, variance_weighted=False
):
    """Guided filter by loops over windows and pixels; also returns the smallest regularization."""
    guide = guide.reshape(*image.shape, -1).astype(float)
    confidence = np.ones(image.shape) if weights is None else weights
    shape, channels = image.shape, guide.shape[2]
    mean, cov, cross = np.zeros((*shape, channels)), {}, {}
    level, evidence = np.zeros(shape), np.zeros(shape)
    i_win, g_win, w_win = (windows(x, radius) for x in (image, guide, confidence))
    for k in np.ndindex(shape):
        w, g, i = w_win[k].ravel(), g_win[k].reshape(-1, channels), i_win[k].ravel()
        evidence[k] = w.sum()
        w = w / w.sum() if w.any() else w
        mean[k], level[k] = w @ g, w @ i
        cov[k] = (g - mean[k]).T @ ((g - mean[k]) * w[:, None])
        cross[k] = (g - mean[k]).T @ ((i - level[k]) * w)
    variance = np.array([np.trace(cov[k]) / channels for k in np.ndindex(shape)]).reshape(shape)
    inverse_mean, least = 1.0, eps
    if evidence.any():
        inverse_mean = np.average(1 / (variance + 1e-10), weights=evidence)
    a, b = np.zeros((*shape, channels)), np.zeros(shape)
    for k in np.ndindex(shape):
        reg = eps / ((variance[k] + 1e-10) * inverse_mean) if edge_aware else eps
        least = min(least, reg)
        a[k] = np.linalg.solve(cov[k] + reg * np.eye(channels), cross[k])
        b[k] = level[k] - a[k] @ mean[k]
    votes = evidence / (variance**alpha + 1e-10) if variance_weighted else evidence
    a_win, b_win, v_win = (windows(x, radius) for x in (a, b, votes))
    out = np.empty(shape)
    for p in np.ndindex(shape):
        v = v_win[p].ravel()
        if v.any():
            fits = a_win[p].reshape(-1, channels) @ guide[p] + b_win[p].ravel()
            out[p] = v @ fits / v.sum()
        else:
            out[p] = np.average(image, weights=weights) if confidence.any() else 0
    return out, least


@st.composite
def cases(draw, channels=(0, 1, 3, 4), weighted=(False, True)):
    """A random image, guide and weights, with flat parts, outliers and an offset."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(1, 13)), draw(st.integers(1, 13)))
    c = draw(st.sampled_from(channels))
    guide = rng.random((*shape, c) if c else shape)
    if draw(st.booleans()):
        guide[: shape[0] // 2] = rng.random()
    if draw(st.booleans()):
        guide = guide.round()
    image = rng.random(shape) + draw(st.sampled_from([0.0, 0.0, -7.0, 1000.0]))
    weights = None
    if draw(st.sampled_from(weighted)):
        weights = rng.random(shape) * (rng.random(shape) < draw(st.sampled_from([0.0, 0.1, 1.0])))
    radius = draw(st.sampled_from([0, 1, 2, 3, 5, 11, 30]))
    eps = 10.0 ** -draw(st.integers(1, 6))
    return image, guide, radius, eps, weights
