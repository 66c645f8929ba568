"""TensorFlow Lite out."""

from edgesmith.core.errors import Unsupported
from edgesmith.export.source import Source
from edgesmith.verify import Relation


def tflite(source: Source) -> tuple[dict[str, bytes], Relation]:
    """Not there.

    Raises:
        Unsupported: always.
    """
    raise Unsupported(
        "export: .tflite is not written: its converter from torch, litert-torch, needs an environment of its own. "
        "Use --to onnx or --to executorch."
    )
