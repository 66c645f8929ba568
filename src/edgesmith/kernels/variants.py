"""What each folder's version of a kernel file needs: scratch bytes and its own order of the weights."""

from collections.abc import Mapping

from edgesmith.kernels.cortex_m import layout as cortex_m
from edgesmith.kernels.kernel import Variant
from edgesmith.kernels.neon import layout as neon
from edgesmith.kernels.reference import layout as reference
from edgesmith.kernels.wasm import layout as wasm
from edgesmith.kernels.x86 import layout as x86

# Folder to kernel file (without ending) to variant; a file that is not named needs nothing.
VARIANTS: Mapping[str, Mapping[str, Variant]] = {
    "reference": reference.VARIANTS,
    "cortex_m": cortex_m.VARIANTS,
    "x86": x86.VARIANTS,
    "neon": neon.VARIANTS,
    "wasm": wasm.VARIANTS,
}
