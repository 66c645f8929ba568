"""Quantization: weights and activations stored in few bits."""

from edgesmith.compress.quantize.adaround import adaround
from edgesmith.compress.quantize.awq import awq
from edgesmith.compress.quantize.bitnet import bitnet
from edgesmith.compress.quantize.fp8 import fp8
from edgesmith.compress.quantize.gaqat import gaqat
from edgesmith.compress.quantize.gptq import gptq
from edgesmith.compress.quantize.hqq import hqq
from edgesmith.compress.quantize.i_segmenter import i_segmenter
from edgesmith.compress.quantize.i_vit import i_vit
from edgesmith.compress.quantize.lsq import lsq
from edgesmith.compress.quantize.mixed import mixed
from edgesmith.compress.quantize.nf4 import nf4
from edgesmith.compress.quantize.ptq import ptq
from edgesmith.compress.quantize.qfx import qfx
from edgesmith.compress.quantize.quantune import quantune
from edgesmith.compress.quantize.rtn import rtn
from edgesmith.compress.quantize.smoothquant import smoothquant
from edgesmith.compress.quantize.xr_npe import xr_npe

METHODS = (
    ptq,
    rtn,
    gptq,
    awq,
    smoothquant,
    hqq,
    adaround,
    nf4,
    lsq,
    qfx,
    gaqat,
    bitnet,
    fp8,
    xr_npe,
    mixed,
    quantune,
    i_vit,
    i_segmenter,
)
