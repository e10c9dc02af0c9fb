"""Add a network for patches by themselves to a model file, in one command.

``python -m skdefocus.training.patches --images DIR --out DIR --model MODEL --start CHECKPOINT``
makes plain scenes of the photographs, with one blur each, and trains a `PatchNetwork` on patches of
them. It begins with the weights of the model file's own training and keeps their last layer. Then
it calibrates the new network and writes ``model.onnx``, which answers for images as before. If it
ends early, the same command continues from there, as that of ``skdefocus.training`` does.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from skdefocus._typing import AnyArray
from skdefocus.training import dataset, export
from skdefocus.training.batches import Shape, in_parts
from skdefocus.training.config import Config, parser_of, settings
from skdefocus.training.evaluation import evaluate, matched
from skdefocus.training.networks import ENCODERS, PatchNetwork
from skdefocus.training.train import Run, train

#: Defaults of the settings: 256 patches a step, from scenes of 128 pixels.
DEFAULTS = {"size": 128, "batch": 16, "minutes": 60.0, "small": 0.0, "alone": 0.0}
#: Share of the scenes that are blurred beyond the last level. Without any, the network takes such a
#: blur for a smaller one; with a tenth, it takes everything without texture for such a blur.
WIDE = 0.03
#: Beginning of the names of the new network's outputs, metadata and inner values.
PREFIX = "patch_"


class PatchRun(Run):
    """The state of a training of a patch network; the parameters are those of `Run`.

    Attributes
    ----------
    mixed : bool
        False on a CPU, where small planes in bfloat16 take half as long again.
    """

    conditions = replace(dataset.plain(dataset.Conditions()), wide=WIDE)

    def __init__(self, config: Config, out: Path) -> None:
        super().__init__(config, out, partial(network_of, config.network))
        self.mixed = self.device.type == "cuda"

    def shape_at(self, step: int) -> Shape:
        """Take as many patches as fill the batch's crops."""
        return Shape(self.batch * (self.config.size // dataset.PATCH) ** 2, dataset.PATCH)

    def begin_with(self, weights: Path) -> None:
        """Take the encoder and the last layer of a dense network's run."""
        saved = torch.load(weights, map_location=self.device, weights_only=True)
        for net in (self.net, self.average):
            net.begin_with(saved["average"])

    def measure(self, check: AnyArray) -> dict[str, float]:
        """Measure the average on all patches of held-out scenes."""
        return super().measure(cut(check))


def network_of(name: str) -> PatchNetwork:
    """Make a patch network with one of `ENCODERS`."""
    return PatchNetwork(ENCODERS[name])


def cut(records: AnyArray, size: int = dataset.PATCH) -> AnyArray:
    """Cut records into those of patches that do not overlap."""
    count = records["crop"].shape[1] // size
    patches = np.empty(len(records) * count**2, dataset.record_type(size))
    for key in ("crop", "level"):
        side = patches[key].shape[1]
        parts = records[key].reshape(-1, count, side, count, side).swapaxes(2, 3)
        patches[key] = parts.reshape(patches[key].shape)
    return patches


class Shipped(nn.Module):
    """The patch network for use at run time: features for the dense network's last layer.

    With features f, weights W, bias b and temperatures T (dense) and t (patches), the last layer of
    the file computes (W g + b) / T. It has to give (W f + b) / t, so g = r f + (r - 1) W⁺ b with
    r = T / t, where W W⁺ b = b. Both r and the addend go into the layer before.
    """

    def __init__(self, net: PatchNetwork, dense: float, own: float) -> None:
        super().__init__()
        self.net, ratio = net, dense / own
        weights, bias = net.levels.weight[:, :, 0, 0], net.levels.bias
        last = net.join[-1]
        self.scaled = nn.Conv2d(last.in_channels, last.out_channels, 1)
        self.scaled.weight.data = ratio * last.weight
        self.scaled.bias.data = ratio * last.bias + (ratio - 1) * torch.linalg.pinv(weights) @ bias

    def forward(self, patches: Tensor) -> Tensor:
        return self.scaled(self.net.join[:-1](self.net.statistics(patches)))


def add(run: Path, model: Path, out: Path) -> dict[str, float]:
    """Add the network of a run to a model file.

    Parameters
    ----------
    run : path
        Folder of a training, with ``checkpoint.pt`` and ``held_out``.
    model : path
        The file whose last layer the run began with. A patch network in it is replaced.
    out : path
        The new file, which appears once it is complete and checked.

    Returns
    -------
    dict
        The figures on held-out patches that are written into the file.
    """
    saved = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    net = network_of(saved["config"]["network"])
    net.load_state_dict(saved.get("best") or saved["average"])
    net.eval()
    check = np.concatenate(list(dataset.read_shards(run / "held_out")))
    # Odd records set the temperature, even ones are measured.
    temperature = export.temperature_of(*answers(net, cut(check[1::2])))
    measured = cut(check[::2])
    logits, level = answers(net, measured)
    figures = evaluate(net, measured)
    figures["ece"] = export.calibration_error(logits / temperature, level)
    dense = dense_temperature(net, model)
    part = out.with_suffix(".part")
    export.to_onnx(
        Shipped(net, dense, temperature).eval(),
        part,
        torch.rand(2, 1, dataset.PATCH, dataset.PATCH),
        [PREFIX + "features"],
        "patches",
    )
    file = joined(onnx.load(model), onnx.load(part))
    facts = export.training_facts(saved, figures) | {"temperature": f"{temperature:.4f}"}
    known = {entry.key: entry.value for entry in file.metadata_props}
    onnx.save(file, part)
    export.describe(part, known | {PREFIX + key: text for key, text in facts.items()})
    compare(net, temperature, model, part)
    part.replace(out)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB, temperature {temperature:.3f}, {figures}")
    return figures


@torch.no_grad()
def answers(net: nn.Module, records: AnyArray) -> tuple[Tensor, Tensor]:
    """Compute logits (N, L, 1, 1) and true levels (N, 1, 1) of patches."""
    parts = in_parts(records, export.CPU, 256)
    logits, level = zip(*((logits := net(x), matched(y, logits)) for x, y in parts), strict=True)
    return torch.cat(logits), torch.cat(level)


def joined(model: Any, patches: Any) -> Any:
    """Add to a model a graph that computes features of patches, and a copy of its last layer."""
    graph, added = model.graph, patches.graph
    for parts in (graph.node, graph.initializer, graph.output):  # of an earlier patch network
        kept = [part for part in parts if not part.name.startswith(PREFIX)]
        del parts[:]
        parts.extend(kept)
    del graph.input[1:]
    known = {name: name for name in ("", "patches", PREFIX + "features")}
    for tensor in added.initializer:
        tensor.name = known.setdefault(tensor.name, PREFIX + tensor.name)
    for node in added.node:
        node.name = PREFIX + node.name
        for names in (node.input, node.output):
            names[:] = [known.setdefault(name, PREFIX + name) for name in names]
    last = {"features": PREFIX + "features", "logits": PREFIX + "logits"}
    for node in graph.node:
        if last.keys() & set(node.input):
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = PREFIX + node.name
            copy.output[:] = [last.setdefault(name, PREFIX + name) for name in node.output]
            copy.input[:] = [last.get(name, name) for name in node.input]
            added.node.append(copy)
    graph.node.extend(added.node)
    graph.initializer.extend(added.initializer)
    graph.input.extend(added.input)
    graph.output.extend(added.output)
    logits = next(o for o in graph.output if o.name == "logits")
    levels = logits.type.tensor_type.shape.dim[1].dim_value
    shape = ["m", levels, 1, 1]
    graph.output.append(
        onnx.helper.make_tensor_value_info(PREFIX + "logits", onnx.TensorProto.FLOAT, shape)
    )
    return model


@torch.no_grad()
def dense_temperature(net: PatchNetwork, model: Path) -> float:
    """Find the temperature of a model file; exit if it has not the last layer of a network."""
    features, logits = answers_to(model, torch.rand(1, 1, 96, 144))
    own = net.levels(torch.from_numpy(features)).numpy()
    temperature = float(np.vdot(own, logits) / np.vdot(logits, logits))
    if not np.allclose(own, temperature * logits, atol=10 * export.TOLERANCE):
        raise SystemExit(f"{model} has not the last layer that the training began with")
    return temperature


def answers_to(model: Path, image: Tensor, patches: Tensor | None = None) -> list[AnyArray]:
    """Run a model file; return features and logits, and the logits of patches if there are any."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    none = torch.empty(0, 1, dataset.PATCH, dataset.PATCH)
    given = {"image": image.numpy(), "patches": (none if patches is None else patches).numpy()}
    names = ["features", "logits"] + ([] if patches is None else [PREFIX + "logits"])
    asked = {i.name: given[i.name] for i in session.get_inputs()}
    return list(session.run(names, asked))


def compare(net: PatchNetwork, temperature: float, model: Path, made: Path) -> None:
    """Exit if the new file's answers differ from PyTorch's, or from the old file's for an image."""
    image, patches = torch.rand(1, 1, 96, 144), torch.rand(5, 1, dataset.PATCH, dataset.PATCH)
    with torch.no_grad():
        expected = (net(patches) / temperature).numpy()
    *dense, found = answers_to(made, image, patches)
    worst = float(np.abs(found - expected).max())
    if not worst <= export.TOLERANCE:
        raise SystemExit(f"ONNX differs from PyTorch by {worst}, more than {export.TOLERANCE}")
    if not all(map(np.array_equal, answers_to(model, image), dense)):
        raise SystemExit(f"{made} and {model} give different answers for an image")


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = parser_of("skdefocus.training.patches", __doc__, DEFAULTS)
    parser.add_argument("--model", type=Path, required=True, help="model file to add it to")
    args = parser.parse_args(arguments)
    try:
        run = train(args.images, args.out, settings(args), args.scenes_in, PatchRun)
    finally:
        if (args.out / "checkpoint.pt").exists():
            add(args.out, args.model, args.out / "model.onnx")
    if run.done < 1:
        print(f"ended at {run.done:.0%} of the budget; the same command continues from there")


if __name__ == "__main__":
    main()
