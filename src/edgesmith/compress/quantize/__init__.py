"""Quantization: weights and activations stored in few bits."""

from edgesmith.compress.quantize.ptq import ptq

METHODS = (ptq,)
