"""The compiler: from a graph with formats to C."""

from edgesmith.compile.edge_moe import edge_moe
from edgesmith.compile.non_neural import non_neural
from edgesmith.compile.patch import mcunetv2

METHODS = (mcunetv2, edge_moe, non_neural)
