"""What the NEON kernels want prepared (kernels/simd128.py): steps of 16 values, pointers of 8 bytes."""

from edgesmith.kernels.simd128 import variants

VARIANTS = variants(step=16, pointer_bytes=8)
