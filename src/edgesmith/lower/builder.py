"""The float graph while it grows: names, constants, ops folded on the way where all they read is constant."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from edgesmith.core import ops
from edgesmith.core.errors import Unsupported
from edgesmith.core.formats import Format, PerChannel
from edgesmith.core.graph import Attr, DType, Graph, Op, State, Tensor

MOVEMENT = ("reshape", "permute")  # carry a constant's format along

RECURRENT = ("lstm", "gru")


class Builder:
    """Collects tensors, constants and ops; names results after the node that is being lowered.

    Attributes:
        source: where the current op comes from in the user's model.
        exact: entries of float64 constants, which are stored in float32.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.tensors: dict[str, Tensor] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.ops: list[Op] = []
        self.states: list[State] = []
        self.exact: dict[str, list[float]] = {}
        self.label = ""
        self.stem = "value"
        self.source = ""

    def at(self, stem: str, label: str, source: str) -> None:
        """Say which node the next ops come from: stem of tensor names, op name, source line."""
        self.stem, self.label, self.source = stem, label, source

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return self.tensors[name].shape

    def free(self, stem: str) -> str:
        """`stem`, or with a number where a tensor has it already."""
        candidates = (f"{stem}:{count}" if count > 1 else stem for count in range(1, 2 + len(self.tensors)))
        return next(candidate for candidate in candidates if candidate not in self.tensors)

    def declare(self, stem: str, shape: Sequence[int], dtype: str = "float32", format_: Format | None = None) -> str:
        """Add a tensor without a producer: an input, a state, or the stand-in of a refused result."""
        name = self.free(stem)
        self.tensors[name] = Tensor(name, tuple(shape), cast(DType, dtype), format_)
        return name

    def constant(self, stem: str, array: np.ndarray, format_: Format | None = None) -> str:
        """Add a constant; float64 becomes float32."""
        stored = array.astype(np.float32) if array.dtype == np.float64 else array
        name = self.declare(stem, stored.shape, str(stored.dtype), format_)
        if array.dtype == np.float64:
            self.exact[name] = array.ravel().tolist()
        self.constants[name] = np.ascontiguousarray(stored).reshape(stored.shape)
        return name

    def filled(self, part: str, shape: Sequence[int], value: float) -> str:
        """A float32 constant of one value, named after the current node."""
        return self.constant(f"{self.stem}.{part}", np.full(tuple(shape), value, np.float32))

    def scalar(self, value: float, like: str) -> str:
        """A constant that broadcasts against `like` without raising its rank."""
        return self.filled("scalar", (1,) if self.shape(like) else (), value)

    def op(self, kind: str, *inputs: str, **attrs: Attr) -> str:
        """Append an op with one output and return the output's name."""
        return self.op_many(kind, *inputs, **attrs)[0]

    def op_many(self, kind: str, *inputs: str, **attrs: Attr) -> list[str]:
        """Append an op; shapes and dtypes of its outputs follow from its spec. Constants are folded."""
        op = Op(kind, inputs, (), attrs, self.label, self.source)
        types = ops.infer(op, tuple(self.tensors[name] for name in inputs))
        if folded := self._folded(op):
            return folded
        outputs = tuple(self.declare(self.stem, shape, dtype) for shape, dtype in types)
        self.ops.append(replace(op, outputs=outputs))
        return list(outputs)

    def set_format(self, name: str, format_: Format) -> None:
        """Give a tensor the format in which quantization stores it.

        Raises:
            Unsupported: it has another one already.
        """
        known = self.tensors[name].format
        if known not in (None, format_):
            raise Unsupported(f"is quantized twice, as {known} and as {format_}. Quantize each tensor once.")
        self.tensors[name] = replace(self.tensors[name], format=format_)
        root = self._before_reshapes(name)
        if root is not None and root != name:
            # A final state that nothing reads: the reshapes will go, the op it comes from stays.
            self.set_format(root, format_)

    def _before_reshapes(self, name: str) -> str | None:
        """The result of a recurrent op that the tensor is, but for its shape; None for any other tensor."""
        for op in reversed(self.ops):
            if name in op.outputs and op.kind != "reshape":
                return name if op.kind in RECURRENT else None
            if name in op.outputs:
                name = op.inputs[0]
        return None

    def finish(self, inputs: Iterable[str], outputs: Iterable[str]) -> Graph:
        """The graph, without what nothing needs."""
        graph = Graph(
            self.name,
            self.tensors,
            tuple(self.ops),
            tuple(inputs),
            tuple(outputs),
            self.constants,
            tuple(self.states),
        )
        return graph.pruned()

    def _folded(self, op: Op) -> list[str] | None:
        """The op's results as constants, when it reads nothing else."""
        if not all(name in self.constants for name in op.inputs):
            return None
        formats = [self.tensors[name].format for name in op.inputs]
        kept: Format | None = None
        if any(formats):
            kept = moved_format(op.kind, formats[0], self.tensors[op.inputs[0]].shape, op.attrs)
            if kept is None:
                return None
        arrays = ops.spec_of(op).run([self.constants[name] for name in op.inputs], ops.attrs_of(op))
        stem = op.inputs[0] if op.kind in MOVEMENT else self.stem
        return [self.constant(stem, array, kept) for array in arrays]


def moved_format(kind: str, format_: Format | None, shape: tuple[int, ...], attrs: Mapping[str, Attr]) -> Format | None:
    """The format of a tensor after a reshape or permute; None where the channel axis is lost or for other ops."""
    if kind not in MOVEMENT or not isinstance(format_, PerChannel):
        return format_ if kind in MOVEMENT else None
    if kind == "permute":
        axes = cast(tuple[int, ...], attrs["axes"])
        return replace(format_, axis=axes.index(format_.axis))
    target = cast(tuple[int, ...], attrs["shape"])
    same = target[: format_.axis + 1] == shape[: format_.axis + 1]
    return format_ if same else None
