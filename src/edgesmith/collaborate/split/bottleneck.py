"""An encoder and a decoder in place of a net's first layers, and how they learn those layers' outputs."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from edgesmith.collaborate.split.cut import after, before, input_and_outputs, outputs_of, traced
from edgesmith.collaborate.split.model import SplitModel, check_bits
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerTensor
from edgesmith.core.task import Task
from edgesmith.training.accelerator import device_of
from edgesmith.training.distillation import Still, answers, matching_loss
from edgesmith.training.loop import Run, train_module
from edgesmith.training.recipe import Recipe


@dataclass(frozen=True)
class Bottleneck:
    """The encoder and decoder that stand for the first layers.

    Attributes:
        channels: of the payload; 12 is the paper's for ResNet-152 (authors' configurations).
        width: channels within the encoder, 64 there.
        halvings: how often the encoder halves a picture, 2 or more; 3 there, of 224x224, 4 in the authors' third
            version.
        kernel: of the first convolution: 7 for 224x224 there, 3 for small pictures (ours).
        bits: of each value that is sent, 2 to 8; 8 in the paper.
    """

    channels: int = 12
    width: int = 64
    halvings: int = 3
    kernel: int = 3
    bits: int = 8

    def __post_init__(self) -> None:
        check_bits(self.bits)
        if min(self.channels, self.width) < 1 or self.halvings < 2 or self.kernel % 2 == 0:
            raise BadInput(f"split: {self}; need channels and width of 1 or more, 2 halvings or more, an odd kernel.")


@dataclass(frozen=True)
class Parts:
    """What is trained, and what it learns from.

    Attributes:
        teacher: the module, whole.
        wanted: the teacher's layers, to (n, values).
        shape: of one payload.
        guides: the matched layers behind the cut.
    """

    teacher: nn.Module
    wanted: nn.Module
    encoder: nn.Module
    decoder: nn.Module
    tail: fx.GraphModule
    shape: tuple[int, ...]
    guides: tuple[str, ...]
    bits: int


def assemble(module: nn.Module, task: Task, layers: tuple[str, ...], bottleneck: Bottleneck, seed: int) -> Parts:
    """Encoder and decoder with fresh weights before a copy of the module's later layers.

    Raises:
        BadInput: layers that are not there, that cannot be cut after or that do not lie behind the cut, or sizes that
            halving does not meet.
    """
    teacher, learning = (traced(copy.deepcopy(module).eval(), layers) for _ in range(2))
    tail = after(learning, layers[0])
    within = {str(node.target) for node in tail.graph.nodes if node.op == "call_module"}
    if astray := [name for name in layers[1:] if name not in within]:
        raise BadInput(f"split: {astray[0]!r} does not lie behind {layers[0]!r}; need the replaced layer first.")
    example = task.normalize(task.calibration.inputs[:1])
    with torch.no_grad():
        target = before(teacher, layers[0])(torch.from_numpy(example)).shape[1:]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = encoder(example.shape[1], bottleneck)
        shape = payload_shape(head, example.shape[1:])
        behind = decoder(bottleneck.channels, shape, tuple(target))
    return Parts(
        teacher=teacher.module,
        wanted=outputs_of(teacher, layers),
        encoder=head,
        decoder=behind,
        tail=tail,
        shape=shape,
        guides=layers[1:],
        bits=bottleneck.bits,
    )


def encoder(inside: int, bottleneck: Bottleneck) -> nn.Sequential:
    """(n, inside, h, w) to (n, channels, h / 2^halvings, w / 2^halvings): two convolutions, pooling between them."""
    width, kernel = bottleneck.width, bottleneck.kernel
    pools = [nn.MaxPool2d(2) for _ in range(bottleneck.halvings - 2)]
    return nn.Sequential(
        nn.Conv2d(inside, width, kernel, stride=2, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        *pools,
        nn.Conv2d(width, bottleneck.channels, 2, stride=2, bias=False),
    )


@torch.no_grad()
def payload_shape(head: nn.Module, picture: tuple[int, ...]) -> tuple[int, ...]:
    """Of what the encoder gives for a picture (channels, h, w).

    Raises:
        BadInput: too small a picture.
    """
    try:
        return tuple(copy.deepcopy(head).eval()(torch.zeros(1, *picture)).shape[1:])
    except RuntimeError as error:
        raise BadInput(f"split: inputs {picture} cannot be halved so often; need larger pictures.") from error


def decoder(inside: int, shape: tuple[int, ...], target: tuple[int, ...]) -> nn.Sequential:
    """(n, *shape) to (n, *target): four convolutions, of which the first ones double the picture where it must grow.

    Raises:
        BadInput: the target is no picture, or not the payload's size doubled some times.
    """
    doublings = _doublings(shape, target)
    outside = target[0]
    layers: list[nn.Module] = [nn.BatchNorm2d(inside), nn.ReLU()]
    for index in range(max(3, doublings)):
        wide = inside if index == 0 else outside
        grows = index < doublings
        layers.append(
            nn.ConvTranspose2d(wide, outside, 2, 2, bias=False)
            if grows
            else nn.Conv2d(wide, outside, 3, padding=1, bias=False)
        )
        layers += [nn.BatchNorm2d(outside), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(outside, outside, 3, padding=1))


def _doublings(shape: tuple[int, ...], target: tuple[int, ...]) -> int:
    """How often (c, h, w) must double to be as large as the target; errors as in `decoder`."""
    for count in range(8 if len(target) == 3 else 0):
        if all(size << count == wanted for size, wanted in zip(shape[1:], target[1:], strict=True)):
            return count
    raise BadInput(
        f"split: a payload of {shape} cannot be doubled to the replaced layers' {target}; need a cut where the "
        "picture is as large or 2, 4, 8 times as large. Change halvings or the cut."
    )


def matched(parts: Parts, task: Task, recipe: Recipe, seed: int, run: Run | None = None) -> None:
    """Stage 1, in place: encoder and decoder learn the outputs of the layers they replace and of those behind."""
    teacher = Still(parts.wanted).to(device_of(run.accelerator if run else "cpu"))
    behind = Still(input_and_outputs(parts.tail, parts.guides))
    student = nn.Sequential(parts.encoder, parts.decoder, behind)

    def loss(outputs: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        return matching_loss(outputs, answers(teacher, x, recipe.bfloat16))

    train_module(student, task, recipe, seed, run, loss)
    behind.release()
    teacher.cpu()


def sealed(parts: Parts, format_: PerTensor) -> SplitModel:
    """The trained parts as two halves."""
    head, tail = parts.encoder.eval(), nn.Sequential(parts.decoder, parts.tail).eval()
    return SplitModel(head.requires_grad_(True), tail, format_, parts.shape)
