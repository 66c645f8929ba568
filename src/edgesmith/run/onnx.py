"""ONNX models in ONNX Runtime, to hold ours against."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgesmith.core.errors import BadInput, Missing


class OnnxRuntime:
    """An .onnx file in ONNX Runtime, one thread."""

    def __init__(self, path: Path | str) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise Missing('onnx: onnxruntime is not installed. Run: pip install "edgesmith[onnx]".') from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises types of its own for each way to fail
            raise BadInput(f"onnx: {Path(path).name} cannot be opened by ONNX Runtime ({str(error)[:300]}).") from error
        self._types = {one.name: one.type for one in self._session.get_inputs()}

    def run(self, inputs: Mapping[str, np.ndarray] | list[np.ndarray]) -> list[np.ndarray]:
        """One inference; outputs in the file's order. A list gives the inputs in that order."""
        arrays = list(inputs.values()) if isinstance(inputs, Mapping) else inputs
        found = self._session.run(None, dict(zip(self._types, arrays, strict=True)))
        return [np.asarray(array) for array in found]
