"""Learning from another net: its softened answers, the outputs of its layers, and parts that stay as they are."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def soft_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 times the divergence of the softened student from the softened teacher.

    Args:
        student, teacher: (n, classes) logits.

    Returns:
        scalar, in nats.

    Source: arXiv:1503.02531, section 2 (the factor T^2: end of section 2).
    """
    log_student = functional.log_softmax(student / temperature, dim=-1)
    log_teacher = functional.log_softmax(teacher / temperature, dim=-1)
    divergence = functional.kl_div(log_student, log_teacher, log_target=True, reduction="batchmean")
    return divergence * temperature**2


def matching_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared differences of two nets' layers, summed over the layers and their elements, a mean over the batch.

    Args:
        student, teacher: (n, values), the outputs of all matched layers side by side; any float dtype.

    Source: generalized head network distillation, arXiv:2007.15818, with factor 1 for every layer.
    """
    return (student.float() - teacher.float()).square().sum() / len(student)


class Still(nn.Module):
    """A part that stays as it is while what surrounds it trains: weights and statistics; gradients pass through.

    The module itself is held, not copied: its parameters stop asking for gradients until `release`.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> "Still":
        """Stays in eval mode, so that batch norms keep their statistics."""
        return super().train(False)

    def release(self) -> nn.Module:
        """The module, free to learn again."""
        return self.module.requires_grad_(True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.module(x)
        return out


@torch.no_grad()
def answers(teacher: nn.Module, x: Tensor, bfloat16: bool) -> Tensor:
    """What a teacher says, in bfloat16 where its student trains in it; no gradient."""
    with torch.autocast(x.device.type, torch.bfloat16, enabled=bfloat16):
        out: Tensor = teacher(x)
    return out
