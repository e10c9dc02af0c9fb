"""The networks and losses: shapes, total stride, values that can be worked out by hand."""

import math

import pytest

torch = pytest.importorskip("torch")

from skdefocus.training.networks import NETWORKS, Contrast  # noqa: E402
from skdefocus.training.train import LOSSES, flat_windows  # noqa: E402

LEVELS = 20


@pytest.fixture(params=NETWORKS)
def net(request):
    """Untrained, but normalised, so that answers differ from place to place."""
    torch.manual_seed(0)
    made = NETWORKS[request.param]().train()
    for part in made.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        made(torch.rand(4, 1, 64, 64))
    return made.eval()


@pytest.mark.parametrize("size", [(32, 32), (40, 32), (64, 48), (32, 104)])
def test_one_answer_per_window_of_32_pixels_every_8(net, size):
    with torch.no_grad():
        answer = net(torch.rand(2, 1, *size))
    assert answer.shape == (2, LEVELS, *((n - 32) // 8 + 1 for n in size))
    assert torch.isfinite(answer).all()


def test_answers_move_with_the_image_by_the_total_stride(net):
    image = torch.zeros(1, 1, 320, 320)
    image[..., 152:184, 152:184] = torch.rand(32, 32)
    with torch.no_grad():
        whole, moved = net(image), net(image.roll((8, 16), (2, 3)))
    middle = slice(12, -12)
    there, here = moved[..., middle, middle], whole[..., middle, middle]
    followed = whole.roll((1, 2), (2, 3))[..., middle, middle]
    assert (there - followed).abs().max() < 1e-2 * (there - here).abs().max()


def test_an_answer_that_abstains_is_a_distribution():
    torch.manual_seed(0)
    net = NETWORKS["mobilenetv2-0.5-abstains"]().eval()
    with torch.no_grad():
        net.levels.bias[-1] = 50.0
        sure = net(torch.rand(1, 1, 32, 32)).softmax(1)
    assert torch.allclose(sure, torch.full_like(sure, 1 / LEVELS), atol=1e-6)


def test_contrast_of_a_flat_image_is_none_and_of_a_point_what_the_formula_says():
    image = torch.full((1, 1, 9, 9), 0.25)
    values, contrast = Contrast()(image)[0]
    assert torch.allclose(values, torch.full((9, 9), -0.5))
    assert torch.allclose(contrast, torch.zeros(9, 9), atol=1e-5)
    image[0, 0, 4, 4] = 0.5
    d = 0.25 * 24 / 25
    assert Contrast()(image)[0, 1, 4, 4].item() == pytest.approx(d / (d + 0.02), abs=1e-6)


# Losses


def one_hot(level, n=LEVELS):
    return torch.nn.functional.one_hot(torch.tensor(level), n).float()[None, :, None, None]


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_even_answers(name):
    """All levels equally likely: expected level 9.5, variance (20² - 1) / 12."""
    level, entropy = 4, math.log(LEVELS)
    cumulative = [(i + 1) / LEVELS - (i >= level) for i in range(LEVELS)]
    variance = (LEVELS**2 - 1) / 12 + 0.1
    expected = {
        "cross_entropy": entropy,
        "smoothed": entropy,
        "ordinal": entropy + 0.5 * sum(c * c for c in cumulative),
        "regression": entropy + 0.2 * abs(9.5 - level),
        "learned_variance": 0.5 * ((level - 9.5) ** 2 / variance + math.log(variance)),
    }[name]
    found = LOSSES[name](torch.zeros(1, LEVELS, 1, 1), one_hot(level))
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_smoothed_targets_end_at_the_ends():
    logits = torch.zeros(1, LEVELS, 1, 1)
    logits[0, 1] = 1.0
    below = math.log(LEVELS - 1 + math.e)
    # Of 0.9 that stay within the levels, 0.1 lie on level 1; of an inner level's 1.0, 0.1 too.
    assert LOSSES["smoothed"](logits, one_hot(0)).item() == pytest.approx(below - 1 / 9, rel=1e-5)
    assert LOSSES["smoothed"](logits, one_hot(2)).item() == pytest.approx(below - 0.1, rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_the_right_answer_costs_least(name):
    costs = [LOSSES[name](20 * one_hot(k), one_hot(7)).item() for k in range(LEVELS)]
    assert min(costs) == costs[7]
    assert costs[7] < costs[8]


def test_flat_windows_are_those_that_span_little():
    crop = torch.full((1, 64, 64), 100, dtype=torch.uint8).numpy()
    crop[0, :4, :4] = 108
    flat = flat_windows(crop)
    assert flat.shape == (1, 5, 5)
    assert not flat[0, 0, 0]
    assert flat.sum() == 24
    crop[0, :4, :4] = 107
    assert flat_windows(crop).all()
