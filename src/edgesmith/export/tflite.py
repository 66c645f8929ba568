"""TensorFlow Lite out: int8 where the model has formats, else float; written op by op, checked in LiteRT."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.core.graph import Graph
from edgesmith.export.check import Outputs, floats_agree, integers_agree, our_floats, our_integers
from edgesmith.export.source import Inputs, Source
from edgesmith.export.tflite_ops import TABLE
from edgesmith.export.tflite_writer import Writer
from edgesmith.lower import channels_last_input
from edgesmith.pipeline.verify import Relation
from edgesmith.run.litert import LiteRt

RUNTIME = "LiteRT"


def tflite(source: Source) -> tuple[dict[str, bytes], Relation]:
    """The model with its images channels last.

    Raises:
        Missing: LiteRT is not installed.
        Unsupported: it keeps states, or an op has no form there.
    """
    if source.graph.states:
        raise Unsupported(f"tflite: {source.name} keeps states from run to run; need a model without.")
    turned = channels_last(source)
    graph = turned.graph if turned.quantized else turned.floats()
    model = Writer(graph, TABLE).written()
    name = f"{source.name}_int8.tflite" if turned.quantized else f"{source.name}.tflite"
    theirs = _outputs(model, turned)
    if turned.quantized:
        return {name: model}, integers_agree(RUNTIME, turned, our_integers(turned), theirs)
    return {name: model}, floats_agree(RUNTIME, our_floats(turned), theirs, source.origin)


def channels_last(source: Source) -> Source:
    """The same with inputs that need no permute, and samples arranged so."""
    graph = channels_last_input(source.graph)
    return replace(source, graph=graph, samples=tuple(_arranged(source, graph, sample) for sample in source.samples))


def _arranged(source: Source, graph: Graph, sample: Inputs) -> Inputs:
    found = {}
    for name, array in sample.items():
        wanted = graph.tensors[name].shape
        found[name] = array if array.shape == wanted else np.ascontiguousarray(np.moveaxis(array, 1, -1))
    return found


def _outputs(model: bytes, source: Source) -> Outputs:
    with TemporaryDirectory(prefix="edgesmith-export-") as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(model)
        runner = LiteRt(path)
        kinds = [detail["dtype"] for detail in runner.inputs]
        found = []
        for sample in source.samples:
            real = source.real(sample)
            arrays = [
                sample[name] if np.dtype(kind).kind in "iu" else real[name]
                for name, kind in zip(source.graph.inputs, kinds, strict=True)
            ]
            found.append(runner.run(arrays))
    return found
