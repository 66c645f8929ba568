"""Models in another framework's file: imported, run here, and held against their own runtime."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgesmith.compile.integerize import integerize
from edgesmith.core import ops
from edgesmith.core.errors import BadInput, Missing, Unsupported
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Graph
from edgesmith.core.interface import decode, encode, random_input
from edgesmith.core.ops import interpret
from edgesmith.lower.onnx import lower_onnx
from edgesmith.lower.tflite import lower_tflite, tflite_inputs
from edgesmith.lower.tflite.lowering import Importer
from edgesmith.lower.tflite.model import read as read_tflite
from edgesmith.pipeline.build import native
from edgesmith.pipeline.verify import FLOAT_TOLERANCE, Interpreted, Relation, first_difference
from edgesmith.run.litert import LiteRt
from edgesmith.run.onnx import OnnxRuntime

SUFFIXES = (".onnx", ".tflite")
# What int8 layers may differ from TensorFlow Lite's, which round twice: steps of any value, share of all values; an
# LSTM over its whole window: steps (docs/numbers.md, Relations).
LAYER_STEPS, LAYER_SHARE, LSTM_STEPS = 1, 0.02, 4
MEAN_STEPS = 1.0  # what int8 outputs may differ on the average from a runtime that cannot show its layers
UINT8_TO_INT8 = 128
Inputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Imported:
    """A model from a file.

    Attributes:
        source: the float graph, with the file's formats where it is quantized.
        stored: inputs that arrive as int8.
    """

    path: Path
    source: Graph
    stored: tuple[str, ...] = ()

    @property
    def quantized(self) -> bool:
        """Whether activations are stored as integers."""
        return any(isinstance(tensor.format, PerTensor) for tensor in self.source.tensors.values())

    def program(self) -> Graph:
        """What is executed: integers where the file has formats, else the float graph."""
        return integerize(self.source, self.stored)


def is_model_file(spec: str | Path) -> bool:
    """Whether a name on the command line is a model's file of another framework."""
    return Path(spec).suffix in SUFFIXES


def import_model(path: Path | str, name: str = "model") -> Imported:
    """Import an .onnx or .tflite file; nothing in it is executed.

    Raises:
        BadInput, Missing, Unsupported: as `lower_onnx` and `lower_tflite` say; or the name ends otherwise.
    """
    path = Path(path)
    if path.suffix == ".onnx":
        return Imported(path, lower_onnx(path, name))
    if path.suffix != ".tflite":
        raise BadInput(f"import: {path} ends in {path.suffix!r}; need one of {', '.join(SUFFIXES)}.")
    graph = lower_tflite(path, name)
    kinds = zip(graph.inputs, tflite_inputs(path), strict=True)
    return Imported(path, graph, tuple(name for name, kind in kinds if kind == "int8"))


def run_model(path: Path, inputs: Inputs, on: str = "host") -> dict[str, np.ndarray]:
    """Run a model's file once, compiled for this machine ("host") or in numpy: output name to real values."""
    graph = import_model(path).program()
    if on == "board":
        raise Unsupported(f"run: {path} is compiled for no board; need an artifact. Run edgesmith compile first.")
    if on not in ("host", "numpy"):
        raise BadInput(f"run: {on!r} is no place to run; need host or numpy.")
    if set(inputs) == {""} and len(graph.inputs) == 1:
        inputs = {graph.inputs[0]: inputs[""]}
    if missing := [name for name in graph.inputs if name not in inputs]:
        raise BadInput(f"run: input {missing[0]!r} is missing; need {', '.join(graph.inputs)}.")
    stored = {name: encode(graph.tensors[name], inputs[name]) for name in graph.inputs}
    outputs = interpret(graph, stored) if on == "numpy" else native(graph).run(stored)
    return {name: decode(graph.tensors[name], array) for name, array in outputs.items()}


def verify_model(path: Path, count: int = 16) -> tuple[Relation, ...]:
    """Hold an imported model against C on this machine, and against its own runtime.

    Args:
        count: of seeded random inputs, in order from the initial state.
    """
    model = import_model(path)
    graph = model.program()
    rng = np.random.default_rng(0)
    samples = [{name: random_input(graph, name, rng) for name in graph.inputs} for _ in range(count)]
    numpy = [list(outputs.values()) for outputs in map(Interpreted(graph).run, samples)]
    runner = native(graph)
    compiled = [list(runner.run(sample).values()) for sample in samples]
    pairs = [pair for x, y in zip(numpy, compiled, strict=True) for pair in zip(x, y, strict=True)]
    same = all(first_difference(want, got) is None for want, got in pairs)
    relations = [Relation("numpy = C on this machine", same, sum(a.size for x in numpy for a in x), f"{count} inputs")]
    try:
        if path.suffix == ".tflite" and model.quantized:
            relations.append(layers_against_litert(path, samples[: max(1, count // 4)]))
        relations.append(against_runtime(model, samples))
    except (BadInput, Missing) as error:  # of the runtime: it is absent, or refuses a file that can be imported
        relations.append(Relation("its own runtime", None, 0, str(error)))
    return tuple(relations)


def against_runtime(model: Imported, samples: Sequence[Inputs]) -> Relation:
    """Outputs end to end against the file's own runtime.

    Floats must agree within FLOAT_TOLERANCE of the largest, or of 1. Integers within MEAN_STEPS of the output's format
    on the average, which a .tflite need not meet: its layers are held one by one.
    """
    graph = model.program()
    tflite = model.path.suffix == ".tflite"
    theirs, ours = (LiteRt if tflite else OnnxRuntime)(model.path), Interpreted(graph)
    steps, worst, count = [np.zeros(0)], 0.0, 0
    for sample in samples:
        wanted = theirs.run([sample[name] for name in graph.inputs])
        found = ours.run(sample)
        for want, name in zip(wanted, graph.outputs, strict=True):
            tensor, got = graph.tensors[name], found[name].reshape(want.shape)
            count += want.size
            if isinstance(tensor.format, PerTensor):
                steps.append(np.abs(_stored(want, tensor.format) - got).ravel())
            else:
                scale = max(1.0, float(np.abs(want).max(initial=0)))
                worst = max(worst, float(np.abs(want - got).max(initial=0)) / scale)
    return _end_to_end("LiteRT" if tflite else "ONNX Runtime", np.concatenate(steps), worst, count, model, tflite)


def _end_to_end(runtime: str, steps: np.ndarray, worst: float, count: int, model: Imported, layered: bool) -> Relation:
    name = f"outputs = {runtime}"
    if steps.size:
        said = f"{(steps > 0).mean():.2%} of {steps.size:,} values differ, by {steps.mean():.2g} steps on the average"
        said += f" and at most {steps.max():.0f}"
        return Relation(name, None if layered else bool(steps.mean() <= MEAN_STEPS), count, said)
    said = f"floats differ by at most {worst:.2g} of the largest output, or of 1"
    return Relation(name, None if model.quantized else worst <= FLOAT_TOLERANCE, count, said)


def _stored(values: np.ndarray, format_: PerTensor) -> np.ndarray:
    """A runtime's output as the integers that we store."""
    if values.dtype == np.uint8 and format_.dtype == "int8":
        return values.astype(np.int64) - UINT8_TO_INT8
    return values.astype(np.int64) if values.dtype.kind in "iu" else format_.quantize(values).astype(np.int64)


def layers_against_litert(path: Path, samples: Sequence[Inputs]) -> Relation:
    """Every int8 layer of a .tflite on LiteRT's own inputs to it: at most LAYER_STEPS, on LAYER_SHARE of all."""
    model = read_tflite(path)
    importer = Importer(model, "model")
    values = model.programs[0].values
    source = importer.lowered()
    kinds = {importer.names[i]: values[i].dtype for i in model.programs[0].inputs}
    graph = integerize(source, [name for name, kind in kinds.items() if kind == "int8"])
    shown = {n: i for i, n in importer.names.items() if values[i].dtype == "int8" and not values[i].is_constant}
    kept = {n: i for i, n in importer.names.items() if values[i].variable}
    theirs, known = LiteRt(path, layers=True), dict(graph.constants)
    known.update({state.tensor: state.initial for state in graph.states})
    found: dict[str, tuple[int, int, int]] = {}
    for sample in samples:
        arrays = list(sample.values())  # in the file's order; passes may have given the inputs other names
        known.update(zip(graph.inputs, arrays, strict=True))
        theirs.run(arrays)
        _follow(graph, known, {name: theirs.tensor(index) for name, index in shown.items()}, found)
        known.update({state.tensor: known[state.update] for state in graph.states})
        for name, index in kept.items():
            known[name] = theirs.tensor(index).reshape(graph.tensors[name].shape)
    return _by_layer(found, _of_lstm(graph))


def _follow(graph: Graph, known: dict[str, np.ndarray], shown: Inputs, found: dict[str, tuple[int, int, int]]) -> None:
    """Run each op on what LiteRT made before it; count values, those that differ, and the most steps, by result."""
    for op in graph.ops:
        results = ops.spec_of(op).run([known[name] for name in op.inputs], ops.attrs_of(op))
        for name, result in zip(op.outputs, results, strict=True):
            known[name] = result
            if name in shown and result.dtype == np.int8 and shown[name].size == result.size:
                known[name] = shown[name].reshape(result.shape)
                steps = np.abs(known[name].astype(int) - result)
                size, differing, most = found.get(name, (0, 0, 0))
                most = max(most, int(steps.max(initial=0)))
                found[name] = (size + steps.size, differing + int((steps > 0).sum()), most)


def _of_lstm(graph: Graph) -> set[str]:
    """Results of LSTMs, whose states are rounded at every step of a window; shapes aside."""
    names: set[str] = set()
    for op in graph.ops:
        if op.kind == "lstm_s8" or (op.kind == "reshape" and op.inputs[0] in names):
            names.update(op.outputs)
    return names


def _by_layer(found: Mapping[str, tuple[int, int, int]], lstms: set[str]) -> Relation:
    size, differing = sum(f[0] for f in found.values()), sum(f[1] for f in found.values())
    most = max((f[2] for f in found.values()), default=0)
    wrong = [name for name, f in found.items() if f[2] > (LSTM_STEPS if name in lstms else LAYER_STEPS)]
    plain = [f for name, f in found.items() if name not in lstms]
    few = sum(f[1] for f in plain) <= LAYER_SHARE * sum(f[0] for f in plain)
    said = f"{differing / max(size, 1):.3%} of {size:,} values in {len(found)} layers differ, by at most {most} steps"
    said += f"; first beyond its limit: {wrong[0]!r}" if wrong else ""
    return Relation("integers = LiteRT, layer by layer", few and not wrong if size else None, size, said)
