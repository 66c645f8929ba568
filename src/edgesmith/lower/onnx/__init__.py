"""ONNX models in: a checked reader of the file, and a lowering per operator."""

from edgesmith.lower.onnx.lowering import lower_model, lower_onnx
from edgesmith.lower.onnx.table import LOWERINGS

__all__ = ["LOWERINGS", "lower_model", "lower_onnx"]
