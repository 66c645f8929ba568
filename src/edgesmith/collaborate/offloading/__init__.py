"""Policies that learn where tasks run, by trying: on the device or on one of several servers."""

from edgesmith.collaborate.offloading.gmorl import gmorl

METHODS = (gmorl,)
