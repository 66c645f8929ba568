"""The state of a training run on disk: weights, moments, epochs done."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from edgesmith.core.atomic import write_file
from edgesmith.core.errors import BadInput
from edgesmith.training.recipe import Recipe


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file so that `path` is at any instant either the old or the whole new one."""
    write_file(path, save({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, metadata))


def save_state(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, facts: dict[str, object]) -> None:
    """Weights and the optimizer's moments, with the epochs done, the seed and the recipe beside them."""
    tensors = {f"model.{name}": tensor for name, tensor in module.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
    save_tensors(path, tensors, {name: str(value) for name, value in facts.items()})


def load_state(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, recipe: Recipe, seed: int) -> int:
    """Put a saved state back; returns the number of epochs done."""
    try:
        with safe_open(path, "pt") as file:
            facts = file.metadata() or {}
            if facts.get("recipe") != str(recipe) or facts.get("seed") != str(seed):
                raise BadInput(
                    f"zoo: {path} belongs to another recipe or seed; need this one's. Delete it to start over."
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            module.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
            restore_moments(optimizer, tensors)
            return int(facts["epoch"])
    except (SafetensorError, RuntimeError, KeyError, ValueError) as error:
        raise BadInput(f"zoo: {path} is no training state of this net ({error}). Delete it to start over.") from error


def restore_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put the moments named "optimizer.<index>.<name>" back into the optimizer."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, moment = name.split(".")
            state.setdefault(int(index), {})[moment] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
