"""Which task runs where and when, on one edge and a cloud."""

from edgesmith.collaborate.schedule.dems_a import dems_a
from edgesmith.collaborate.schedule.gems import gems

METHODS = (dems_a, gems)
