"""The compiler: from a graph with formats to C."""

from edgesmith.compile.edge_moe import edge_moe

METHODS = (edge_moe,)
