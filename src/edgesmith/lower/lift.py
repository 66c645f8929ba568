"""A Graph back to an nn.Module: weights as parameters, formats as fake quantization, many samples at once."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from edgesmith.core import ops
from edgesmith.core.errors import BadInput, Unsupported
from edgesmith.core.formats import PerChannel, PerTensor, Signs
from edgesmith.core.graph import Graph, Op
from edgesmith.lower import torch_moves, torch_ops
from edgesmith.lower.fake_quantize import fake_quantize, settings
from edgesmith.lower.fake_sign import fake_sign
from edgesmith.lower.snap import MOST_TABLES, snap, tables_of, written

Observe = Callable[[str, Tensor], None]
WEIGHTS = ("w", "b", "w_ih", "w_hh", "b_ih", "b_hh", "gamma", "beta", "scale", "shift", "table")
SIMPLE: Mapping[str, Callable[[Sequence[Tensor], Any], Any]] = {
    kind: getattr(torch_ops, kind)
    for kind in (
        "conv2d",
        "conv_transpose2d",
        "linear",
        "matmul",
        "max_pool2d",
        "avg_pool2d",
        "upsample_nearest",
        "gelu",
        "affine",
        "layer_norm",
        "rms_norm",
        "embedding",
        "lstm",
        "gru",
        "rfft",
        "log_mel",
    )
}


def lift(graph: Graph, quantizers: Mapping[str, nn.Module] | None = None) -> "Lifted":
    """Turn a float Graph into a module that computes the same.

    Float weights are parameters (their gradients flow), other constants buffers. A tensor with a format is rounded
    to it. The first axis of every input, 1 in the graph, may be any n: then each output has n entries along a first
    axis too, each sample starts from the initial states, and no state is kept. With n = 1 states go on from call to
    call.

    Args:
        quantizers: by tensor name, what rounds that tensor in place of its format: a module that gives as its
            `format(values)` how the values, (shape of the tensor) or None for an activation, are stored at the end.
            One module may serve several tensors.

    Raises:
        Unsupported: the graph has integer ops; those are run by `core.ops.interpret`.
    """
    return Lifted(graph, quantizers or {})


def attribute_of(name: str) -> str:
    """A tensor's name as a module attribute.

    >>> attribute_of("features.0.weight")
    'features_0_weight'
    """
    return re.sub(r"\W", "_", name) if not name[:1].isdigit() else "_" + re.sub(r"\W", "_", name)


class Lifted(nn.Module):
    """Executes `graph`; made by `lift`.

    Attributes:
        graph: as lifted; the parameters' values may have moved on since.
        names: tensor name to attribute of every constant and state.
        scales: tensor name to attribute of the scales of its format.
        quantizers: what rounds in place of formats, each once.
    """

    def __init__(self, graph: Graph, quantizers: Mapping[str, nn.Module]) -> None:
        super().__init__()
        unknown = sorted({op.kind for op in graph.ops} - SUPPORTED)
        if unknown:
            raise Unsupported(
                f"lift: no torch form of {', '.join(unknown)}; need a float graph. Use core.ops.interpret."
            )
        self.graph = graph
        self.scales = {name: f"scale_of__{i}" for i, name in enumerate(graph.tensors) if graph.tensors[name].format}
        self.names = self._free_names((*graph.constants, *(state.tensor for state in graph.states)))
        self._observers: list[Observe] = []
        self._texts: dict[str, str] = {}  # formats of codes and scales
        self.quantizers = nn.ModuleList(dict.fromkeys(quantizers.values()))
        self._quantizer = {name: list(self.quantizers).index(module) for name, module in quantizers.items()}
        weights = weight_names(graph)
        for name, array in graph.constants.items():
            value = torch.from_numpy(array.copy())
            if name in weights and value.is_floating_point():
                self.register_parameter(self.names[name], nn.Parameter(value))
            else:
                self.register_buffer(self.names[name], value)
        for state in graph.states:
            self.register_buffer(self.names[state.tensor], torch.from_numpy(state.initial.copy()))
        for name, tensor in graph.tensors.items():
            format_ = tensor.format
            if isinstance(format_, PerTensor | PerChannel | Signs):
                scales = list(format_.scales) if isinstance(format_, Signs) else settings(format_)[0]
                self.register_buffer(self.scales[name], torch.tensor(scales, dtype=torch.float64), persistent=False)
            elif format_ is not None:
                self._texts[name] = written(format_)
                for i, table in enumerate(tables_of(format_)):
                    self.register_buffer(f"{self.scales[name]}_{i}", table, persistent=False)

    def _free_names(self, tensors: Sequence[str]) -> dict[str, str]:
        taken = set(dir(self))
        names: dict[str, str] = {}
        for name in tensors:
            stem = attribute_of(name)
            names[name] = next(c for i in range(len(taken) + 1) if (c := f"{stem}_{i}" if i else stem) not in taken)
            taken.add(names[name])
        return names

    def forward(self, *inputs: Tensor) -> Any:
        """Each input (n, ...) as the graph says, raw integers as they are; one output alone, several as a tuple."""
        if len(inputs) != len(self.graph.inputs):
            raise BadInput(f"lift: {len(inputs)} inputs; the graph has {len(self.graph.inputs)}.")
        batch = inputs[0].shape[0] if inputs and self._batched(inputs[0]) else None
        values = self._begin(inputs, batch)
        for op in self.graph.ops:
            results = execute(op, [values[name] for name in op.inputs], self.graph, batch)
            for name, result in zip(op.outputs, results, strict=True):
                values[name] = self._rounded(name, result)
        self._keep_states(values, batch)
        outputs = tuple(self._leaving(values[name], name, batch) for name in self.graph.outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    @contextmanager
    def observe(self, watch: Observe) -> Iterator[None]:
        """Call `watch(name, value)` for every input, constant, state and result inside the `with`, before rounding."""
        self._observers.append(watch)
        try:
            yield
        finally:
            self._observers.remove(watch)

    def reset(self) -> None:
        """States back to their initial values."""
        for state in self.graph.states:
            getattr(self, self.names[state.tensor]).copy_(torch.from_numpy(state.initial.copy()))

    def to_graph(self) -> Graph:
        """The graph with the parameters' present values, and the formats that the quantizers have come to."""
        values = {name: getattr(self, self.names[name]).detach().cpu() for name in self.graph.constants}
        tensors = dict(self.graph.tensors)
        for name in self._quantizer:
            format_ = self.quantizer_of(name).format(values.get(name))  # type: ignore[union-attr, operator]
            tensors[name] = replace(tensors[name], format=format_)
        constants = {name: value.numpy().copy() for name, value in values.items()}
        return replace(self.graph, tensors=tensors, constants=constants)

    def quantizer_of(self, name: str) -> nn.Module | None:
        """What rounds a tensor in place of its format."""
        return self.quantizers[self._quantizer[name]] if name in self._quantizer else None

    def _batched(self, first: Tensor) -> bool:
        """Whether there are several samples."""
        shape = self.graph.tensors[self.graph.inputs[0]].shape
        return bool(shape) and shape[0] == 1 and first.ndim == len(shape) and first.shape[0] != 1

    def _begin(self, inputs: Sequence[Tensor], batch: int | None) -> dict[str, Tensor]:
        values = {}
        for name, value in zip(self.graph.inputs, inputs, strict=True):
            values[name] = self._rounded(name, self._entering(name, value, batch))
        for name, attribute in self.names.items():
            values[name] = self._rounded(name, getattr(self, attribute))
        return values

    def _entering(self, name: str, value: Tensor, batch: int | None) -> Tensor:
        tensor = self.graph.tensors[name]
        wanted = tensor.shape if batch is None else (batch, *tensor.shape[1:])
        if tuple(value.shape) != wanted:
            raise BadInput(f"lift: input {name!r} is {tuple(value.shape)}; need {wanted}.")
        if tensor.dtype == "float32" and not value.is_floating_point():
            value = value.float()
        return value if batch is None else value.unsqueeze(1)

    def _rounded(self, name: str, value: Tensor) -> Tensor:
        for watch in self._observers:
            watch(name, value)
        format_, quantizer = self.graph.tensors[name].format, self.quantizer_of(name)
        if value.is_floating_point() and quantizer is not None:
            return quantizer(value)
        if format_ is None or not value.is_floating_point():
            return value
        if isinstance(format_, Signs):
            return fake_sign(value, getattr(self, self.scales[name]), format_.axis)
        if isinstance(format_, PerTensor | PerChannel):
            return fake_quantize(value, getattr(self, self.scales[name]), *settings(format_)[1:])
        tables = [getattr(self, f"{self.scales[name]}_{i}", None) for i in range(MOST_TABLES)]
        return snap(value, [table for table in tables if table is not None], self._texts[name])

    def _leaving(self, value: Tensor, name: str, batch: int | None) -> Tensor:
        rank = len(self.graph.tensors[name].shape)
        if batch is None:
            return value
        if value.ndim == rank:  # it depends on no input
            value = value.expand(batch, *value.shape)
        return value.squeeze(1) if self.graph.tensors[name].shape[:1] == (1,) else value

    def _keep_states(self, values: Mapping[str, Tensor], batch: int | None) -> None:
        if batch is None:
            for state in self.graph.states:
                getattr(self, self.names[state.tensor]).copy_(values[state.update])


def weight_names(graph: Graph) -> set[str]:
    """Constants that an op reads as weights, biases or tables."""
    names: set[str] = set()
    for op in graph.ops:
        spec = ops.spec_of(op)
        if not spec.inputs[-1].endswith("*"):
            names.update(name for role, name in zip(spec.inputs, op.inputs, strict=True) if role in WEIGHTS)
    return names


def execute(op: Op, values: Sequence[Tensor], graph: Graph, batch: int | None) -> list[Tensor]:
    """One op in torch.

    Args:
        values: its inputs; (n, *shape) where they depend on an input and `batch` is n, else of their own shape.
    """
    attrs = ops.attrs_of(op)
    if op.kind in SIMPLE:
        if op.kind == "matmul":
            values = torch_moves.aligned(values, graph.types(op.inputs))
        result = SIMPLE[op.kind](values, attrs)
        return result if isinstance(result, list) else [result]
    if op.kind in torch_ops.UNARY:
        return [torch_ops.UNARY[op.kind](values[0], attrs)]
    return [torch_moves.MOVES[op.kind](values, attrs, graph.types(op.inputs))]


SUPPORTED = frozenset(SIMPLE) | frozenset(torch_ops.UNARY) | frozenset(torch_moves.MOVES)
