"""Sharpness-aware minimization: a step whose gradient is that of the worst point nearby."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

RHO = 0.05  # arXiv:2010.01412, section 3.1: the best of its grid on ImageNet and CIFAR


@dataclass(frozen=True)
class Sharpness:
    """A `Step` of the training loop.

    Attributes:
        rho: how far the worst point lies, in the Euclidean norm of all the parameters that move.
        still: parameters that stay where they are while the worst point is looked at.
    """

    rho: float = RHO
    still: tuple[Tensor, ...] = ()

    def __call__(self, loss_of_batch: Callable[[], Tensor], optimizer: torch.optim.Optimizer) -> Tensor:
        """One step down the gradient at the worst point (equation 3)."""
        loss, _ = gradients(loss_of_batch, optimizer)
        moved = climb(movable(optimizer, self.still), self.rho)
        gradients(loss_of_batch, optimizer)
        back(moved)
        optimizer.step()
        return loss


def gradients(loss_of_batch: Callable[[], Tensor], optimizer: torch.optim.Optimizer) -> tuple[Tensor, list[Tensor]]:
    """The loss, and the parameters that got a gradient of it, in `grad`."""
    optimizer.zero_grad()
    loss = loss_of_batch()
    loss.backward()
    return loss.detach(), [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]


def movable(optimizer: torch.optim.Optimizer, still: Sequence[Tensor]) -> list[Tensor]:
    """The optimizer's parameters that have a gradient, without those that stay."""
    apart = {id(parameter) for parameter in still}
    every = (p for group in optimizer.param_groups for p in group["params"])
    return [p for p in every if p.grad is not None and id(p) not in apart]


@torch.no_grad()
def climb(parameters: Sequence[Tensor], rho: float) -> list[tuple[Tensor, Tensor]]:
    """Move along the gradient by rho * g / |g| (equation 2, p = 2); returns each parameter with what it was."""
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in grads])) if grads else None
    before = [(parameter, parameter.detach().clone()) for parameter in parameters]
    if length is not None and length > 0:
        for parameter, grad in zip(parameters, grads, strict=True):
            parameter.add_(grad, alpha=float(rho / length))
    return before


@torch.no_grad()
def back(before: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Put parameters back to what they were."""
    for parameter, value in before:
        parameter.copy_(value)
