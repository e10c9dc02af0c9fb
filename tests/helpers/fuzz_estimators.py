"""Cases of the effects, the estimators and the pipeline."""

import numpy as np
from helpers.fuzz_cases import (
    batch,
    case,
    effect_of,
    finite,
    kernel,
    map_of,
    number,
    one_per_sample,
    optional,
    photograph_of,
    pick,
)
from helpers.strategies import floats, maps, photograph_shapes, photographs, shapes
from hypothesis import strategies as st

import skdefocus as sd
from skdefocus import effects

# --- effects -------------------------------------------------------------------------------------


def mapped(draw, **more):
    shape = draw(photograph_shapes)
    return more | {"image": draw(photographs(shape)), "sigma": draw(maps(shape[:2]))}


@case("magnify", effects.magnify, effect_of)
def magnified(draw):
    return mapped(
        draw, strength=pick(draw, 1, 2.0, 4), aperture=pick(draw, "disc", "polygon", "gaussian"),
        blades=pick(draw, 3, 6), in_focus=pick(draw, 0, 0.8), edge_radius=pick(draw, 0, 12),
    )  # fmt: skip


ANCHORS = [(0.5, 1.75), (0, 9)]


@case("effects.paper_magnify", effects.paper_magnify, effect_of)
def paper(draw):
    return mapped(draw, strength=pick(draw, 1, 2.0, 4), anchors=pick(draw, *ANCHORS))


@case(
    "effects.paper_weight",
    effects.paper_weight,
    lambda result, given: finite(result, 0, 1),
)
def paper_weight(draw):
    return {"blurriness": draw(floats(draw(shapes))), "anchors": pick(draw, *ANCHORS)}


@case("effects.aperture_psf", effects.aperture_psf, kernel)
def aperture(draw):
    return {
        "sigma": pick(draw, 0, 0.3, 4.0), "aperture": pick(draw, "disc", "polygon", "gaussian"),
        "blades": pick(draw, 3, 6),
    }  # fmt: skip


@case("sharpen", effects.sharpen, effect_of)
def sharpened(draw):
    return mapped(
        draw, amount=pick(draw, 0, 1.0), method=pick(draw, "deconvolution", "unsharp"),
        limit=pick(draw, 0.5, 2), overshoot=pick(draw, 0, 0.1), noise=pick(draw, None, 0, 0.01),
    )  # fmt: skip


@case("effects.noise_level", effects.noise_level, number())
def noise_level(draw):
    shape = draw(shapes)
    return {"gray": draw(floats(shape)), "sigma": optional(draw, maps(shape))}


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
        "octaves": pick(draw, 0, 3), "batch_size": pick(draw, 1, 7), "n_threads": 1, "model": None,
        "providers": None,
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
        "fill_radius": pick(draw, 1, 40), "guide": pick(draw, "color", "gray"),
        "context": pick(draw, 0, 0.3, 1.0), "subsample": pick(draw, 1, 2, 5),
    }  # fmt: skip


def measure_of(result, given):
    """A map of no unit."""
    assert result.shape == np.shape(given["image"])[:2]
    assert result.dtype == np.float32
    finite(result)


@case("FocusMeasure", transformed(sd.FocusMeasure), one_per_sample(measure_of), JOBLIB)
def measured(draw):
    from skdefocus.classical._operators import OPERATORS

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
        "feather": pick(draw, 0, 0.6), "min_area": pick(draw, 0, 4),
        "noise": pick(draw, 1e-3, 0.1), "align": "none", "match_exposure": draw(st.booleans()),
        "slab": pick(draw, None, (0, 2)),
    }  # fmt: skip


def with_maps(estimator):
    """An effect, of maps that are quickly made."""
    quick = sd.EdgeReblurEstimator(radius=2)
    return lambda X, **parameters: estimator(estimator=quick, **parameters).fit_transform(X)


case("DefocusMagnifier", with_maps(sd.DefocusMagnifier), one_per_sample(effect_of), JOBLIB)(
    lambda draw: {
        "X": batch(draw), "strength": pick(draw, 1, 3), "method": pick(draw, "layers", "paper")
    }
)  # fmt: skip
case("AdaptiveSharpener", with_maps(sd.AdaptiveSharpener), one_per_sample(effect_of), JOBLIB)(
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
