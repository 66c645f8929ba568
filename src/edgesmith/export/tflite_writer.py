"""A Graph as a .tflite file while it is written: which tensor holds a value as integers, and which as floats."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.core.formats import PerChannel, PerTensor
from edgesmith.core.graph import Graph, Op
from edgesmith.core.ops import attrs_of
from edgesmith.export.tflite_file import TfliteFile

FUSED = {(-np.inf, np.inf): 0, (0.0, np.inf): 1, (-1.0, 1.0): 2, (0.0, 6.0): 3}
SAME, VALID = 0, 1
Pair = tuple[int, int]


class Writer(TfliteFile):
    """Writes a float graph; tensors with an int8 format are stored as that.

    Attributes:
        graph_in: the graph.
        table: op kind to what writes it.
        stored, floats: tensor to its number in the file, as integers and as floats.
    """

    def __init__(self, graph: Graph, table: "Mapping[str, Form]") -> None:
        super().__init__()
        self.graph_in, self.table = graph, table
        self.stored: dict[str, int] = {}
        self.floats: dict[str, int] = {}

    def written(self) -> bytes:
        """The file.

        Raises:
            Unsupported: an op has no form in it.
        """
        inputs = [self._begin(name) for name in self.graph_in.inputs]
        for op in self.graph_in.ops:
            if op.kind not in self.table:
                raise Unsupported(f"tflite: {op.kind} ({op.name}) has no form in TensorFlow Lite here. Use --to onnx.")
            self.table[op.kind](self, op)
        outputs = [self.int8(name) if self.format(name) else self.real(name) for name in self.graph_in.outputs]
        self.ends(inputs, outputs)
        return self.packed()

    def format(self, name: str) -> PerTensor | None:
        """The int8 format of a tensor; None for floats."""
        found = self.graph_in.tensors[name].format
        return found if isinstance(found, PerTensor) and found.dtype == "int8" else None

    def int8(self, name: str) -> int:
        """The number of the tensor that stores a value as int8."""
        if name not in self.stored:
            format_ = self.format(name)
            assert format_ is not None, name
            if name in self.graph_in.constants:
                array = format_.quantize(self.graph_in.constants[name])
                self.stored[name] = self.act(name, array.shape, format_, array)
            else:
                self.stored[name] = self.act(name, self.graph_in.tensors[name].shape, format_)
                self.op("QUANTIZE", [self.floats[name]], [self.stored[name]], "QuantizeOptions")
        return self.stored[name]

    def real(self, name: str) -> int:
        """The number of the tensor that holds a value as floats."""
        if name not in self.floats:
            tensor = self.graph_in.tensors[name]
            if name in self.graph_in.constants:
                array = self.graph_in.constants[name]
                self.floats[name] = self.tensor(f"{name}.real", array.shape, tensor.dtype, data=array)
            else:
                self.floats[name] = self.tensor(f"{name}.real", tensor.shape)
                self.op("DEQUANTIZE", [self.stored[name]], [self.floats[name]], "DequantizeOptions")
        return self.floats[name]

    def act(self, name: str, shape: Sequence[int], format_: PerTensor | None, data: np.ndarray | None = None) -> int:
        """A new tensor: int8 with a format, float without."""
        if format_ is None:
            return self.tensor(name, shape, data=data)
        return self.tensor(name, shape, format_.dtype, [format_.scale], [format_.zero_point], data=data)

    def value(self, name: str, integers: bool) -> int:
        """A value in either form."""
        return self.int8(name) if integers else self.real(name)

    def result(self, op: Op, integers: bool, index: int = 0) -> int:
        """A new tensor for an op's result in either form."""
        name = op.outputs[index]
        made = self.act(name, self.graph_in.tensors[name].shape, self.format(name) if integers else None)
        (self.stored if integers else self.floats)[name] = made
        return made

    def integers(self, op: Op, *positions: int) -> bool:
        """Whether the op's activations and its result all have int8 formats.

        Args:
            positions: of the activations among its inputs; none for all.
        """
        names = [op.inputs[i] for i in positions] if positions else list(op.inputs)
        return all(self.format(name) is not None for name in (*names, op.outputs[0]))

    def simple(
        self,
        op: Op,
        kind: str,
        options: str = "",
        settings: Mapping[str, Any] | None = None,
        constants: Sequence[int] = (),
        integers: bool = True,
    ) -> None:
        """An op of one activation.

        Args:
            constants: numbers of further inputs.
            integers: whether it may run on them.
        """
        whole = integers and self.integers(op, 0)
        self.op(kind, [self.value(op.inputs[0], whole), *constants], [self.result(op, whole)], options, settings)

    def moved(self, name: str, format_: PerTensor | None) -> int:
        """A value in a given format: as it is, or through a step that changes it."""
        if format_ is None or self.format(name) is None:
            return self.real(name)
        if self.format(name) == format_:
            return self.int8(name)
        made = self.act(f"{name}.moved", self.graph_in.tensors[name].shape, format_)
        self.op("QUANTIZE", [self.int8(name)], [made], "QuantizeOptions")
        return made

    def fused(self, op: Op) -> int:
        """The number of the fused activation that an op's bounds are.

        Raises:
            Unsupported: there is none.
        """
        attrs: dict[str, Any] = attrs_of(op)
        bounds = (float(attrs["low"]), float(attrs["high"]))
        if bounds not in FUSED:
            raise Unsupported(f"tflite: {op.kind} ({op.name}) is limited to {bounds}; need relu, relu6 or no limit.")
        return FUSED[bounds]

    def padded(self, op: Op, kernel: Pair, lowest: bool = False) -> tuple[str, int]:
        """The name of a window op's input, padded where that is written out, and SAME or VALID.

        Args:
            lowest: pad with the least value, as a max pool needs, in place of zero.
        """
        attrs: dict[str, Any] = attrs_of(op)
        x = op.inputs[0]
        top, bottom, left, right = attrs["padding"]
        if not any((top, bottom, left, right)):
            return x, VALID
        shape = self.graph_in.tensors[x].shape
        same: list[int] = []
        for size, k, s, d in zip(shape[1:3], kernel, attrs["stride"], attrs["dilation"], strict=True):
            missing = max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
            same += [missing // 2, missing - missing // 2]
        if same == [top, bottom, left, right]:
            return x, SAME
        if lowest or op.kind == "avg_pool2d":
            raise Unsupported(f"tflite: {op.kind} ({op.name}) pads by {(top, bottom, left, right)}; need SAME or none.")
        return self._pad(x, (top, bottom, left, right)), VALID

    def _pad(self, x: str, sides: tuple[int, int, int, int]) -> str:
        """Zeros written around a value; its name in both tables."""
        top, bottom, left, right = sides
        _, height, width, channels = self.graph_in.tensors[x].shape
        name, shape = f"{x}.padded{len(self.graph.tensors)}", (1, height + top + bottom, width + left + right, channels)
        widths = self.ints(f"{name}.widths", np.array([[0, 0], [top, bottom], [left, right], [0, 0]]))
        integers = self.format(x) is not None
        made = self.act(name, shape, self.format(x))
        self.op("PAD", [self.value(x, integers), widths], [made], "PadOptions")
        (self.stored if integers else self.floats)[name] = made
        return name

    def weight(self, name: str, array: np.ndarray, axis: int, integers: bool) -> int:
        """A constant weight with a scale per entry of `axis`, or as floats."""
        format_ = self.graph_in.tensors[name].format
        if not integers or not isinstance(format_, PerChannel):
            return self.tensor(name, array.shape, data=array.astype(np.float32))
        along = [1] * array.ndim
        along[axis] = -1
        stored = np.clip(np.rint(array.astype(np.float64) / np.asarray(format_.scales).reshape(along)), -127, 127)
        return self.tensor(name, array.shape, "int8", format_.scales, axis=axis, data=stored.astype(np.int8))

    def bias(self, op: Op, integers: bool) -> int:
        """A constant bias, as int32 at the product of the scales or as floats."""
        array = self.graph_in.constants[op.inputs[2]]
        if not integers:
            return self.tensor(op.inputs[2], array.shape, data=array)
        x, w = self.format(op.inputs[0]), self.graph_in.tensors[op.inputs[1]].format
        assert x is not None and isinstance(w, PerChannel)
        scales = x.scale * np.asarray(w.scales)
        stored = np.clip(np.rint(array.astype(np.float64) / scales), 1 - 2**31, 2**31 - 1).astype(np.int32)
        return self.tensor(op.inputs[2], array.shape, "int32", scales.tolist(), data=stored)

    def _begin(self, name: str) -> int:
        """An input: raw uint8 by its scale, int16 and indices as they are, else floats."""
        tensor = self.graph_in.tensors[name]
        format_ = tensor.format
        if isinstance(format_, PerTensor) and format_.dtype == "uint8":
            self.stored[name] = self.act(name, tensor.shape, format_)
            return self.stored[name]
        if isinstance(format_, PerTensor) and format_.dtype == "int16":
            raise Unsupported(f"tflite: input {name!r} is int16; need uint8, int8 or floats.")
        self.floats[name] = self.tensor(name, tensor.shape, tensor.dtype)
        return self.floats[name]


Form = Callable[[Writer, Op], None]
