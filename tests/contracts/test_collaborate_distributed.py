"""The contract of `collaborate.distributed`: what every method's plan keeps to, whichever parts it makes."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith.collaborate.distributed import METHODS, Device, Plan, cloud_fog, ed_vit, mmedge
from edgesmith.collaborate.distributed.ed_vit import Cutting
from edgesmith.collaborate.distributed.ladder import Goal, Ladder
from edgesmith.collaborate.distributed.plan import Divide
from edgesmith.collaborate.distributed.streams import digit_streams_net
from edgesmith.collaborate.links import link as links
from edgesmith.core.errors import BadInput, DoesNotFit
from edgesmith.core.task import Split, Task
from edgesmith.training.recipe import Recipe
from edgesmith.zoo.models.vit import Vit

ONE = Recipe(epochs=1, batch=16, learning_rate=1e-3)
HALF = (0.5, 0.5)  # of what reaches a tier, so that each answers some
ROOMY, FULL = Device("roomy", 10**7, 10**9), Device("full", 100, 10**9)


@dataclass(frozen=True)
class Case:
    """What a method is tried on.

    Attributes:
        make: the method with this seed, made quick.
        devices: that have room.
    """

    make: Callable[[int], Divide]
    module: Callable[[], nn.Module]
    inputs: Callable[[np.random.Generator], np.ndarray]
    classes: int
    devices: Sequence[Device]


def vit() -> nn.Module:
    torch.manual_seed(2)
    return Vit(channels=1, size=8, patch=4, classes=4, width=16, depth=2).eval()


def ladder() -> nn.Module:
    torch.manual_seed(2)
    return Ladder([nn.Sequential(nn.Conv2d(1, width, 8), nn.Flatten(), nn.Linear(width, 4)) for width in (2, 4, 8)])


def pictures(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (48, 1, 8, 8), dtype=np.uint8)


def records(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(-300, 300, (48, 8064)).astype(np.int16)


CASES = {
    cloud_fog: Case(
        lambda seed: cloud_fog(lambda net, device: 1.0, links.load("lte"), goal=Goal(shares=HALF), tune=ONE, seed=seed),
        ladder,
        pictures,
        4,
        tuple(Device(name, 10**5, 10**6) for name in ("board", "node", "server")),
    ),
    ed_vit: Case(
        lambda seed: ed_vit(cutting=Cutting(scored=4), tune=ONE, fuse=ONE, seed=seed),
        vit,
        pictures,
        4,
        (Device("a", 6000, 10**6), Device("b", 12_000, 10**6)),
    ),
    mmedge: Case(lambda seed: mmedge(branch=ONE, fuse=ONE, seed=seed), digit_streams_net, records, 10, (ROOMY,)),
}
every_method = pytest.mark.parametrize("factory", METHODS, ids=[factory.card.name for factory in METHODS])


def task_of(case: Case) -> Task:
    rng = np.random.default_rng(11)
    split = Split(case.inputs(rng), np.arange(48) % case.classes)
    return Task("awkward", split, split, split, split, classes=tuple("0123456789"[: case.classes]))


def divided(factory, drawn: int = 0, devices: Sequence[Device] | None = None) -> Plan:
    """The plan of seed 0, made while torch's own generator stands somewhere."""
    case = CASES[factory]
    module = case.module()
    torch.manual_seed(drawn)
    return case.make(0)(module, task_of(case), devices or case.devices, links.load("wifi"))


@pytest.fixture(scope="module")
def plans():
    return {factory: divided(factory) for factory in METHODS}


def test_every_method_has_a_case():
    assert set(CASES) == set(METHODS)


@every_method
def test_the_module_that_came_in_stays_as_it_was(factory):
    case = CASES[factory]
    module = case.module()
    before, mode = copy.deepcopy(module.state_dict()), module.training
    case.make(0)(module, task_of(case), case.devices, links.load("wifi"))
    assert module.training == mode
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


@every_method
def test_the_same_seed_gives_the_same_plan_whatever_was_drawn_before(factory, plans):
    again, inputs = divided(factory, drawn=99), task_of(CASES[factory]).test.inputs
    assert np.array_equal(again.answer(inputs), plans[factory].answer(inputs))


@every_method
def test_an_answer_has_a_finite_score_for_every_class(factory, plans):
    inputs = task_of(CASES[factory]).test.inputs
    scores = plans[factory].answer(inputs)
    assert scores.shape == (len(inputs), CASES[factory].classes) and np.isfinite(scores).all()
    assert np.allclose(plans[factory].answer(inputs[:1]), scores[:1], atol=1e-4), "alone or among others"


@every_method
def test_any_part_may_be_lost_and_it_shows(factory, plans):
    plan, inputs = plans[factory], task_of(CASES[factory]).test.inputs
    for name in plan.names:
        scores = plan.answer(inputs, [name])
        assert np.isfinite(scores).all() and not np.array_equal(scores, plan.answer(inputs))
    with pytest.raises(BadInput, match="at least one"):
        plan.answer(inputs, plan.names)
    with pytest.raises(BadInput, match="no part 'nobody'"):
        plan.answer(inputs, ["nobody"])


@every_method
def test_parts_say_what_they_hold_and_where_they_are(factory, plans):
    plan, devices = plans[factory], {device.name: device for device in CASES[factory].devices}
    assert len(set(plan.names)) == len(plan.parts) >= 2
    for part, features in zip(plan.parts, plan.features(task_of(CASES[factory]).test.inputs).values(), strict=True):
        assert features.shape == (48, part.width) and features.dtype == np.float32
        assert part.nbytes == 4 * sum(parameter.numel() for parameter in part.module.parameters())
    for name, device in devices.items():
        mine = [part for part in plan.parts if part.device == name]
        assert sum(part.nbytes for part in mine) <= device.memory_bytes
        assert sum(part.macs for part in mine) <= device.macs


@every_method
def test_devices_without_room_are_refused_before_any_training(factory):
    with pytest.raises(DoesNotFit, match=f"{factory.card.name}: .*memory|{factory.card.name}: .*bytes"):
        divided(factory, devices=[FULL])


@every_method
def test_no_devices_and_no_model_of_the_kind_are_refused(factory):
    case = CASES[factory]
    with pytest.raises(BadInput, match=f"{factory.card.name}: "):
        case.make(0)(case.module(), task_of(case), [], links.load("wifi"))
    with pytest.raises(BadInput, match=f"{factory.card.name}: "):
        case.make(0)(nn.Sequential(nn.Flatten(), nn.LazyLinear(4)), task_of(case), case.devices, links.load("wifi"))


@every_method
def test_nothing_of_torchs_own_generator_is_used_up(factory):
    torch.manual_seed(5)
    expected = torch.rand(1)
    case = CASES[factory]
    module, task = case.module(), task_of(case)
    torch.manual_seed(5)
    case.make(3)(module, task, case.devices, links.load("wifi"))
    assert torch.equal(torch.rand(1), expected)
