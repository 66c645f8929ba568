"""The methods that give a candidate its formats, by the names that settings have for them."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from edgesmith.compress import quantize
from edgesmith.compress.quantize.calibrators import Calibration
from edgesmith.compress.quantize.placement import Widths
from edgesmith.core.task import Task
from edgesmith.fit.space import MIXERS, TRAINED, UNIFORM, Settings
from edgesmith.training.loop import Run
from edgesmith.training.recipe import Augment

CALIBRATED = ("ptq", "smoothquant", "lsq", "gaqat", "qfx", "bitnet", "i_vit")
SEEDED = (*TRAINED, "adaround")
LAYER_BY_LAYER = ("awq", "gptq", "adaround", "hqq", "nf4")
ACTIVATIONS = 8  # bits, of every method that rounds them


@dataclass(frozen=True)
class How:
    """What the methods of one candidate share.

    Attributes:
        augment: of the training images.
        place: the folder of their states.
        watch: of so many epochs, what hears of each and may end the work.
    """

    calibration: Calibration
    seed: int
    augment: Augment
    place: Path
    watch: Callable[[float], Callable[[int, float], None]]


def quantizer(settings: Settings, widths: Widths, how: How) -> Callable[[nn.Module, Task], nn.Module]:
    """The method that the settings name; one that takes long keeps its state and heeds the deadline.

    Args:
        widths: bits of the weights, for methods that have a choice.
    """
    name, given = settings.quantizer, dict[str, Any]()
    factory = getattr(quantize, name)
    if name in UNIFORM:
        given["weights"] = widths.weights
    if name in MIXERS:
        given |= {"activations": widths.activations, "own": widths.own}
    if name in ("qfx", "bitnet"):
        given["activations"] = ACTIVATIONS
    if name in CALIBRATED:
        given["calibration"] = how.calibration
    if name in SEEDED:
        given["seed"] = how.seed
    if name in TRAINED:
        usual = inspect.signature(factory).parameters["recipe"].default
        given["recipe"] = replace(usual, epochs=settings.learned, augment=how.augment)
        given["run"] = Run(how.place / "steps.safetensors", how.watch(settings.learned))
    if name in LAYER_BY_LAYER:
        given["run"] = Run(how.place / "rounding.safetensors", how.watch(math.inf))
    if name == "ptq":
        given |= {"equalize": settings.equalize, "correct_bias": settings.correct_bias}
    return factory(**given)
