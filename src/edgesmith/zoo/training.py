"""Train a net by its recipe; the state is on disk after every epoch, so a killed run goes on where it was."""

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from edgesmith.core.errors import BadInput
from edgesmith.core.task import Normalize, Split, Task
from edgesmith.zoo.recipe import Augment, Recipe

WARM_UP = 0.1  # share of all steps


def train_module(
    module: nn.Module,
    task: Task,
    recipe: Recipe,
    seed: int,
    state_file: Path,
    progress: Callable[[int, float], None] = lambda epoch, loss: None,
) -> nn.Module:
    """Train `module` in place and return it in eval mode.

    Everything random comes from (seed, epoch), so a run resumed from `state_file` ends with the same weights.

    Args:
        state_file: where the state is kept after every epoch; read first if it is there.
        progress: called with the finished epoch and its mean loss.

    Raises:
        BadInput: `state_file` is not a state of this module.
    """
    optimizer = torch.optim.AdamW(module.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    start = load_state(state_file, module, optimizer, recipe, seed) if state_file.exists() else 0
    with torch.random.fork_rng(devices=[]):
        for epoch in range(start, recipe.epochs):
            torch.manual_seed(seed * 10_007 + epoch)
            loss = train_epoch(module, task, recipe, epoch, optimizer)
            save_state(state_file, module, optimizer, {"epoch": epoch + 1, "seed": seed, "recipe": recipe})
            progress(epoch, loss)
    return module.eval()


def train_epoch(module: nn.Module, task: Task, recipe: Recipe, epoch: int, optimizer: torch.optim.Optimizer) -> float:
    """One pass over the train split; returns the mean loss."""
    module.train()
    samples = min(recipe.train_samples or len(task.train), len(task.train))
    steps = max(1, samples // recipe.batch)
    total = 0.0
    for step, (raw, labels) in enumerate(batches(task.train, samples, recipe.batch)):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * schedule((epoch * steps + step) / (recipe.epochs * steps))
        x = normalized(augmented(raw, recipe.augment), task.normalize)
        loss = loss_of(module(x), x, labels, task, recipe.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += float(loss.detach())
    return total / steps


def schedule(done: float) -> float:
    """Learning rate as a share of its peak: up over the first tenth, then half a cosine down to zero.

    >>> schedule(0.05), schedule(0.1), round(schedule(0.55), 3)
    (0.5, 1.0, 0.5)
    """
    if done < WARM_UP:
        return done / WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))


def batches(split: Split, samples: int, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The first `samples` of a split in random order, in batches of `size`; an incomplete last batch is left out."""
    order = torch.randperm(samples).numpy()
    size = min(size, samples)
    for start in range(0, samples - size + 1, size):
        rows = np.sort(order[start : start + size])
        yield torch.from_numpy(split.inputs[rows]), torch.from_numpy(split.labels[rows])


def normalized(raw: Tensor, normalize: Normalize) -> Tensor:
    """Raw sensor values to the model's float input."""
    return torch.from_numpy(normalize(raw.numpy()))


def augmented(raw: Tensor, augment: Augment) -> Tensor:
    """Shift each image of (n, c, h, w) by up to an eighth of its height, filled with 0; mirror half of them."""
    if augment == "none":
        return raw
    if augment == "flip_shift":
        mirror = torch.rand(len(raw)) < 0.5
        raw = torch.where(mirror[:, None, None, None], raw.flip(-1), raw)
    return shifted(raw, reach=raw.shape[-1] // 8)


def shifted(raw: Tensor, reach: int) -> Tensor:
    """Each image of (n, c, h, w) moved by its own -reach..reach rows and columns; what enters is 0."""
    n, _, height, width = raw.shape
    padded = nn.functional.pad(raw, (reach,) * 4)
    top, left = torch.randint(0, 2 * reach + 1, (2, n))
    rows = top[:, None] + torch.arange(height)
    columns = left[:, None] + torch.arange(width)
    image = torch.arange(n)[:, None, None]
    return padded[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def loss_of(outputs: Tensor, x: Tensor, labels: Tensor, task: Task, smoothing: float) -> Tensor:
    """The task's loss on one batch."""
    if task.loss == "cross_entropy":
        return nn.functional.cross_entropy(outputs, labels, label_smoothing=smoothing)
    return nn.functional.mse_loss(outputs, x if task.loss == "reconstruction" else labels)


@torch.no_grad()
def predict(module: nn.Module, split: Split, normalize: Normalize, batch: int = 256) -> np.ndarray:
    """The model's float outputs on every sample of a split, in eval mode."""
    module.eval()
    chunks = [split.inputs[start : start + batch] for start in range(0, len(split), batch)]
    return np.concatenate([module(torch.from_numpy(normalize(chunk))).numpy() for chunk in chunks])


def evaluate(module: nn.Module, task: Task, split: Split) -> float:
    """The task's metric on a split."""
    return task.metric.compute(predict(module, split, task.normalize), split.labels)


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file so that `path` is at any instant either the old or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, partial, metadata)
    with open(partial, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


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
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118: not a dict
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
