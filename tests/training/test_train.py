"""Training on a pool of noise: runs that resume, stop and fail, and what adapts to the machine."""

import csv
import os
import signal

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from skdefocus.training import train as training  # noqa: E402
from skdefocus.training.batches import Pool, Shape  # noqa: E402
from skdefocus.training.config import Config, fitted  # noqa: E402
from skdefocus.training.dataset import PATCH, SHARD, record_type, shard_path  # noqa: E402
from skdefocus.training.evaluation import evaluate  # noqa: E402
from skdefocus.training.levels import level_sigmas, sigma_of_level  # noqa: E402
from skdefocus.training.networks import CLASSIFIERS  # noqa: E402
from skdefocus.training.scenes import TENTHS  # noqa: E402
from skdefocus.training.train import Run, learn_from  # noqa: E402

SIZE = 64


def noise(count, seed):
    records = np.empty(count, record_type(SIZE))
    rng = np.random.default_rng(seed)
    records["crop"] = rng.integers(0, 256, records["crop"].shape)
    records["level"] = rng.integers(0, 191, records["level"].shape)
    return records


CHECK = noise(6, 100)


@pytest.fixture
def pool(tmp_path):
    """Two shards; its own folder is beside those of the runs."""
    made = Pool(tmp_path, 2 * SHARD)
    for number in range(2):
        np.save(shard_path(tmp_path, number), noise(SHARD, number))
    made.look()
    return made


def config_of(**settings):
    usual = {"network": "mobilenetv2-0.5", "steps": 4, "batch": 2, "rate": 1e-3, "size": SIZE}
    return Config(**usual | settings)


def run_of(tmp_path, name="run", **settings):
    (tmp_path / name).mkdir(exist_ok=True)
    return Run(config_of(**settings), tmp_path / name)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_a_run_learns_and_is_the_same_again(pool, tmp_path):
    fresh = run_of(tmp_path).net.state_dict()
    runs = [run_of(tmp_path, name) for name in "ab"]
    for run in runs:
        learn_from(run, pool, CHECK)
    run, again = runs
    assert run.done == 1
    assert run.step == 4
    assert run.crops == 4 * 2  # of the full size
    assert same(run.net.state_dict(), again.net.state_dict())
    weights = run.net.state_dict()
    assert not torch.equal(weights["levels.weight"], fresh["levels.weight"])
    # The average lags behind.
    average = run.average.state_dict()["levels.weight"]
    way = (weights["levels.weight"] - fresh["levels.weight"]).norm()
    assert 0 < (average - fresh["levels.weight"]).norm() < way
    assert same(run.best, run.average.state_dict())  # measured once, at the end
    with (run.path.parent / "log.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert tuple(row) == training.LOGGED
    assert (row["step"], row["scenes"]) == ("4", "64")
    assert float(row["loss"]) == pytest.approx(run.best_loss, abs=1e-4)


def test_a_run_goes_on_from_its_checkpoint(pool, tmp_path):
    first = run_of(tmp_path, steps=2)
    first.facts = {"digest": "abc"}
    learn_from(first, pool, CHECK)
    second = run_of(tmp_path, steps=5)
    second.restore()
    assert second.step == 2
    assert 0 < second.seconds == first.seconds
    assert same(second.net.state_dict(), first.net.state_dict())
    assert same(second.best, first.best)
    learn_from(second, pool, CHECK)
    assert second.step == 5
    assert second.seconds > first.seconds
    saved = torch.load(second.path, weights_only=True)
    assert saved["config"]["steps"] == 5
    assert torch.load(first.path, weights_only=True)["step"] == 5


def test_a_run_may_begin_with_the_weights_of_another(pool, tmp_path):
    first = run_of(tmp_path, "first")
    learn_from(first, pool, CHECK)
    second = run_of(tmp_path, "second", start=str(first.path))
    second.restore()
    assert (second.step, second.seconds) == (0, 0)
    for network in (second.net, second.average):
        assert same(network.state_dict(), first.average.state_dict())


def test_a_checkpoint_without_best_weights_is_restored(pool, tmp_path):
    run = run_of(tmp_path, steps=1)
    learn_from(run, pool, CHECK)
    saved = torch.load(run.path, weights_only=True)
    for key in ("best", "best_loss", "facts"):
        del saved[key]
    torch.save(saved, run.path)
    again = run_of(tmp_path, steps=2)
    again.restore()
    assert again.best is None
    learn_from(again, pool, CHECK)
    assert again.best is not None


def test_the_checkpoint_of_another_network_is_refused(pool, tmp_path):
    run = run_of(tmp_path, steps=1)
    run.checkpoint()
    with pytest.raises(SystemExit, match="not 'shufflenetv2'"):
        run_of(tmp_path, network="shufflenetv2").restore()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_after_its_step_with_a_checkpoint(pool, tmp_path, monkeypatch, number):
    usual = signal.getsignal(number)
    advance = Run.advance

    def signaled(self, *batch):
        if self.step == 1:
            os.kill(os.getpid(), number)
        return advance(self, *batch)

    monkeypatch.setattr(Run, "advance", signaled)
    run = run_of(tmp_path, steps=100)
    learn_from(run, pool, CHECK)
    assert run.step == 2
    assert run.done < 1
    assert torch.load(run.path, weights_only=True)["step"] == 2
    assert signal.getsignal(number) is usual


def test_an_error_leaves_a_checkpoint(pool, tmp_path, monkeypatch):
    advance = Run.advance

    def failing(self, *batch):
        if self.step == 2:
            raise OSError("no more")
        return advance(self, *batch)

    monkeypatch.setattr(Run, "advance", failing)
    run = run_of(tmp_path)
    with pytest.raises(OSError, match="no more"):
        learn_from(run, pool, CHECK)
    assert torch.load(run.path, weights_only=True)["step"] == 2


def test_the_batch_is_halved_when_memory_runs_out(pool, tmp_path, monkeypatch):
    advance, sizes = Run.advance, []

    def within_three(self, crops, levels):
        sizes.append(len(crops))
        if len(crops) > 3:
            raise torch.cuda.OutOfMemoryError
        return advance(self, crops, levels)

    monkeypatch.setattr(Run, "advance", within_three)
    run = run_of(tmp_path, batch=8, small=0, steps=3)
    learn_from(run, pool, CHECK)
    assert run.batch == 2
    assert sizes == [8, 4, 2, 2, 2]
    run.batch = 1
    monkeypatch.setattr(Run, "advance", lambda *_: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(MemoryError):
        run.advance_within_memory(*(torch.zeros(1, SIZE, SIZE),) * 2)


def test_the_best_weights_are_kept_when_later_ones_are_worse(tmp_path):
    run = run_of(tmp_path)
    first = run.measure(CHECK)
    good = {k: v.clone() for k, v in run.average.state_dict().items()}
    with torch.no_grad():
        run.average.levels.bias[0] += 50
    assert run.measure(CHECK)["loss"] > first["loss"]
    assert same(run.best, good)
    assert run.best_loss == first["loss"]


def test_a_share_of_the_steps_sees_patches_alone(tmp_path):
    run = run_of(tmp_path, steps=1000, alone=0.25, size=256, batch=8)
    shapes = [run.shape_at(step) for step in range(100)]
    assert sum(s.alone for s in shapes) == 25
    assert {s for s in shapes if s.alone} == {Shape(56, PATCH, alone=True)}


def test_small_crops_come_first_and_the_rate_falls_to_nothing(tmp_path):
    run = run_of(tmp_path, steps=1000, small=0.3, alone=0, batch=8)
    assert run.shape_at(299) == Shape(32, SIZE // 2)
    assert run.shape_at(300) == Shape(8, SIZE)
    rates = []
    for step in range(0, 1001, 10):
        run.step = step
        rates.append(run.rate())
    top = int(np.argmax(rates))
    assert 20 <= top <= 31
    assert rates[0] < 0.01 * max(rates)
    assert max(rates) <= 1e-3 * 1.001
    assert (np.diff(rates[top:]) < 0).all()
    assert rates[-1] < 0.01 * max(rates)
    minutes = run_of(tmp_path, steps=0, minutes=2.0)
    minutes.seconds = 90
    assert minutes.done == 0.75


def test_zeros_adapt_to_the_machine(tmp_path):
    cpu = fitted(Config(), torch.device("cpu"), tmp_path)
    gpu = fitted(Config(), torch.device("cuda"), tmp_path)
    assert (cpu.batch, gpu.batch) == (8, 64)
    assert cpu.rate == pytest.approx(1.5e-3)
    assert gpu.rate == pytest.approx(1.5e-3 * np.sqrt(8))
    assert 1 <= cpu.makers <= gpu.makers
    assert cpu.pool > 0
    assert 0 < cpu.scenes <= 1_000_000
    mine = Config(batch=3, rate=0.5, scenes=7, pool=9, makers=2)
    assert fitted(mine, torch.device("cuda"), tmp_path) == mine


# Figures


class Says(torch.nn.Module):
    """Always the same level, for certain, in every cell or once a patch."""

    def __init__(self, level, cells=True):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.full((20,), -100.0))
        self.logits.data[level] = 0
        self.cells = cells

    def forward(self, x):
        grid = [n // 4 if self.cells else 1 for n in x.shape[2:]]
        return self.logits[None, :, None, None].expand(len(x), 20, *grid)


@pytest.mark.parametrize("count", [1, 6, 20])  # also a last batch that is smaller
def test_figures_are_those_of_the_answers(count):
    records = noise(count, 5)
    truth = records["level"] / TENTHS
    figures = evaluate(Says(4), records)
    off = level_sigmas()[4] - sigma_of_level(truth)
    assert figures["mae"] == pytest.approx(np.abs(off).mean(), rel=1e-4)
    assert figures["bias"] == pytest.approx(off.mean(), rel=1e-4)
    assert figures["top_one"] == pytest.approx((np.round(truth) == 4).mean(), abs=1e-6)
    assert figures["within_one"] == pytest.approx((np.abs(np.round(truth) - 4) <= 1).mean())


def test_an_answer_for_a_patch_is_measured_against_its_one_blur():
    records = noise(5, 6)
    records["level"] = np.array([0, 40, 44, 50, 190])[:, None, None]
    figures = evaluate(Says(4, cells=False), records)
    assert figures["top_one"] == pytest.approx(2 / 5)
    assert figures["within_one"] == pytest.approx(3 / 5)


def test_a_patch_classifier_learns_as_well(pool, tmp_path):
    config = config_of(size=32, small=0, steps=2)
    run = Run(config, tmp_path, CLASSIFIERS["mobilenetv2-0.5"])
    learn_from(run, pool, CHECK)
    assert run.step == 2
    assert np.isfinite(run.best_loss)


# Waiting for scenes


class Ended:
    working = False

    def check(self):
        pass


def test_photographs_that_give_too_few_scenes_are_an_error(pool):
    with pytest.raises(SystemExit, match="only 64 scenes"):
        training.wait_for(pool, 65, Ended())
    training.wait_for(pool, 64, Ended())
