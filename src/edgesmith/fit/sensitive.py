"""For the report: bits of each layer, and which tensors suffer most from few bits, and why."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edgesmith.compress.quantize.causes import causes, shapes
from edgesmith.compress.quantize.sensitivity import SAMPLES, sensitivities, spots
from edgesmith.core.formats import PerChannel
from edgesmith.core.graph import Graph
from edgesmith.core.task import Split, Task

BITS = 4  # at which layers are told apart: 8 hurt few, 2 all
ENDS = 8


def with_bits(layers: Mapping[str, Any], graph: Graph) -> dict[str, Any]:
    """The table of layers with the bits of each one's weights, where some have fewer than 8."""
    bits: dict[str, int] = {}
    for op in graph.ops:
        found = [graph.tensors[name].format for name in op.inputs if name in graph.constants]
        widths = [f.bits for f in found if isinstance(f, PerChannel) and f.dtype == "int8"]
        if widths:
            bits[op.name] = min(widths)
    if not any(width < ENDS for width in bits.values()):
        return dict(layers)
    return {**layers, "rows": [{**row, "bits": bits.get(row["name"])} for row in layers["rows"]]}


def suffering(source: Graph, task: Task) -> dict[str, Any]:
    """The report's section: every tensor of the net, as float, rounded to BITS alone.

    Args:
        source: float on raw inputs, with the formats that were chosen.
    """
    plain = replace(source, tensors={name: replace(t, format=None) for name, t in source.tensors.items()})
    split = Split(task.calibration.inputs[:SAMPLES], task.calibration.labels[:SAMPLES])
    part = replace(task, calibration=split)
    places, seen = spots(plain, split.inputs, (BITS,))
    rows = sensitivities(plain, part, places, (BITS,), ("kl",))
    found = causes(rows, shapes(plain, split.inputs, places, seen), BITS)
    stored = {name: getattr(tensor.format, "bits", None) for name, tensor in source.tensors.items()}
    how = (
        f"Each tensor alone rounded to {BITS} bits, on {len(split)} calibration samples; the harm is how far the "
        "outputs move (Kullback-Leibler divergence; without classes, squared change over variance)."
    )
    said = [{**cause.to_json(), "stored_bits": stored[cause.tensor]} for cause in found]
    return {"bits": BITS, "how": how, "rows": said}
