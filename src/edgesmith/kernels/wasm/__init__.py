"""Kernels for WebAssembly."""
