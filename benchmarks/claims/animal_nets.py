"""The nets that tell animals from vehicles, trained; a run that was cut off goes on, a finished one is read again."""

import torch
from animals import animals_task

from edgesmith.core.cache import cache_folder
from edgesmith.core.task import Task
from edgesmith.training.loop import train_module
from edgesmith.training.recipe import Recipe
from edgesmith.zoo.models.mobilenet_v2 import MobilenetV2
from edgesmith.zoo.shapes import MOBILENET_V2_BLOCKS, REDISTRIBUTED_BLOCKS

WIDTH = 0.35
RECIPE = Recipe(epochs=5, batch=64, learning_rate=4e-3, augment="flip_shift")
BLOCKS = {"plain": MOBILENET_V2_BLOCKS, "redistributed": REDISTRIBUTED_BLOCKS}
_tasks: dict[int, Task] = {}


def task_of(size: int) -> Task:
    """The pictures at a size, read once."""
    if size not in _tasks:
        _tasks[size] = animals_task(size)
    return _tasks[size]


def trained(kind: str, size: int, seed: int) -> MobilenetV2:
    """A MobileNetV2 of two classes in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = MobilenetV2(WIDTH, classes=2, blocks=BLOCKS[kind])
    # The order in memory that a CPU trains twice as fast with.
    module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = cache_folder() / "claims" / f"mcunetv2-{kind}-{size}-{seed}.state"
    state.parent.mkdir(parents=True, exist_ok=True)
    return train_module(
        module, task_of(size), RECIPE, seed, state, lambda epoch, loss: print(kind, size, seed, epoch, loss)
    )
