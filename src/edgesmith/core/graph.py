"""The program a model becomes: tensors, ops in order, states, weights. Flat, static, batch one, free of torch."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast, get_args

import numpy as np

from edgesmith.core import formats
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import Format

DType = Literal["float32", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "bool"]
Attr = int | float | bool | str | tuple[int, ...] | tuple[float, ...]

STATE_PREFIX = "state:"  # of a state's initial value among the stored arrays
# What a graph from outside may hold: far above any model for a small device, far below what harms the reader.
MAX_ENTRIES = 1 << 17
MAX_RANK = 8
MAX_TENSOR_BYTES = 1 << 30
MAX_INT = 1 << 62
# Names reach C source: no quotes, backslashes, asterisks or line breaks.
GRAPH_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
NAME = re.compile(r"[A-Za-z0-9_.:/+\[\]()-]{0,256}")
TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]{0,1000}")  # nothing that hides text


@dataclass(frozen=True)
class Tensor:
    """A value in the program.

    Attributes:
        shape: static; the batch axis, where there is one, is 1.
        dtype: of the stored elements.
        format: on an integer tensor, what its integers mean; on a float tensor, the format that
            quantization has chosen for it and that `compile` will carry out. None: plain numbers.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType = "float32"
    format: Format | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes of the stored elements."""
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Op:
    """One step: `kind` names its spec in `core.ops`.

    Attributes:
        inputs, outputs: tensor names, in the order the spec lists them.
        source: the line of the user's model it came from, for messages.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Attr] = field(default_factory=dict)
    name: str = ""
    source: str = ""


@dataclass(frozen=True)
class State:
    """A value kept from one run to the next.

    Attributes:
        tensor: read by ops as the value so far.
        update: the tensor whose value it takes when a run ends.
        initial: its value before the first run.
    """

    tensor: str
    update: str
    initial: np.ndarray


@dataclass(frozen=True)
class Graph:
    """A whole program. Passes return new graphs; arrays are shared and never written.

    Attributes:
        tensors: every tensor by name: inputs, constants, states and results.
        ops: in an order that can be executed.
        constants: weights and tables by tensor name.
    """

    name: str
    tensors: Mapping[str, Tensor]
    ops: tuple[Op, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    states: tuple[State, ...] = ()

    def producer(self) -> dict[str, int]:
        """Result tensor name to the index of the op that makes it."""
        return {name: index for index, op in enumerate(self.ops) for name in op.outputs}

    def consumers(self) -> dict[str, list[int]]:
        """Tensor name to the indices of the ops that read it; outputs and state updates are not ops."""
        readers: dict[str, list[int]] = {name: [] for name in self.tensors}
        for index, op in enumerate(self.ops):
            for name in dict.fromkeys(op.inputs):
                readers[name].append(index)
        return readers

    def kept(self) -> set[str]:
        """Tensors whose value is needed after the last op: outputs and state updates."""
        return {*self.outputs, *(state.update for state in self.states)}

    def types(self, names: tuple[str, ...]) -> tuple[Tensor, ...]:
        """The tensors called `names`."""
        return tuple(self.tensors[name] for name in names)

    def pruned(self) -> "Graph":
        """Without ops, tensors and constants that nothing needs."""
        needed = self.kept()
        ops = []
        for op in reversed(self.ops):
            if needed.intersection(op.outputs):
                ops.append(op)
                needed.update(op.inputs)
        used = needed | set(self.inputs) | {s.tensor for s in self.states} | {n for op in ops for n in op.outputs}
        return replace(
            self,
            ops=tuple(reversed(ops)),
            tensors={name: t for name, t in self.tensors.items() if name in used},
            constants={name: c for name, c in self.constants.items() if name in used},
        )

    def weight_bytes(self) -> int:
        """Bytes of all constants as stored."""
        return sum(array.nbytes for array in self.constants.values())

    def __iter__(self) -> Iterator[Op]:
        return iter(self.ops)


def validate(graph: Graph) -> None:
    """Check names, order and constants; `core.ops.check` also checks every op against its spec.

    Raises:
        BadInput: a name is unknown or made twice, an op reads what is not there yet, or a constant's
            shape or dtype is not its tensor's.
    """
    ready: set[str] = set()
    for name in (*graph.inputs, *graph.constants, *(state.tensor for state in graph.states)):
        if name in ready:
            raise BadInput(f"graph: {name!r} is listed twice among inputs, constants and states.")
        ready.add(name)
    if len(set(graph.outputs)) < len(graph.outputs):
        raise BadInput("graph: an output is listed twice; need different outputs.")
    for name in sorted(ready | graph.kept()):
        _known(graph, name)
    _check_texts(graph)
    for name, array in graph.constants.items():
        tensor = graph.tensors[name]
        if array.shape != tensor.shape or str(array.dtype) != tensor.dtype:
            raise BadInput(
                f"graph: constant {name!r} is {array.dtype}{array.shape}, its tensor {tensor.dtype}{tensor.shape}."
            )
    for op in graph.ops:
        for name in op.inputs:
            if name not in ready:
                raise BadInput(f"graph: op {op.kind} ({op.name}) reads {name!r} before it is made.")
        for name in op.outputs:
            _known(graph, name)
            if name in ready:
                raise BadInput(f"graph: tensor {name!r} is made twice.")
            ready.add(name)
    if missing := graph.kept() - ready:
        raise BadInput(f"graph: nothing makes {sorted(missing)[0]!r}.")
    for state in graph.states:
        a, b = graph.tensors[state.tensor], graph.tensors[state.update]
        initial = (state.initial.shape, str(state.initial.dtype))
        if not (a.shape, a.dtype) == (b.shape, b.dtype) == initial:
            raise BadInput(
                f"graph: state {state.tensor!r}, its update {state.update!r} and its initial value differ in type."
            )


def _check_texts(graph: Graph) -> None:
    """Names and sizes as files may hold them, so that every valid graph can be stored and read again."""
    _text(graph.name, "the graph's name", GRAPH_NAME)
    for name, tensor in graph.tensors.items():
        _text(name, "a tensor's name", NAME)
        if tensor.name != name or any(size < 1 for size in tensor.shape):
            raise BadInput(f"graph: tensor {name!r} is {tensor.name!r} {tensor.shape}; need sizes of at least 1.")
    for op in graph.ops:
        _text(op.name, "an op's name", NAME)
        _text(op.source, "an op's source", TEXT)


def _known(graph: Graph, name: str) -> None:
    if name not in graph.tensors:
        raise BadInput(f"graph: {name!r} has no tensor.")


def to_json(graph: Graph) -> dict[str, Any]:
    """Everything but the arrays: constants and initial states go into safetensors beside it."""
    return {
        "name": graph.name,
        "tensors": [
            {
                "name": t.name,
                "shape": list(t.shape),
                "dtype": t.dtype,
                **({"quantization": t.format.to_json()} if t.format else {}),
            }
            for t in graph.tensors.values()
        ],
        "ops": [
            {
                "kind": op.kind,
                "name": op.name,
                "inputs": list(op.inputs),
                "outputs": list(op.outputs),
                "attrs": {key: list(v) if isinstance(v, tuple) else v for key, v in op.attrs.items()},
                "source": op.source,
            }
            for op in graph.ops
        ],
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "constants": list(graph.constants),
        "states": [{"tensor": s.tensor, "update": s.update} for s in graph.states],
    }


def from_json(data: Any, arrays: Mapping[str, np.ndarray]) -> Graph:
    """Inverse of `to_json`; believes nothing.

    Args:
        data: parsed JSON, from anywhere.
        arrays: constants by tensor name and initial states by STATE_PREFIX + tensor name; no others.

    Raises:
        BadInput: anything but what `to_json` makes from a valid graph: wrong types, unknown fields, too many or too
            large tensors, arrays missing, left over or of another shape or dtype. `core.ops.check` checks the ops.
    """
    fields = _fields(data, "the graph", ("name", "tensors", "ops", "inputs", "outputs", "constants", "states"))
    tensors = [_read_tensor(entry) for entry in _entries(fields["tensors"], "tensors")]
    by_name = {tensor.name: tensor for tensor in tensors}
    if len(by_name) < len(tensors):
        raise BadInput("graph: two tensors have the same name; the file is damaged.")
    states = [_fields(entry, "a state", ("tensor", "update")) for entry in _entries(fields["states"], "states")]
    constants = _names(fields["constants"], "constants")
    _same_names(arrays, [*constants, *(f"{STATE_PREFIX}{state['tensor']}" for state in states)])
    graph = Graph(
        name=_text(fields["name"], "the graph's name", GRAPH_NAME),
        tensors=by_name,
        ops=tuple(_read_op(entry) for entry in _entries(fields["ops"], "ops")),
        inputs=_names(fields["inputs"], "inputs"),
        outputs=_names(fields["outputs"], "outputs"),
        constants={name: arrays[name] for name in constants},
        states=tuple(_read_state(state, arrays) for state in states),
    )
    validate(graph)
    return graph


def _fields(data: Any, what: str, names: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise BadInput(f"graph: {what} is {type(data).__name__}; need an object. The file is damaged.")
    if wrong := (set(names) - set(data)) | (set(data) - set(names) - set(optional)):
        raise BadInput(f"graph: {what} lacks or adds the field {sorted(wrong)[0]!r}; the file is damaged.")
    return data


def _entries(data: Any, what: str) -> Sequence[Any]:
    if not isinstance(data, list) or len(data) > MAX_ENTRIES:
        raise BadInput(f"graph: {what} is no list of at most {MAX_ENTRIES} entries; the file is damaged.")
    return data


def _text(data: Any, what: str, pattern: re.Pattern[str]) -> str:
    if not isinstance(data, str) or not pattern.fullmatch(data):
        raise BadInput(f"graph: {what} is {str(data)[:60]!r}; need text that matches {pattern.pattern}.")
    return data


def _names(data: Any, what: str) -> tuple[str, ...]:
    return tuple(_text(entry, f"a name in {what}", NAME) for entry in _entries(data, what))


def _same_names(arrays: Mapping[str, np.ndarray], wanted: list[str]) -> None:
    if len(set(wanted)) < len(wanted):
        raise BadInput("graph: a constant or state is listed twice; the file is damaged.")
    if wrong := set(arrays).symmetric_difference(wanted):
        raise BadInput(f"graph: array {sorted(wrong)[0]!r} is missing or belongs to no tensor; the file is damaged.")


def _read_tensor(data: Any) -> Tensor:
    fields = _fields(data, "a tensor", ("name", "shape", "dtype"), optional=("quantization",))
    name = _text(fields["name"], "a tensor's name", NAME)
    shape = fields["shape"]
    if not isinstance(shape, list) or len(shape) > MAX_RANK or not all(type(size) is int for size in shape):
        raise BadInput(
            f"graph: tensor {name!r} has the shape {str(shape)[:60]}; need at most {MAX_RANK} whole numbers."
        )
    if fields["dtype"] not in get_args(DType):
        raise BadInput(f"graph: tensor {name!r} has an unknown dtype; need one of {', '.join(get_args(DType))}.")
    dtype = cast(DType, fields["dtype"])
    if min(shape, default=1) < 1 or math.prod(shape) * np.dtype(dtype).itemsize > MAX_TENSOR_BYTES:
        raise BadInput(f"graph: tensor {name!r} is {dtype} {shape}; need 1 to {MAX_TENSOR_BYTES} bytes.")
    format_ = formats.from_json(fields["quantization"]) if "quantization" in fields else None
    if format_ is not None:
        try:
            format_.fits(tuple(shape))
        except BadInput as error:
            raise BadInput(f"graph: tensor {name!r}: {error}") from None
    return Tensor(name, tuple(shape), dtype, format_)


def _read_op(data: Any) -> Op:
    fields = _fields(data, "an op", ("kind", "name", "inputs", "outputs", "attrs", "source"))
    kind = _text(fields["kind"], "an op's kind", NAME)
    attrs = fields["attrs"]
    if not isinstance(attrs, dict):
        raise BadInput(f"graph: the attributes of {kind} are no object; the file is damaged.")
    return Op(
        kind=kind,
        inputs=_names(fields["inputs"], f"the inputs of {kind}"),
        outputs=_names(fields["outputs"], f"the outputs of {kind}"),
        attrs={key: _read_attr(kind, key, value) for key, value in attrs.items()},
        name=_text(fields["name"], "an op's name", NAME),
        source=_text(fields["source"], "an op's source", TEXT),
    )


def _read_attr(kind: str, key: str, value: Any) -> Attr:
    entries = value if isinstance(value, list) else [value]
    numbers = all(isinstance(entry, int | float) and not abs(entry) > MAX_INT or _infinite(entry) for entry in entries)
    word = isinstance(value, str) and len(value) <= 64
    if not (word or numbers) or len(entries) > 4 * MAX_RANK:
        raise BadInput(f"graph: attribute {key[:60]!r} of {kind} is {str(value)[:60]}; need numbers or a word.")
    return tuple(value) if isinstance(value, list) else value


def _infinite(value: Any) -> bool:
    return isinstance(value, float) and math.isinf(value)


def _read_state(fields: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> State:
    tensor, update = (_text(fields[key], f"a state's {key}", NAME) for key in ("tensor", "update"))
    return State(tensor, update, arrays[STATE_PREFIX + tensor])
