"""Slimmable encoders: one set of weights whose encoder runs and sends as much as the link takes at the moment."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgesmith.collaborate.coding import fit
from edgesmith.collaborate.split.cut import after, before, input_and_outputs, outputs_of, traced
from edgesmith.collaborate.split.latents import UNIT, sent_by
from edgesmith.collaborate.split.model import SplitModel
from edgesmith.collaborate.split.nets import Encoder, times_of
from edgesmith.collaborate.split.prior import noisy
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Split, Task
from edgesmith.training.distillation import Still, soft_loss
from edgesmith.training.evaluate import predict
from edgesmith.training.loop import train_module
from edgesmith.training.recipe import Recipe

EXPERIMENT = "benchmarks/claims/collaborate/slimmable.py"
GAIN = 1.0  # standard deviation of a latent in steps: about 2 bits each before they are coded
TABLES = 4  # of a width's code


@dataclass(frozen=True)
class Width:
    """How much of the encoder runs, and how much of its latents is sent.

    Attributes:
        members: of the ensemble, the first so many.
        channels: of the latents, the first so many.
    """

    members: int
    channels: int


WIDTHS = (Width(1, 2), Width(2, 4), Width(3, 6), Width(4, 8))  # the authors' reduced set: members and channels together


@dataclass(frozen=True)
class Form:
    """The encoder, and what it learns from.

    Attributes:
        widths: narrowest first.
        convolutions: channels of each member's convolutions, which halve the picture.
        alpha: share of the net's own answers in the loss on answers, 1 - alpha that of the labels.
    """

    widths: tuple[Width, ...] = WIDTHS
    convolutions: tuple[int, ...] = (8, 16)
    alpha: float = 0.5

    def __post_init__(self) -> None:
        counts = [count for width in self.widths for count in (width.members, width.channels)]
        if not counts or not self.convolutions or min(*counts, *self.convolutions) < 1:
            raise BadInput(f"slimmable: {self}; need widths and convolutions, each of 1 or more.")


@method(
    Card(
        name="slimmable",
        does="trains one ensemble encoder to run at several widths, each with its own statistics, switched live",
        source=Source("Assine, Santos Filho, Valle, Levorato", 2023, "arXiv:2306.12691"),
        claims=(
            Claim(
                "a width is the net that its slice of the weights makes", test="test_a_width_is_the_net_of_its_slice"
            ),
            Claim("each width is as good as a net trained for it alone", experiment=EXPERIMENT),
            Claim("switching takes far less than loading another net", experiment=EXPERIMENT),
            Claim("it follows a changing link without stalls", experiment=EXPERIMENT),
        ),
        omits=(
            "detection with EfficientDet on COCO",
            "squeeze-and-excitation in the members",
            "fixed powers of two before the members' sum: their last convolutions learn them",
            "one copy of the members' weights in flash: a compiled head holds one width",
        ),
    )
)
def slimmable(
    layers: tuple[str, ...], recipe: Recipe, form: Form | None = None, seed: int = 0
) -> Callable[[nn.Module, Task], "SlimSplit"]:
    """Train encoder and decoders in front of a classifier's later layers, which stay as they are.

    Args:
        layers: dotted names; the first is the last layer that is replaced, a rectifier's, the others, behind it, are
            imitated too.

    Raises:
        BadInput: no such layer, one that cannot be cut after, no pictures of one class, a recipe that augments, or a
            grid that does not fit the layer's.
    """
    if not layers or recipe.augment != "none":
        raise BadInput(f"slimmable: layers {layers}, augment {recipe.augment}; need a layer to cut after, and none.")

    def split(module: nn.Module, task: Task) -> SlimSplit:
        shape = task.train.inputs.shape
        if len(shape) != 4 or task.loss != "cross_entropy" or task.train.labels.ndim != 1:
            raise BadInput(f"slimmable: inputs {shape}, loss {task.loss}; need pictures (n, c, h, w) of one class.")
        chosen, teacher = form or Form(), copy.deepcopy(module).eval()
        features, wanted = taught(teacher, layers, task, recipe)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = assemble(copy.deepcopy(teacher), layers, chosen, task)
        made = replace(task, train=Split(task.train.inputs[: len(wanted)], wanted))
        train_module(net, made, recipe, seed, batch_loss=imitation_loss(chosen.alpha, features))
        return sealed(net, task)

    return split


def taught(teacher: nn.Module, layers: Sequence[str], task: Task, recipe: Recipe) -> tuple[int, np.ndarray]:
    """What the net makes of the training samples.

    Returns:
        features: how many its layers have together.
        wanted: (n, features + 1 + classes) float16: the layers' outputs, the label (exact to 2048), the logits.
    """
    count = recipe.train_samples or len(task.train)
    samples = Split(task.train.inputs[:count], task.train.labels[:count])
    features = predict(outputs_of(traced(teacher, layers), layers), samples, task.normalize)
    columns = (features, samples.labels[:, None], predict(teacher, samples, task.normalize))
    return features.shape[1], np.concatenate([column.astype(np.float16) for column in columns], 1)


def imitation_loss(alpha: float, features: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The mean over widths of: squared error of the features over their variance, and the loss on answers.

    It takes (n, widths, features + classes) outputs of a `SlimNet` and (n, features + 1 + classes) of `taught`.
    """

    def loss(outputs: Tensor, _: Tensor, wanted: Tensor) -> Tensor:
        wanted = wanted.to(outputs.dtype)
        layer, label, answer = wanted[:, :features], wanted[:, features].long(), wanted[:, features + 1 :]
        error = (outputs[..., :features] - layer[:, None]).square().mean() / layer.var()
        scores = outputs[..., features:].unbind(1)
        soft = torch.stack([soft_loss(one, answer, 1.0) for one in scores]).mean()
        hard = torch.stack([functional.cross_entropy(one, label) for one in scores]).mean()
        return error + alpha * soft + (1 - alpha) * hard

    return loss


def assemble(net: nn.Module, layers: Sequence[str], form: Form, task: Task) -> "SlimNet":
    """The untrained net before the later layers of `net`; weights from torch's own generator.

    Raises:
        BadInput: as `slimmable`.
    """
    whole, picture = traced(net, layers), torch.zeros(2, *task.train.inputs.shape[1:])
    encoder = Ensemble(form, picture.shape[1])
    with torch.no_grad():
        shape, grid = before(whole, layers[0])(picture).shape[1:], copy.deepcopy(encoder)(picture, 0).shape[2:]
    decoder = SlimDecoder(form.widths, shape[0], times_of(tuple(shape), tuple(grid), "slimmable"))
    return SlimNet(encoder, decoder, after(whole, layers[0]), layers[1:])


class Ensemble(nn.Module):
    """Small encoders whose outputs add up; each width has statistics of its own (arXiv:1812.08928)."""

    def __init__(self, form: Form, inside: int) -> None:
        super().__init__()
        self.widths = form.widths
        most = max(width.channels for width in form.widths)
        count = max(width.members for width in form.widths)
        self.members = nn.ModuleList(Encoder(inside, form.convolutions, most) for _ in range(count))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width.channels, affine=False) for width in form.widths)

    def forward(self, x: Tensor, index: int) -> Tensor:
        """(n, c, h, w) to this width's latents (n, channels, h', w')."""
        width = self.widths[index]
        summed = sum(sliced(member, x, width.channels) for member in list(self.members)[: width.members])
        return GAIN * self.norms[index](summed)

    def every(self, x: Tensor) -> list[Tensor]:
        """Latents of all widths, each member run once."""
        made = [member(x) for member in self.members]
        sums = [sum(made[: width.members])[:, : width.channels] for width in self.widths]
        return [GAIN * norm(summed) for norm, summed in zip(self.norms, sums, strict=True)]


def parts_of(encoder: nn.Module) -> tuple[list[nn.Module], nn.Conv2d]:
    """An encoder's hidden layers, and its last convolution."""
    *hidden, last = encoder.children()
    assert isinstance(last, nn.Conv2d)
    return hidden, last


def sliced(encoder: nn.Module, x: Tensor, channels: int) -> Tensor:
    """The first channels that an encoder makes, the others not computed."""
    hidden, last = parts_of(encoder)
    for layer in hidden:
        x = layer(x)
    bias = None if last.bias is None else last.bias[:channels]
    return functional.conv2d(x, last.weight[:channels], bias, last.stride, last.padding)


class SlimDecoder(nn.Module):
    """Latents of any width to a layer's output (n, outside, h, w); norms, with their scales, are each width's own.

    Args:
        times: how often each row and column is repeated.
    """

    def __init__(self, widths: Sequence[Width], outside: int, times: int = 1) -> None:
        super().__init__()
        self.enlarge = nn.Upsample(scale_factor=times, mode="nearest") if times > 1 else nn.Identity()
        self.first = nn.Conv2d(max(width.channels for width in widths), outside, 3, 1, 1, bias=False)
        self.second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.ModuleList((nn.BatchNorm2d(outside), nn.BatchNorm2d(outside))) for _ in widths)

    def forward(self, x: Tensor, index: int) -> Tensor:
        """The latents of width `index`."""
        norm, other = self.norms[index].children()
        x = functional.conv2d(x, self.first.weight[:, : x.shape[1]], None, self.first.stride, self.first.padding)
        return torch.relu(other(self.second(self.enlarge(torch.relu(norm(x))))))


class SlimNet(nn.Module):
    """Everything while it is trained: (n, c, h, w) to (n, widths, features + classes), latents with noise.

    Args:
        rest: the original net behind the decoder; it is not trained.
        guides: names of its layers that are imitated.
    """

    def __init__(self, encoder: "Ensemble", decoder: "SlimDecoder", rest: nn.Module, guides: Sequence[str]) -> None:
        super().__init__()
        self.encoder, self.decoder, self.rest = encoder, decoder, Still(rest)
        self.behind = Still(input_and_outputs(rest, guides)) if guides else None  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        each = [self.decoder(noisy(latents), index) for index, latents in enumerate(self.encoder.every(x))]
        made = torch.cat(each)
        rows = (self.behind(made) if self.behind else made.flatten(1), self.rest(made))
        return torch.cat(rows, 1).unflatten(0, (len(each), len(x))).transpose(0, 1)


class Head(nn.Module):
    """The encoder at one width."""

    def __init__(self, net: SlimNet, index: int) -> None:
        super().__init__()
        self.encoder, self.index = net.encoder, index

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x, self.index)


class Tail(nn.Module):
    """Decoder and rest at one width."""

    def __init__(self, net: SlimNet, index: int) -> None:
        super().__init__()
        self.decoder, self.rest, self.index = net.decoder, net.rest.module, index

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.decoder(x, self.index))


@dataclass
class SlimSplit:
    """A net split in two whose width changes from one request to the next; it is used as a `SplitModel`.

    Attributes:
        ways: of each width a split; all share one set of weights.
        width: index of the one in use.
    """

    net: SlimNet
    ways: tuple[SplitModel, ...]
    width: int = 0

    def switch(self, index: int) -> None:
        """From now on run at this width; nothing is loaded or copied.

        Raises:
            BadInput: there is no such width.
        """
        if not 0 <= index < len(self.ways):
            raise BadInput(f"slimmable: width {index}; need 0 .. {len(self.ways) - 1}.")
        self.width = index

    @property
    def now(self) -> SplitModel:
        """The split at the width in use."""
        return self.ways[self.width]

    def __getattr__(self, name: str) -> Any:
        if name in SHARED:
            return getattr(self.now, name)
        raise AttributeError(f"a slimmable split has no attribute {name!r}")


SHARED = ("head", "tail", "format", "shape", "code", "bits", "payload_bytes", "encode", "decode", "joined")


def sealed(net: SlimNet, task: Task) -> SlimSplit:
    """Each width with the tables that fit its latents of the calibration split."""
    net.rest.release()
    ways = []
    for index in range(len(net.encoder.widths)):
        head, tail = Head(net, index).eval(), Tail(net, index).eval()
        seen = sent_by(head, task.calibration, task.normalize)
        shape = (seen.shape[-1], *seen.shape[1:-1])
        ways.append(SplitModel(head, tail, UNIT, shape, fit(seen, TABLES)))
    return SlimSplit(net.eval(), tuple(ways))


class Summed(nn.Module):
    """Several encoders side by side: their sum."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        out = self.members[0](x)
        for member in list(self.members)[1:]:
            out = out + member(x)
        return out


def alone(encoder: Ensemble, index: int) -> nn.Module:
    """One width's encoder as a net of its own, its last norm within the last convolutions: what a board compiles."""
    width, norm = encoder.widths[index], encoder.norms[index]
    assert isinstance(norm, nn.BatchNorm2d)
    members = list(encoder.members)[: width.members]
    made = [scaled(member, norm, shifts=position == 0) for position, member in enumerate(members)]
    return (made[0] if width.members == 1 else Summed(made)).eval()


@torch.no_grad()
def scaled(member: nn.Module, norm: nn.BatchNorm2d, shifts: bool) -> nn.Module:
    """A member with the norm's scale within its last convolution; of a sum's members only one takes the shift."""
    hidden, last = parts_of(copy.deepcopy(member))
    assert norm.running_mean is not None and norm.running_var is not None and last.bias is not None
    channels = norm.num_features
    scale = GAIN / torch.sqrt(norm.running_var + norm.eps)
    conv = nn.Conv2d(last.in_channels, channels, 3, 1, 1)
    conv.weight.copy_(last.weight[:channels] * scale[:, None, None, None])
    centre = norm.running_mean if shifts else torch.zeros(channels)
    conv.bias.copy_((last.bias[:channels] - centre) * scale)  # type: ignore[union-attr]
    return nn.Sequential(*hidden, conv)
