"""Every ONNX operator that has a lowering."""

from collections.abc import Mapping

from edgesmith.lower.onnx import elementwise, layers, norm, pooling, quantization, recurrent, shape
from edgesmith.lower.onnx.node import Lowering

LOWERINGS: Mapping[str, Lowering] = {
    **elementwise.LOWERINGS,
    **layers.LOWERINGS,
    **norm.LOWERINGS,
    **pooling.LOWERINGS,
    **quantization.LOWERINGS,
    **recurrent.LOWERINGS,
    **shape.LOWERINGS,
}

WAYS_ROUND: Mapping[str, str] = {
    "ArgMax": "Return the scores, and take the argmax where they are read.",
    "TopK": "Return the scores, and choose where they are read.",
    "Where": "Write it with a mask of zeros and ones: m * a + (1 - m) * b.",
    "Erf": "Export with opset 20 or later, which has Gelu.",
    "STFT": "Cut the model behind its spectrogram: lower_onnx(path, inputs=..., outputs=...).",
    "QLinearConv": "Quantize with quant_format=QuantFormat.QDQ.",
    "QLinearMatMul": "Quantize with quant_format=QuantFormat.QDQ.",
}
OTHERWISE = "Write it with supported ops, or cut the model before it."


def way_round(kind: str) -> str:
    """Advice for an operator without a lowering."""
    return WAYS_ROUND.get(kind, OTHERWISE)
