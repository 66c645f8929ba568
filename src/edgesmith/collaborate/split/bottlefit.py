"""BottleFit: a narrow encoder and decoder take the place of a net's first layers, trained in two stages."""

from dataclasses import dataclass, replace

from torch import Tensor, nn
from torch.nn import functional

from edgesmith.collaborate.split.bottleneck import Bottleneck, Parts, assemble, matched, sealed
from edgesmith.collaborate.split.model import Payload, Split, SplitModel, payload_format
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Task
from edgesmith.training.accelerator import device_of
from edgesmith.training.distillation import Still, answers, soft_loss
from edgesmith.training.evaluate import loss_of
from edgesmith.training.loop import Run, train_module
from edgesmith.training.recipe import Recipe

EXPERIMENT = "benchmarks/claims/collaborate/bottlefit.py"


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


def named(run: Run | None, stage: str) -> Run | None:
    """The run with a state file of the stage's own."""
    if run is None or run.state_file is None:
        return run
    return replace(run, state_file=run.state_file.with_name(f"{run.state_file.name}.{stage}"))
