"""One case for every public function and estimator: how it is called, and what it promises."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from hypothesis import strategies as st
from PIL import Image
from strategies import floats, maps, photograph_shapes, photographs, shapes

import skdefocus as sd
from skdefocus import datasets, filters, io, magnify, metrics, optics, plotting, sharpen, synthesis
from skdefocus.cli import main

FOLDER = Path(tempfile.mkdtemp())
#: Parameters of which large values are honest work.
LONG = {
    "n_iter", "n_steps", "n_threads", "n_bins", "n_jobs", "size", "blades", "batch_size",
    "quantiles", "step", "patch_size", "max_pixels",
}  # fmt: skip


@dataclass
class Case:
    """What is called with what, and what must hold of the result."""

    call: Callable[..., Any]
    arguments: Callable[[Any], dict[str, Any]]
    check: Callable[[Any, dict[str, Any]], Any]
    #: Parameters that are somebody else's to check, or not looked at, each with the reason.
    foreign: dict[str, str] = field(default_factory=dict)


CASES: dict[str, Case] = {}


def case(name, call, check, foreign=None):
    """Register the decorated function, which draws good arguments."""

    def register(arguments):
        CASES[name] = Case(call, arguments, check, foreign or {})
        return arguments

    return register


# --- what results promise ------------------------------------------------------------------------


def finite(result, low=-np.inf, high=np.inf):
    result = np.asarray(result)
    assert np.isfinite(result).all()
    if result.size == 0:
        return
    assert low - 1e-6 <= result.min()
    assert result.max() <= high + 1e-6


def like_image(result, given):
    """The shape and dtype of the image, finite."""
    image = np.asarray(given["image"])
    assert result.shape == image.shape
    assert result.dtype.isnative
    finite(result)


def photograph_of(result, given):
    """float32 in [0, 1], of the photograph's size, without alpha."""
    shape = np.shape(given["image"])
    channels = () if len(shape) == 2 or shape[2] == 1 else (3,)
    assert result.shape == (*shape[:2], *channels)
    assert result.dtype == np.float32
    finite(result, 0, 1)


def map_of(result, given):
    assert result.shape == np.shape(given["image"])[:2]
    assert result.dtype == np.float32
    finite(result, 0, 100)


def number(low=0.0, high=np.inf):
    def check(result, given):
        assert type(result) is float
        finite(result, low, high)

    return check


def kernel(result, given):
    assert result.ndim == 2
    assert result.shape[0] == result.shape[1]
    finite(result, 0, 1)
    np.testing.assert_allclose(result.sum(), 1)


def one_per_sample(check):
    def each(results, given):
        X = given["X"]
        assert len(results) == len(X)
        assert isinstance(results, np.ndarray) == (isinstance(X, np.ndarray) and X.dtype != object)
        for result, image in zip(results, X, strict=True):
            check(result, {"image": image})

    return each


# --- drawing -------------------------------------------------------------------------------------


def pick(draw, *values):
    return draw(st.sampled_from(values))


def optional(draw, strategy):
    return draw(strategy) if draw(st.booleans()) else None


def batch(draw):
    """One to two photographs of their own sizes, or an array of them."""
    if draw(st.booleans()):
        return [draw(photographs(draw(photograph_shapes))) for _ in range(pick(draw, 1, 2))]
    shape = draw(photograph_shapes)
    return np.stack([np.asarray(draw(photographs(shape)))] * 2)


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
    finite(result.sigma, 0, 100)


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


@case("metrics.best_f", metrics.best_f, number(0, 1))
def best_f(draw):
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
    "metrics.error_against_kept_share",
    metrics.error_against_kept_share,
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


for name in ("q_g", "q_cb", "q_mi", "q_y"):
    case(f"metrics.{name}", getattr(metrics, name), number(-1, 3))(fused)


def two(draw):
    shape = pick(draw, (16, 16), (40, 24), (20, 33, 3))
    return {"image": draw(photographs(shape)), "reference": draw(photographs(shape))}


def decibels(result, given):
    assert type(result) is float
    assert result >= 0


case("metrics.psnr", metrics.psnr, decibels)(two)
case("metrics.ssim", metrics.ssim, number(-1, 1))(two)


def scored(scorer):
    """A scorer, of maps that are there already."""
    return lambda pred, y: scorer(SimpleNamespace(transform=lambda X: X), pred, y)


for name in ("neg_sigma_mae", "neg_sigma_rmse"):

    @case(
        f"metrics.{name}",
        scored(getattr(metrics, name)),
        number(-np.inf, 0),
        {"y": "called true", "pred": "called X"},
    )
    def scorer_case(draw):
        given = compared(draw, weights=False)
        return {"pred": given["pred"], "y": given["true"]}


@case(
    "metrics.focus_auc_scorer",
    scored(metrics.focus_auc_scorer),
    number(0, 1),
    {"pred": "called X"},
)
def auc_case(draw):
    given = decided(draw)
    return {"pred": [given["sigma_map"]], "y": [given["mask"]]}


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
case("optics.distances_of_coc", optics.distances_of_coc, not_nan)(
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


# --- files ---------------------------------------------------------------------------------------


def file_name(draw, *suffixes):
    return FOLDER / f"{draw(st.integers(0, 99))}{pick(draw, *suffixes)}"


def written(draw, *suffixes):
    return {
        "path": file_name(draw, *suffixes), "sigma": draw(maps(draw(shapes))), "overwrite": True
    }  # fmt: skip


case(
    "io.write_map",
    io.write_map,
    lambda result, given: given["path"].stat().st_size,
    {"path": "a name, which any text is", "overwrite": "true or false"},
)(lambda draw: written(draw, ".npy", ".tif"))
case(
    "io.write_scaled_png",
    io.write_scaled_png,
    lambda result, given: given["path"].stat().st_size,
    {"path": "a name, which any text is", "overwrite": "true or false"},
)(lambda draw: written(draw, ".png") | {"scale": pick(draw, 1, 1000.0)})


@case(
    "io.read_image",
    io.read_image,
    lambda result, given: None,
    {"path": "a name: OSErrors of the system are ReadErrors that name it"},
)
def read(draw):
    path = file_name(draw, ".png", ".tif")
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(path)
    return {"path": path, "max_pixels": pick(draw, 20, 10**9)}


@case(
    "optics.read_lens_facts",
    optics.read_lens_facts,
    lambda result, given: None,
    {"path": "a name: OSErrors are passed on"},
)
def lens_facts(draw):
    return {"path": read(draw)["path"]}


def put(path, overwrite):
    with io.atomic_path(path, overwrite) as temporary:
        temporary.write_bytes(b"whole")


@case(
    "io.atomic_path",
    put,
    lambda result, given: given["path"].read_bytes() == b"whole",
    {"path": "a name: OSErrors are passed on", "overwrite": "true or false"},
)
def put_case(draw):
    return {"path": file_name(draw, ".txt"), "overwrite": True}


def command_line(argv):
    try:
        return main(argv)
    except SystemExit as end:  # argparse
        return end.code


WORDS = [
    "map", "fuse", "magnify", "sharpen", "info", "--out", "--help", "--version", "--model",
    "--step",    "--overwrite", "none.jpg", "", "--", "-1", "1e999", "\ud800", "a\0b", str(FOLDER),
]  # fmt: skip


@case(
    "cli.main",
    command_line,
    lambda result, given: [] if result in (0, 1, 2) else 1 / 0,
    {"argv": "a list of words"},
)
def words(draw):
    return {"argv": draw(st.lists(st.sampled_from(WORDS), max_size=5))}


# --- pictures ------------------------------------------------------------------------------------


def drawn(result, given):
    plt.close("all")
    assert result is not None


@case(
    "plotting.show_map",
    plotting.show_map,
    drawn,
    {"cmap": "matplotlib's to check", "colorbar": "true or false"},
)
def shown(draw):
    shape = draw(photograph_shapes)
    return {
        "sigma": draw(maps(shape[:2])), "image": optional(draw, photographs(shape)),
        "vmax": pick(draw, None, 3), "cmap": "gray", "colorbar": draw(st.booleans()),
        "alpha": pick(draw, None, 0.5),
    }  # fmt: skip


@case("plotting.overview", plotting.overview, drawn)
def seen(draw):
    shape = draw(photograph_shapes)
    return {
        "image": draw(photographs(shape)), "sigma": draw(maps(shape[:2])),
        "confidence": optional(draw, floats(shape[:2])),
    }  # fmt: skip


# --- effects -------------------------------------------------------------------------------------


def mapped(draw, **more):
    shape = draw(photograph_shapes)
    return more | {"image": draw(photographs(shape)), "sigma": draw(maps(shape[:2]))}


@case("magnify.magnify", magnify.magnify, photograph_of)
def magnified(draw):
    return mapped(
        draw, strength=pick(draw, 1, 2.0, 4), aperture=pick(draw, "disc", "polygon", "gaussian"),
        blades=pick(draw, 3, 6), in_focus=pick(draw, 0, 0.8), edge_radius=pick(draw, 0, 12),
    )  # fmt: skip


ANCHORS = [(0.5, 1.75), (0, 9)]


@case("magnify.paper_magnify", magnify.paper_magnify, photograph_of)
def paper(draw):
    return mapped(draw, strength=pick(draw, 1, 2.0, 4), anchors=pick(draw, *ANCHORS))


@case(
    "magnify.paper_weight",
    magnify.paper_weight,
    lambda result, given: finite(result, 0, 1),
)
def paper_weight(draw):
    return {"blurriness": draw(floats(draw(shapes))), "anchors": pick(draw, *ANCHORS)}


@case("magnify.aperture_psf", magnify.aperture_psf, kernel)
def aperture(draw):
    return {
        "sigma": pick(draw, 0, 0.3, 4.0), "aperture": pick(draw, "disc", "polygon", "gaussian"),
        "blades": pick(draw, 3, 6),
    }  # fmt: skip


@case("sharpen.sharpen", sharpen.sharpen, photograph_of)
def sharpened(draw):
    return mapped(
        draw, amount=pick(draw, 0, 1.0), method=pick(draw, "deconvolution", "unsharp"),
        limit=pick(draw, 0.5, 2), overshoot=pick(draw, 0, 0.1), noise=pick(draw, None, 0, 0.01),
    )  # fmt: skip


@case("sharpen.noise_level", sharpen.noise_level, number())
def noise_level(draw):
    shape = draw(shapes)
    return {"grey": draw(floats(shape)), "sigma": optional(draw, maps(shape))}


# --- estimators ----------------------------------------------------------------------------------

JOBLIB = {"n_jobs": "joblib's to check"}


def transformed(estimator):
    return lambda X, **parameters: estimator(**parameters).fit(X).transform(X)


def grids(step):
    return lambda X: sd.PatchExtractor(step=step).transform(X)


@case(
    "PatchExtractor",
    transformed(sd.PatchExtractor),
    lambda result, given: [finite(grid.patches, 0, 1) for grid in result],
)
def patches(draw):
    return {"X": batch(draw), "patch_size": pick(draw, 8, 33), "step": pick(draw, 1, 8)}


def probabilities(result, given):
    assert len(result) == len(given["X"])
    for levels in result:
        finite(levels.proba, 0, 1)
        np.testing.assert_allclose(levels.proba.sum(-1), 1, atol=1e-4)


@case(
    "BlurLevelClassifier",
    transformed(sd.BlurLevelClassifier),
    probabilities,
    JOBLIB | {"memory": "joblib's to check"},
)
def classified(draw):
    return {
        "X": grids(pick(draw, 8, 16))(batch(draw)), "inference": pick(draw, "dense", "patches"),
        "batch_size": pick(draw, 1, 7), "n_threads": 1, "model": None, "providers": None,
    }  # fmt: skip


@case(
    "BlurLevelClassifier.predict_proba",
    lambda X: sd.BlurLevelClassifier(n_threads=1).predict_proba(X),
    lambda result, given: finite(result, 0, 1),
)
def predicted(draw):
    return {"X": draw(photographs((pick(draw, 1, 3), 32, 32)))}


@case(
    "WeightedGuidedRefiner",
    transformed(sd.WeightedGuidedRefiner),
    lambda result, given: [
        map_of(found, {"image": grid.image}) for found, grid in zip(result, given["X"], strict=True)
    ],
    JOBLIB,
)
def refined(draw):
    levels = sd.BlurLevelClassifier(n_threads=1).transform(grids(16)(batch(draw)))
    return {
        "X": levels, "radius": pick(draw, 1, 8), "eps": pick(draw, 1e-6, 0.1),
        "alpha": pick(draw, 0, 4.0), "n_iter": pick(draw, 0, 2), "prior": pick(draw, 1e-3, 1),
        "fill_radius": pick(draw, 1, 40), "guide": pick(draw, "color", "grey"),
        "subsample": pick(draw, 1, 2, 5),
    }  # fmt: skip


def measure_of(result, given):
    """A map of no unit."""
    assert result.shape == np.shape(given["image"])[:2]
    assert result.dtype == np.float32
    finite(result)


@case("FocusMeasure", transformed(sd.FocusMeasure), one_per_sample(measure_of), JOBLIB)
def measured(draw):
    from skdefocus._focus_operators import OPERATORS

    return {
        "X": batch(draw), "method": pick(draw, *OPERATORS), "radius": pick(draw, 1, 16),
        "smoothing": pick(draw, 0, 1.5), "calibrate": False,
    }  # fmt: skip


@case("EdgeReblurEstimator", transformed(sd.EdgeReblurEstimator), one_per_sample(map_of), JOBLIB)
def reblurred(draw):
    return {
        "X": batch(draw), "sigma0": pick(draw, 0.5, 1), "threshold": pick(draw, 1, 5.0),
        "radius": pick(draw, 1, 16), "eps": pick(draw, 1e-4, 0.1), "max_sigma": pick(draw, 2, 8.0),
    }  # fmt: skip


def table(result, given):
    assert result.dtype == np.float64
    assert result.ndim == 2
    assert len(result) == len(given["X"])
    finite(result)


@case(
    "DefocusFeatures",
    lambda X, **parameters: sd.DefocusFeatures(
        sd.EdgeReblurEstimator(radius=2), **parameters
    ).fit_transform(X),
    table,
    JOBLIB,
)
def described(draw):
    return {
        "X": batch(draw), "in_focus": pick(draw, 0, 1), "quantiles": pick(draw, (0.5,), [0, 1])
    }  # fmt: skip


@case(
    "FocusFuser",
    lambda stack, **parameters: (
        sd.FocusFuser(sigma_weight=0, **parameters).fit([stack]).transform([stack])[0]
    ),
    lambda result, given: photograph_of(result, {"image": given["stack"][0]}),
    JOBLIB | {"stack": "called X[0]", "match_exposure": "true or false"},
)
def stacks(draw):
    shape = draw(photograph_shapes)
    return {
        "stack": [draw(photographs(shape)) for _ in range(2)], "radius": pick(draw, 0, 2),
        "feather": pick(draw, 0, 0.6), "min_area": pick(draw, 0, 0.01),
        "noise": pick(draw, 1e-3, 0.1), "align": "none", "match_exposure": draw(st.booleans()),
        "slab": pick(draw, None, (0, 2)),
    }  # fmt: skip


def with_maps(estimator):
    """An effect, of maps that are quickly made."""
    quick = sd.EdgeReblurEstimator(radius=2)
    return lambda X, **parameters: estimator(estimator=quick, **parameters).fit_transform(X)


case("DefocusMagnifier", with_maps(sd.DefocusMagnifier), one_per_sample(photograph_of), JOBLIB)(
    lambda draw: {
        "X": batch(draw), "strength": pick(draw, 1, 3), "method": pick(draw, "layers", "paper")
    }
)  # fmt: skip
case("AdaptiveSharpener", with_maps(sd.AdaptiveSharpener), one_per_sample(photograph_of), JOBLIB)(
    lambda draw: {"X": batch(draw), "amount": pick(draw, 0, 1), "noise": pick(draw, None, 0.01)}
)


# --- the pipeline --------------------------------------------------------------------------------

case("defocus_map", sd.defocus_map, map_of)(
    lambda draw: {
        "image": draw(photographs(draw(photograph_shapes))), "step": pick(draw, 4, 8, 16),
        "radius": pick(draw, 1, 8), "n_iter": pick(draw, 0, 1),
    }
)  # fmt: skip
case(
    "make_defocus_pipeline",
    lambda X, **parameters: sd.make_defocus_pipeline(**parameters).fit(X).transform(X),
    one_per_sample(map_of),
    JOBLIB | {"memory": "joblib's to check"},
)(lambda draw: {"X": batch(draw), "step": pick(draw, 4, 8), "eps": pick(draw, 1e-4, 0.1)})
