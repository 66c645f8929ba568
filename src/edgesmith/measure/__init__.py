"""Measurement: what a model keeps of its quality where the world is not as its data."""

from edgesmith.measure.qrid import qrid

METHODS = (qrid,)
