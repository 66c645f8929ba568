"""`split` in one call: device, server, or some of both, over links and within a budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import torch
from torch import nn

from edgesmith.collaborate.links import link as built_in
from edgesmith.collaborate.links.link import Link
from edgesmith.collaborate.plan.planner import Goal, Limits
from edgesmith.core.budget import Budget
from edgesmith.core.errors import BadInput
from edgesmith.core.target import Target
from edgesmith.core.task import Task
from edgesmith.pipeline.bottlenecks import with_bottleneck
from edgesmith.pipeline.programs import Numbers, programs
from edgesmith.pipeline.split_document import Plan
from edgesmith.pipeline.splitting import Setting, Wish, plan, setting
from edgesmith.targets import load


@dataclass(frozen=True)
class Narrowing:
    """A bottleneck (BottleFit) to be trained in place of the layers up to `layer`; `epochs` of either stage."""

    layer: str
    epochs: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise BadInput(f"split: a bottleneck of {self.epochs} epochs; need at least 1.")


def split(
    module: nn.Module,
    task: Task,
    *,
    device: str | Target,
    server: str | Target = "x86-64",
    links: Sequence[str | Link] = ("wifi",),
    budget: Budget | None = None,
    goal: Goal = "latency",
    max_bytes: int | None = None,
    narrowing: Narrowing | None = None,
    precision: str = "int8",
    name: str = "model",
) -> Plan:
    """Find where to cut a model between a device and a server.

    Args:
        module: trained, takes one float batch (n, ...) normalized as the task says.
        links: the first decides; the others stand beside it. Built-in names, .toml files, or links.
        budget: of a request: latency, energy of the device, flash of its part, the task's metric on the validation
            split. RAM is the device's own, checked when parts are written.
        goal: what is made small within the budget.
        max_bytes: sent a request.
        narrowing: also train a bottleneck, and cut there.

    Returns:
        a plan; its `chosen` is None where nothing keeps to the budget, its `save` writes the page and both programs.

    Raises:
        BadInput: no such target, link, goal or layer, links of one name, or a limit on RAM or of no bytes.
    """
    budget = budget or Budget()
    chosen = checked(module, links, budget, goal, max_bytes, narrowing)
    here, there = (target if isinstance(target, Target) else load(target) for target in (device, server))
    wish = Wish(goal, limits(budget, max_bytes, here), budget.accuracy)

    def ready(net: nn.Module, called: str) -> Setting:
        example = torch.from_numpy(task.normalize(task.calibration.inputs[:1]))
        return setting(programs(net, (example,), task, called, Numbers(precision)).compiled, task, here, there)

    made, narrow = ready(module, name), None
    if narrowing:
        trained = with_bottleneck(module, task, narrowing.layer, narrowing.epochs, narrowing.seed)
        narrow = ready(trained, f"{name}_narrow")
    return Plan(made, wish, chosen, plan(made, chosen, wish, narrow), narrow)


def checked(
    module: nn.Module,
    links: Sequence[str | Link],
    budget: Budget,
    goal: str,
    max_bytes: int | None,
    narrowing: Narrowing | None,
) -> list[Link]:
    """The links, once nothing speaks against a plan.

    Raises:
        BadInput: as in `split`.
    """
    if goal not in get_args(Goal):
        raise BadInput(f"split: a goal of {goal!r}; need one of {', '.join(get_args(Goal))}.")
    if budget.ram_bytes is not None:
        raise BadInput("split: a limit on RAM; a plan has none but the device's own. Name a smaller device.")
    if max_bytes is not None and max_bytes < 1:
        raise BadInput(f"split: at most {max_bytes} bytes a request; need 1 or more, or no limit.")
    if narrowing and narrowing.layer not in dict(module.named_modules()):
        raise BadInput(f"split: the module has no layer {narrowing.layer!r}; need a name as in named_modules().")
    if not links or isinstance(links, str):
        raise BadInput(f"split: links are {links!r}; need a sequence, with at least one.")
    chosen = [link if isinstance(link, Link) else built_in.load(link) for link in links]
    names = [link.name for link in chosen]
    if len(set(names)) < len(names):
        raise BadInput(f"split: links {', '.join(names)}; need different names. Rename a file, or leave one out.")
    return chosen


def limits(budget: Budget, max_bytes: int | None, device: Target) -> Limits:
    """What a plan may take; a board's flash is a limit of its own."""
    flash = [size for size in (budget.flash_bytes, None if device.hosted else device.flash_bytes) if size is not None]
    return Limits(budget.latency_ms, budget.energy_uj, max_bytes, min(flash, default=None))
