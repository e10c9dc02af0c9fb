"""Import paths that users rely on."""

import importlib
import inspect

import pytest

import skdefocus as sd

#: Names that each public module promises, no more and no less.
PUBLIC = {
    "skdefocus": """
        AdaptiveSharpener BlurLevelClassifier DefocusFeatures DefocusMagnifier
        EdgeReblurEstimator FocusFuser FocusMeasure FusionResult LevelGrid PatchExtractor
        PatchGrid WeightedGuidedRefiner datasets defocus_map filters make_defocus_pipeline
        metrics optics synthesis
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
        MAX_PIXELS ReadError atomic_path read_image write_map write_scaled_png
    """,
    "skdefocus.metrics": """
        best_f blur_score expected_calibration_error focus_auc get_scorer get_scorer_names
        linear_fit_mae psnr q_cb q_g q_mi q_y risk_coverage_curve sigma_mae sigma_rmse spearman
        ssim
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
        overview show_map
    """,
    "skdefocus.synthesis": """
        Layer Scene add_noise blur blur_varying from_linear jpeg psf render_layers to_linear
    """,
}
#: Modules that are imported by name, as a whole.
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
def test_what_sounds_like_a_function_is_no_module(name):
    assert not inspect.ismodule(getattr(sd, name, None))
