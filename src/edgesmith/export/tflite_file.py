"""A .tflite file while it grows: tensors, constants, operators; packed by the schema that comes with LiteRT."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesmith.core.errors import Missing

VERSION = 3
IDENTIFIER = b"TFL3"
CUSTOM = 32
OLD_CODES = 127  # of the one-byte operator code, where the wide one counts


def schema() -> Any:
    """LiteRT's generated schema.

    Raises:
        Missing: LiteRT is not installed.
    """
    try:
        from ai_edge_litert import schema_py_generated
    except ModuleNotFoundError as error:
        raise Missing('tflite: ai-edge-litert is not installed. Run: pip install "edgesmith[tflite]".') from error
    return schema_py_generated


class TfliteFile:
    """Collects one model of one subgraph, or of several: `begin` starts the next."""

    def __init__(self) -> None:
        self.s = schema()
        self.model = self.s.ModelT()
        self.model.version, self.model.description = VERSION, "edgesmith"
        self.model.buffers, self.model.operatorCodes, self.model.subgraphs = [self._buffer(b"")], [], []
        self._codes: dict[str, int] = {}
        self.begin("main")

    def begin(self, name: str) -> None:
        """Start a subgraph; what follows goes into it."""
        graph = self.s.SubGraphT()
        graph.name, graph.tensors, graph.operators, graph.inputs, graph.outputs = name, [], [], [], []
        self.model.subgraphs.append(graph)

    @property
    def graph(self) -> Any:
        """The subgraph that is growing."""
        return self.model.subgraphs[-1]

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str = "float32",
        scales: Sequence[float] = (),
        zeros: Sequence[int] = (0,),
        axis: int = 0,
        data: np.ndarray | None = None,
        variable: bool = False,
    ) -> int:
        """Add a tensor and return its index.

        Args:
            scales: of its quantization; none for plain numbers.
            zeros: one for all scales, or one each.
            data: a constant's stored values.
        """
        made = self.s.TensorT()
        made.name, made.shape, made.isVariable = name, list(shape), variable
        made.type = getattr(self.s.TensorType, dtype.upper())
        made.buffer = 0
        if data is not None:
            made.buffer = len(self.model.buffers)
            self.model.buffers.append(self._buffer(np.ascontiguousarray(data).tobytes()))
        if len(scales):
            made.quantization = self.s.QuantizationParametersT()
            made.quantization.scale = [float(scale) for scale in scales]
            made.quantization.zeroPoint = [int(zero) for zero in zeros] * (len(scales) // len(zeros))
            made.quantization.quantizedDimension = axis
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def ints(self, name: str, values: Sequence[int] | np.ndarray) -> int:
        """A constant of int32: axes, sizes."""
        array = np.asarray(values, np.int32)
        return self.tensor(name, array.shape, "int32", data=array)

    def op(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: str = "",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Append an operator.

        Args:
            kind: as schema.fbs names it; "CUSTOM:name" for another.
            options: the table of its settings, such as "Conv2DOptions"; settings by the fields' names.
        """
        made = self.s.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = self._code(kind), list(inputs), list(outputs)
        if options:
            made.builtinOptionsType = getattr(self.s.BuiltinOptions, options)
            made.builtinOptions = getattr(self.s, f"{options}T")()
            for name, value in (settings or {}).items():
                setattr(made.builtinOptions, name, value)
        self.graph.operators.append(made)

    def ends(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """Say which tensors enter and leave the subgraph."""
        self.graph.inputs, self.graph.outputs = list(inputs), list(outputs)

    def packed(self) -> bytes:
        """The file."""
        import flatbuffers

        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self.model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())

    def _code(self, kind: str) -> int:
        if kind not in self._codes:
            made = self.s.OperatorCodeT()
            custom = kind.startswith("CUSTOM:")
            made.builtinCode = CUSTOM if custom else getattr(self.s.BuiltinOperator, kind)
            made.deprecatedBuiltinCode, made.version = min(made.builtinCode, OLD_CODES), 1
            made.customCode = kind.removeprefix("CUSTOM:") if custom else None
            self._codes[kind] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(made)
        return self._codes[kind]

    def _buffer(self, data: bytes) -> Any:
        made = self.s.BufferT()
        made.data = np.frombuffer(data, np.uint8) if data else None
        return made
