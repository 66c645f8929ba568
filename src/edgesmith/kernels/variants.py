"""What each folder's version of a kernel file needs: scratch bytes and its own order of the weights."""

from collections.abc import Mapping
from pathlib import Path

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

# Folder to the alignment of constants in bytes: whole vectors where kernels read such, else a word at a time.
CONSTANT_ALIGNMENT: Mapping[str, int] = {"x86": 64}
WORD = 4
# Folders whose kernels share work out, for targets with an operating system, and what runs it (edgesmith_threads.h).
THREADED = frozenset({"x86"})
THREADS = Path(__file__).parent / "hosted" / "threads.c"
