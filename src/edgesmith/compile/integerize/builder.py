"""The integer graph while it grows: which tensor holds which real value, and in what form."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from edgesmith.compile.integerize.coded import decoded, one_group_a_row, rounded
from edgesmith.core import ops
from edgesmith.core.errors import BadInput, Unsupported
from edgesmith.core.formats import Coded, Format, Integers, PerChannel, PerTensor, SparseOutliers
from edgesmith.core.graph import Attr, DType, Graph, Op, State, Tensor
from edgesmith.core.ops.tables import lookup_table

UINT8_TO_INT8 = 128  # uint8 v and int8 v - 128 mean the same when the zero point moves along


class Builder:
    """Collects the ops, tensors and constants of the integer graph.

    A real value of the source graph lives under its own name when it is stored as the source says; `int8` and
    `real` give it in the form an op needs and convert where they must.

    Attributes:
        source: the annotated float graph.
        inputs_stored: inputs that arrive in their format even where it is int8.
    """

    def __init__(self, source: Graph, stored: Collection[str] = ()) -> None:
        self.source = source
        self.inputs_stored = frozenset(stored)
        self.tensors: dict[str, Tensor] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.ops: list[Op] = []
        self._stored: dict[str, str] = {}  # source tensor to the tensor that stores it in its format
        self._real: dict[str, str] = {}  # source tensor to the float tensor that holds it
        self._int8: dict[str, str] = {}
        self._read = {name for op in source.ops for name in op.inputs} | source.kept()
        for name in source.inputs:
            self._begin_input(source.tensors[name])
        for state in source.states:
            self._begin_state(state)

    def format(self, name: str) -> Format | None:
        """The format the source graph asks for."""
        return self.source.tensors[name].format

    def affine(self, name: str) -> PerTensor:
        """The per-tensor format of a source tensor.

        Raises:
            BadInput: it has none.
        """
        found = self.format(name)
        if not isinstance(found, PerTensor):
            raise BadInput(f"integerize: tensor {name!r} has no per-tensor format; quantize it, or leave its op float.")
        return found

    def is_stored(self, name: str) -> bool:
        """Whether the value exists in integers, or is a constant that can be."""
        return name in self._stored or (name in self.source.constants and self.format(name) is not None)

    def is_read(self, name: str) -> bool:
        """Whether an op of the source graph, or its caller, reads the value."""
        return name in self._read

    def is_real(self, name: str) -> bool:
        """Whether a float tensor already holds the value."""
        return name in self._real

    def stored(self, name: str) -> str:
        """The tensor that stores the value in its own format."""
        if name not in self._stored:
            format_ = self.affine(name)
            array = format_.quantize(self.source.constants[name])
            self._stored[name] = self.constant(name, array, format_)
        return self._stored[name]

    def int8(self, name: str) -> tuple[str, PerTensor]:
        """The value as int8: the tensor and its format; raw uint8 values move by 128."""
        stored, format_ = self.stored(name), self.affine(name)
        if format_.dtype == "int8":
            return stored, format_
        if format_.dtype != "uint8":
            raise Unsupported(f"integerize: {name!r} is {format_.dtype}; only log_mel reads it. Quantize it to int8.")
        moved = PerTensor(format_.scale, format_.zero_point - UINT8_TO_INT8)
        if name not in self._int8:
            table = self.constant(f"{name}.table", lookup_table(lambda real: real, format_, moved))
            self._int8[name] = self.emit("lookup", (stored, table), f"{name}.int8", moved)
        return self._int8[name], moved

    def real(self, name: str) -> str:
        """The value as float32; dequantizes where it is only stored in integers."""
        if name not in self._real:
            if name in self.source.constants:
                return self._real_constant(name)
            format_ = self.affine(name)
            attrs = {"zero": format_.zero_point, "scale": format_.scale}
            self._real[name] = self.emit("dequantize", (self.stored(name),), f"{name}.real", None, attrs)
        return self._real[name]

    def _real_constant(self, name: str) -> str:
        """A constant of a float op; a quantized one keeps the values its format can hold, packed where it is codes."""
        array, format_ = self.source.constants[name], self.format(name)
        if isinstance(format_, PerChannel) and format_.axis == 0 and array.ndim > 1:
            format_ = one_group_a_row(format_, array.shape)
        if isinstance(format_, Coded | SparseOutliers):
            self._real[name] = decoded(self, name, array, format_)
            return self._real[name]
        exact = array if format_ is None else format_.dequantize(format_.quantize(array))
        self._real[name] = self.constant(name, exact)
        return self._real[name]

    def constant(self, name: str, array: np.ndarray, format_: Format | None = None) -> str:
        """Add a constant; equal ones of one name are shared, others get a number."""
        free = name
        for count in range(2, 2 + len(self.tensors)):
            if free not in self.tensors:
                break
            same = free in self.constants and self.tensors[free].format == format_
            if same and np.array_equal(self.constants[free], array) and self.constants[free].dtype == array.dtype:
                return free
            free = f"{name}.{count}"
        self.tensors[free] = Tensor(free, array.shape, cast(DType, str(array.dtype)), format_)
        self.constants[free] = np.ascontiguousarray(array)
        return free

    def free(self, name: str) -> str:
        """`name`, or with a number where a tensor has it already."""
        candidates = (f"{name}.{count}" if count > 1 else name for count in range(1, 2 + len(self.tensors)))
        return next(candidate for candidate in candidates if candidate not in self.tensors)

    def emit(
        self,
        kind: str,
        inputs: Sequence[str],
        output: str,
        format_: Format | None,
        attrs: Mapping[str, Attr] | None = None,
        origin: Op | None = None,
    ) -> str:
        """Append an op with one output and return the output's name."""
        self.emit_many(kind, inputs, ((output, format_),), attrs, origin)
        return output

    def emit_many(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: Sequence[tuple[str, Format | None]],
        attrs: Mapping[str, Attr] | None = None,
        origin: Op | None = None,
    ) -> None:
        """Append an op; shapes and dtypes of the outputs follow from its spec."""
        name, line = (origin.name, origin.source) if origin else ("", "")
        op = Op(kind, tuple(inputs), tuple(output for output, _ in outputs), attrs or {}, name or outputs[0][0], line)
        types = ops.infer(op, tuple(self.tensors[name] for name in op.inputs))
        for (output, format_), (shape, dtype) in zip(outputs, types, strict=True):
            self.tensors[output] = Tensor(output, shape, cast(DType, dtype), format_)
        self.ops.append(op)

    def result(self, op: Op, kind: str, inputs: Sequence[str], attrs: Mapping[str, Attr] | None = None) -> None:
        """Append the integer form of a source op with one output, stored under the output's own name."""
        output = op.outputs[0]
        self.emit(kind, inputs, output, self.format(output), attrs, origin=op)
        self._stored[output] = output

    def plain_result(self, op: Op, kind: str, inputs: Sequence[str]) -> None:
        """Append the integer form of a source op that makes plain numbers, such as indices."""
        self.emit(kind, inputs, op.outputs[0], None, origin=op)
        self._real[op.outputs[0]] = op.outputs[0]

    def results(
        self, op: Op, kind: str, inputs: Sequence[str], formats: Sequence[Format], attrs: Mapping[str, Attr]
    ) -> None:
        """`result` for an op with several outputs, in the formats that it makes."""
        self.emit_many(kind, inputs, tuple(zip(op.outputs, formats, strict=True)), attrs, origin=op)
        self._stored.update({name: name for name in op.outputs})

    def float_result(self, op: Op) -> None:
        """Append a source op in float; outputs that have a format are quantized behind it."""
        outputs = [(f"{name}.float" if self.format(name) else name, None) for name in op.outputs]
        self.emit_many(op.kind, [self.real(name) for name in op.inputs], outputs, op.attrs, origin=op)
        for name, (made, _) in zip(op.outputs, outputs, strict=True):
            self._leave(name, made)

    def _leave(self, name: str, real: str) -> None:
        """A value that exists in floats, as its format says."""
        format_ = self.format(name)
        if isinstance(format_, Integers):
            self.quantize(name, real)
        else:
            self._real[name] = real if format_ is None else rounded(self, real, self.free(name), format_)

    def quantize(self, name: str, real: str, a: np.ndarray | None = None, b: np.ndarray | None = None) -> None:
        """Store the float tensor `real`, times a plus b, as the source tensor `name`.

        Args:
            a, b: per entry of the last axis or one for all; by default 1 and 0.
        """
        stored = name if name not in self.tensors else f"{name}.int8"
        self.store(name, self.quantized(stored, real, self.affine(name), a, b))

    def store(self, name: str, stored: str) -> None:
        """Note which tensor stores a source tensor; whoever reads it as float reads what was stored."""
        self._stored[name] = stored
        self._real.pop(name, None)

    def quantized(
        self, output: str, real: str, format_: PerTensor, a: np.ndarray | None = None, b: np.ndarray | None = None
    ) -> str:
        """Append `quantize` of the float tensor `real`, times a plus b, and return its output's name."""
        if format_.dtype != "int8":
            raise Unsupported(f"integerize: {output!r} would be made {format_.dtype} from floats; only int8 can be.")
        slope = np.ones(1) if a is None else a.astype(np.float64)
        offset = np.zeros(1) if b is None else b.astype(np.float64)
        names = (
            self.constant(f"{output}.a", (slope / format_.scale).astype(np.float32)),
            self.constant(f"{output}.b", (offset / format_.scale + format_.zero_point).astype(np.float32)),
        )
        return self.emit("quantize", (real, *names), output, format_)

    def finish(self) -> Graph:
        """The integer graph, checked."""
        outputs = tuple(self._form(name) for name in self.source.outputs)
        states = tuple(self._finished_state(state) for state in self.source.states)
        graph = Graph(
            self.source.name, self.tensors, tuple(self.ops), self.source.inputs, outputs, self.constants, states
        ).pruned()
        ops.check(graph)
        return graph

    def _form(self, name: str) -> str:
        """The tensor of a value that leaves the graph: as its format says, float where it has none."""
        return self.stored(name) if isinstance(self.format(name), Integers) else self.real(name)

    def _finished_state(self, state: State) -> State:
        tensor = self.tensors[state.tensor]
        format_ = tensor.format
        initial = state.initial if format_ is None else format_.quantize(state.initial)
        return State(state.tensor, self._form(state.update), initial)

    def _begin_input(self, tensor: Tensor) -> None:
        """Raw integers stay what they are; floats stay floats and are quantized where they are read."""
        format_ = tensor.format
        if isinstance(format_, PerChannel):
            raise BadInput(f"integerize: input {tensor.name!r} is stored as {type(format_).__name__}; need one scale.")
        if isinstance(format_, PerTensor) and (format_.dtype != "int8" or tensor.name in self.inputs_stored):
            self.tensors[tensor.name] = replace(tensor, dtype=cast(DType, format_.dtype))
            self._stored[tensor.name] = tensor.name
            return
        self.tensors[tensor.name] = replace(tensor, format=None)
        self._leave(tensor.name, tensor.name)

    def _begin_state(self, state: State) -> None:
        tensor = self.source.tensors[state.tensor]
        if isinstance(tensor.format, PerTensor):
            self.tensors[tensor.name] = replace(tensor, dtype=cast(DType, tensor.format.dtype))
            self._stored[tensor.name] = tensor.name
        else:
            self.tensors[tensor.name] = replace(tensor, format=None)
            self._leave(tensor.name, tensor.name)
