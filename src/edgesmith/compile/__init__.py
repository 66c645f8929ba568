"""The compiler: from a graph with formats to C."""

from edgesmith.compile.edge_moe import edge_moe
from edgesmith.compile.patch import mcunetv2

METHODS = (mcunetv2, edge_moe)
