"""What the WebAssembly kernels want prepared (kernels/simd128.py): steps of 8 values, pointers of 4 bytes."""

from edgesmith.kernels.simd128 import variants

VARIANTS = variants(step=8, pointer_bytes=4)
