"""BottleFit: a narrow encoder and decoder take the place of a net's first layers, trained in two stages."""

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from edgesmith.collaborate.split.cut import after, before, input_and_outputs, outputs_of, traced
from edgesmith.collaborate.split.model import Payload, Split, SplitModel, check_bits, payload_format
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerTensor
from edgesmith.core.task import Task
from edgesmith.training.accelerator import device_of
from edgesmith.training.distillation import Still, answers, matching_loss, soft_loss
from edgesmith.training.evaluate import loss_of
from edgesmith.training.loop import Run, train_module
from edgesmith.training.recipe import Recipe

EXPERIMENT = "benchmarks/claims/collaborate/bottlefit.py"


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
            raise BadInput(
                f"bottlefit: {self}; need channels and width of 1 or more, 2 halvings or more, an odd kernel."
            )


@dataclass(frozen=True)
class Stages:
    """How the two stages train.

    Attributes:
        match: stage 1, encoder and decoder against the teacher's layers; the authors take Adam at 1e-3, 10 epochs.
        tune: stage 2, decoder and tail against labels and teacher; the authors take SGD at 1e-3, 10 epochs.
        soft: weight of the teacher's answers in stage 2, the rest is the labels'; 0.5 is the authors', 0 for labels
            alone (their "vanilla").
        temperature: of both answers; 1 is the authors'.
    """

    match: Recipe
    tune: Recipe
    soft: float = 0.5
    temperature: float = 1.0


@method(
    Card(
        name="bottlefit",
        does="replaces a net's first layers by a narrow encoder and decoder, learned from them, and splits between",
        source=Source("Matsubara, Callegaro, Singh, Levorato, Restuccia", 2022, "arXiv:2201.02693"),
        claims=(
            Claim(
                "stage 1 pulls the replaced layers' outputs and those behind them to the teacher's",
                test="test_stage_one_comes_near_the_teachers_layers",
            ),
            Claim(
                "the encoder, its statistics too, stays as it is in stage 2",
                test="test_stage_two_leaves_the_encoder_alone",
            ),
            Claim("at least 75% fewer bytes than the picture at a loss of at most one point", experiment=EXPERIMENT),
            Claim("more accurate than the same bottleneck trained on the labels alone", experiment=EXPERIMENT),
            Claim("less latency and energy than computing here or sending the picture", experiment=EXPERIMENT),
        ),
        omits=(
            "the convolutions of 2x2 with odd paddings in the decoder: 3x3 here",
            "SGD and a stepped rate",
            "ranges of the payload found anew for every picture: fixed by calibration here, so that no scale is sent",
        ),
    )
)
def bottlefit(
    layers: tuple[str, ...],
    stages: Stages,
    bottleneck: Bottleneck | None = None,
    seed: int = 0,
    run: Run | None = None,
) -> Split:
    """Split a copy of the module, its layers up to `layers[0]` replaced.

    Args:
        layers: dotted names; the first is the last layer that is replaced, the others, behind it, are matched too
            (layer2, layer3 and layer4 of ResNet-152 in the authors' configurations).
        seed: of the encoder's and decoder's first weights, and of both stages.
        run: keeps the state of either stage, in files named after it, and hears of epochs.

    Raises:
        BadInput: no layers, or as in `assemble`.
    """
    if not layers:
        raise BadInput("bottlefit: no layers; need the name of the last one to replace, such as 'layer2'.")
    bottleneck = bottleneck or Bottleneck()

    def split(module: nn.Module, task: Task) -> SplitModel:
        parts = assemble(module, task, layers, bottleneck, seed)
        matched(parts, task, stages.match, seed, named(run, "match"))
        return tuned(parts, task, stages, seed, named(run, "tune"))

    return split


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
        BadInput: layers that are not there or cannot be cut after, or sizes that halving does not meet.
    """
    teacher, learning = (traced(copy.deepcopy(module).eval(), layers) for _ in range(2))
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
        tail=after(learning, layers[0]),
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
        raise BadInput(f"bottlefit: inputs {picture} cannot be halved so often; need larger pictures.") from error


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
        f"bottlefit: a payload of {shape} cannot be doubled to the replaced layers' {target}; need a cut where the "
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


def tuned(parts: Parts, task: Task, stages: Stages, seed: int, run: Run | None = None) -> SplitModel:
    """Stage 2: decoder and tail learn on what the encoder, which stays, sends in its integers."""
    format_ = payload_format(parts.encoder, task, parts.bits)
    student = nn.Sequential(Still(parts.encoder), Payload(format_), parts.decoder, parts.tail)
    teacher = Still(parts.teacher).to(device_of(run.accelerator if run else "cpu"))
    smoothing = stages.tune.label_smoothing

    def loss(outputs: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        hard = loss_of(outputs, x, labels, task, smoothing)
        if not stages.soft:
            return hard
        target = answers(teacher, x, stages.tune.bfloat16).float()
        classes = task.loss == "cross_entropy"
        soft = soft_loss(outputs, target, stages.temperature) if classes else functional.mse_loss(outputs, target)
        return stages.soft * soft + (1 - stages.soft) * hard

    train_module(student, task, stages.tune, seed, run, loss)
    return sealed(parts, format_)


def sealed(parts: Parts, format_: PerTensor) -> SplitModel:
    """The trained parts as two halves."""
    head, tail = parts.encoder.eval(), nn.Sequential(parts.decoder, parts.tail).eval()
    return SplitModel(head.requires_grad_(True), tail, format_, parts.shape)


def named(run: Run | None, stage: str) -> Run | None:
    """The run with a state file of the stage's own."""
    if run is None or run.state_file is None:
        return run
    return replace(run, state_file=run.state_file.with_name(f"{run.state_file.name}.{stage}"))
