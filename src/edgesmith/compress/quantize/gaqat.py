"""GAQAT: sharpness-aware training of a quantized net, where a step's two gradients are kept from fighting."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from edgesmith.compress.quantize.calibrators import Calibration
from edgesmith.compress.quantize.learning import calibrated, settled, train, with_quantizers
from edgesmith.compress.quantize.lsq import TUNE, Learned
from edgesmith.compress.quantize.placement import Widths, check_bits, first_and_last
from edgesmith.compress.quantize.ptq import Transform
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Task
from edgesmith.lower import Lifted
from edgesmith.training.loop import Run
from edgesmith.training.recipe import Recipe
from edgesmith.training.sam import RHO, back, climb, gradients, movable


@dataclass(frozen=True)
class Freezing:
    """When the task's gradient of a scale is left out.

    Attributes:
        rho: how far the worst point lies that the smoothness loss is taken at.
        every: steps over which the disorder of a scale's gradients is measured, and for which a decision stands.
        below: disorder, 0 to 1, under which the task's gradient of a scale is frozen; 0 freezes none: SAM with QAT.
    """

    rho: float = RHO
    every: int = 8  # ours: a few decisions in a fine-tuning of some hundred steps
    below: float = 0.3  # ours: signs at random turn at every second step


@method(
    Card(
        name="gaqat",
        does="SAM with learned steps; where a step's task gradients seldom turn, the smoothness loss alone moves it",
        source=Source("Jiang et al.", 2024, "arXiv:2412.05551"),
        claims=(
            Claim("disorder is the share of steps at which a gradient turns", test="test_disorder_counts_turns"),
            Claim(
                "a frozen scale moves by the smoothness loss alone",
                test="test_a_frozen_scale_follows_the_smoothness_loss_alone",
            ),
            Claim(
                "held-out domains at 3 and 4 bits, up to 4.5 points above SAM with QAT",
                experiment="benchmarks/claims/compress/gaqat.py",
            ),
        ),
        omits=(
            "SAGM's shifted ascent: the smoothness loss is SAM's, at w + rho g / |g|",
            "steps per tensor for weights: one a channel here, each with its own disorder",
            "the paper's counts of steps and thresholds: its text was not at hand, the rule is as its abstract and its "
            "public reviews state it",
            "training from ImageNet's weights, PACS and DomainNet",
        ),
    )
)
def gaqat(
    weights: int = 4,
    activations: int = 4,
    recipe: Recipe = TUNE,
    freezing: Freezing = Freezing(),
    calibration: Calibration = "mse",
    seed: int = 0,
    run: Run | None = None,
    own: Mapping[str, int] | None = None,
) -> Transform:
    """Quantize a copy of the module and fine-tune it as `lsq` does, on the task's and the smoothness loss.

    Args:
        weights, activations: bits of each, 2 to 8; the first and the last layer keep 8.
        recipe: of the fine-tuning; each step takes the time of two.
        freezing: of the scales' task gradients.
        own: bits of single tensors, by their names in the lowered graph; in place of 8 for the first and last layer.

    Raises:
        BadInput: other bits, or a threshold outside [0, 1].
    """
    check_bits("gaqat", weights, activations, *(own or {}).values())
    if not 0 <= freezing.below <= 1 or freezing.every < 2:
        raise BadInput(f"gaqat: {freezing}; need a disorder of 0 to 1 over at least 2 steps.")

    def transform(module: nn.Module, task: Task) -> Lifted:
        kept = first_and_last(calibrated(module, task, Widths(), calibration)) if own is None else own
        graph = calibrated(module, task, Widths(weights, activations, kept), calibration)
        learner = with_quantizers(graph, task, Learned)
        step = Adaptive(freezing, scales_of(learner))
        return settled(train(learner, task, recipe, seed, run, step=step))

    return transform


def scales_of(module: Lifted) -> tuple[nn.Parameter, ...]:
    """The learned scales of a module's quantizers."""
    return tuple(quantizer.scale for quantizer in module.quantizers if isinstance(quantizer, Learned))


@dataclass
class Adaptive:
    """A `Step` of the training loop: descend the task's loss plus that of the worst point nearby.

    Attributes:
        scales: parameters whose task gradients may be frozen; they stay where they are while the worst point is sought.
        frozen: of each scale, the entries whose task gradient is left out now.
        disorder: of each scale, as last measured; None before.
        history: after each measurement, the share of all entries that was frozen.
    """

    freezing: Freezing
    scales: Sequence[Tensor]
    frozen: list[Tensor] = field(init=False)
    disorder: list[Tensor] | None = field(default=None, init=False)
    history: list[float] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.frozen = [torch.zeros_like(scale, dtype=torch.bool) for scale in self.scales]
        self._seen: list[list[Tensor]] = []

    def __call__(self, loss_of_batch: Callable[[], Tensor], optimizer: torch.optim.Optimizer) -> Tensor:
        """One step; every `every` steps it is decided anew which entries are frozen."""
        loss, learned = gradients(loss_of_batch, optimizer)
        task = [parameter.grad.clone() for parameter in learned if parameter.grad is not None]
        self._watch([_gradient(scale) for scale in self.scales])
        before = climb(movable(optimizer, tuple(self.scales)), self.freezing.rho)
        gradients(loss_of_batch, optimizer)
        back(before)
        masks = {id(s): mask.to(s.device) for s, mask in zip(self.scales, self.frozen, strict=True)}
        for parameter, gradient in zip(learned, task, strict=True):
            mask = masks.get(id(parameter))
            smooth = _gradient(parameter)
            parameter.grad = smooth + (gradient if mask is None else gradient.masked_fill(mask, 0.0))
        optimizer.step()
        return loss

    def _watch(self, task: list[Tensor]) -> None:
        self._seen.append([gradient.clone() for gradient in task])
        if len(self._seen) == self.freezing.every + 1:
            self.disorder = [disorder(torch.stack(series)) for series in zip(*self._seen, strict=True)]
            self.frozen = [measured < self.freezing.below for measured in self.disorder]
            self.history.append(float(torch.cat([mask.flatten() for mask in self.frozen]).float().mean()))
            self._seen = self._seen[-1:]


def _gradient(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def disorder(series: Tensor) -> Tensor:
    """The share of successive gradients whose signs differ: the paper's measure of conflict.

    Args:
        series: (steps + 1, ...) gradients of one parameter.

    Returns:
        (...) in [0, 1].
    """
    signs = series.sign()
    return (signs[1:] != signs[:-1]).float().mean(0)
