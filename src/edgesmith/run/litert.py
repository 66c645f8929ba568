"""TensorFlow Lite models in their own runtime, to hold ours against."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgesmith.core.errors import BadInput, Missing


class LiteRt:
    """A .tflite file in LiteRT's interpreter, one thread; variables keep their values from run to run.

    Args:
        layers: keep what every operator makes, for `tensor`.
    """

    def __init__(self, path: Path | str, layers: bool = False) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter, OpResolverType
        except ModuleNotFoundError as error:
            raise Missing('litert: it is not installed. Run: pip install "edgesmith[tflite]".') from error
        try:
            # The plain kernels: they follow TensorFlow Lite's own integer specification, XNNPACK's round otherwise.
            self._interpreter = Interpreter(
                str(path),
                num_threads=1,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                experimental_preserve_all_tensors=layers,
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise BadInput(f"litert: {Path(path).name} cannot be opened ({str(error)[:300]}).") from error

    def run(self, inputs: Mapping[str, np.ndarray] | list[np.ndarray]) -> list[np.ndarray]:
        """One inference; inputs and outputs in the file's order, stored as the file says."""
        arrays = list(inputs.values()) if isinstance(inputs, Mapping) else inputs
        for detail, array in zip(self._interpreter.get_input_details(), arrays, strict=True):
            self._interpreter.set_tensor(detail["index"], array.reshape(detail["shape"]).astype(detail["dtype"]))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(detail["index"]).copy() for detail in self.outputs]

    def tensor(self, index: int) -> np.ndarray:
        """What an operator made, by the tensor's number in the file."""
        return self._interpreter.get_tensor(index)

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """The runtime's facts about each input."""
        return self._interpreter.get_input_details()

    @property
    def outputs(self) -> list[dict[str, Any]]:
        """The runtime's facts about each output: index, shape, dtype, quantization."""
        return self._interpreter.get_output_details()
