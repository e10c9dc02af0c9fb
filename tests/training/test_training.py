"""Training and export on a data set of a few crops: resumable, reproducible, the same in ONNX."""

import csv
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

from skdefocus.training import train as training  # noqa: E402
from skdefocus.training.levels import level_sigmas, soft_targets  # noqa: E402
from skdefocus.training.networks import mobilenetv2  # noqa: E402
from skdefocus.training.patches import record_type  # noqa: E402

CROPS, BATCH = 40, 8


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Five photographs' worth of noise; the last is held out."""
    rng = np.random.default_rng(0)
    records = np.zeros(CROPS, record_type(64))
    records["crop"] = rng.integers(0, 256, (CROPS, 64, 64))
    records["sigma"] = rng.uniform(0, 8, (CROPS, 5, 5))
    records["photo"] = np.arange(CROPS) % 5
    records["textured"] = rng.random(CROPS) < 0.5
    path = tmp_path_factory.mktemp("data") / "crops.npy"
    np.save(path, records)
    facts = {
        "validation": [False] * 4 + [True],
        "digest": "0123",
        "records": CROPS,
        "size": 64,
        "seed": 0,
        "photographs": list("abcde"),
    }
    path.with_suffix(".json").write_text(json.dumps(facts))
    return path


def run(data, out, epochs=2, **options):
    training.train(
        data, out, network="mobilenetv2-0.5", epochs=epochs, batch=BATCH, threads=1, **options
    )
    return torch.load(out / "checkpoint.pt", weights_only=True)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    return out, run(data, out)


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[k], other[k]) for k in one)


def test_held_out_photographs_are_not_learned_from(data):
    records, learn, check = training.split(data)
    assert set(records["photo"][check]) == {4}
    assert set(records["photo"][learn]) == {0, 1, 2, 3}
    assert len(learn) + len(check) == CROPS


def test_batches_are_flipped_together_with_their_targets(data):
    """Every crop's target is found again in the place that it was turned to."""
    records, learn, _ = training.split(data)
    sigmas, seen = level_sigmas(), 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        for x, y in training.batches(records, learn, BATCH, rng, sigmas):
            assert x.shape[0] == y.shape[0]
            assert y.shape[1:] == ((20, 5, 5) if x.shape[2] == 64 else (20, 1, 1))
            if x.shape[2] == 32:
                assert len(x) == 4 * BATCH
                continue
            for crop, target in zip((x[:, 0] * 255).round().numpy(), y.numpy(), strict=True):
                found = [
                    np.allclose(target, np.moveaxis(soft_targets(turned, sigmas), -1, 0))
                    for k in range(8)
                    for r in [records[learn]]
                    for i in np.flatnonzero((turn(r["crop"], k) == crop).all((1, 2)))
                    for turned in [turn(r["sigma"], k)[i]]
                ]
                assert found == [True]
                seen += 1
    assert seen > 100


def turn(x, k):
    x = x.swapaxes(1, 2) if k & 4 else x
    return x[:, :: -1 if k & 1 else 1, :: -1 if k & 2 else 1]


def test_patches_are_cut_where_their_sigma_lies(data):
    records, learn, _ = training.split(data)
    sigmas = level_sigmas()
    r = records[learn]
    corners = {(8 * i, 8 * j): (i, j) for i in (0, 4) for j in (0, 4)}
    known = {
        r["crop"][n, y : y + 32, x : x + 32].tobytes(): r["sigma"][n, i, j]
        for n in range(len(r))
        for (y, x), (i, j) in corners.items()
    }
    seen = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        for x, y in training.batches(records, learn, BATCH, rng, sigmas, flips=False):
            if x.shape[2] == 32:
                for patch, p in zip(x[:, 0], y[:, :, 0, 0].numpy(), strict=True):
                    sigma = known[(patch * 255).round().byte().numpy().tobytes()]
                    assert p @ sigmas == pytest.approx(sigma, abs=1e-5)
                    seen += 1
    assert seen >= 4 * BATCH


def test_the_same_seed_gives_the_same_weights(data, finished, tmp_path):
    assert same(run(data, tmp_path)["net"], finished[1]["net"])


def test_weights_change_and_their_average_lags_behind(finished):
    torch.manual_seed(0)
    fresh = mobilenetv2(0.5).state_dict()
    _, saved = finished
    assert not same(fresh, saved["net"])
    average = {k.removeprefix("module."): v for k, v in saved["average"].items()}
    key = "levels.weight"
    towards = (average[key] - fresh[key]).norm()
    assert 0 < towards < (saved["net"][key] - fresh[key]).norm()


def test_a_killed_run_resumes_to_the_same_weights(data, finished, tmp_path, monkeypatch):
    """It is killed within its second epoch, after the checkpoint of step 6."""
    save = training._save

    def killed(path, **state):
        save(path, **state)
        if state["step"] == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "CHECKPOINT", 3)
    monkeypatch.setattr(training, "_save", killed)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path)
    monkeypatch.undo()
    resumed = run(data, tmp_path)
    assert resumed["step"] == finished[1]["step"] == 8
    assert same(resumed["net"], finished[1]["net"])
    assert same(resumed["average"], finished[1]["average"])
    with (tmp_path / "log.csv").open(newline="") as stream:
        assert [row["step"] for row in csv.DictReader(stream)] == ["2", "4", "8"]


def test_another_runs_weights_are_where_training_starts(data, finished, tmp_path, monkeypatch):
    out, saved = finished
    seen = []
    monkeypatch.setattr(training, "batches", lambda *a: iter(()))
    monkeypatch.setattr(
        torch.nn.Module,
        "train",
        lambda self, mode=True: seen.append({k: v.clone() for k, v in self.state_dict().items()}),
    )
    training.train(
        data, tmp_path, network="mobilenetv2-0.5", epochs=1, batch=BATCH, threads=1,
        start=out / "checkpoint.pt",
    )  # fmt: skip
    average = {k.removeprefix("module."): v for k, v in saved["average"].items()}
    assert same(seen[-1], {k: average[k] for k in seen[-1]})


def test_figures_are_those_of_the_answers(data):
    """A network that always says level 0, which is 0 px, and more or less surely, errs by σ."""
    records, _, check = training.split(data)
    sigmas = level_sigmas()

    class Says(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.least = torch.nn.Parameter(torch.tensor(15.0))

        def forward(self, x):
            sureness = self.least + torch.nn.functional.avg_pool2d(x, 32, 8)
            return torch.cat([sureness, torch.zeros_like(sureness).repeat(1, 19, 1, 1)], 1)

    figures = training.evaluate(Says(), records, check, sigmas)
    truth = records["sigma"][check]
    assert figures["mae"] == pytest.approx(truth.mean(), rel=1e-3)
    rich = records["textured"][check]
    assert figures["mae_textured"] == pytest.approx(truth[rich].mean(), rel=1e-3)
    assert figures["within_one"] == pytest.approx(np.mean(truth < sigmas[1:3].mean()), abs=0.02)
    middle = training.evaluate(Says(), records, check, sigmas, patches=True)
    assert middle["mae"] == pytest.approx(truth[:, 2, 2].mean(), rel=1e-3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_onnx_answers_as_pytorch(data, finished, tmp_path):
    pytest.importorskip("onnx")
    from skdefocus.pipeline import BlurLevelClassifier
    from skdefocus.training.export import Shipped, export, load

    out, _ = finished
    target = tmp_path / "tiny.onnx"
    export(out, data, target)
    net, _ = load(out)
    classifier = BlurLevelClassifier(target)
    assert np.array_equal(classifier.sigmas_, level_sigmas().astype(classifier.sigmas_.dtype))
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    shipped = Shipped(net, float(facts["temperature"])).eval()
    assert facts["training_data_digest"] == "0123"
    assert facts["training_steps"] == "8"
    for shape in ((1, 1, 32, 32), (2, 1, 64, 96)):
        x = torch.rand(shape, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected = shipped(x)
        found = session.run(["logits", "features"], {"image": x.numpy()})
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other.numpy(), atol=1e-4)
    patch = np.random.default_rng(0).random((3, 32, 32), dtype=np.float32)
    with torch.no_grad():
        p = shipped(torch.from_numpy(patch)[:, None])[0].softmax(1)[:, :, 0, 0]
    np.testing.assert_allclose(classifier.predict_proba(patch), p.numpy(), atol=1e-4)
