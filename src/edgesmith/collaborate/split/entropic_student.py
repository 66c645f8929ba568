"""Entropic Student: a small encoder with a learned prior of what it sends, and the rest of its teacher behind it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgesmith.collaborate.split.cutting import rest_after
from edgesmith.collaborate.split.latents import LatentSplit, integers
from edgesmith.collaborate.split.nets import Decoder, Encoder
from edgesmith.collaborate.split.prior import FactorizedPrior, noisy
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Normalize, Split, Task
from edgesmith.training.distillation import Features, Still, features_of, soft_loss
from edgesmith.training.evaluate import predict
from edgesmith.training.loop import train_module
from edgesmith.training.recipe import Recipe

EXPERIMENT = "benchmarks/claims/collaborate/entropic_student.py"

SplitOf = Callable[[nn.Module, Task], LatentSplit]


@dataclass(frozen=True)
class Bottleneck:
    """What takes the place of the teacher's first layers.

    Attributes:
        layer: of the teacher, whose output the student imitates, such as "stages.6"; a rectifier's, so never negative.
        hints: later layers, imitated too (the paper: each later stage of a ResNet-50).
        widths: of the encoder's convolutions, each of which halves the picture.
        channels: of the latents.
    """

    layer: str
    hints: tuple[str, ...] = ()
    widths: tuple[int, ...] = (16, 32)
    channels: int = 8


@dataclass(frozen=True)
class Stages:
    """How the student is trained.

    Attributes:
        beta: squared error of the features, summed over a sample, that one bit is worth: the greater, the fewer bytes.
        first: encoder, prior and decoder learn the teacher's features at a rate (equation 6).
        second: decoder and tail learn its answers and the labels behind the frozen encoder.
        temperature, alpha: of the second; alpha weighs the teacher's answers (the authors' configurations: 1, 0.5).
    """

    beta: float
    first: Recipe
    second: Recipe
    temperature: float = 1.0
    alpha: float = 0.5


@method(
    Card(
        name="entropic_student",
        does="puts a small encoder with a learned prior of its latents in place of a classifier's first layers",
        source=Source("Matsubara, Yang, Levorato, Mandt", 2021, "arXiv:2108.11898"),
        claims=(
            Claim("the prior's probabilities sum to one", test="test_a_prior_sums_to_one"),
            Claim("the rate that is trained is the rate that is sent", test="test_estimated_bits_are_those_sent"),
            Claim("fewer bytes at equal accuracy than JPEG, WebP and quantized features", experiment=EXPERIMENT),
            Claim("a smaller end-to-end latency than sending the picture", experiment=EXPERIMENT),
            Claim("one frozen encoder serves a second task", experiment=EXPERIMENT),
        ),
        omits=(
            "generalized divisive normalization (batch norms and rectifiers instead, which compile to integers)",
            "ImageNet, COCO detection and segmentation",
        ),
    )
)
def entropic_student(bottleneck: Bottleneck, stages: Stages, seed: int = 0) -> SplitOf:
    """Train head and tail from a classifier, which stays as it was.

    The teacher's features are worked out once and kept in memory, 2 bytes each: samples are not augmented.

    Raises:
        BadInput: no such layer, no pictures, no classes, a recipe that augments, or a grid that does not fit the layer.
        Unsupported: the teacher cannot be cut at that layer.
    """

    def split(module: nn.Module, task: Task) -> LatentSplit:
        check(task, stages)
        teacher = copy.deepcopy(module).eval()
        rest = rest_after(teacher, bottleneck.layer, bottleneck.hints)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers, answers = taught(teacher, bottleneck, task, stages.first)
            student = imitation(bottleneck, rest, task, layers[0].shape[1:])
        task_one = replace(task, train=Split(task.train.inputs[: len(answers)], np.concatenate(_flat(layers), 1)))
        train_module(student, task_one, stages.first, seed, batch_loss=rate_distortion(stages.beta))
        student.release()
        head, tail = student.encoder, nn.Sequential(student.decoder, copy.deepcopy(rest).requires_grad_(True))
        tune(head, tail, task, answers, stages, seed)
        return LatentSplit(head, tail, student.prior.eval().code(), task.normalize)

    return split


def check(task: Task, stages: Stages) -> None:
    """Refuse what cannot be taught.

    Raises:
        BadInput: what, and what is needed.
    """
    shape = task.train.inputs.shape
    if len(shape) != 4 or task.loss != "cross_entropy" or task.train.labels.ndim != 1:
        raise BadInput(
            f"entropic_student: inputs of shape {shape} and loss {task.loss}; need pictures (n, c, h, w) of one class."
        )
    if any(recipe.augment != "none" for recipe in (stages.first, stages.second)):
        raise BadInput("entropic_student: a recipe augments; need augment none, the teacher's features are kept.")
    if any(recipe.bfloat16 for recipe in (stages.first, stages.second)):
        raise BadInput("entropic_student: a recipe with bfloat16; need float32, for the prior's small differences.")


def taught(
    teacher: nn.Module, bottleneck: Bottleneck, task: Task, recipe: Recipe
) -> tuple[list[np.ndarray], np.ndarray]:
    """What the teacher makes of the training samples.

    Returns:
        layers: of the imitated layers, (n, ...) float16 each.
        answers: (n, 1 + classes) float32: the label, then the logits.
    """
    count = recipe.train_samples or len(task.train)
    inputs, labels = task.train.inputs[:count], task.train.labels[:count]
    *layers, logits = features_of(teacher, (bottleneck.layer, *bottleneck.hints), task.normalize(inputs))
    return layers, np.concatenate([labels[:, None].astype(np.float32), logits], 1)


def _flat(layers: list[np.ndarray]) -> list[np.ndarray]:
    return [layer.reshape(len(layer), -1) for layer in layers]


def imitation(bottleneck: Bottleneck, rest: nn.Module, task: Task, shape: tuple[int, ...]) -> "Imitation":
    """The untrained student, from torch's own generator.

    Args:
        shape: (channels, h, w) of the imitated layer.

    Raises:
        BadInput: the layer's grid is no multiple of the latents'.
    """
    encoder = Encoder(task.train.inputs.shape[1], bottleneck.widths, bottleneck.channels)
    with torch.no_grad():
        grid = encoder(torch.zeros(2, *task.train.inputs.shape[1:])).shape[2:]
    if len(shape) != 3 or shape[1] % grid[0] or shape[1] // grid[0] * grid[1] != shape[2]:
        raise BadInput(
            f"entropic_student: {bottleneck.layer} makes {shape}; need height and width a multiple of the latents' "
            f"{tuple(grid)}. Give the encoder another number of widths."
        )
    prior, decoder = FactorizedPrior(bottleneck.channels), Decoder(bottleneck.channels, shape[0], shape[1] // grid[0])
    return Imitation(encoder, prior, decoder, Still(rest), bottleneck.hints)


class Imitation(nn.Module):
    """The student in its first stage: (n, c, h, w) to (n, features + 1); the last are the latents' estimated bits."""

    def __init__(
        self, encoder: nn.Module, prior: FactorizedPrior, decoder: nn.Module, rest: Still, hints: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.encoder, self.prior, self.decoder, self.rest = encoder, prior, decoder, rest
        self.hints = Features(rest.module, hints)

    def forward(self, x: Tensor) -> Tensor:
        latents = noisy(self.encoder(x))
        made = self.decoder(latents)
        if self.hints.layers:
            self.rest(made)
        return torch.cat([made.flatten(1), *self.hints.rows(), self.prior.bits(latents)[:, None]], 1)

    def release(self) -> None:
        """Forget the last pass."""
        self.hints.detach()


def rate_distortion(beta: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Squared error summed over a sample's features, and beta times its bits; the mean over samples (equation 6).

    The loss takes (n, features + 1) outputs of an `Imitation` and (n, features) of the teacher.
    """

    def loss(outputs: Tensor, _: Tensor, wanted: Tensor) -> Tensor:
        error = (outputs[:, :-1] - wanted.to(outputs.dtype)).square().sum(1)
        return (error + beta * outputs[:, -1]).mean()

    return loss


def tune(head: nn.Module, tail: nn.Module, task: Task, answers: np.ndarray, stages: Stages, seed: int) -> None:
    """The second stage: the tail learns behind integers that the frozen encoder made, worked out once."""
    sent = Split(latents_of(head, task, len(answers)), answers)

    def loss(outputs: Tensor, _: Tensor, wanted: Tensor) -> Tensor:
        hard = functional.cross_entropy(outputs, wanted[:, 0].long())
        return stages.alpha * soft_loss(outputs, wanted[:, 1:], stages.temperature) + (1 - stages.alpha) * hard

    train_module(tail, behind(task, sent), stages.second, seed, batch_loss=loss)


def latents_of(head: nn.Module, task: Task, count: int) -> np.ndarray:
    """(count, channels, h, w) int8 of the first training samples."""
    few = Split(task.train.inputs[:count], task.train.labels[:count])
    return integers(predict(head, few, task.normalize))


def behind(task: Task, train: Split) -> Task:
    """The task of a tail: integers in place of pictures."""
    return replace(task, train=train, normalize=Normalize())


def another_tail(split: LatentSplit, tail: nn.Module, task: Task, recipe: Recipe, seed: int) -> LatentSplit:
    """A second task behind the same head: the device sends what it sent, the new tail learns from that (section 4.4).

    Args:
        tail: rounded latents (n, channels, h', w') to the task's outputs; trained in place.
        task: of pictures as the head takes them; their size may be another.
    """
    count = recipe.train_samples or len(task.train)
    sent = Split(latents_of(split.head, replace(task, normalize=split.normalize), count), task.train.labels[:count])
    train_module(tail, behind(task, sent), recipe, seed)
    return replace(split, tail=tail)
