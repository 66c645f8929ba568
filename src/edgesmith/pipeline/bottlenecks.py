"""A net with a bottleneck trained into it, for the planner to cut."""

from torch import nn

from edgesmith.collaborate.split import bottlefit
from edgesmith.collaborate.split.bottlefit import Stages
from edgesmith.collaborate.split.bottleneck import Bottleneck
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Task
from edgesmith.training.recipe import Recipe

SMALL = 64  # pixels of a side below which two halvings are enough
RATE, BATCH = 4e-3, 128  # of benchmarks/claims/collaborate/bottlefit.py


def with_bottleneck(module: nn.Module, task: Task, layer: str, epochs: int, seed: int) -> nn.Module:
    """The net with BottleFit's encoder and decoder in place of its layers up to `layer`, trained.

    Args:
        epochs: of either stage.

    Raises:
        BadInput: no such layer, or inputs that are no pictures.
    """
    shape = task.train.inputs.shape[1:]
    if len(shape) != 3:
        raise BadInput(f"split: a bottleneck needs pictures (channels, h, w); the inputs are {shape}.")
    small = max(shape[1:]) < SMALL
    bottleneck = Bottleneck(channels=4, width=16, halvings=2) if small else Bottleneck()
    recipe = Recipe(epochs=epochs, batch=BATCH, learning_rate=RATE)
    made = bottlefit((layer,), Stages(recipe, recipe), bottleneck, seed)(module, task)
    # The planner chooses the payload's bits itself.
    return nn.Sequential(made.head, made.tail)
