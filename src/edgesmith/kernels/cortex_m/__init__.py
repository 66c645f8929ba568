"""Kernels for Cortex-M: DSP instructions where the core has them, plain C where not."""
