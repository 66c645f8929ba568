"""A Graph as an ONNX model, float or with quantize and dequantize pairs, written op by op.

ONNX is channels first where a window slides. A value is kept in the layout in which it was made; a transpose is written
only where an op needs the other one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgesmith.core.errors import Missing, Unsupported
from edgesmith.core.formats import PerChannel, PerTensor
from edgesmith.core.graph import Graph, Op
from edgesmith.core.ops import attrs_of

OPSET, IR_VERSION = 20, 10
PLAIN, FIRST = "plain", "first"  # as the graph has it; (1, H, W, C) as (1, C, H, W)
TO_FIRST, TO_PLAIN = (0, 3, 1, 2), (0, 2, 3, 1)
ACTIVATIONS = ("int8", "uint8")


class OnnxFile:
    """Collects nodes and constants.

    Attributes:
        graph: float; with formats where pairs are wanted.
        quantized: write the formats; else plain floats.
        writers: op kind to what writes it.
        layouts: tensor to the name of its value in each layout there is.
    """

    def __init__(self, graph: Graph, quantized: bool, writers: "Mapping[str, Writer]") -> None:
        try:
            import onnx
        except ModuleNotFoundError as error:
            raise Missing('onnx: it is not installed. Run: pip install "edgesmith[onnx]".') from error
        self.onnx, self.graph, self.quantized, self.writers = onnx, graph, quantized, writers
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.layouts: dict[str, dict[str, str]] = {}
        self._count = 0

    def packed(self) -> bytes:
        """The model.

        Raises:
            Unsupported: an op has no form here.
        """
        helper, kinds = self.onnx.helper, self.onnx.TensorProto
        inputs = [self._begin(name) for name in (*self.graph.inputs, *(s.tensor for s in self.graph.states))]
        for op in self.graph.ops:
            if op.kind not in self.writers:
                raise Unsupported(f"onnx: {op.kind} ({op.name}) has no form in ONNX here; need a model without it.")
            self.writers[op.kind](self, op)
        leaving = (*self.graph.outputs, *(state.update for state in self.graph.states))
        outputs = []
        for name in leaving:
            last = self._node("Identity", [self.value(name)], name if self._free(name) else f"{name}.out")
            outputs.append(helper.make_tensor_value_info(last, kinds.FLOAT, self.graph.tensors[name].shape))
        graph = helper.make_graph(self.nodes, self.graph.name, inputs, outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        model.producer_name = "edgesmith"
        self.onnx.checker.check_model(model)
        return bytes(model.SerializeToString())

    def value(self, name: str, layout: str = PLAIN) -> str:
        """A tensor's value in a layout; a constant or a transpose is written where it is not there yet."""
        known = self.layouts.setdefault(name, {})
        if name in self.graph.constants and layout not in known:
            known[layout] = self._constant_value(name, layout)
        if layout not in known:
            other = known[PLAIN if layout == FIRST else FIRST]
            known[layout] = self.node("Transpose", [other], perm=TO_FIRST if layout == FIRST else TO_PLAIN)
        return known[layout]

    def has(self, name: str, layout: str) -> bool:
        """Whether the value is there in a layout already."""
        return layout in self.layouts.get(name, {})

    def put(self, name: str, made: str, layout: str = PLAIN) -> None:
        """Say which value a tensor has, rounded to its format where pairs are written."""
        format_ = self.graph.tensors[name].format
        if self.quantized and isinstance(format_, PerTensor) and format_.dtype in ACTIVATIONS:
            made = self.pair(made, format_)
        self.layouts[name] = {layout: made}

    def pair(self, made: str, format_: PerTensor) -> str:
        """Quantized and back."""
        scale, zero = self.const(format_.scale, "float32"), self.const(format_.zero_point, format_.dtype)
        return self.node("DequantizeLinear", [self.node("QuantizeLinear", [made, scale, zero]), scale, zero])

    def weight(self, name: str, array: np.ndarray, axis: int = 0) -> str:
        """A constant weight, arranged already; stored as int8 by its scales along `axis` where pairs are written."""
        format_ = self.graph.tensors[name].format
        if not self.quantized or not isinstance(format_, PerChannel):
            return self.const(array, "float32")
        along = [1] * array.ndim
        along[axis] = -1
        scales = np.asarray(format_.scales).reshape(along)
        stored = np.clip(np.rint(array.astype(np.float64) / scales), -127, 127).astype(np.int8)
        parts = [self.const(stored), self.const(format_.scales, "float32"), self.const(np.zeros(scales.size, np.int8))]
        return self.node("DequantizeLinear", parts, axis=axis)

    def bias(self, op: Op) -> str:
        """The bias of a layer; as int32 at the product of the scales where pairs are written."""
        x, w = (self.graph.tensors[name].format for name in op.inputs[:2])
        array = self.array(op.inputs[2])
        pairs = self.quantized and isinstance(w, PerChannel) and isinstance(x, PerTensor) and x.dtype in ACTIVATIONS
        if not pairs:
            return self.const(array, "float32")
        assert isinstance(x, PerTensor) and isinstance(w, PerChannel)
        scales = x.scale * np.asarray(w.scales)
        stored = np.clip(np.rint(array.astype(np.float64) / scales), 1 - 2**31, 2**31 - 1).astype(np.int32)
        parts = [self.const(stored), self.const(scales, "float32"), self.const(np.zeros(scales.size, np.int32))]
        return self.node("DequantizeLinear", parts, axis=0)

    def array(self, name: str) -> np.ndarray:
        """A constant of the graph.

        Raises:
            Unsupported: it is computed.
        """
        if name not in self.graph.constants:
            raise Unsupported(f"onnx: {name!r} is computed where a constant is needed.")
        return self.graph.constants[name]

    def node(self, kind: str, inputs: Sequence[str], **attrs: Any) -> str:
        """Append a node with one output and return its name."""
        self._count += 1
        return self._node(kind, inputs, f"{kind}_{self._count}", **attrs)

    def nodes_of(self, kind: str, inputs: Sequence[str], outputs: int, **attrs: Any) -> list[str]:
        """The same with several outputs."""
        self._count += 1
        names = [f"{kind}_{self._count}_{i}" for i in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), names, **attrs))
        return names

    def const(self, array: Any, dtype: str | None = None) -> str:
        """A constant."""
        self._count += 1
        stored = np.ascontiguousarray(array, dtype).reshape(np.shape(array))
        self.constants.append(self.onnx.numpy_helper.from_array(stored, f"const_{self._count}"))
        return f"const_{self._count}"

    def ints(self, *values: int) -> str:
        """A constant list of int64."""
        return self.const(np.asarray(values, np.int64))

    def clipped(self, made: str, op: Op) -> str:
        """A value within the bounds that an op carries."""
        attrs = attrs_of(op)
        low, high = (float(attrs[key]) for key in ("low", "high"))  # type: ignore[arg-type]
        if (low, high) == (0.0, math.inf):
            return self.node("Relu", [made])
        if (low, high) == (-math.inf, math.inf):
            return made
        bounds = [self.const(limit, "float32") if math.isfinite(limit) else "" for limit in (low, high)]
        return self.node("Clip", [made, *bounds])

    def _node(self, kind: str, inputs: Sequence[str], output: str, **attrs: Any) -> str:
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [output], name=output, **attrs))
        return output

    def _free(self, name: str) -> bool:
        return name not in self.graph.inputs and all(name != state.tensor for state in self.graph.states)

    def _begin(self, name: str) -> Any:
        """An input: raw integers are dequantized, floats rounded to their format."""
        tensor, kinds = self.graph.tensors[name], self.onnx.TensorProto
        raw = isinstance(tensor.format, PerTensor) and tensor.format.dtype in ("uint8", "int16") and self.quantized
        if raw and name in self.graph.inputs:
            assert isinstance(tensor.format, PerTensor)
            real = self.node("Cast", [name], to=kinds.FLOAT)
            shifted = self.node("Sub", [real, self.const(tensor.format.zero_point, "float32")])
            self.layouts[name] = {PLAIN: self.node("Mul", [shifted, self.const(tensor.format.scale, "float32")])}
            kind = getattr(kinds, tensor.format.dtype.upper())
            return self.onnx.helper.make_tensor_value_info(name, kind, tensor.shape)
        if tensor.dtype == "float32":
            self.put(name, name)
        else:
            self.layouts[name] = {PLAIN: name}
        kind = kinds.FLOAT if tensor.dtype == "float32" else getattr(kinds, tensor.dtype.upper())
        return self.onnx.helper.make_tensor_value_info(name, kind, tensor.shape)

    def _constant_value(self, name: str, layout: str) -> str:
        array, format_ = self.array(name), self.graph.tensors[name].format
        array = array.transpose(TO_FIRST) if layout == FIRST else array
        if self.quantized and isinstance(format_, PerTensor) and format_.dtype in ACTIVATIONS:
            parts = [self.const(format_.quantize(array)), self.const(format_.scale, "float32")]
            return self.node("DequantizeLinear", [*parts, self.const(format_.zero_point, format_.dtype)])
        return self.const(array)


Writer = Callable[[OnnxFile, Op], None]
