"""Patch-based inference and line buffers: a net's first stage piece by piece, in a fraction of its memory."""

from edgesmith.compile.patch.mcunetv2 import mcunetv2
from edgesmith.compile.patch.schedule import Schedule, parse
from edgesmith.compile.patch.search import Choice

__all__ = ["Choice", "Schedule", "mcunetv2", "parse"]
