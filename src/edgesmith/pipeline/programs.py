"""From a model to the graph that is compiled: how its numbers are stored, and which integer forms are asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.compile.edge_moe import edge_moe
from edgesmith.compile.integerize import integerize
from edgesmith.compress.quantize import i_segmenter, i_vit, ptq
from edgesmith.compress.quantize.calibrators import Calibration
from edgesmith.core.errors import BadInput, Unsupported
from edgesmith.core.graph import Graph
from edgesmith.core.task import Split, Task, is_index
from edgesmith.lower import Lifted, channels_last_input, graph_of, lower, raw_tensor, with_normalize
from edgesmith.lower.classical import Classical, lower_classical

# What `--method` means: how the formats are chosen, and which forms are asked for after it.
METHODS: Mapping[str, tuple[Callable[..., Any], Callable[[Graph], Graph]]] = {
    "ptq": (ptq, lambda graph: graph),
    "i-vit": (lambda calibration: i_vit(calibration=calibration), lambda graph: graph),
    "i-segmenter": (lambda calibration: i_segmenter(calibration=calibration), lambda graph: graph),
    "edge-moe": (ptq, edge_moe()),
}
SEEN_SAMPLES = 2048  # of the training split, from which fixed point takes its ranges
RANDOM_SAMPLES = 32  # to calibrate on when there are no data: costs are right, accuracy means nothing


@dataclass(frozen=True)
class Numbers:
    """How a model's numbers are stored and computed.

    Attributes:
        precision: "int8" or "float32"; of a classical model int8 is fixed point.
        calibration: how an activation's range follows from its values.
        method: of int8; the integer forms of attention and activation (docs/transformers.md).
        images: of the calibration split that the ranges follow from; 0 for all.
        integer_only: refuse a program with a float op.
    """

    precision: str = "int8"
    calibration: Calibration = "mse"
    method: str = "ptq"
    images: int = 0
    integer_only: bool = False

    def __post_init__(self) -> None:
        if self.precision not in ("int8", "float32"):
            raise BadInput(f"compile: precision {self.precision!r}; need int8 or float32.")
        if self.method not in METHODS:
            raise BadInput(f"compile: method {self.method!r}; need one of: {', '.join(METHODS)}.")
        if self.precision == "float32" and (self.method != "ptq" or self.integer_only):
            raise BadInput("compile: float32 has no integer forms; need --precision int8 for them.")
        if self.images < 0:
            raise BadInput(f"compile: {self.images} images; need 0 for the whole calibration split, or more.")


@dataclass(frozen=True)
class Programs:
    """What a model becomes.

    Attributes:
        source: the float graph on raw inputs, with formats where it is to be integer.
        compiled: the program, its input in the layout that needs no permute.
    """

    source: Graph
    compiled: Graph


Model = nn.Module | Classical


def programs(
    module: Model, example_inputs: tuple[Tensor, ...], task: Task | None, name: str, numbers: Numbers
) -> Programs:
    """Both graphs of a model.

    Raises:
        BadInput: unknown calibration.
        Unsupported: an op without a lowering, or one in floats where there should be none.
    """
    if isinstance(module, Classical):
        return _classical(module, task or random_task(example_inputs, name), name, numbers)
    source = stored_graph(module, example_inputs, task, name, numbers)
    compiled = channels_last_input(integerize(source, int8_inputs(source, example_inputs)))
    if numbers.integer_only:
        check_integers(compiled)
    return Programs(source, compiled)


def _classical(model: Classical, task: Task, name: str, numbers: Numbers) -> Programs:
    rows = seen_rows(task)
    source = lower_classical(model, rows, "float32", name)
    return Programs(source, lower_classical(model, rows, "fixed", name) if numbers.precision == "int8" else source)


def seen_rows(task: Task) -> np.ndarray:
    """Raw samples from which fixed point takes its ranges."""
    return np.concatenate([task.calibration.inputs, task.train.inputs[:SEEN_SAMPLES]])


def source_graph(
    module: nn.Module,
    example_inputs: tuple[Tensor, ...],
    task: Task | None,
    name: str,
    precision: str,
    calibration: str,
) -> Graph:
    """As `stored_graph`, by the usual method."""
    numbers = Numbers(precision, calibration)  # type: ignore[arg-type]
    return stored_graph(module, example_inputs, task, name, numbers)


def stored_graph(
    module: nn.Module, example_inputs: tuple[Tensor, ...], task: Task | None, name: str, numbers: Numbers
) -> Graph:
    """The float graph of a model on raw inputs, with formats when it is to be int8; errors as in `programs`."""
    if is_quantized(module):
        return quantized_source(module, example_inputs, task, name)
    task = task or random_task(example_inputs, name)
    raw = (raw_tensor(task.calibration.inputs[:1]),)
    if numbers.precision == "float32":
        return lower(with_normalize(module, task.normalize), raw, name)
    if numbers.images:
        few = Split(task.calibration.inputs[: numbers.images], task.calibration.labels[: numbers.images])
        task = replace(task, calibration=few)
    quantize, run = METHODS[numbers.method]
    return run(graph_of(quantize(numbers.calibration)(module, task), raw, name))


def check_integers(graph: Graph) -> None:
    """Refuse a program that computes in floats anywhere.

    Raises:
        Unsupported: it names the first such op.
    """
    floats = [op for op in graph.ops if any(t.dtype == "float32" for t in graph.types((*op.inputs, *op.outputs)))]
    if floats:
        first = floats[0]
        raise Unsupported(
            f"compile: {len(floats)} ops compute in floats, the first is {first.kind} ({first.name}, "
            f"{first.source or 'no source line'}); need none with --integer-only. Raw integer inputs and ops with an "
            "integer form leave none."
        )


def is_quantized(module: Model) -> bool:
    """Whether a module has its formats already, as an imported int8 model does."""
    return isinstance(module, Lifted) and any(t.format for t in module.graph.tensors.values())


def quantized_source(module: nn.Module, example_inputs: tuple[Tensor, ...], task: Task | None, name: str) -> Graph:
    """The graph of a module that has its formats, behind its task's normalization where that is any."""
    normalized = with_normalize(module, task.normalize) if task else module
    if task is None or normalized is module:
        return graph_of(module, example_inputs, name)
    return lower(normalized, (raw_tensor(task.calibration.inputs[:1]),), name)


def int8_inputs(source: Graph, example_inputs: tuple[Tensor, ...]) -> tuple[str, ...]:
    """The inputs of a graph that arrive as int8, because their examples are."""
    pairs = zip(source.inputs, example_inputs, strict=False)
    return tuple(name for name, example in pairs if example.dtype == torch.int8)


def random_task(example_inputs: tuple[Tensor, ...], name: str) -> Task:
    """A task of seeded random inputs of the example's shape, for models without data.

    Indices are drawn from those of the example, for no others are known to be valid.
    """
    if len(example_inputs) != 1:
        raise BadInput(f"{name}: it takes {len(example_inputs)} inputs; without a task need exactly one.")
    shape = tuple(example_inputs[0].shape[1:])
    rng, example = np.random.default_rng(0), example_inputs[0].detach().numpy()
    if is_index(example.dtype):
        inputs = rng.choice(example.ravel(), (RANDOM_SAMPLES, *shape)).astype(np.int32)
    else:
        inputs = rng.standard_normal((RANDOM_SAMPLES, *shape)).astype(np.float32)
    split = Split(inputs, np.zeros(RANDOM_SAMPLES, np.int64))
    return Task(name, split, split, split, split)
