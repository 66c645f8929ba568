"""Distillation: training a small net to answer as a large one does."""

from edgesmith.compress.distill.kd import kd

METHODS = (kd,)
