"""Quantization: weights and activations stored in few bits."""

from edgesmith.compress.quantize.bitnet import bitnet
from edgesmith.compress.quantize.fp8 import fp8
from edgesmith.compress.quantize.gaqat import gaqat
from edgesmith.compress.quantize.i_segmenter import i_segmenter
from edgesmith.compress.quantize.i_vit import i_vit
from edgesmith.compress.quantize.lsq import lsq
from edgesmith.compress.quantize.mixed import mixed
from edgesmith.compress.quantize.ptq import ptq
from edgesmith.compress.quantize.qfx import qfx
from edgesmith.compress.quantize.quantune import quantune
from edgesmith.compress.quantize.xr_npe import xr_npe

METHODS = (ptq, lsq, qfx, gaqat, bitnet, fp8, xr_npe, mixed, quantune, i_vit, i_segmenter)
