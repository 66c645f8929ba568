"""MST-compression: output channels of binary convolutions told by what differs from one another, and brought closer."""

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.compress.binary.layers import BinaryConv2d
from edgesmith.compress.binary.program import stored
from edgesmith.compress.binary.spanning import ROOT, centre, differences, spanning_tree
from edgesmith.compress.quantize.calibrators import Calibration
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Task
from edgesmith.lower import Lifted, lift
from edgesmith.lower.fake_sign import fake_sign
from edgesmith.training.evaluate import loss_of
from edgesmith.training.loop import BatchLoss, Run, train_module
from edgesmith.training.recipe import Recipe

Transform = Callable[[nn.Module, Task], Lifted]
TUNE = Recipe(epochs=4, batch=64, learning_rate=2e-3, weight_decay=0.0)  # our measurement
DEPTH = 4  # levels below the root: a sum is kept for each (our choice)
STRENGTH = 1.0  # of the distance beside the task's loss (our measurement)
RENEWED = 20  # steps of training that share the trees


@method(
    Card(
        name="mst_compression",
        does="binary convolutions whose output channels are computed from one another along a spanning tree, trained "
        "to differ in fewer weights",
        source=Source("Vo et al.", 2023, "arXiv:2308.13735"),
        claims=(
            Claim("no tree is shorter", test="test_the_tree_is_the_least_of_all_trees_of_five_channels"),
            Claim(
                "a tree's results are those of the plain weights", test="test_both_forms_of_weights_give_the_same_bytes"
            ),
            Claim("training shrinks the trees", test="test_training_shrinks_the_trees"),
            Claim(
                "far fewer operations than plain XNOR and popcount at negligible loss",
                experiment="benchmarks/claims/compress/mst_compression.py",
            ),
        ),
        omits=(
            "the paper's own root, tie-breaking and loss: its full text was not at hand; here every root is tried, "
            "ties go to the lower level, the loss is the share of weights that differ along the trees of the moment",
            "its FPGA architecture",
            "CIFAR-10, ImageNet, and nets with residual sums of floats",
        ),
    )
)
def mst_compression(
    depth: int = DEPTH,
    strength: float = STRENGTH,
    recipe: Recipe | None = TUNE,
    calibration: Calibration = "mse",
    seed: int = 0,
    run: Run | None = None,
) -> Transform:
    """Train a copy of a binary net (`Sign`, `BinaryConv2d`) so that its trees shrink, and store it by them.

    All but signs becomes int8; the result takes raw sensor values.

    Args:
        depth: most edges from a tree's root to any channel.
        strength: of the trees' length beside the task's loss; 0 trains for the task alone.
        recipe: of the training; None trains nothing.
        calibration: how an activation's range follows from its values; as in `ptq`.
        run: keeps the state after every epoch, and hears of each.

    Raises:
        BadInput: a depth below 1, a negative strength; from the transform: a net without binary convolutions.
    """
    if depth < 1 or strength < 0:
        raise BadInput(f"mst_compression: depth {depth}, strength {strength}; need 1 or more, and 0 or more.")

    def transform(module: nn.Module, task: Task) -> Lifted:
        net = copy.deepcopy(module)
        layers = [layer for layer in net.modules() if isinstance(layer, BinaryConv2d)]
        if not layers:
            raise BadInput("mst_compression: the net has no binary convolution; need BinaryConv2d behind Sign.")
        if recipe:
            shrinking = loss_with_trees(layers, task, depth, strength, recipe.label_smoothing)
            train_module(net, task, recipe, seed, run, shrinking)
        return lift(stored(net.eval(), task, lambda bits: tree(bits, depth), calibration)).eval()

    return transform


def tree(bits: np.ndarray, depth: int) -> tuple[int, ...]:
    """The parent of every output channel: the shortest tree found from all roots.

    Args:
        bits: (O, ...) bool.
    """
    return spanning_tree(differences(bits), depth)


def loss_with_trees(
    layers: Sequence[BinaryConv2d], task: Task, depth: int, strength: float, smoothing: float = 0.0
) -> BatchLoss:
    """The task's loss, and `strength` times each layer's share of weights that differ along its tree.

    Trees are those of the weights at every RENEWED-th step, from the channel that is nearest to all.
    """
    edges: list[tuple[Tensor, Tensor]] = []
    steps = 0

    def loss(outputs: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        nonlocal steps
        if steps % RENEWED == 0 and strength:
            edges[:] = [edges_of(layer.weight, depth) for layer in layers]
        steps += 1
        total = loss_of(outputs, x, labels, task, smoothing)
        for layer, (children, parents) in zip(layers, edges, strict=bool(strength)):
            total = total + strength * differing(layer.weight, children, parents)
        return total

    return loss


def edges_of(weight: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """The tree of the weights as they are: every channel but the root, and its parent."""
    distances = differences((weight.detach() >= 0).cpu().numpy())
    parents = spanning_tree(distances, depth, roots=(centre(distances),))
    children = [channel for channel, parent in enumerate(parents) if parent != ROOT]
    return torch.tensor(children, dtype=torch.long), torch.tensor(
        [parents[child] for child in children], dtype=torch.long
    )


def differing(weight: Tensor, children: Tensor, parents: Tensor) -> Tensor:
    """Share of weights whose sign differs from that of the parent's; gradients pass the signs as in `Sign`.

    Args:
        weight: (O, ...).
        children, parents: (edges,) channels.
    """
    signs = fake_sign(weight, torch.ones(1))
    return (signs[children] - signs[parents]).abs().sum() / 2 / max(signs[children].numel(), 1)
