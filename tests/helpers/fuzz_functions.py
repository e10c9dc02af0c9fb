"""Cases of the functions of arrays: filters, synthesis, data sets, metrics, optics."""

from types import SimpleNamespace

import numpy as np
from helpers.fuzz_cases import case, finite, kernel, like_image, number, optional, pick
from helpers.strategies import floats, maps, photograph_shapes, photographs, shapes
from hypothesis import strategies as st

from skdefocus import datasets, filters, metrics, optics, synthesis

# --- filters -------------------------------------------------------------------------------------


def filtered(draw, channels=((), (1,), (3,), (5,)), **more):
    shape = draw(shapes)
    return {
        "image": draw(floats(shape + pick(draw, *channels), -3, 900)),
        "radius": pick(draw, 0, 1, 3, 50),
        "weights": optional(draw, floats(shape)),
        "n_threads": 1,
    } | {key: strategy(shape) for key, strategy in more.items()}


@case("filters.box_mean", filters.box_mean, like_image)
def box_mean(draw):
    return filtered(draw)


def guided(draw, **more):
    return filtered(
        draw,
        guide=lambda shape: draw(floats(shape + pick(draw, (), (3,)), -1, 2)),
        eps=lambda shape: pick(draw, 1e-6, 1e-2, 10.0),
        subsample=lambda shape: pick(draw, 1, 2, 5),
        **more,
    )


case("filters.guided_filter", filters.guided_filter, like_image)(guided)


@case("filters.weighted_guided_filter", filters.weighted_guided_filter, like_image)
def weighted(draw):
    return guided(
        draw,
        alpha=lambda shape: pick(draw, 0, 1.0, 4.0),
        n_iter=lambda shape: pick(draw, 1, 2),
    )


case(
    "filters.GuidedFilter",
    lambda image, guide, radius, eps, **more: filters.GuidedFilter(
        guide, radius, eps, **more
    ).filter(image),
    like_image,
)(guided)


# --- synthesis -----------------------------------------------------------------------------------


def curve(draw):
    shape = draw(photograph_shapes)
    return {"image": draw(floats(shape))}


def value_by_value(result, given):
    """NaN for NaN only; far outside [0, 1] a value may exceed the largest number."""
    image = np.asarray(given["image"])
    assert result.shape == image.shape
    assert np.array_equal(np.isnan(result), np.isnan(image.astype(np.float64)))


case("synthesis.to_linear", synthesis.to_linear, value_by_value)(curve)
case("synthesis.from_linear", synthesis.from_linear, value_by_value)(curve)


@case("synthesis.psf", synthesis.psf, kernel)
def psf(draw):
    return {"sigma": pick(draw, 0, 1e-5, 0.3, 2.5, 12), "shape": pick(draw, "gaussian", "disc")}


@case("synthesis.blur", synthesis.blur, like_image)
def blurred(draw):
    return {
        "image": draw(floats(draw(photograph_shapes))),
        "sigma": pick(draw, 0, 0.5, 3, 40),
        "shape": pick(draw, "gaussian", "disc"),
        "linear_light": draw(st.booleans()),
    }


@case("synthesis.blur_varying", synthesis.blur_varying, like_image)
def blurred_by_a_map(draw):
    given = blurred(draw)
    return given | {
        "sigma": draw(maps(np.shape(given["image"])[:2])), "n_steps": pick(draw, 2, 5)
    }  # fmt: skip


@case("synthesis.add_noise", synthesis.add_noise, like_image)
def noisy(draw):
    image = draw(floats(draw(photograph_shapes)))
    return {
        "image": image, "read": pick(draw, 0, 0.1), "shot": pick(draw, 0.0, 0.1), "random_state": 3
    }  # fmt: skip


@case("synthesis.jpeg", synthesis.jpeg, like_image)
def compressed(draw):
    shape = draw(shapes) + pick(draw, (), (3,))
    return {"image": draw(floats(shape)), "quality": pick(draw, 1, 50, 95)}


def scene(result, given):
    height, width = result.photograph.shape[:2]
    assert result.sigma.shape == result.index.shape == (height, width)
    assert result.sharp.shape == result.photograph.shape
    finite(result.photograph, 0, 1)
    finite(result.sigma, 0, 1000)


@case(
    "synthesis.render_layers",
    lambda image, sigma, front, alpha, **more: synthesis.render_layers(
        [synthesis.Layer(image, sigma), synthesis.Layer(front, 1.0, alpha)], **more
    ),
    scene,
    {"front": "an image", "image": "called layers[0].image"},
)
def layers(draw):
    size = draw(shapes)
    shape = size + pick(draw, (), (3,))
    return {
        "image": draw(floats(shape)),
        "sigma": draw(st.one_of(st.sampled_from([0, 2.0]), maps(size))),
        "front": draw(floats(shape)),
        "alpha": draw(floats(size)),
        "shape": pick(draw, "gaussian", "disc"),
        "linear_light": draw(st.booleans()),
    }


# --- data sets -----------------------------------------------------------------------------------


@case("datasets.make_scene", datasets.make_scene, scene)
def composed(draw):
    shape = pick(draw, (24, 24), (30, 40, 3))
    return {
        "photographs": [draw(photographs(shape)) for _ in range(3)],
        "kind": pick(draw, "plane", "layers", "soft", "thin", "flat"),
        "max_sigma": pick(draw, 0.5, 3.0),
        "shape": pick(draw, "gaussian", "disc"),
        "noise": pick(draw, 0.0, 0.05),
        "quality": pick(draw, None, 80),
        "random_state": pick(draw, 0, 7),
    }


@case(
    "datasets.load_sample_scenes",
    datasets.load_sample_scenes,
    lambda result, given: [scene(s, given) for s in result],
)
def scenes(draw):
    return {"size": pick(draw, 64, 65), "random_state": pick(draw, 0, 5)}


@case(
    "datasets.sample_photographs",
    datasets.sample_photographs,
    lambda result, given: [finite(image, 0, 1) for image in result],
)
def samples(draw):
    return {"size": pick(draw, 16, 100, None)}


# --- metrics -------------------------------------------------------------------------------------


def compared(draw, weights=True):
    sizes = [draw(shapes) for _ in range(2)]
    given = {key: [draw(maps(size)) for size in sizes] for key in ("true", "pred")}
    if weights:
        given["mask"] = pick(draw, None, [np.ones(size, bool) for size in sizes])
        given["sample_weight"] = pick(draw, None, [1, 0], np.array([0.5, 2]))
    return given


for name, lowest in [("sigma_mae", 0), ("sigma_rmse", 0), ("linear_fit_mae", 0), ("spearman", -1)]:
    case(f"metrics.{name}", getattr(metrics, name), number(lowest))(compared)


def decided(draw):
    shape = pick(draw, (1, 9), (16, 16))
    mask = np.arange(np.prod(shape)).reshape(shape) % 3 == 0
    return {
        "mask": pick(draw, mask, mask.astype("f4"), mask.astype("u1") * np.uint8(255)),
        "sigma_map": draw(maps(shape)),
    }


case("metrics.focus_auc", metrics.focus_auc, number(0, 1))(decided)


@case("metrics.max_f_measure", metrics.max_f_measure, number(0, 1))
def max_f_measure(draw):
    given = decided(draw)
    return {
        "mask_out_of_focus": given["mask"], "blur_map": given["sigma_map"],
        "beta2": pick(draw, 0.3, 1),
    }  # fmt: skip


@case("metrics.blur_score", metrics.blur_score, number(0, 1))
def blur_score(draw):
    shape = draw(shapes)
    return {
        "sigma_map": draw(maps(shape)),
        "scale": pick(draw, 0.1, 1.5),
        "quantile": pick(draw, 0, 0.1, 1),
        "confidence": optional(draw, floats(shape, 0.1)),
    }


@case("metrics.expected_calibration_error", metrics.expected_calibration_error, number(0, 1))
def calibration(draw):
    n, k = pick(draw, 1, 5), pick(draw, 2, 4)
    return {
        "proba": np.full((n, k), 1 / k), "y": np.arange(n) % k, "n_bins": pick(draw, 1, 15)
    }  # fmt: skip


@case(
    "metrics.risk_coverage_curve",
    metrics.risk_coverage_curve,
    lambda result, given: finite(result),
)
def kept(draw):
    shape = draw(shapes)
    return {
        "error": draw(maps(shape)), "confidence": draw(floats(shape)),
        "shares": pick(draw, (0.1, 1.0), np.array([0.5])),
    }  # fmt: skip


def fused(draw):
    shape = pick(draw, (16, 16), (40, 24), (20, 33))
    return {"fused": draw(photographs(shape)), "sources": [draw(photographs(shape))] * 2}


for name in (
    "gradient_preservation",
    "contrast_preservation",
    "source_mutual_information",
    "source_ssim",
):
    case(f"metrics.{name}", getattr(metrics, name), number(-1, 3))(fused)


def two(draw):
    shape = pick(draw, (16, 16), (40, 24), (20, 33, 3))
    return {"image": draw(photographs(shape)), "reference": draw(photographs(shape))}


def decibels(result, given):
    assert type(result) is float
    assert result >= 0


case("metrics.psnr", metrics.psnr, decibels)(two)
case("metrics.ssim", metrics.ssim, number(-1, 1))(two)


def score_by(name, pred, y):
    """What a scorer says of maps that are there already."""
    return metrics.get_scorer(name)(SimpleNamespace(transform=lambda X: X), pred, y)


@case("metrics.get_scorer", score_by, number(-np.inf, 1), {"y": "called true", "pred": "called X"})
def scorer_case(draw):
    name = pick(draw, *metrics.get_scorer_names())
    if name == "focus_auc":
        given = decided(draw)
        return {"name": name, "pred": [given["sigma_map"]], "y": [given["mask"]]}
    given = compared(draw, weights=False)
    return {"name": name, "pred": given["pred"], "y": given["true"]}


@case("metrics.get_scorer_names", metrics.get_scorer_names, lambda names, given: None)
def scorer_names_case(draw):
    return {}


# --- optics --------------------------------------------------------------------------------------


def lens(draw, **more):
    return more | {
        "focal_length": pick(draw, 4.2, 50), "f_number": pick(draw, 1.4, 22),
        "focus_distance": pick(draw, 0.5, 30.0, np.inf), "pixel_pitch": pick(draw, 1, 6.0),
    }  # fmt: skip


def not_nan(result, given):
    for values in result if isinstance(result, tuple) else (result,):
        assert not np.isnan(values).any()


def converted(draw, name):
    return {name: draw(st.one_of(st.sampled_from([0, 2.5]), maps(draw(shapes))))}


case("optics.sigma_to_coc", optics.sigma_to_coc, not_nan)(lambda draw: converted(draw, "sigma"))
case("optics.coc_to_sigma", optics.coc_to_sigma, not_nan)(lambda draw: converted(draw, "coc"))
case("optics.distances_for_coc", optics.distances_for_coc, not_nan)(
    lambda draw: lens(draw, **converted(draw, "coc"))
)
case("optics.coc_at_distance", optics.coc_at_distance, not_nan)(
    lambda draw: lens(draw, distance=draw(floats(draw(shapes), 0.1, 50)))
)
case("optics.depth_of_field", optics.depth_of_field, not_nan)(
    lambda draw: lens(draw, max_coc=pick(draw, 0.5, 2))
)


@case("optics.hyperfocal_distance", optics.hyperfocal_distance, not_nan)
def hyperfocal(draw):
    given = lens(draw, max_coc=pick(draw, 0.5, 2))
    del given["focus_distance"]
    return given
