"""Binary nets: weights and activations of one bit."""

from edgesmith.compress.binary.mst_compression import mst_compression

METHODS = (mst_compression,)
