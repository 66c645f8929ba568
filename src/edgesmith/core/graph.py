"""The program a model becomes: tensors, ops in order, states, weights. Flat, static, batch one, free of torch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.formats import Format

DType = Literal["float32", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "bool"]
Attr = int | float | bool | str | tuple[int, ...] | tuple[float, ...]


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
    ready = {*graph.inputs, *graph.constants, *(state.tensor for state in graph.states)}
    for name in ready | graph.kept():
        _known(graph, name)
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
        if (a.shape, a.dtype) != (b.shape, b.dtype) or state.initial.shape != a.shape:
            raise BadInput(f"graph: state {state.tensor!r} and its update {state.update!r} differ in shape or dtype.")


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
