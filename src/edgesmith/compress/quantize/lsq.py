"""LSQ: the step size of every quantizer is learned with the weights."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgesmith.compress.quantize.calibrators import Calibration
from edgesmith.compress.quantize.learning import Place, calibrated, settled, train, with_quantizers
from edgesmith.compress.quantize.placement import Widths, check_bits, first_and_last
from edgesmith.compress.quantize.ptq import Transform
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.formats import PerChannel, PerTensor
from edgesmith.core.task import Task
from edgesmith.lower import Lifted
from edgesmith.lower.fake_quantize import fake_quantize, format_of, settings
from edgesmith.training.loop import Run
from edgesmith.training.recipe import Recipe

LEAST_SCALE = 1e-8  # keeps a step above zero
TUNE = Recipe(epochs=2, batch=128, learning_rate=5e-4, weight_decay=1e-4, train_samples=8192)  # our measurement


@method(
    Card(
        name="lsq",
        does="quantization-aware training that learns the step of every weight channel and activation",
        source=Source("Esser et al.", 2020, "arXiv:1902.08153"),
        claims=(
            Claim("a step's gradient is that of equation 3", test="test_the_steps_gradient_is_equation_3"),
            Claim("4 bits come closer to float than rounding does", test="test_learned_steps_beat_rounding"),
        ),
        omits=(
            "steps per tensor for weights: one a channel here",
            "initial steps of 2<|v|>/sqrt(Q): they are those of the calibration",
            "training from scratch",
        ),
    )
)
def lsq(
    weights: int = 4,
    activations: int = 4,
    recipe: Recipe = TUNE,
    calibration: Calibration = "mse",
    seed: int = 0,
    run: Run | None = None,
    own: Mapping[str, int] | None = None,
) -> Transform:
    """Quantize a copy of the module and fine-tune it with its steps; the first and the last layer keep 8 bits.

    Args:
        weights, activations: bits of each, 2 to 8.
        recipe: of the fine-tuning.
        calibration: where the steps of activations begin.
        run: keeps the state after every epoch, and hears of each.
        own: bits of single tensors, by their names in the lowered graph; in place of 8 for the first and last layer.

    Raises:
        BadInput: other bits.
    """
    check_bits("lsq", weights, activations, *(own or {}).values())

    def transform(module: nn.Module, task: Task) -> Lifted:
        kept = first_and_last(calibrated(module, task, Widths(), calibration)) if own is None else own
        graph = calibrated(module, task, Widths(weights, activations, kept), calibration)
        return settled(train(with_quantizers(graph, task, Learned), task, recipe, seed, run))

    return transform


class Learned(nn.Module):
    """Rounds to a grid whose step is a parameter; zero point and range stay those of the format it begins with."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        scales, self.zero_point, self.low, self.high, self.axis = settings(place.format)
        self.scale = nn.Parameter(torch.tensor(scales))

    def step(self) -> Tensor:
        """(1,) or (channels,): above zero."""
        return self.scale.abs().clamp_min(LEAST_SCALE)

    def forward(self, x: Tensor) -> Tensor:
        """x rounded; the step's gradient is scaled by 1 / sqrt(values * greatest integer) (section 2.2)."""
        values = x.numel() / len(self.scale)
        step = gradient_scaled(self.step(), 1 / math.sqrt(values * max(self.high - self.zero_point, 1)))
        return fake_quantize(x, step, self.zero_point, self.low, self.high, self.axis)

    def format(self, values: Tensor | None) -> PerTensor | PerChannel:
        """The format with the step as it is now."""
        scales = [float(scale) for scale in self.step().detach()]
        return format_of(scales, self.zero_point, self.low, self.high, self.axis)


def gradient_scaled(x: Tensor, factor: float) -> Tensor:
    """x, whose gradient is multiplied by `factor` (arXiv:1902.08153, appendix A)."""
    return (x - x * factor).detach() + x * factor
