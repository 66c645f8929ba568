"""Slimmable encoders: one set of weights whose encoder runs and sends as much as the link takes at the moment."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgesmith.collaborate.coding import fit
from edgesmith.collaborate.split.cutting import rest_after
from edgesmith.collaborate.split.latents import LatentSplit, sent_by
from edgesmith.collaborate.split.nets import Encoder
from edgesmith.collaborate.split.prior import noisy
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Split, Task
from edgesmith.training.distillation import Still, features_of, soft_loss
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
    """The encoder, and where the original net goes on.

    Attributes:
        layer: of the net, whose output the decoders imitate.
        widths: narrowest first.
        convolutions: channels of each member's convolutions, which halve the picture.
        alpha: share of the net's own answers in the loss on answers, 1 - alpha that of the labels.
    """

    layer: str
    widths: tuple[Width, ...] = WIDTHS
    convolutions: tuple[int, ...] = (8, 16)
    alpha: float = 0.5

    def __post_init__(self) -> None:
        if not self.widths or any(width.members < 1 or width.channels < 1 for width in self.widths):
            raise BadInput(
                f"slimmable: widths {self.widths}; need one or more, each of a member and a channel at least."
            )


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
def slimmable(form: Form, recipe: Recipe, seed: int = 0) -> Callable[[nn.Module, Task], "SlimSplit"]:
    """Train encoder and decoders in front of a classifier's last layers, which stay as they are.

    Raises:
        BadInput: no such layer, no pictures of one class, a recipe that augments, or a grid that is not the layer's.
        Unsupported: the net cannot be cut at that layer.
    """

    def split(module: nn.Module, task: Task) -> SlimSplit:
        if recipe.augment != "none" or task.loss != "cross_entropy" or task.train.inputs.ndim != 4:
            raise BadInput("slimmable: need pictures (n, c, h, w) of one class, and a recipe with augment none.")
        teacher = copy.deepcopy(module).eval()
        features, wanted = taught(teacher, form.layer, task, recipe)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = SlimNet(form, task.train.inputs.shape[1], features[1:], rest_after(teacher, form.layer))
        made = replace(task, train=Split(task.train.inputs[: len(wanted)], wanted))
        train_module(net, made, recipe, seed, batch_loss=imitation_loss(form.alpha, int(np.prod(features[1:]))))
        return coded(net, task)

    return split


def taught(teacher: nn.Module, layer: str, task: Task, recipe: Recipe) -> tuple[tuple[int, ...], np.ndarray]:
    """The shape (n, c, h, w) of a layer's outputs; and of each training sample those, its label, the net's answer.

    The second is (n, features + 1 + classes) float16, which holds labels up to 2048 exactly.
    """
    count = recipe.train_samples or len(task.train)
    inputs, labels = task.train.inputs[:count], task.train.labels[:count]
    features, answers = features_of(teacher, (layer,), task.normalize(inputs))
    columns = (features.reshape(len(features), -1), labels[:, None].astype(np.float16), answers.astype(np.float16))
    return features.shape, np.concatenate(columns, 1)


def imitation_loss(alpha: float, features: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The mean over widths of: squared error of the features over their variance, and the answers' divergence.

    It takes (n, widths, features + classes) outputs of a `SlimNet` and (n, features + 1 + classes) of `taught`.
    """

    def loss(outputs: Tensor, _: Tensor, wanted: Tensor) -> Tensor:
        wanted = wanted.to(outputs.dtype)
        layer, label, answer = wanted[:, :features], wanted[:, features].long(), wanted[:, features + 1 :]
        error = (outputs[..., :features] - layer[:, None]).square().mean() / layer.var()
        scores = outputs[..., features:]
        soft = sum(soft_loss(scores[:, index], answer, 1.0) for index in range(scores.shape[1])) / scores.shape[1]
        hard = functional.cross_entropy(scores.flatten(0, 1), label.repeat_interleave(scores.shape[1]))
        return error + alpha * soft + (1 - alpha) * hard

    return loss


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
        sums = [sum(made[: width.members])[:, : width.channels] for width in self.widths]  # type: ignore[index]
        return [GAIN * norm(summed) for norm, summed in zip(self.norms, sums, strict=True)]


def sliced(encoder: nn.Module, x: Tensor, channels: int) -> Tensor:
    """The first channels that an encoder makes, the others not computed."""
    *hidden, last = encoder.children()
    for layer in hidden:
        x = layer(x)
    return functional.conv2d(x, last.weight[:channels], last.bias[:channels], last.stride, last.padding)


class SlimDecoder(nn.Module):
    """Latents of any width to a layer's output (n, outside, h, w); norms, with their scales, are each width's own."""

    def __init__(self, widths: Sequence[Width], outside: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(max(width.channels for width in widths), outside, 3, 1, 1, bias=False)
        self.second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.ModuleList((nn.BatchNorm2d(outside), nn.BatchNorm2d(outside))) for _ in widths)

    def forward(self, x: Tensor, index: int) -> Tensor:
        """The latents of width `index`."""
        norm, other = self.norms[index]  # type: ignore[misc]
        x = functional.conv2d(x, self.first.weight[:, : x.shape[1]], None, self.first.stride, self.first.padding)
        return torch.relu(other(self.second(torch.relu(norm(x)))))


class SlimNet(nn.Module):
    """Everything while it is trained: (n, c, h, w) to (n, widths, features + classes), latents with noise.

    Args:
        shape: (channels, h, w) of the imitated layer.
        rest: the original net after it; it is not trained.
    """

    def __init__(self, form: Form, inside: int, shape: tuple[int, ...], rest: nn.Module) -> None:
        super().__init__()
        self.encoder = Ensemble(form, inside)
        self.decoder = SlimDecoder(form.widths, shape[0])
        self.rest = Still(rest)

    def forward(self, x: Tensor) -> Tensor:
        made = [self.decoder(noisy(latents), index) for index, latents in enumerate(self.encoder.every(x))]
        answers = self.rest(torch.cat(made)).unflatten(0, (len(made), len(x)))
        return torch.cat([torch.stack(made).flatten(2), answers], 2).transpose(0, 1)


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
        self.decoder, self.rest, self.index = net.decoder, net.rest, index

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.decoder(x, self.index))


@dataclass
class SlimSplit:
    """A net split in two whose width changes from one request to the next.

    Attributes:
        ways: of each width head, tail and code; all share one set of weights.
        width: index of the one in use.
    """

    net: SlimNet
    ways: tuple[LatentSplit, ...]
    width: int = field(default=0)

    def switch(self, index: int) -> None:
        """From now on run at this width; nothing is loaded or copied.

        Raises:
            BadInput: there is no such width.
        """
        if not 0 <= index < len(self.ways):
            raise BadInput(f"slimmable: width {index}; need 0 .. {len(self.ways) - 1}.")
        self.width = index

    @property
    def now(self) -> LatentSplit:
        """Head, tail and code at the width in use."""
        return self.ways[self.width]


def coded(net: SlimNet, task: Task) -> SlimSplit:
    """Each width with the tables that fit its latents of the calibration split."""
    ways = []
    for index in range(len(net.encoder.widths)):
        head, tail = Head(net, index).eval(), Tail(net, index).eval()
        code = fit(sent_by(head, task.calibration, task.normalize), TABLES)
        ways.append(LatentSplit(head, tail, code, task.normalize))
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


@torch.no_grad()
def alone(encoder: Ensemble, index: int) -> nn.Module:
    """One width's encoder as a net of its own, its last norm within the last convolutions: what a board compiles."""
    width, norm = encoder.widths[index], encoder.norms[index]
    scale = GAIN / torch.sqrt(norm.running_var + norm.eps)  # type: ignore[operator]
    made = []
    for member in list(encoder.members)[: width.members]:
        *hidden, last = (copy.deepcopy(layer) for layer in member.children())
        conv = nn.Conv2d(last.in_channels, width.channels, last.kernel_size, last.stride, last.padding)
        conv.weight.copy_(last.weight[: width.channels] * scale[:, None, None, None])
        shift = norm.running_mean if not made else 0.0  # once, whatever the number of members
        conv.bias.copy_((last.bias[: width.channels] - shift) * scale)  # type: ignore[union-attr]
        made.append(nn.Sequential(*hidden, conv))
    return (made[0] if width.members == 1 else Summed(made)).eval()
