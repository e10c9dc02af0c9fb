"""The widgets in a napari without a screen."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

import skdefocus as sd
from skdefocus._napari import fuse_widget, map_widget
from skdefocus._napari._widgets import image_layers, shown_plane, start

npe2 = pytest.importorskip("npe2", reason="npe2 is not installed")
napari = pytest.importorskip("napari", reason="napari is not installed")
pytest.importorskip("pytestqt", reason="pytest-qt is not installed")

components = pytest.importorskip("napari.components")
notifications = pytest.importorskip("napari.utils.notifications")

pytestmark = pytest.mark.filterwarnings("default")

MANIFEST = Path(sd.__file__).parent / "napari.yaml"
SHARP = load_sample_image("flower.jpg")[140:236, 260:356] / np.float32(255)
SOFT = sd.synthesis.blur(SHARP, 2.0).clip(0, 1)
LEFT = (np.arange(96) < 48)[:, None]
STACK = np.stack([np.where(LEFT, SHARP, SOFT), np.where(LEFT, SOFT, SHARP)])


@pytest.fixture
def viewer(monkeypatch):
    """A viewer without a window, which would need OpenGL."""
    made = components.ViewerModel()
    monkeypatch.setattr(napari, "current_viewer", lambda: made)
    return made


@pytest.fixture
def capture_notifications(monkeypatch):
    """Notifications that are sent while a test runs, instead of errors that would end it."""
    caught = []
    monkeypatch.setattr(
        notifications.notification_manager,
        "notification_ready",
        lambda notification: caught.append(notification),
    )
    return caught


def wait(qtbot, worker):
    """Wait until a worker has ended and its layers are added."""
    with qtbot.waitSignal(worker.finished, timeout=120_000):
        pass
    qtbot.wait(50)


def test_the_manifest_is_valid():
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert [w.display_name for w in manifest.contributions.widgets] == [
        "Blur map",
        "Z-stack fusion",
    ]


def test_the_map_of_the_active_layer(viewer, qtbot):
    viewer.add_image(np.zeros((8, 8)), name="other")
    layer = viewer.add_image(STACK[..., 1], name="cells", scale=(2, 0.5, 0.5), translate=(4, 5, 6))
    viewer.dims.set_point(0, 6.0)  # the second plane
    widget = map_widget()
    assert widget.image.value is layer
    assert shown_plane(layer) == (1,)
    wait(qtbot, widget())
    made = viewer.layers[-1]
    assert made.name == "blur σ[1] of cells"
    assert made.data.shape == (96, 96)
    np.testing.assert_allclose(made.scale, (0.5, 0.5))
    np.testing.assert_allclose(made.translate, (5, 6))
    np.testing.assert_allclose(made.extent.world, layer.extent.world[:, 1:])
    assert made.colormap.name == "inferno"
    assert made.contrast_limits[0] == 0
    assert made not in image_layers()
    widget.planes.value = "all"
    wait(qtbot, widget())
    assert viewer.layers[-1].data.shape == (2, 96, 96)
    np.testing.assert_allclose(viewer.layers[-1].extent.world, layer.extent.world)


def test_the_fusion_of_a_stack_in_color(viewer, qtbot):
    layer = viewer.add_image(
        (255 * STACK).round().astype(np.uint8), rgb=True, name="leaf", scale=(2, 0.5, 0.5)
    )
    widget = fuse_widget()
    wait(qtbot, widget())
    index, fused = viewer.layers[-2:]
    assert (index.name, fused.name) == ("plane index of leaf", "all in focus of leaf")
    assert fused.rgb
    assert sd.metrics.psnr(fused.data / 255, SHARP) > 40
    np.testing.assert_allclose(fused.extent.world, layer.extent.world[:, 1:])
    assert index.data.max() == 1


def test_errors_become_notifications(viewer, qtbot, capture_notifications):
    viewer.add_image(np.zeros((48, 48)), name="flat")
    worker = fuse_widget()()
    wait(qtbot, worker)
    assert len(viewer.layers) == 1
    messages = [str(notification.message) for notification in capture_notifications]
    assert len(messages) == 1
    assert "'flat' has shape (48, 48); a fusion needs" in messages[0]


def test_work_can_be_canceled(viewer, qtbot):

    def work(tick):
        while True:
            tick()

    worker = start(work, 10, "endless work")
    qtbot.waitUntil(lambda: worker.is_running, timeout=10_000)
    worker.quit()
    with qtbot.waitSignal(worker.finished, timeout=30_000):
        pass
    assert len(viewer.layers) == 0
