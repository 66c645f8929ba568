"""Weights rounded layer by layer: each layer sees its inputs as the layers before it, already rounded, make them.

The samples run through the graph op by op, all of them through one op before the next. What is in memory is the weights
once, and the tensors that ops ahead still read: no second model, no activations of the layers that are done.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor

from edgesmith.compress.quantize.placement import INT8, Widths, named_inputs
from edgesmith.core import formats
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import Format
from edgesmith.core.graph import Graph, Op
from edgesmith.core.ops import attrs_of
from edgesmith.lower import raw_tensor
from edgesmith.lower.lift import execute
from edgesmith.training.accelerator import device_of
from edgesmith.training.loop import Run
from edgesmith.training.state import save_tensors

SOLVED = ("conv2d", "linear")  # kinds whose weight is a matrix on rows of inputs
OTHERS = {"conv_transpose2d": ("w",), "lstm": ("w_ih", "w_hh"), "gru": ("w_ih", "w_hh")}  # rounded by their range
BATCH = 64  # samples run together


@dataclass(frozen=True)
class Layer:
    """A layer about to be rounded: groups of rows of weights, that multiply groups of columns of inputs.

    Attributes:
        name: of the weight.
        weight: (groups, out / groups, K) float32; K counts a window's cells and channels as the stored weight does.
        bias: (groups, out / groups) float32.
        bits: of the weight.
        attrs: of the op.
    """

    op: Op
    name: str
    weight: Tensor
    bias: Tensor
    bits: int
    attrs: Mapping[str, Any]
    shape: tuple[int, ...]
    device: torch.device
    _chunks: list[Tensor]
    _float_chunks: list[Tensor]

    def inputs(self, exact: bool = False) -> Iterator[Tensor]:
        """Rows of inputs, some samples at a time: (groups, rows, K).

        Args:
            exact: as the float model makes them; else as the rounded layers before this one do.
        """
        for chunk in self._float_chunks if exact else self._chunks:
            yield rows_of(self.op, chunk, self.attrs, self.shape).to(self.device)

    def hessian(self) -> Tensor:
        """Mean over rows of x x^T: (groups, K, K) float64."""
        groups, _, k = self.weight.shape
        total, count = torch.zeros(groups, k, k, dtype=torch.float64, device=self.device), 0
        for x in self.inputs():
            total += (x.transpose(1, 2) @ x).double()
            count += x.shape[1]
        return total / max(count, 1)


@dataclass(frozen=True)
class Rounded:
    """What a method makes of a layer.

    Attributes:
        weight: (groups, out / groups, K), on the format's grid.
        format: how it is stored.
    """

    weight: Tensor
    format: Format


Solve = Callable[[Layer], Rounded | None]  # None leaves the layer as it is


@dataclass(frozen=True)
class Walk:
    """How a graph is walked.

    Attributes:
        widths: bits of each weight.
        exact: keep the float model's tensors beside the rounded ones, for methods that reconstruct outputs.
        run: its state file names the folder of finished layers; its progress hears of each with its relative error;
            its accelerator computes the solutions.
        key: what a kept state must agree with, besides the weights: the method and its settings.
    """

    widths: Widths = INT8
    exact: bool = False
    run: Run = field(default_factory=Run)
    key: str = ""


def walk(graph: Graph, samples: np.ndarray, solve: Solve, how: Walk) -> Graph:
    """Round the weights of every layer in order.

    Args:
        graph: float, canonical, with one input; activations with formats are rounded on the way.
        samples: (n, ...) raw values of that input.

    Returns:
        the graph with weights on their grids and formats that say so.

    Raises:
        BadInput: not one input, no sample, or a kept state of another model or method.
        Missing: the accelerator is not there.
    """
    if len(graph.inputs) != 1:
        raise BadInput(f"layers: the model has {len(graph.inputs)} inputs; need one.")
    device = device_of(how.run.accelerator)
    kept = Kept(how, graph)
    pass_, exact = Pass(graph, samples), Pass(unformatted(graph), samples) if how.exact else None
    for index, op in enumerate(graph.ops):
        if op.kind in SOLVED and op.inputs[1] in graph.constants:
            layer = layer_of(pass_.graph, op, how.widths, device, pass_, exact)
            rounded = kept.load(index, layer) or solve(layer)
            if rounded is not None:
                kept.save(index, rounded)
                how.run.progress(index, relative_error(layer.weight, rounded.weight))
                pass_.replace_weight(op.inputs[1], rounded)
        elif op.kind in OTHERS:
            pass_.graph = by_range(pass_.graph, op, how.widths)
        pass_.step(index)
        if exact:
            exact.step(index)
    kept.forget()
    return pass_.graph


def by_range(graph: Graph, op: Op, widths: Widths) -> Graph:
    """The graph with formats of an op's weights by their largest magnitudes."""
    tensors = dict(graph.tensors)
    for role in OTHERS[op.kind]:
        name = named_inputs(op)[role]
        if name in graph.constants:
            format_ = formats.symmetric(graph.constants[name], bits=widths.of_weight(name))
            tensors[name] = replace(tensors[name], format=format_)
    return replace(graph, tensors=tensors)


def unformatted(graph: Graph) -> Graph:
    """The graph in float."""
    return replace(graph, tensors={name: replace(t, format=None) for name, t in graph.tensors.items()})


def relative_error(weight: Tensor, rounded: Tensor) -> float:
    """Norm of the difference over the norm of the weight; 0 for a weight of zeros."""
    norm = float(weight.norm())
    return float((weight - rounded).norm()) / norm if norm else 0.0


class Pass:
    """The samples on their way through a graph, in batches; only what is still to be read is kept.

    Attributes:
        graph: as it is by now.
        values: tensor name to one value a batch, or to one value alone where no input has a part in it.
    """

    def __init__(self, graph: Graph, samples: np.ndarray) -> None:
        self.graph = graph
        self._last = _last_readers(graph)
        starts = range(0, len(samples), BATCH)
        cells = [raw_tensor(samples[i : i + BATCH]).unsqueeze(1) for i in starts]
        self._sizes = [len(cell) for cell in cells]
        (name,) = graph.inputs
        self.values: dict[str, list[Tensor]] = {name: [self._stored(name, cell) for cell in cells]}

    @torch.no_grad()
    def step(self, index: int) -> None:
        """Run one op on every batch, then drop what nothing ahead reads."""
        op = self.graph.ops[index]
        fixed = {name: self._constant(name) for name in op.inputs if name not in self.values}
        results: dict[str, list[Tensor]] = {name: [] for name in op.outputs}
        for batch, size in enumerate(self._sizes):
            inputs = [fixed[name] if name in fixed else self.values[name][batch] for name in op.inputs]
            for name, value in zip(op.outputs, execute(op, inputs, self.graph, size), strict=True):
                results[name].append(self._stored(name, value))
        self.values.update(results)
        self.values = {name: value for name, value in self.values.items() if self._last.get(name, -1) > index}

    def replace_weight(self, name: str, rounded: Rounded) -> None:
        """Put a layer's new weight in the place of the old."""
        old = self.graph.constants[name]
        value = rounded.weight.cpu().numpy().reshape(old.shape).astype(np.float32)
        tensors = {**self.graph.tensors, name: replace(self.graph.tensors[name], format=rounded.format)}
        self.graph = replace(self.graph, tensors=tensors, constants={**self.graph.constants, name: value})

    def _constant(self, name: str) -> Tensor:
        states = {state.tensor: state.initial for state in self.graph.states}
        array = states[name] if name in states else self.graph.constants[name]
        return self._stored(name, torch.from_numpy(array.copy()))

    def _stored(self, name: str, value: Tensor) -> Tensor:
        """The value rounded to the tensor's format, as `lift` does it."""
        format_ = self.graph.tensors[name].format
        return value if format_ is None or not value.is_floating_point() else rounded_to(format_, value)


def rounded_to(format_: Format, value: Tensor) -> Tensor:
    """A value of any leading axes on the grid of its format."""
    if isinstance(format_, formats.PerTensor):
        steps = torch.round(value / torch.tensor(format_.scale, dtype=value.dtype)) + format_.zero_point
        return (steps.clamp(format_.low, format_.high) - format_.zero_point) * format_.scale
    stored = value.numpy()
    return torch.from_numpy(format_.dequantize(format_.quantize(stored)))


def _last_readers(graph: Graph) -> dict[str, int]:
    return {name: index for index, op in enumerate(graph.ops) for name in op.inputs}


def layer_of(
    graph: Graph, op: Op, widths: Widths, device: torch.device, rounded: Pass, exact: Pass | None = None
) -> Layer:
    """The layer of an op, its inputs those that are on their way."""
    attrs, name = attrs_of(op), op.inputs[1]
    groups = int(attrs.get("groups", 1))  # type: ignore[call-overload]
    weight = torch.from_numpy(graph.constants[name].copy())
    shape = tuple(weight.shape)
    matrix = weight.reshape(groups, shape[0] // groups, -1).to(device)
    bias = graph.constants.get(op.inputs[2], np.zeros(shape[0], np.float32))
    chunks = rounded.values.get(op.inputs[0]) or [rounded._constant(op.inputs[0])]
    floats = exact.values.get(op.inputs[0], chunks) if exact else []
    bias_rows = torch.from_numpy(bias.copy()).reshape(groups, -1).to(device)
    return Layer(op, name, matrix, bias_rows, widths.of_weight(name), attrs, shape, device, chunks, floats)


def rows_of(op: Op, x: Tensor, attrs: Mapping[str, Any], shape: tuple[int, ...]) -> Tensor:
    """What a layer's weight rows multiply, one row for each output cell: (groups, rows, K).

    Args:
        x: (..., K) for a linear layer, (n, 1, H, W, C) or (1, H, W, C) for a convolution.
        shape: of the weight: (O, K), or (O, kh, kw, C / groups).
    """
    if op.kind == "linear":
        return x.reshape(1, -1, x.shape[-1])
    _, kh, kw, inside = shape
    top, bottom, left, right = attrs["padding"]
    cells = x.reshape(-1, *x.shape[-3:]).permute(0, 3, 1, 2)
    cells = F.pad(cells, (left, right, top, bottom))
    columns = F.unfold(cells, (kh, kw), attrs["dilation"], 0, attrs["stride"])  # (n, C * kh * kw, cells)
    n, _, count = columns.shape
    columns = columns.reshape(n, attrs["groups"], inside, kh * kw, count)
    return columns.permute(1, 0, 4, 3, 2).reshape(attrs["groups"], n * count, kh * kw * inside)


class Kept:
    """Finished layers on disk: one file each, beside the state file of a run; nothing without one."""

    def __init__(self, how: Walk, graph: Graph) -> None:
        state = how.run.state_file
        self._folder: Path | None = state.with_name(f"{state.stem}.layers") if state else None
        digest = hashlib.sha256(how.key.encode())
        for name in sorted(graph.constants) if state else ():
            digest.update(name.encode() + graph.constants[name].tobytes())
        self._key = digest.hexdigest()

    def _path(self, index: int) -> Path | None:
        return self._folder / f"{index}.safetensors" if self._folder else None

    def save(self, index: int, rounded: Rounded) -> None:
        """Write a layer whole."""
        if path := self._path(index):
            facts = {"key": self._key, "format": json.dumps(rounded.format.to_json())}
            save_tensors(path, {"weight": rounded.weight.cpu()}, facts)

    def load(self, index: int, layer: Layer) -> Rounded | None:
        """A layer that is done; None where it is not.

        Raises:
            BadInput: the file is of another model or method, or damaged.
        """
        path = self._path(index)
        if path is None or not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                facts, weight = file.metadata() or {}, file.get_tensor("weight")
            if facts.get("key") != self._key or weight.shape != layer.weight.shape:
                raise BadInput(f"layers: {path} is of another model or other settings; delete its folder.")
            return Rounded(weight.to(layer.device), formats.from_json(json.loads(facts["format"])))
        except (SafetensorError, KeyError, ValueError) as error:
            raise BadInput(f"layers: {path} is damaged ({error}). Delete its folder to start over.") from error

    def forget(self) -> None:
        """Remove the state of a walk that has ended."""
        if self._folder and self._folder.is_dir():
            for path in self._folder.glob("*.safetensors"):
                path.unlink()
            self._folder.rmdir()
