"""The network for patches by themselves: its parts, its training, and its way into a model file."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from helpers.onnx_graph import inverted_residuals, read_graph  # noqa: E402

from skdefocus.network import load_facts, run, run_patches  # noqa: E402
from skdefocus.pipeline import BlurLevelClassifier  # noqa: E402
from skdefocus.training import export, patches  # noqa: E402
from skdefocus.training.config import Config  # noqa: E402
from skdefocus.training.dataset import record_type, shard_path  # noqa: E402
from skdefocus.training.networks import PatchNetwork, statistics  # noqa: E402
from skdefocus.training.train import Run  # noqa: E402

NAME = "mobilenetv2-0.5"
SETTINGS = {"network": NAME, "steps": 2, "batch": 2, "size": 64, "checked": 4, "rate": 1e-3}


def records_of(count, size=64):
    records = np.empty(count, record_type(size))
    rng = np.random.default_rng(0)
    records["crop"] = rng.integers(0, 256, records["crop"].shape)
    records["level"] = rng.integers(0, 191, (count, 1, 1))
    return records


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """An untrained dense network: its checkpoint and its model file."""
    out = tmp_path_factory.mktemp("dense")
    run = Run(Config(**SETTINGS), out)
    with torch.no_grad():
        run.average.levels.bias += torch.rand(20)
    run.checkpoint()
    export.export(out, out / "model.onnx", check=records_of(8))
    return out


@pytest.fixture(scope="module")
def trained(dense, tmp_path_factory):
    """A run of a patch network that has taken some steps."""
    out = tmp_path_factory.mktemp("patches")
    (out / "held_out").mkdir()
    np.save(shard_path(out / "held_out", 0), records_of(4))
    run = patches.PatchRun(Config(**SETTINGS, start=str(dense / "checkpoint.pt")), out)
    run.restore()
    for _ in range(3):
        run.advance(torch.randint(0, 256, (8, 32, 32)).byte(), torch.full((8, 8, 8), 50).byte())
    run.facts = {"digest": "0123", "photographs": 7, "held_out": 2, "scenes": 640}
    run.checkpoint()
    return run


@pytest.fixture(scope="module")
def model(dense, trained):
    patches.add(trained.out, dense / "model.onnx", trained.out / "both.onnx")
    return trained.out / "both.onnx"


def test_statistics_by_hand():
    x = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
    mean, deviation, most = statistics(x).flatten().tolist()
    assert (mean, most) == (3, 6)
    assert deviation == pytest.approx(np.sqrt(14 / 4 + 1e-4))


def test_it_begins_with_the_dense_network_and_keeps_its_last_layer(dense, trained):
    saved = torch.load(dense / "checkpoint.pt", weights_only=True)["average"]
    fresh = PatchNetwork(patches.ENCODERS[NAME])
    fresh.begin_with(saved)
    for part in (fresh.full, fresh.reduced):
        for key, value in part.state_dict().items():
            assert torch.equal(value, saved[f"encoder.{key}"])
    for key in ("weight", "bias"):
        assert torch.equal(trained.net.state_dict()[f"levels.{key}"], saved[f"levels.{key}"])
    moved = trained.net.full.state_dict(), fresh.full.state_dict()
    assert not torch.equal(*(weights["stages.0.0.0.weight"] for weights in moved))


def test_a_step_takes_as_many_patches_as_fill_the_crops(trained):
    assert trained.shape_at(0) == (2 * 4, 32, False)
    assert trained.crops == 3 * 2


def test_records_are_cut_into_patches():
    records = records_of(3)
    found = patches.cut(records)
    assert len(found) == 3 * 4
    np.testing.assert_array_equal(found["crop"][1], records["crop"][0][:32, 32:])
    np.testing.assert_array_equal(found["level"][6], records["level"][1][8:, :8])


def test_the_file_answers_as_pytorch_and_for_images_as_before(dense, trained, model):
    facts, before = load_facts(str(model)), load_facts(str(dense / "model.onnx"))
    assert facts.has_patch_network
    image = np.random.default_rng(0).random((1, 64, 96), np.float32)
    for output in ("logits", "features"):
        np.testing.assert_array_equal(run(facts, image, output, 1), run(before, image, output, 1))
    net = trained.average
    x = np.random.default_rng(1).random((5, 32, 32), np.float32)
    with torch.no_grad():
        expected = net(torch.from_numpy(x)[:, None])[:, :, 0, 0].numpy()
    temperature = float(facts.metadata["patch_temperature"])
    found = run_patches(facts, x, "logits", 1)
    np.testing.assert_allclose(found * temperature, expected, atol=1e-3)
    # One last layer makes the logits of both.
    features = run_patches(facts, x, "features", 1)
    weights = net.levels.weight[:, :, 0, 0].detach().numpy()
    logits = features @ weights.T + net.levels.bias.detach().numpy()
    np.testing.assert_allclose(logits / float(facts.metadata["temperature"]), found, atol=1e-3)


def test_the_file_tells_what_it_is(dense, model):
    facts, before = load_facts(str(model)), load_facts(str(dense / "model.onnx"))
    assert before.metadata.items() <= facts.metadata.items()
    known = facts.metadata
    assert known["patch_network"] == NAME
    assert known["patch_training_data"].startswith("640 scenes of 64 px, seed 0, from 7 photo")
    assert known["patch_training_steps"] == "3"
    assert set(json.loads(known["patch_held_out"])) > {"mae", "ece"}
    blocks = inverted_residuals(read_graph(model.read_bytes()))
    assert len(blocks) == 13 + 3 + 2 * 13


def test_a_patch_network_can_be_replaced(trained, model):
    again = model.with_name("again.onnx")
    patches.add(trained.out, model, again)
    assert again.stat().st_size == model.stat().st_size
    x = np.random.default_rng(1).random((5, 32, 32), np.float32)
    found = (BlurLevelClassifier(file, n_threads=1).predict_proba(x) for file in (model, again))
    np.testing.assert_allclose(*found, atol=1e-6)


def test_another_last_layer_is_refused(trained, tmp_path):
    other = Run(Config(**SETTINGS | {"seed": 1}), tmp_path)
    other.checkpoint()
    export.export(tmp_path, tmp_path / "other.onnx", check=records_of(8))
    with pytest.raises(SystemExit, match="has not the last layer"):
        patches.add(trained.out, tmp_path / "other.onnx", tmp_path / "made.onnx")
    assert not (tmp_path / "made.onnx").exists()


def test_a_file_that_answers_otherwise_is_refused(dense, trained, model):
    with pytest.raises(SystemExit, match="differs from PyTorch"):
        patches.compare(trained.average, 2.0, dense / "model.onnx", model)


def test_one_command_adds_a_network(folder, cache, dense, tmp_path):
    for name in ("scenes", "held_out"):
        (tmp_path / name).mkdir()
        for file in cache.glob("*.npz"):
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
    arguments = ["--images", folder, "--out", tmp_path, "--model", dense / "model.onnx",
                 "--start", dense / "checkpoint.pt", "--scenes", 96, "--makers", 1]  # fmt: skip
    arguments += [part for key, value in SETTINGS.items() for part in (f"--{key}", value)]
    patches.main(list(map(str, arguments)))
    facts = load_facts(str(tmp_path / "model.onnx"))
    assert facts.has_patch_network
    assert facts.metadata["patch_training_steps"] == "2"
    told = json.loads((tmp_path / "scenes" / "recipe.json").read_text())["conditions"]
    assert told["plane"] == told["outline"] == 0 < told["wide"]
