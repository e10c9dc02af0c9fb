"""Import paths that users rely on."""

import importlib
import inspect
import pickle

import numpy as np
import pytest

import skdefocus as sd

#: All public names of each public module.
PUBLIC = {
    "skdefocus": """
        AdaptiveSharpener BlurLevelClassifier DefocusFeatures DefocusMagnifier
        EdgeReblurEstimator FocusFuser FocusMeasure FusionResult LevelGrid PatchExtractor
        PatchGrid WeightedGuidedRefiner datasets defocus_map filters magnify
        make_defocus_pipeline metrics optics sharpen synthesis
    """,
    "skdefocus.app": """
        serve
    """,
    "skdefocus.classical": """
        EdgeReblurEstimator FocusMeasure
    """,
    "skdefocus.cli": """
        main
    """,
    "skdefocus.datasets": """
        SceneKind load_sample_scenes make_scene sample_photographs
    """,
    "skdefocus.effects": """
        AdaptiveSharpener DefocusMagnifier aperture_psf magnify noise_level paper_magnify
        paper_weight sharpen
    """,
    "skdefocus.features": """
        DefocusFeatures
    """,
    "skdefocus.filters": """
        GuidedFilter box_mean guided_filter weighted_guided_filter
    """,
    "skdefocus.fusion": """
        FocusFuser FusionResult
    """,
    "skdefocus.io": """
        MAX_PIXELS ReadError atomic_path read_image read_map write_map write_scaled_png
    """,
    "skdefocus.metrics": """
        blur_score contrast_preservation expected_calibration_error focus_auc get_scorer
        get_scorer_names gradient_preservation linear_fit_mae max_f_measure psnr
        risk_coverage_curve sigma_mae sigma_rmse source_mutual_information source_ssim spearman ssim
    """,
    "skdefocus.optics": """
        Distances LensFacts coc_at_distance coc_to_sigma depth_of_field distances_for_coc
        hyperfocal_distance read_lens_facts sigma_to_coc
    """,
    "skdefocus.pipeline": """
        BlurLevelClassifier LevelGrid PatchExtractor PatchGrid WeightedGuidedRefiner defocus_map
        make_defocus_pipeline
    """,
    "skdefocus.plotting": """
        MapComparison compare contact_sheet overview show_map
    """,
    "skdefocus.synthesis": """
        Layer Scene add_noise blur blur_varying from_linear jpeg psf render_layers to_linear
    """,
}
EYE = np.eye(9)
#: Public modules without a list of names.
MODULES = ["skdefocus.training"]


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names(module):
    room = importlib.import_module(module)
    assert sorted(room.__all__) == sorted(PUBLIC[module].split())
    for name in room.__all__:
        assert getattr(room, name) is not None


@pytest.mark.parametrize("module", MODULES)
def test_public_modules(module):
    assert importlib.import_module(module).__doc__


@pytest.mark.parametrize("name", ["fuse", "magnify", "sharpen"])
def test_names_that_sound_like_functions_are_not_modules(name):
    assert not inspect.ismodule(getattr(sd, name, None))


@pytest.mark.parametrize(
    ("module", "old", "new", "arguments"),
    [
        (sd.metrics, "error_against_kept_share", "risk_coverage_curve", ([1.0, 2.0], [0.1, 0.9])),
        (sd.optics, "distances_of_coc", "distances_for_coc", ([0.0, 90.0],)),
        (sd.metrics, "best_f", "max_f_measure", ([[True, False]], [[1.0, 0.0]])),
        (sd.metrics, "q_g", "gradient_preservation", (EYE, [EYE, EYE])),
        (sd.metrics, "q_mi", "source_mutual_information", (EYE, [EYE, EYE])),
        (sd.metrics, "q_cb", "contrast_preservation", (EYE, [EYE, EYE])),
        (sd.metrics, "q_y", "source_ssim", (EYE, [EYE, EYE])),
    ],
)
def test_old_names_work_with_a_warning(module, old, new, arguments):
    lens = {"focal_length": 50, "f_number": 2, "focus_distance": 2, "pixel_pitch": 4}
    options = lens if module is sd.optics else {}
    expected = getattr(module, new)(*arguments, **options)
    with pytest.warns(FutureWarning, match=f"^{old} was renamed to {new}; ") as caught:
        found = getattr(module, old)(*arguments, **options)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(found, expected)
    assert pickle.loads(pickle.dumps(getattr(module, old))) is getattr(module, old)
    assert old not in module.__all__
