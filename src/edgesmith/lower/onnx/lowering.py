"""ONNX models to Graphs: float ones plain, those with quantize and dequantize pairs with a format on every tensor."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgesmith.core import ops
from edgesmith.core.errors import BadInput, EdgesmithError, Unsupported
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Graph
from edgesmith.lower.bounded import BoundedBuilder, tidy
from edgesmith.lower.canonical import canonical
from edgesmith.lower.onnx.folding import FOLDED, folded
from edgesmith.lower.onnx.model import Model, Port, Step, part, read
from edgesmith.lower.onnx.node import Node, Stored, Value
from edgesmith.lower.onnx.table import LOWERINGS, way_round

RAW = ("uint8", "int8", "int16")
FOLDS_SHAPE = "Shape"
REFUSED = "refused"  # what takes the place of a type where nothing could be made


def lower_onnx(
    path: Path | str,
    name: str = "model",
    sizes: Mapping[str, int] | None = None,
    inputs: Mapping[str, tuple[int, ...]] | None = None,
    outputs: Sequence[str] = (),
) -> Graph:
    """Turn an .onnx file into a canonical Graph.

    A model with QuantizeLinear and DequantizeLinear pairs becomes a float graph whose tensors have those formats,
    which `integerize` carries out; uint8 activations become the int8 that mean the same.

    Args:
        sizes: of axes that the file leaves open, by their names in it; an open first axis is the batch, 1.
        inputs, outputs: cut a part out of the model: values by their names in the file, inputs with their shapes.

    Raises:
        Missing, BadInput: no such file, or it is damaged.
        Unsupported: ops have no lowering: every one of them, with its name and a way round.
    """
    model = read(path)
    if inputs or outputs:
        model = part(model, inputs or {}, outputs)
    return lower_model(model, name, sizes)


def lower_model(model: Model, name: str = "model", sizes: Mapping[str, int] | None = None) -> Graph:
    """The same from what `read` returns."""
    graph = canonical(Importer(model, name, sizes or {}).lowered())
    ops.check(graph)
    return graph


class Importer:
    """A model while it is lowered.

    Attributes:
        values: name in the file to a name in the graph, an array as long as it is constant, or a stored constant.
        problems: what was refused so far.
    """

    def __init__(self, model: Model, name: str, sizes: Mapping[str, int]) -> None:
        self.model, self.sizes = model, sizes
        self.b = BoundedBuilder(name)
        self.values: dict[str, Value] = dict(model.constants)
        self.problems: list[str] = []
        self.readers = Counter(name for step in model.steps for name in step.inputs)
        self.readers.update(model.outputs)

    def lowered(self) -> Graph:
        """The graph as it comes, before any pass."""
        inputs = [self._input(port) for port in self.model.inputs]
        for position, step in enumerate(self.model.steps):
            self._lower(position, step)
        if self.problems:
            lines = "".join(f"\n  {problem}" for problem in dict.fromkeys(self.problems))
            raise Unsupported(f"onnx: {len(dict.fromkeys(self.problems))} op(s) cannot be imported:{lines}")
        outputs = [value for name in self.model.outputs if isinstance(value := self._leaving(name), str)]
        if len(set(outputs)) < max(len(self.model.outputs), 1):
            raise Unsupported("onnx: an output is constant, missing or given twice; need different ones that are made.")
        return self.b.finish(inputs, outputs)

    def _leaving(self, name: str) -> Value:
        value = self.values.get(name)
        return value.name if isinstance(value, Stored) and value.integers is None else value

    def _input(self, port: Port) -> str:
        shape = []
        for axis, size in enumerate(port.shape):
            if isinstance(size, str) and size not in self.sizes and axis:
                raise Unsupported(
                    f"onnx: input {port.name!r} leaves axis {axis} open as {size!r}; give its size (sizes)."
                )
            shape.append(self.sizes.get(size, 1) if isinstance(size, str) else size)
        if port.dtype not in ("float32", *RAW, "int32", "int64") or min(shape, default=1) < 1:
            raise Unsupported(f"onnx: input {port.name!r} is {port.dtype}{tuple(shape)}; need float32 or integers.")
        if np.prod(shape, dtype=np.float64) > 1 << 28:
            raise BadInput(f"onnx: input {port.name!r} has the shape {shape}; need less.")
        format_ = PerTensor(1.0, 0, port.dtype) if port.dtype in RAW else None
        dtype = "int32" if port.dtype in ("int32", "int64") else "float32"
        name = self.b.declare(tidy(port.name, "x"), shape, dtype, format_)
        self.values[port.name] = name
        return name

    def _lower(self, position: int, step: Step) -> None:
        stem = tidy(step.outputs[0] if step.outputs else "", f"value{position}")
        label = tidy(step.name, "") or stem
        self.b.at(stem, label, f"node {position}: {step.kind[:60]}")
        try:
            if missing := [name for name in step.inputs if name and name not in self.values]:
                raise Unsupported(f"reads {missing[0][:60]!r}, which nothing before it makes.")
            inputs = [self.values[name] if name else None for name in step.inputs]
            if any(isinstance(value, Stored) and value.dtype == REFUSED for value in inputs):
                self._after_refused(step)
                return
            results = self._results(step, inputs)
            for name, value in zip(step.outputs, results, strict=False):
                self.values[name] = value
            if any(self.readers[name] for name in step.outputs[len(results) :] if name):
                raise Unsupported("has more outputs than its lowering makes.")
        except EdgesmithError as error:
            self._refuse(position, step, label, str(error))

    def _after_refused(self, step: Step) -> None:
        """Of an op that reads what could not be made, only its kind can be judged."""
        self._mark_refused(step)
        if step.kind not in LOWERINGS and step.kind not in FOLDED and step.kind != FOLDS_SHAPE:
            raise Unsupported(f"has no lowering. {way_round(step.kind)}")

    def _results(self, step: Step, inputs: list[Value]) -> list[Value]:
        if step.kind == FOLDS_SHAPE and inputs:
            return [self._shape(inputs[0])]
        arrays = [value for value in inputs if isinstance(value, np.ndarray)]
        if len(arrays) == sum(value is not None for value in inputs):
            known = folded(step, arrays)
            if known is not None:
                return [known]
        if step.kind not in LOWERINGS:
            raise Unsupported(f"has no lowering. {way_round(step.kind)}")
        readers = [self.readers[name] for name in step.inputs]
        made = LOWERINGS[step.kind](Node(self.b, step, inputs, readers, self.model.opset))
        return made if isinstance(made, list) else [made]

    def _shape(self, value: Value) -> np.ndarray:
        if isinstance(value, str):
            return np.array(self.b.shape(value), np.int64)
        if isinstance(value, np.ndarray):
            return np.array(value.shape, np.int64)
        raise Unsupported("asks for the shape of what has none.")

    def _refuse(self, position: int, step: Step, label: str, reason: str) -> None:
        """Note a problem and go on, so that all problems are found at once."""
        self.problems.append(f"{step.kind[:60]} (node {position}, {label!r}): {reason}")
        self._mark_refused(step)

    def _mark_refused(self, step: Step) -> None:
        for name in step.outputs:
            self.values[name] = Stored(None, np.zeros(0), np.zeros(0), 0, REFUSED)
