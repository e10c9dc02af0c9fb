"""Networks and encoders: shapes, strides, blocks, and values that can be worked out by hand."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from skdefocus.training.encoders import (  # noqa: E402
    MOBILE_BLOCKS,
    PLANES,
    Depthwise,
    InvertedResidual,
    ShuffleUnit,
    SqueezeExcite,
    mobilenetv2,
)
from skdefocus.training.networks import (  # noqa: E402
    CLASSIFIERS,
    ENCODERS,
    NETWORKS,
    Contrast,
    Network,
)

LEVELS = 20


@pytest.mark.parametrize("name", ENCODERS)
def test_stages_halve_the_size_from_a_quarter_on(name):
    encoder = ENCODERS[name]().eval()
    with torch.no_grad():
        stages = encoder(torch.rand(1, PLANES, 64, 96))
    for k, (stage, channels) in enumerate(zip(stages, encoder.channels, strict=True)):
        assert stage.shape == (1, channels, 16 >> k, 24 >> k)
    assert len(stages) == (4 if name.endswith("whole") else 3)


@pytest.mark.parametrize("name", NETWORKS)
def test_one_answer_for_every_cell_of_4_pixels(name):
    net = NETWORKS[name]().eval()
    rows, columns = net.multiple, 2 * net.multiple
    with torch.no_grad():
        answer, features = net(image := torch.rand(2, 1, rows, columns)), net.features(image)
    assert answer.shape == (2, LEVELS, rows // 4, columns // 4)
    assert features.shape == (2, 64, rows // 4, columns // 4)
    assert torch.equal(net.levels(features), answer)
    assert torch.isfinite(answer).all()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_one_answer_for_a_patch(name):
    with torch.no_grad():
        answer = CLASSIFIERS[name]().eval()(torch.rand(3, 1, 32, 32))
    assert answer.shape == (3, LEVELS, 1, 1)


@pytest.fixture(scope="module")
def net():
    """Untrained, but normalized, so that answers differ from place to place."""
    torch.manual_seed(0)
    made = Network(mobilenetv2(0.5)).train()
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        made(torch.rand(4, 1, 64, 64))
    return made.eval()


def test_answers_move_with_the_image_by_the_coarsest_stride(net):
    image = torch.full((1, 1, 640, 640), 0.5)
    image[..., 304:336, 304:336] = torch.rand(32, 32)
    with torch.no_grad():
        whole, moved = net(image), net(image.roll((16, 32), (2, 3)))
    middle = slice(64, -64)
    there, here = moved[..., middle, middle], whole[..., middle, middle]
    followed = whole.roll((4, 8), (2, 3))[..., middle, middle]
    assert (there - followed).abs().max() < 1e-3 * (there - here).abs().max()


def test_a_cell_sees_far_beyond_its_own_pixels(net):
    image = torch.rand(1, 1, 256, 256, requires_grad=True)
    net(image)[0, :, 32, 32].sum().backward()
    used = image.grad[0, 0].abs().sum(0).nonzero()[:, 0]
    assert used.min() < 128 - 60
    assert used.max() > 132 + 60


def test_the_encoder_is_mobilenetv2():
    """Its bottlenecks, by the table of Sandler et al.: expansion, channels, repeats, stride."""
    encoder = mobilenetv2(stride_32=True)
    blocks = [m for m in encoder.modules() if isinstance(m, InvertedResidual)]
    inp, expected = 32, []
    for expand, out, repeats, stride in MOBILE_BLOCKS:
        for i in range(repeats):
            expected.append((inp, inp * expand, out, stride if i == 0 else 1))
            inp = out
    found = []
    for block in blocks:
        *_, depthwise, project, norm = block.body
        assert isinstance(norm, nn.BatchNorm2d)  # linear: no activation after it
        assert depthwise[0].groups == depthwise[0].in_channels == depthwise[0].out_channels
        assert depthwise[0].kernel_size == (3, 3)
        first = block.body[0][0]
        found.append(
            (first.in_channels, project.in_channels, project.out_channels, depthwise[0].stride[0])
        )
        assert block.residual == (found[-1][3] == 1 and found[-1][0] == found[-1][2])
    assert found == expected
    assert [b for b in MOBILE_BLOCKS if b[1] in (16, 320)] == [(1, 16, 1, 1), (6, 320, 1, 1)]


def test_width_scales_the_channels():
    assert mobilenetv2(0.5).channels == [16, 16, 48]
    assert mobilenetv2(1.4).channels == [32, 48, 136]
    assert mobilenetv2().channels == [24, 32, 96]


def test_parameters_keep_their_names():
    """Checkpoints of earlier trainings are read by them."""
    names = {n.split(".")[0] for n, _ in Network(mobilenetv2()).named_parameters()}
    assert names == {"encoder", "lateral", "join", "levels"}
    shapes = {k: tuple(v.shape) for k, v in Network(mobilenetv2(stem=5)).state_dict().items()}
    assert shapes["encoder.stages.0.0.0.weight"] == (32, 2, 5, 5)
    assert shapes["encoder.stages.0.1.body.0.0.weight"] == (32, 1, 3, 3)
    assert shapes["encoder.stages.0.2.body.0.0.weight"] == (96, 16, 1, 1)
    assert shapes["encoder.stages.2.6.body.3.running_var"] == (96,)
    assert shapes["lateral.2.weight"] == (64, 96, 1, 1)
    assert shapes["join.0.body.1.0.weight"] == (128, 1, 3, 3)
    assert shapes["levels.bias"] == (20,)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(8, 8), (9, 7)])
def test_the_gradient_of_strided_depthwise_filters_is_that_of_pytorch(kernel, size):
    torch.manual_seed(0)
    ours = Depthwise(4, kernel, 2).double().train()
    plain = nn.Conv2d(4, 4, kernel, 2, kernel // 2, groups=4, bias=False).double()
    plain.load_state_dict(ours.state_dict())
    x = torch.rand(2, 4, *size, dtype=torch.float64, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    one, other = ours(x), plain(y)
    assert torch.allclose(one, other)
    weights = torch.rand_like(one)
    (one * weights).sum().backward()
    (other * weights).sum().backward()
    assert torch.allclose(x.grad, y.grad)
    assert torch.allclose(ours.weight.grad, plain.weight.grad)


def test_shuffling_takes_the_channels_of_both_halves_in_turns():
    unit = ShuffleUnit(8, 8, 1)
    unit.body = nn.Identity()
    x = torch.arange(8.0).reshape(1, 8, 1, 1)
    assert unit(x).flatten().tolist() == [0, 4, 1, 5, 2, 6, 3, 7]


def test_squeeze_and_excitation_weighs_channels():
    part = SqueezeExcite(2, 1)
    for layer in (part.squeeze, part.excite):
        nn.init.zeros_(layer.weight)
    part.excite.bias.data = torch.tensor([0.0, 100.0])
    x = torch.rand(1, 2, 3, 3)
    assert torch.allclose(part(x), x * torch.tensor([0.5, 1.0])[:, None, None])


def test_contrast_of_a_flat_image_is_none_and_of_a_point_what_the_formula_says():
    image = torch.full((1, 1, 9, 9), 0.25)
    values, contrast = Contrast()(image)[0]
    assert torch.allclose(values, torch.full((9, 9), -0.5))
    assert torch.allclose(contrast, torch.zeros(9, 9), atol=1e-5)
    image[0, 0, 4, 4] = 0.5
    d = 0.25 * 24 / 25
    assert Contrast()(image)[0, 1, 4, 4].item() == pytest.approx(d / (d + 0.02), abs=1e-6)
