"""Structured pruning: whole channels go, so that every target runs the smaller net faster."""

from edgesmith.compress.prune.l1_norm import l1_norm
from edgesmith.compress.prune.slimming import slimming
from edgesmith.compress.prune.taylor import taylor

METHODS = (l1_norm, slimming, taylor)
