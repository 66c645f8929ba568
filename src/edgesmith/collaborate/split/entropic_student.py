"""Entropic Student: a small encoder with a learned prior of what it sends, and the rest of its teacher behind it."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgesmith.collaborate.split.cut import after, before, input_and_outputs, outputs_of, traced
from edgesmith.collaborate.split.latents import UNIT, sent_by
from edgesmith.collaborate.split.model import Split, SplitModel
from edgesmith.collaborate.split.nets import Decoder, Encoder, times_of
from edgesmith.collaborate.split.prior import FactorizedPrior, noisy
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Normalize, Task
from edgesmith.core.task import Split as Samples
from edgesmith.training.distillation import Still, matching_loss, soft_loss
from edgesmith.training.evaluate import predict
from edgesmith.training.loop import train_module
from edgesmith.training.recipe import Recipe

EXPERIMENT = "benchmarks/claims/collaborate/entropic_student.py"
CHUNK = 1024  # samples whose features are float32 at a time


@dataclass(frozen=True)
class Encoding:
    """The encoder on the device.

    Attributes:
        widths: of its convolutions, each of which halves the picture.
        channels: of the latents (the authors send 24 of a ResNet-50).
    """

    widths: tuple[int, ...] = (16, 32)
    channels: int = 8

    def __post_init__(self) -> None:
        if not self.widths or min(*self.widths, self.channels) < 1:
            raise BadInput(f"entropic_student: {self}; need one width or more, and channels, of 1 at least.")


@dataclass(frozen=True)
class RateTraining:
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

    def __post_init__(self) -> None:
        if any(recipe.augment != "none" or recipe.bfloat16 for recipe in (self.first, self.second)):
            raise BadInput(
                "entropic_student: a recipe augments or has bfloat16; need neither: the teacher's features are kept, "
                "and the prior takes small differences."
            )


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
def entropic_student(
    layers: tuple[str, ...], training: RateTraining, encoding: Encoding | None = None, seed: int = 0
) -> Split:
    """Train head and tail from a classifier, which stays as it was.

    The teacher's features are worked out once and kept in memory, 2 bytes each: samples are not augmented.

    Args:
        layers: dotted names; the first is the last layer that is replaced, a rectifier's, so never negative. The
            others, behind it, are imitated too (the paper: each later stage of a ResNet-50).

    Raises:
        BadInput: no such layer, one that cannot be cut after, no pictures of one class, or a grid that does not fit.
    """
    if not layers:
        raise BadInput("entropic_student: no layers; need the name of the last one to replace, such as 'layer2'.")

    def split(module: nn.Module, task: Task) -> SplitModel:
        check(task)
        teacher = copy.deepcopy(module).eval()
        seen, answers = taught(teacher, layers, task, training.first)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            student = imitation(copy.deepcopy(teacher), layers, encoding or Encoding(), task)
        made = replace(task, train=Samples(task.train.inputs[: len(seen)], seen))
        train_module(student, made, training.first, seed, batch_loss=rate_distortion(training.beta))
        head, tail = student.encoder, nn.Sequential(student.decoder, student.released())
        tune(head, tail, task, answers, training, seed)
        return sealed(head, tail, student.prior, task)

    return split


def check(task: Task) -> None:
    """Refuse what cannot be taught.

    Raises:
        BadInput: what, and what is needed.
    """
    shape = task.train.inputs.shape
    if len(shape) != 4 or task.loss != "cross_entropy" or task.train.labels.ndim != 1:
        raise BadInput(
            f"entropic_student: inputs of shape {shape} and loss {task.loss}; need pictures (n, c, h, w) of one class."
        )


def taught(teacher: nn.Module, layers: Sequence[str], task: Task, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """What the teacher makes of the training samples.

    Returns:
        seen: (n, values) float16, the layers' outputs side by side; its range is enough for activations.
        answers: (n, 1 + classes) float32: the label, then the logits.
    """
    count = recipe.train_samples or len(task.train)
    samples = Samples(task.train.inputs[:count], task.train.labels[:count])
    wanted = outputs_of(traced(teacher, layers), layers).eval()
    chunks = [
        Samples(samples.inputs[at : at + CHUNK], samples.labels[at : at + CHUNK]) for at in range(0, count, CHUNK)
    ]
    seen = np.concatenate([predict(wanted, chunk, task.normalize).astype(np.float16) for chunk in chunks])
    logits = predict(teacher, samples, task.normalize)
    return seen, np.concatenate([samples.labels[:, None].astype(np.float32), logits], 1)


def imitation(net: nn.Module, layers: Sequence[str], encoding: Encoding, task: Task) -> "Imitation":
    """The untrained student before the later layers of `net`; weights from torch's own generator.

    Raises:
        BadInput: as `entropic_student`.
    """
    whole = traced(net, layers)
    picture = torch.zeros(2, *task.train.inputs.shape[1:])
    encoder = Encoder(picture.shape[1], encoding.widths, encoding.channels)
    with torch.no_grad():
        shape, grid = before(whole, layers[0])(picture).shape[1:], copy.deepcopy(encoder)(picture).shape[2:]
    prior, times = FactorizedPrior(encoding.channels), times_of(tuple(shape), tuple(grid), "entropic_student")
    decoder = Decoder(encoding.channels, shape[0], times)
    return Imitation(encoder, prior, decoder, after(whole, layers[0]), layers[1:])


class Imitation(nn.Module):
    """The student in its first stage: (n, c, h, w) to (n, values + 1); the last are the latents' estimated bits.

    Args:
        rest: the teacher's later layers, which stay as they are.
        guides: names of those that are imitated.
    """

    def __init__(
        self, encoder: nn.Module, prior: FactorizedPrior, decoder: nn.Module, rest: nn.Module, guides: Sequence[str]
    ) -> None:
        super().__init__()
        self.encoder, self.prior, self.decoder = encoder, prior, decoder
        self.rest, self.behind = Still(rest), Still(input_and_outputs(rest, guides))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        latents = noisy(self.encoder(x))
        return torch.cat([self.behind(self.decoder(latents)), self.prior.bits(latents)[:, None]], 1)

    def released(self) -> nn.Module:
        """The later layers, free to learn."""
        self.behind.release()
        return self.rest.release()


def rate_distortion(beta: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Squared error summed over a sample's features, and beta times its bits; the mean over samples (equation 6).

    The loss takes (n, values + 1) outputs of an `Imitation` and (n, values) of the teacher.
    """

    def loss(outputs: Tensor, _: Tensor, wanted: Tensor) -> Tensor:
        return matching_loss(outputs[:, :-1], wanted) + beta * outputs[:, -1].mean()

    return loss


def tune(head: nn.Module, tail: nn.Module, task: Task, answers: np.ndarray, training: RateTraining, seed: int) -> None:
    """The second stage: the tail learns behind integers that the frozen encoder made, worked out once."""
    sent = Samples(latents_of(head, task, len(answers)), answers)

    def loss(outputs: Tensor, _: Tensor, wanted: Tensor) -> Tensor:
        hard = functional.cross_entropy(outputs, wanted[:, 0].long())
        return training.alpha * soft_loss(outputs, wanted[:, 1:], training.temperature) + (1 - training.alpha) * hard

    train_module(tail, behind(task, sent), training.second, seed, batch_loss=loss)


def latents_of(head: nn.Module, task: Task, count: int) -> np.ndarray:
    """(count, channels, h, w) int8 of the first training samples."""
    few = Samples(task.train.inputs[:count], task.train.labels[:count])
    return np.moveaxis(sent_by(head, few, task.normalize), -1, 1)


def behind(task: Task, train: Samples) -> Task:
    """The task of a tail: integers in place of pictures."""
    return replace(task, train=train, normalize=Normalize())


def sealed(head: nn.Module, tail: nn.Module, prior: FactorizedPrior, task: Task) -> SplitModel:
    """The trained parts as two halves, with the prior as the code's tables."""
    shape = latents_of(head, task, 1).shape[1:]
    return SplitModel(head.eval(), tail.eval(), UNIT, shape, prior.code())


def another_tail(model: SplitModel, tail: nn.Module, task: Task, recipe: Recipe, seed: int) -> SplitModel:
    """A second task behind the same head: the device sends what it sent, the new tail learns from that (section 4.4).

    Args:
        tail: rounded latents (n, channels, h', w') to the task's outputs; trained in place.
        task: of pictures that come normalized as the head's do; their size may be another.
    """
    count = recipe.train_samples or len(task.train)
    sent = Samples(latents_of(model.head, task, count), task.train.labels[:count])
    train_module(tail, behind(task, sent), recipe, seed)
    return replace(model, tail=tail, shape=sent.inputs.shape[1:])
