"""A net of the zoo made ready: its task, its module with the trained weights, an example input."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from edgesmith.core.cache import cache_folder
from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.task import Task
from edgesmith.data import named_task
from edgesmith.training.evaluate import evaluate
from edgesmith.training.loop import Run, train_module
from edgesmith.training.state import save_tensors
from edgesmith.zoo.builders import blank_input, build, random_inputs, random_net
from edgesmith.zoo.classical import fitted, row_of_zeros
from edgesmith.zoo.entries import Entry
from edgesmith.zoo.entries import entry as entry_of
from edgesmith.zoo.models.minilm import IntentClassifier
from edgesmith.zoo.pretrained import embedded, load_encoder

SHIPPED = Path(__file__).parent / "checkpoints"


@dataclass(frozen=True)
class Testbed:
    """A task and the model for it.

    Attributes:
        task: None for a shape without data.
        module: in eval mode, trained weights in place.
        example_inputs: for `module(*example_inputs)`, batch 1, normalized float32, or int32 token ids.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    name: str
    task: Task | None
    module: nn.Module
    example_inputs: tuple[Tensor, ...]

    def calibration_inputs(self, count: int = 128) -> np.ndarray:
        """Normalized inputs to calibrate on, (n, ...): the task's, or seeded random ones without a task."""
        if self.task is not None:
            return self.task.normalize(self.task.calibration.inputs[:count])
        return random_inputs(entry_of(self.name), count, seed=1).numpy()


@dataclass(frozen=True)
class Trained:
    """What a training run gave.

    Attributes:
        validation, test: the task's metric on these splits.
        seconds: of this run; less than the whole when it was resumed.
    """

    checkpoint: Path
    validation: float
    test: float
    seconds: float


def load_testbed(entry: Entry, with_data: bool) -> Testbed:
    """Task, module with weights, example input; errors as in `zoo.load`."""
    if entry.classical:
        model, task = fitted(entry)
        return Testbed(entry.name, task if with_data else None, model, row_of_zeros(model))  # type: ignore[arg-type]
    if entry.dataset is None:
        return Testbed(entry.name, None, random_net(entry), (random_inputs(entry, 1, seed=0),))
    module = build(entry).eval()
    load_weights(own_part(entry, module), weights_file(entry))
    if not with_data:
        return Testbed(entry.name, None, module, (blank_input(entry),))
    task = named_task(entry.dataset)
    example = torch.from_numpy(task.normalize(task.calibration.inputs[:1]))
    return Testbed(entry.name, task, module, (example,))


def own_part(entry: Entry, module: nn.Module) -> nn.Module:
    """What our checkpoint holds of a net: all of it, or its head behind an encoder that gets its weights here.

    Raises:
        Missing: the package with the encoder's weights is not installed.
    """
    if not entry.packaged_encoder:
        return module
    assert isinstance(module, IntentClassifier)
    load_encoder(module)
    return module.head


def weights_file(entry: Entry) -> Path:
    """Where the trained weights are: the user's own training first, then those shipped.

    Raises:
        Missing: neither is there.
    """
    for folder in (cache_folder() / "zoo", SHIPPED):
        path = folder / f"{entry.name}.safetensors"
        if path.exists():
            return path
    raise Missing(f"zoo: {entry.name} has no trained weights on this machine. Run: edgesmith zoo train {entry.name}")


def load_weights(module: nn.Module, path: Path) -> None:
    """Put the weights of a safetensors file into `module`, every name and shape matching.

    Raises:
        BadInput: the file is damaged or of another net.
    """
    try:
        module.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise BadInput(f"zoo: {path} does not hold this net's weights ({error}). Delete it and train again.") from error


def train_testbed(entry: Entry, seed: int, out: Path | None, run: Run) -> Trained:
    """Train by the recipe and save the checkpoint; errors as in `zoo.train`."""
    if entry.dataset is None or entry.recipe is None:
        raise BadInput(f"zoo: {entry.name} is a shape without data; need a testbed. The list: edgesmith zoo.")
    task = named_task(entry.dataset)
    out = out or cache_folder() / "zoo" / f"{entry.name}.safetensors"
    state_file = out.with_name(f"{out.stem}.seed{seed}.state")
    begin = time.perf_counter()
    net = build(entry, seed)
    module = own_part(entry, net)
    if isinstance(net, IntentClassifier):
        task = embedded(task, net.minilm.eval())
    train_module(module, task, entry.recipe, seed, replace(run, state_file=state_file))
    seconds = time.perf_counter() - begin
    validation, test = (evaluate(module, task, split) for split in (task.validation, task.test))
    facts = {"net": entry.name, "seed": seed, "recipe": entry.recipe, "validation": validation, "test": test}
    save_tensors(out, module.state_dict(), {name: str(value) for name, value in facts.items()})
    state_file.unlink(missing_ok=True)  # another run of the same seed may have been first
    return Trained(out, validation, test, seconds)
