"""ED-ViT: a vision transformer as several small ones, each for some of the classes, and a net that fuses them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import nn

from edgesmith.collaborate.distributed.assignment import fitted
from edgesmith.collaborate.distributed.classes import Order, class_groups, class_task, confusion_of
from edgesmith.collaborate.distributed.kl_importance import by_divergence, evenly
from edgesmith.collaborate.distributed.plan import Device, Divide, Fusion, Part, Plan, encoded, seeded
from edgesmith.collaborate.distributed.vit import Classifier, Sizes, SubVit, read_vit
from edgesmith.collaborate.links.link import Link
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Split, Task
from edgesmith.training.loop import Run, train_module
from edgesmith.training.recipe import Recipe

# Ours: fashion-vit's own, half as long, and a peak twice as high for nets so narrow.
TUNE = Recipe(epochs=4, batch=128, learning_rate=4e-3, weight_decay=0.05)
FUSE = Recipe(epochs=8, batch=128, learning_rate=2e-3)  # ours
STEPS = 16  # ours: of the widths, from whole to nothing; the paper goes by whole heads of 12
SHRINK = 0.5  # hidden units of the fusion for each feature
CONFUSED = 1000  # calibration samples at most to see which classes are alike


@dataclass(frozen=True)
class Cutting:
    """How sub-models are made of the net.

    Attributes:
        order: how classes are put together (see `class_groups`).
        importance: which units stay: "kl" those without which answers move most, "even" every so many.
        scored: pictures of the sub-model's classes that importance is measured on (ours).
    """

    order: Order = "similar"
    importance: Literal["kl", "even"] = "kl"
    scored: int = 128


@method(
    Card(
        name="ed_vit",
        does="a vision transformer becomes one small one a device, each for some classes, and an MLP that fuses them",
        source=Source("Liu et al.", 2024, "arXiv:2410.11650"),
        claims=(
            Claim(
                "a unit's importance is the divergence of the answers without it",
                test="test_importance_is_the_divergence_without_the_unit",
            ),
            Claim(
                "a net without units that do nothing computes what it did",
                test="test_units_that_do_nothing_go_first_and_nothing_changes",
            ),
            Claim("no device gets more than its memory and its work", test="test_no_device_gets_more_than_it_has"),
            Claim(
                "up to 28.9 times smaller a device, latency down, accuracy kept",
                experiment="benchmarks/claims/collaborate/ed_vit.py",
            ),
        ),
        omits=(
            "the paper's ViT-Small to ViT-Large, its five data sets, its Raspberry Pis: fashion-vit here, profiled",
            "retraining after each kind of units: once, after the last",
            "an energy budget: a device's work is given in multiply-accumulates",
            "the paper's text beyond its opening and public summaries was not at hand: recipes, steps of size, which "
            "classes go together and the negatives a part learns from are ours",
        ),
    )
)
def ed_vit(
    parts: int = 0,
    cutting: Cutting | None = None,
    tune: Recipe = TUNE,
    fuse: Recipe = FUSE,
    drop: float = 0.1,
    seed: int = 0,
) -> Divide:
    """Divide a vision transformer over devices.

    Args:
        parts: how many sub-models; 0 for one a device.
        tune: of a sub-model, on its classes and as many others.
        fuse: of the fusion, on all classes; the sub-models stay as they are.
        drop: how often the fusion sees a part missing while it learns (ours; the paper loses no device).

    Returns:
        (module, task, devices, link) to a Plan. The link does not change the parts: each sends one vector.
    """
    chosen = cutting or Cutting()

    def divide(module: nn.Module, task: Task, devices: Sequence[Device], link: Link) -> Plan:
        with seeded(seed):
            whole = read_whole(module, task, devices)
            count = whole.classify.out_features
            groups = class_groups(count, parts or len(devices), chosen.order, confusion(whole, task), seed)
            sizes, placed = sized(whole.vit.sizes, len(groups), devices)
            made = [sub_model(whole, task, group, size, chosen) for group, size in zip(groups, sizes, strict=True)]
            tuned = [tuned_on(task, net, group, tune, seed) for net, group in zip(made, groups, strict=True)]
            fusion = Fusion([size.width for size in sizes], count, SHRINK, drop)
        found = tuple(
            Part(f"part{index}", vit, devices[at].name, groups[index], vit.sizes.macs, vit.sizes.width)
            for index, (vit, at) in enumerate(zip(tuned, placed, strict=True))
        )
        readers = {part.name: task.normalize for part in found}
        return learned(Plan(found, fusion, readers), task, fuse, seed)

    return divide


def read_whole(module: nn.Module, task: Task, devices: Sequence[Device]) -> Classifier:
    """The net to divide.

    Raises:
        BadInput: no devices, two of one name, no transformer, or no pictures of all its classes.
    """
    names = [device.name for device in devices]
    if not names or len(set(names)) < len(names):
        raise BadInput(f"ed_vit: devices {names}; need at least one, each with a name of its own.")
    if task.train.inputs.ndim != 4:
        raise BadInput(f"ed_vit: inputs are {task.train.inputs.shape}; need pictures (n, channels, size, size).")
    return read_vit(module, torch.from_numpy(task.normalize(task.calibration.inputs[:8])))


def confusion(whole: Classifier, task: Task) -> np.ndarray:
    """(classes, classes) how much of each class's answers go to another, on calibration samples."""
    split = Split(task.calibration.inputs[:CONFUSED], task.calibration.labels[:CONFUSED])
    if missing := set(range(whole.classify.out_features)) - set(split.labels.tolist()):
        raise BadInput(f"ed_vit: no calibration sample of class {min(missing)}; need some of every class.")
    return confusion_of(encoded(nn.Sequential(whole.vit, whole.classify), task.normalize(split.inputs)), split.labels)


def sized(whole: Sizes, parts: int, devices: Sequence[Device]) -> tuple[list[Sizes], list[int]]:
    """The largest sub-models that the devices hold, and the device of each; errors as in `fitted`."""

    def need(steps: int) -> tuple[int, int]:
        size = whole.scaled(steps / STEPS)
        return size.nbytes, size.macs

    found = fitted(parts, STEPS, need, devices)
    return [whole.scaled(steps / STEPS) for steps, _ in found], [at for _, at in found]


def sub_model(whole: Classifier, task: Task, classes: Sequence[int], size: Sizes, cutting: Cutting) -> Classifier:
    """The net cut down to a size, before any training; it still answers for all classes."""
    if cutting.importance == "even":
        return evenly(whole, size)
    rows = np.flatnonzero(np.isin(task.train.labels, classes))[: cutting.scored]
    return by_divergence(whole, torch.from_numpy(task.normalize(task.train.inputs[rows])), size)


def tuned_on(task: Task, net: Classifier, classes: Sequence[int], recipe: Recipe, seed: int) -> SubVit:
    """The sub-model trained to tell its classes apart and from all others; its classifier is left behind."""
    kept = net.classify.weight.detach()[list(classes)], net.classify.bias.detach()[list(classes)]
    classify = nn.Linear(net.vit.sizes.width, len(classes) + 1)
    classify.load_state_dict(
        {name: torch.cat([own, torch.zeros_like(own[:1])]) for name, own in zip(("weight", "bias"), kept, strict=True)}
    )
    trained = train_module(nn.Sequential(net.vit, classify), class_task(task, classes, seed), recipe, seed, Run())
    return trained[0]  # type: ignore[index]


def learned(plan: Plan, task: Task, recipe: Recipe, seed: int) -> Plan:
    """The plan with its fusion trained on the parts' features of the training split."""
    found = plan.features(task.train.inputs)
    features = Split(np.concatenate([found[name] for name in plan.names], 1), task.train.labels)
    fused = Task(f"{task.name}-fusion", features, features, features, features)
    return replace(plan, fusion=train_module(plan.fusion, fused, recipe, seed, Run()))
