"""Kernels for NEON."""
