"""From a float graph annotated with formats to a graph of integer ops."""

from collections.abc import Collection

from edgesmith.compile.integerize.builder import Builder
from edgesmith.compile.integerize.chains import Chains
from edgesmith.compile.integerize.rules import rule_for
from edgesmith.compile.integerize.signs import take as take_signs
from edgesmith.core.graph import Graph

__all__ = ["integerize"]


def integerize(graph: Graph, stored: Collection[str] = ()) -> Graph:
    """Carry out the formats of an annotated float graph (docs/numbers.md).

    Ops whose inputs and outputs all have formats become integer ops; the others stay float, with `quantize` and
    `dequantize` at the borders. Inputs with a raw format (uint8, int16) take the sensor's integers. Outputs stay
    stored in their format; the caller dequantizes. Tensors with a format keep their names.

    Args:
        graph: float32, canonical, as `lower` makes it; formats as `compress.quantize` places them.
        stored: inputs that arrive as the int8 of their format; others of int8 arrive as floats and are quantized.

    Raises:
        BadInput: a format that the op has no meaning for.
        Unsupported: a sum could leave int32, or a factor is beyond a multiplier.
    """
    builder = Builder(graph, stored)
    chains = Chains(builder)
    for op in graph.ops:
        if take_signs(builder, op) or chains.take(op):
            continue
        chains.realize(op.inputs)
        rule = rule_for(builder, op)
        if rule is None:
            builder.float_result(op)
        else:
            rule.emit(builder, op)
    chains.realize(tuple(graph.kept()))
    return builder.finish()
