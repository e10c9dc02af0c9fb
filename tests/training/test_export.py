"""Export and the one command: ONNX answers as PyTorch, the facts are there, nothing is lost."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from helpers.onnx_graph import inverted_residuals, read_graph  # noqa: E402

from skdefocus.network import load_facts  # noqa: E402
from skdefocus.pipeline import BlurLevelClassifier  # noqa: E402
from skdefocus.training import __main__ as command  # noqa: E402
from skdefocus.training import export as exporting  # noqa: E402
from skdefocus.training.config import Config  # noqa: E402
from skdefocus.training.dataset import record_type, shard_path  # noqa: E402
from skdefocus.training.levels import level_sigmas  # noqa: E402
from skdefocus.training.networks import CLASSIFIERS, NETWORKS  # noqa: E402
from skdefocus.training.train import Run  # noqa: E402


def records_of(count, size=64):
    records = np.empty(count, record_type(size))
    rng = np.random.default_rng(0)
    records["crop"] = rng.integers(0, 256, records["crop"].shape)
    records["level"] = rng.integers(0, 191, records["level"].shape)
    return records


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """An untrained run with a checkpoint and records held out."""
    out = tmp_path_factory.mktemp("run")
    (out / "held_out").mkdir()
    np.save(shard_path(out / "held_out", 0), records_of(8))
    run = Run(Config(network="mobilenetv2-0.5", rate=1e-3, batch=2), out)
    run.facts = {"digest": "0123", "photographs": 7, "held_out": 2, "scenes": 640}
    run.step, run.crops = 8, 16.0
    run.checkpoint()
    return out


@pytest.fixture(scope="module")
def model(run):
    target = run / "tiny.onnx"
    exporting.export(run, target, history="It is a trial.")
    return target


def test_onnx_answers_as_pytorch(run, model):
    net, _ = exporting.load(run / "checkpoint.pt")
    facts = load_facts(str(model))
    shipped = exporting.Shipped(net, float(facts.metadata["temperature"])).eval()
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    for shape in ((1, 1, 16, 16), (2, 1, 64, 112)):
        x = torch.rand(shape, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected = shipped(x)
        found = session.run(["logits", "features"], {"image": x.numpy()})
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other.numpy(), atol=1e-4)


def test_the_file_tells_what_it_is(model):
    facts = load_facts(str(model))
    assert facts.sigmas == tuple(level_sigmas())
    assert (facts.patch_size, facts.stride, facts.multiple) == (32, 4, 16)
    assert 60 < facts.reach < 320
    assert sum(facts.prior) == pytest.approx(1)
    known = facts.metadata
    assert known["network"] == "mobilenetv2-0.5"
    assert known["training_data"].startswith("640 scenes of 256 px, seed 0, from 7 photographs; 2")
    assert known["training_data_digest"] == "0123"
    assert (known["training_steps"], known["training_crops"]) == ("8", "16")
    assert known["history"] == "It is a trial."
    assert json.loads(known["training"])["network"] == "mobilenetv2-0.5"
    held = json.loads(known["held_out"])
    assert set(held) == {"loss", "mae", "bias", "top_one", "within_one", "ece"}


def test_the_package_uses_it(model):
    patches = np.random.default_rng(0).random((2, 32, 32), dtype=np.float32)
    proba = BlurLevelClassifier(model).predict_proba(patches)
    assert proba.shape == (2, 20)
    np.testing.assert_allclose(proba.sum(1), 1, atol=1e-5)


def test_its_blocks_are_mobilenetv2s(model):
    blocks = inverted_residuals(read_graph(model.read_bytes()))
    assert len(blocks) == 13 + 3
    assert blocks[1] == (16, 96, 16, 2)
    assert [b[3] for b in blocks].count(2) == 3
    for inp, hidden, _, _ in blocks[1:13]:
        assert hidden == 6 * inp


def test_the_best_weights_are_exported(tmp_path):
    run = Run(Config(network="mobilenetv2-0.5", rate=1e-3, batch=2), tmp_path)
    run.best = {k: v.clone() for k, v in run.average.state_dict().items()}
    run.best["levels.bias"] += 1
    run.checkpoint()
    net, _ = exporting.load(run.path)
    assert torch.equal(net.levels.bias, run.best["levels.bias"])
    run.best = None
    run.checkpoint()
    net, _ = exporting.load(run.path)
    assert torch.equal(net.levels.bias, run.average.levels.bias)


def test_a_file_that_answers_otherwise_is_refused(run, model):
    net, _ = exporting.load(run / "checkpoint.pt")
    wrong = exporting.Shipped(net, 3.0).eval()
    with pytest.raises(SystemExit, match="differs from PyTorch"):
        exporting.compare(wrong, model, 16)


@pytest.mark.parametrize("name", ["shufflenetv2", "efficientnet"])
def test_other_networks_answer_alike_in_onnx(tmp_path, name):
    for net, size in ((NETWORKS[name](), 64), (CLASSIFIERS[name](), 32)):
        path = tmp_path / "net.onnx"
        exporting.to_onnx(net.eval(), path, torch.rand(2, 1, size, size), ["logits"])
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        x = torch.rand(3, 1, size, size)
        with torch.no_grad():
            expected = net(x).numpy()
        (found,) = session.run(None, {"image": x.numpy()})
        np.testing.assert_allclose(found, expected, atol=1e-4)


# Calibration


def test_the_temperature_is_the_one_that_was_put_in():
    """Levels drawn from the probabilities of logits; the logits are then too large by 1.4."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(40, 20, 16, 16, generator=generator)
    proba = torch.softmax(logits, 1).movedim(1, -1).reshape(-1, 20)
    level = torch.multinomial(proba, 1, generator=generator).reshape(40, 16, 16).float()
    assert exporting.temperature_of(1.4 * logits, level) == pytest.approx(1.4, rel=0.04)
    assert exporting.calibration_error(logits, level) < 0.02
    assert exporting.calibration_error(1.6 * logits, level) > 0.06


def test_the_prior_is_how_common_levels_are():
    records = records_of(4)
    records["level"] = 0
    records["level"][:2] = 190
    prior = exporting.prior_of(records)
    assert prior.sum() == pytest.approx(1)
    assert prior[[0, -1]] == pytest.approx([0.5, 0.5], abs=0.01)
    records["level"][:2] = 100
    prior = exporting.prior_of(records)
    assert prior[8:13] == pytest.approx([0.1] * 5, abs=0.01)


# The one command


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, cache):
    """A folder for a run, where the photographs are segmented already."""
    out = tmp_path_factory.mktemp("everything")
    for name in ("scenes", "held_out"):
        (out / name).mkdir()
        for file in cache.glob("*.npz"):
            (out / name / file.name).write_bytes(file.read_bytes())
    return out


def test_one_command_makes_a_network(folder, prepared, monkeypatch):
    arguments = [
        "--images", str(folder), "--out", str(prepared), "--network", "mobilenetv2-0.5",
        "--steps", "2", "--batch", "2", "--size", "64", "--scenes", "96", "--checked", "8",
        "--makers", "1", "--history", "A test.",
    ]  # fmt: skip
    command.main(arguments)
    facts = load_facts(str(prepared / "model.onnx"))
    assert facts.metadata["training_steps"] == "2"
    assert facts.metadata["history"] == "A test."
    assert "from 4 photographs; 1 more" in facts.metadata["training_data"]
    assert len(facts.metadata["training_data_digest"]) == 64
    # Again: nothing is left to be trained, and no process is started.
    monkeypatch.setattr(Run, "advance", None)
    (prepared / "model.onnx").unlink()
    command.main(arguments)
    assert (prepared / "model.onnx").exists()


def test_weights_are_exported_whatever_happens(folder, tmp_path, monkeypatch):
    exported = []

    def failing(images, out, config, scenes):
        (out / "checkpoint.pt").write_bytes(b"")
        raise OSError("the disk is full")

    monkeypatch.setattr(command.train, "train", failing)
    monkeypatch.setattr(command.export, "export", lambda *a: exported.append(a))
    with pytest.raises(OSError, match="disk is full"):
        command.main(["--images", str(folder), "--out", str(tmp_path)])
    assert exported == [(tmp_path, tmp_path / "model.onnx", "")]


@pytest.mark.parametrize(("done", "written"), [(0.4, []), (1.0, ["report"])])
def test_the_card_is_written_at_the_end(folder, tmp_path, monkeypatch, capsys, done, written):
    class Stopped:
        pass

    Stopped.done = done
    cards = []
    monkeypatch.setattr(command.train, "train", lambda *_: Stopped)
    monkeypatch.setattr(command.card, "write", lambda *a: cards.append(a[2]))
    command.main(["--images", str(folder), "--out", str(tmp_path), "--check", str(folder)])
    assert cards == written
    assert ("40%" in capsys.readouterr().out) == (done < 1)
