"""Policies that learn where tasks run, by trying: on the device or on one of several servers."""

from edgesmith.collaborate.offloading.com_ddpg import com_ddpg
from edgesmith.collaborate.offloading.gmorl import gmorl

METHODS = (com_ddpg, gmorl)
