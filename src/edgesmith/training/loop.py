"""Train a net by its recipe; the state is on disk after every epoch, so a killed run goes on where it was."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.core.task import Split, Task
from edgesmith.training.accelerator import Accelerator, device_of, device_under
from edgesmith.training.evaluate import loss_of, normalized
from edgesmith.training.recipe import Augment, Recipe
from edgesmith.training.state import load_state, save_state

BatchLoss = Callable[[Tensor, Tensor, Tensor], Tensor]  # (outputs, model inputs, labels) to a scalar
# (the loss of the batch, anew at each call; the optimizer) to the loss: changes the parameters once.
Step = Callable[[Callable[[], Tensor], torch.optim.Optimizer], Tensor]

WARM_UP = 0.1  # share of all steps


@dataclass(frozen=True)
class Run:
    """How a method works through its epochs or layers.

    Attributes:
        state_file: where the state is kept after every epoch; read first if it is there. None keeps none.
        progress: called with the finished epoch and its mean loss.
        accelerator: what computes; "cpu" everywhere, "cuda" where there is one.
    """

    state_file: Path | None = None
    progress: Callable[[int, float], None] = lambda epoch, loss: None
    accelerator: Accelerator = "cpu"


def descend(loss_of_batch: Callable[[], Tensor], optimizer: torch.optim.Optimizer) -> Tensor:
    """One step down the gradient of a batch; returns its loss."""
    loss = loss_of_batch()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def train_module(
    module: nn.Module,
    task: Task,
    recipe: Recipe,
    seed: int,
    run: Run | None = None,
    batch_loss: BatchLoss | None = None,
    step: Step = descend,
) -> nn.Module:
    """Train `module` in place and return it in eval mode, on the CPU.

    Everything random comes from (seed, epoch), so a run resumed from its state ends with the same weights.

    Args:
        run: where the state is kept, who hears of epochs, and what computes.
        batch_loss: what is minimised; None for the task's own loss.
        step: how a batch changes the parameters. One that keeps something from step to step begins anew after a resume.

    Raises:
        BadInput: the state is not one of this module.
        Missing: the accelerator is not there.
    """
    run = run or Run()
    module.to(device_of(run.accelerator))
    optimizer = torch.optim.AdamW(module.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    start = _begun(run.state_file, module, optimizer, recipe, seed)
    batch_loss = batch_loss or (lambda outputs, x, labels: loss_of(outputs, x, labels, task, recipe.label_smoothing))
    with torch.random.fork_rng(devices=[]):
        for epoch in range(start, recipe.epochs):
            torch.manual_seed(seed * 10_007 + epoch)
            loss = train_epoch(module, task, recipe, epoch, Update(optimizer, batch_loss, step))
            if run.state_file:
                save_state(run.state_file, module, optimizer, {"epoch": epoch + 1, "seed": seed, "recipe": recipe})
            run.progress(epoch, loss)
    return laid_out(module.cpu(), torch.contiguous_format).eval()


def _begun(path: Path | None, module: nn.Module, optimizer: torch.optim.Optimizer, recipe: Recipe, seed: int) -> int:
    """Epochs done, their state put back."""
    return load_state(path, module, optimizer, recipe, seed) if path and path.exists() else 0


@dataclass(frozen=True)
class Update:
    """What a batch does to the parameters."""

    optimizer: torch.optim.Optimizer
    batch_loss: BatchLoss
    step: Step = descend


def train_epoch(module: nn.Module, task: Task, recipe: Recipe, epoch: int, update: Update) -> float:
    """One pass over the train split; returns the mean loss."""
    module.train()
    device = device_under(module)
    layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
    laid_out(module, layout)
    samples = min(recipe.train_samples or len(task.train), len(task.train))
    steps = max(1, samples // recipe.batch)
    total = 0.0
    for index, (raw, labels) in enumerate(batches(task.train, samples, recipe.batch)):
        for group in update.optimizer.param_groups:
            group["lr"] = recipe.learning_rate * schedule((epoch * steps + index) / (recipe.epochs * steps))
        x = normalized(augmented(raw, recipe.augment), task.normalize).contiguous(memory_format=layout).to(device)
        labels = labels.to(device)

        def loss_of_batch(x: Tensor = x, labels: Tensor = labels) -> Tensor:
            with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bfloat16):
                outputs = module(x)
            return update.batch_loss(outputs.float() if recipe.bfloat16 else outputs, x, labels)

        total += float(update.step(loss_of_batch, update.optimizer))
    return total / steps


def laid_out(module: nn.Module, layout: torch.memory_format) -> nn.Module:
    """The module itself, its convolutions' weights in the layout; torch's types do not know the argument."""
    return module.to(memory_format=layout)  # type: ignore[call-overload]


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


def augmented(raw: Tensor, augment: Augment) -> Tensor:
    """Each sample moved by up to an eighth of its width; "flip_shift" mirrors half of the images first.

    Args:
        raw: images (n, c, h, w), whose new edge is 0, or waveforms (n, samples), whose end comes round.
    """
    if augment == "none":
        return raw
    if raw.ndim == 2:
        return rolled(raw, reach=raw.shape[1] // 8)
    if augment == "flip_shift":
        mirror = torch.rand(len(raw)) < 0.5
        raw = torch.where(mirror[:, None, None, None], raw.flip(-1), raw)
    return shifted(raw, reach=raw.shape[-1] // 8)


def rolled(raw: Tensor, reach: int) -> Tensor:
    """Each row of (n, samples) turned by its own -reach..reach samples."""
    turn = torch.randint(-reach, reach + 1, (len(raw), 1))
    return raw.gather(1, (torch.arange(raw.shape[1]) - turn) % raw.shape[1])


def shifted(raw: Tensor, reach: int) -> Tensor:
    """Each image of (n, c, h, w) moved by its own -reach..reach rows and columns; what enters is 0."""
    n, _, height, width = raw.shape
    padded = nn.functional.pad(raw, (reach,) * 4)
    top, left = torch.randint(0, 2 * reach + 1, (2, n))
    rows = top[:, None] + torch.arange(height)
    columns = left[:, None] + torch.arange(width)
    image = torch.arange(n)[:, None, None]
    return padded[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
