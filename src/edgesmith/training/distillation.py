"""What a net learns from another: its answers, its layers' outputs, and parts of it that stay as they are."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
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


class Still(nn.Module):
    """A module that is not trained: its norms keep their statistics, its parameters get no gradient."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.requires_grad_(False)

    def train(self, mode: bool = True) -> "Still":
        """Always as for inference."""
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)


class Features:
    """Outputs of named layers, as they were in the module's last pass.

    Args:
        layers: names within the module; may be none.
    """

    def __init__(self, module: nn.Module, layers: Sequence[str]) -> None:
        self.found: dict[str, Tensor] = {}
        self.layers = tuple(layers)
        self.handles = [module.get_submodule(layer).register_forward_hook(self._keep(layer)) for layer in layers]

    def _keep(self, layer: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            self.found[layer] = output

        return hook

    def rows(self) -> list[Tensor]:
        """Of each layer (n, features)."""
        return [self.found[layer].flatten(1) for layer in self.layers]

    def detach(self) -> None:
        """Look no longer."""
        for handle in self.handles:
            handle.remove()


@torch.no_grad()
def features_of(module: nn.Module, layers: Sequence[str], inputs: np.ndarray, batch: int = 256) -> list[np.ndarray]:
    """What layers of a module in eval mode make of many samples; the module's outputs come last.

    Args:
        inputs: (n, ...) normalized float32.

    Returns:
        of each layer (n, ...) float16, whose range is enough for activations; of the module float32.
    """
    seen = Features(module.eval(), layers)
    parts: list[list[np.ndarray]] = []
    for start in range(0, len(inputs), batch):
        outputs = module(torch.from_numpy(inputs[start : start + batch]))
        parts.append([*(seen.found[layer].numpy().astype(np.float16) for layer in layers), outputs.numpy()])
    seen.detach()
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
