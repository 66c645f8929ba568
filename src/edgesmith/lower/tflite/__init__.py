"""TensorFlow Lite models in: a bounded reader of the file, and a lowering per operator."""

from edgesmith.lower.tflite.lowering import lower_model, lower_tflite, tflite_inputs
from edgesmith.lower.tflite.table import LOWERINGS, VARIABLES

__all__ = ["LOWERINGS", "VARIABLES", "lower_model", "lower_tflite", "tflite_inputs"]
