"""The compiler: from a graph with formats to C."""

from edgesmith.compile.patch import mcunetv2

METHODS = (mcunetv2,)
