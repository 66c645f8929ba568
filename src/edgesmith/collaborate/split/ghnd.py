"""GHND: a bottleneck in a detector's first layers, learned from what these and later layers gave; the tail stays."""

from torch import nn

from edgesmith.collaborate.split.bottlefit import named
from edgesmith.collaborate.split.bottleneck import Bottleneck, assemble, matched, sealed
from edgesmith.collaborate.split.model import Split, SplitModel, payload_format
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.task import Task
from edgesmith.training.loop import Run
from edgesmith.training.recipe import Recipe

EXPERIMENT = "benchmarks/claims/collaborate/ghnd.py"


@method(
    Card(
        name="ghnd",
        does="replaces a detector's first layers by a narrow encoder and decoder that give what they and later layers"
        " gave, and leaves the rest as it is; a filter on the head's outputs keeps empty frames on the device",
        source=Source("Matsubara, Levorato", 2020, "arXiv:2007.15818"),
        claims=(
            Claim("the tail is the teacher's, bit for bit", test="test_the_tail_is_the_teachers"),
            Claim(
                "with one layer it is plain head network distillation, with more the sum of their squared errors",
                test="test_the_loss_is_the_sum_of_squared_errors_of_the_named_layers",
            ),
            Claim(
                "the filter's threshold is the highest that keeps as many frames with objects as was asked",
                test="test_the_threshold_is_the_highest_that_keeps_enough",
            ),
            Claim(
                "matching later layers too costs less mAP than matching the replaced ones alone", experiment=EXPERIMENT
            ),
            Claim(
                "rates of the link at which it is faster than the device alone and the server alone",
                experiment=EXPERIMENT,
            ),
            Claim("the filter keeps empty frames from being sent", experiment=EXPERIMENT),
        ),
        omits=(
            "R-CNN detectors on COCO: small detectors without anchors here",
            "the decoder's and encoder's exact layers, which are for 800-pixel pictures: BottleFit's are taken",
            "a filter on the features of the head's first layer: it reads the head's outputs",
            "a range of the payload's values found anew for every picture: fixed by calibration, so that none is sent",
            "stepped rates, and SGD for the filter: AdamW with a cosine",
        ),
    )
)
def ghnd(
    layers: tuple[str, ...],
    recipe: Recipe | None = None,
    bottleneck: Bottleneck | None = None,
    seed: int = 0,
    run: Run | None = None,
) -> Split:
    """Split a copy of the module, its layers up to `layers[0]` replaced.

    Args:
        layers: dotted names; the first is the last layer that is replaced. The others, behind it, are matched too:
            layer2, layer3 and layer4 of the ResNet within the authors' R-CNNs. The first alone is plain HND.
        recipe: 20 epochs at 1e-3 are the authors'.
        bottleneck: 3 channels of 8 bits in the paper's smallest.
        seed: of the encoder's and decoder's first weights, and of the batches.
        run: keeps the training's state, and hears of epochs.

    Raises:
        BadInput: no layers, or as in `assemble`.
    """
    recipe, bottleneck = recipe or Recipe(epochs=20, learning_rate=1e-3), bottleneck or Bottleneck(channels=3)

    def split(module: nn.Module, task: Task) -> SplitModel:
        parts = assemble(module, task, layers, bottleneck, seed)
        matched(parts, task, recipe, seed, named(run, "match"))
        return sealed(parts, payload_format(parts.encoder, task, bottleneck.bits))

    return split
