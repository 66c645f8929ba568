"""Knowledge distillation: the student learns the teacher's softened answers beside the labels."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.task import Task
from edgesmith.training.accelerator import device_of
from edgesmith.training.distillation import soft_loss
from edgesmith.training.evaluate import loss_of
from edgesmith.training.loop import Run, train_module
from edgesmith.training.recipe import Recipe

Transform = Callable[[nn.Module, Task], nn.Module]


@method(
    Card(
        name="kd",
        does="fine-tunes on the labels and on a teacher's outputs softened by a temperature",
        source=Source("Hinton, Vinyals, Dean", 2015, "arXiv:1503.02531"),
        claims=(
            Claim(
                "gradients of the soft term are near those of matching logits at high temperature",
                test="test_high_temperature_matches_logits",
            ),
            Claim(
                "the T^2 factor keeps the soft term's gradient of one size as T changes",
                test="test_gradient_size_does_not_change_with_temperature",
            ),
        ),
        omits=("ensembles of specialists",),
    )
)
def kd(
    teacher: nn.Module | None,
    recipe: Recipe,
    temperature: float = 4.0,
    alpha: float = 0.7,
    seed: int = 0,
    run: Run | None = None,
) -> Transform:
    """Fine-tune a copy of the module.

    Args:
        teacher: the net to imitate; None trains on the labels alone.
        temperature: softens both outputs; the paper tries 1 to 20, 4 is common for small nets.
        alpha: weight of the soft term, 1 - alpha that of the labels (the paper: "considerably lower" for the labels).
        run: keeps the state after every epoch, so that a killed run goes on, and hears of each.
    """

    def transform(module: nn.Module, task: Task) -> nn.Module:
        student = copy.deepcopy(module)
        if teacher is None:
            return train_module(student, task, recipe, seed, run)
        device = device_of(run.accelerator if run else "cpu")
        frozen = copy.deepcopy(teacher).eval().requires_grad_(False).to(device)

        def loss(outputs: Tensor, x: Tensor, labels: Tensor) -> Tensor:
            hard = loss_of(outputs, x, labels, task, recipe.label_smoothing)
            with torch.no_grad():
                target = frozen(x)
            soft = (
                soft_loss(outputs, target, temperature)
                if task.loss == "cross_entropy"
                else functional.mse_loss(outputs, target)
            )
            return alpha * soft + (1 - alpha) * hard

        return train_module(student, task, recipe, seed, run, loss)

    return transform
