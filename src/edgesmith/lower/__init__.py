"""Between torch and Graph: `lower` one way, `lift` the other."""

from edgesmith.lower.canonical import canonical, channels_first_input, channels_last_input
from edgesmith.lower.export import load_pt2
from edgesmith.lower.lift import Lifted, lift
from edgesmith.lower.lowering import graph_of, lower, lower_program, lower_pt2, raw_tensor, with_normalize

__all__ = [
    "Lifted",
    "canonical",
    "channels_first_input",
    "channels_last_input",
    "graph_of",
    "lift",
    "load_pt2",
    "lower",
    "lower_program",
    "lower_pt2",
    "raw_tensor",
    "with_normalize",
]
