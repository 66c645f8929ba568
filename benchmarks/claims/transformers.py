"""What the experiments on transformers share: trained nets by seed, and a program's figures on the emulated board."""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgesmith import targets, zoo
from edgesmith.compile.integerize import integerize
from edgesmith.core.cache import cache_folder
from edgesmith.core.graph import Graph
from edgesmith.core.task import Split, Task
from edgesmith.data import named_task
from edgesmith.emulate.float_use import float_use
from edgesmith.lower import Lifted, channels_last_input, lower, with_normalize
from edgesmith.pipeline.build import bind_for, firmware
from edgesmith.pipeline.realize import host_accuracy, realize
from edgesmith.training.evaluate import evaluate
from edgesmith.training.recipe import Recipe
from edgesmith.zoo.builders import build
from edgesmith.zoo.testbed import load_weights

sys.path.insert(0, str(Path(__file__).parent))
from testbeds import fastest

SEEDS = (0, 1, 2)
BOARD = "nucleo-l4r5zi"  # a Cortex-M4 with a float unit

Make = Callable[[Recipe | None, int], Callable[[nn.Module, Task], Lifted]]  # a method, of a fine-tuning and its seed
Series = dict[str, list[float]]  # one value a seed


@dataclass(frozen=True)
class Figures:
    """Of one program on the emulated board.

    Attributes:
        cycles: modelled from the instructions counted.
        constant_bytes: weights and tables.
        float_instructions: in the linked program, start-up code apart.
    """

    instructions: int
    cycles: float
    flash_bytes: int
    ram_bytes: int
    constant_bytes: int
    float_instructions: int
    by_kind: dict[str, float]


def trained(net: str, seed: int) -> tuple[nn.Module, Task]:
    """A net of the zoo trained by its recipe with this seed, kept in the cache, and its task."""
    path = cache_folder() / "claims" / f"{net}.seed{seed}.safetensors"
    if not path.is_file():
        zoo.train(net, seed, path, accelerator=fastest().accelerator)
    module = build(zoo.info(net)).eval()
    load_weights(module, path)
    return module, named_task(zoo.info(net).dataset or "")


def shortened(task: Task, count: int) -> Task:
    """The task with the first `count` test samples."""
    return replace(task, test=Split(task.test.inputs[:count], task.test.labels[:count]))


def float_score(module: nn.Module, task: Task) -> float:
    """The task's metric of the float module on the test split."""
    return evaluate(module, task, task.test)


def integer(module: nn.Module) -> Graph:
    """The integer program of a module with formats."""
    assert isinstance(module, Lifted)
    return channels_last_input(integerize(module.to_graph()))


def integer_score(module: nn.Module, task: Task) -> float:
    """The task's metric of the compiled C on the test split."""
    return host_accuracy(integer(module), task)[0].value


def float_program(module: nn.Module, task: Task) -> Graph:
    """The float program, on raw values."""
    example = (torch.from_numpy(task.calibration.inputs[:1]).float(),)
    return channels_last_input(lower(with_normalize(module, task.normalize), example))


def figures(graph: Graph) -> Figures:
    """Count a program on the board; its inputs do not change what it executes by much."""
    target = targets.load(BOARD)
    done = realize(graph, target)
    by_kind: dict[str, float] = {}
    for layer in done.profile.layers:
        by_kind[layer.kind] = by_kind.get(layer.kind, 0.0) + layer.cycles
    with tempfile.TemporaryDirectory() as folder:
        floats = float_use(firmware(bind_for(graph, target), Path(folder), roomy=True))
    return Figures(
        int(done.profile.instructions or 0),
        done.readings["latency"].value / 1e3 * target.clock_hz,
        int(done.readings["flash"].value),
        int(done.readings["ram"].value),
        graph.weight_bytes(),
        len(floats),
        by_kind,
    )


def with_one_image(task: Task, index: int) -> Task:
    """The task with a single calibration image."""
    rows = np.s_[index : index + 1]
    return replace(task, calibration=Split(task.calibration.inputs[rows], task.calibration.labels[rows]))


def by_seed(net: str, method: Make, tune: Recipe, tests: int | None = None) -> tuple[Series, Series]:
    """A method on nets trained with each seed, beside the float nets.

    Args:
        tune: the fine-tuning of "tuned"; the others train nothing.
        tests: samples of the test split that are looked at; None for all.

    Returns:
        The task's metric by "float", "ptq", "tuned" and "one" (a single calibration image), and ratios of the float to
        the integer program by "cycles", "instructions" and "constants"; its "floats" are float instructions left.
    """
    found: Series = {name: [] for name in ("float", "ptq", "tuned", "one")}
    ratios: Series = {name: [] for name in ("cycles", "instructions", "constants", "floats")}
    slow = None
    for seed in SEEDS:
        module, task = trained(net, seed)
        task = task if tests is None else shortened(task, tests)
        int8 = method(None, 0)(module, task)
        found["float"].append(float_score(module, task))
        found["ptq"].append(integer_score(int8, task))
        found["tuned"].append(integer_score(method(tune, seed)(module, task), task))
        found["one"].append(integer_score(method(None, 0)(module, with_one_image(task, seed)), task))
        fast = figures(integer(int8))
        slow = slow or figures(float_program(module, task))  # the same program for every seed, only its weights differ
        ratios["cycles"].append(slow.cycles / fast.cycles)
        ratios["instructions"].append(slow.instructions / fast.instructions)
        ratios["constants"].append(slow.constant_bytes / fast.constant_bytes)
        ratios["floats"].append(float(fast.float_instructions))
        print(seed, {**{k: v[-1] for k, v in found.items()}, **{k: v[-1] for k, v in ratios.items()}}, flush=True)
    return found, ratios
