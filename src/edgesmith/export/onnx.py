"""ONNX out: float, or int8 as quantize and dequantize pairs; checked in ONNX Runtime."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.core.graph import Graph
from edgesmith.export.check import Outputs, floats_agree, integers_agree, our_floats, our_integers
from edgesmith.export.onnx_file import OnnxFile
from edgesmith.export.onnx_ops import TABLE
from edgesmith.export.source import Source
from edgesmith.pipeline.verify import Relation
from edgesmith.run.onnx import OnnxRuntime

RUNTIME = "ONNX Runtime"


def onnx_float(source: Source) -> tuple[dict[str, bytes], Relation]:
    """The float model; states become inputs and outputs behind the others."""
    graph = source.floats()
    model = OnnxFile(graph, False, TABLE).packed()
    theirs = _outputs(model, source, graph)
    return {f"{source.name}.onnx": model}, floats_agree(RUNTIME, our_floats(source), theirs, source.origin)


def onnx_int8(source: Source) -> tuple[dict[str, bytes], Relation]:
    """The int8 model; weights and biases are stored as integers."""
    if not source.quantized:
        raise Unsupported(f"export: {source.name} is float; need formats. Compile it with --precision int8.")
    model = OnnxFile(source.graph, True, TABLE).packed()
    theirs = _outputs(model, source, source.graph)
    return {f"{source.name}_int8.onnx": model}, integers_agree(RUNTIME, source, our_integers(source), theirs)


def _outputs(model: bytes, source: Source, graph: Graph) -> Outputs:
    """What ONNX Runtime makes of each sample, its states carried on."""
    with TemporaryDirectory(prefix="edgesmith-export-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model)
        runner = OnnxRuntime(path)
    states = [state.initial for state in graph.states]
    found = []
    for sample in source.samples:
        arrays = [_fed(source, graph, name, sample[name]) for name in graph.inputs]
        results = runner.run([*arrays, *states])
        found.append(results[: len(graph.outputs)])
        states = results[len(graph.outputs) :]
    return found


def _fed(source: Source, graph: Graph, name: str, array: np.ndarray) -> np.ndarray:
    """A stored input as the model takes it: raw integers as they are where it has formats, else real values."""
    format_ = graph.tensors[name].format
    raw = format_ is not None and array.dtype in (np.uint8, np.int16)
    return array if raw else source.real({**dict.fromkeys(graph.inputs, array), name: array})[name]
