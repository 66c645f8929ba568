"""Quantization: weights and activations stored in few bits."""
