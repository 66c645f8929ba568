"""Cloud-Fog's pieces against algebra and brute force, and a ladder divided from end to end."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith.collaborate.distributed.cascade import (
    NEVER,
    Calibrated,
    Cascade,
    Outlook,
    Seen,
    Stage,
    answered_by,
    at_shares,
    best,
    candidates,
    outlook,
    outlooks,
    softmax,
    temperature_of,
)
from edgesmith.collaborate.distributed.cloud_fog import REPLY_BYTES, Traffic, cloud_fog
from edgesmith.collaborate.distributed.ladder import Goal, Ladder, read_ladder
from edgesmith.collaborate.distributed.plan import Device, encoded
from edgesmith.collaborate.links.link import Link
from edgesmith.core.errors import BadInput, DoesNotFit
from edgesmith.core.task import Split, Task
from edgesmith.training.loop import train_module
from edgesmith.training.recipe import Recipe

NEAR, BACK = Link("near", mbps=8.0, delay_ms=3.0), Link("back", mbps=8.0, delay_ms=20.0)
MS = {"device": 1.0, "fog": 2.0, "cloud": 0.5}
LEARN = Recipe(epochs=10, batch=32, learning_rate=1e-2)
TIERS = tuple(Device(name, 10**6, 10**6) for name in MS)


def cost(net: nn.Module, device: str) -> float:
    return MS[device]


def net(width: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 3))


def task() -> Task:
    """Which of three bumps a curve of 8 points has, in noise."""
    rng = np.random.default_rng(5)

    def split(n: int) -> Split:
        labels = rng.integers(0, 3, n)
        curves = rng.normal(0, 1.0, (n, 1, 8)) + 1.5 * np.eye(3)[labels].repeat(3, 1)[:, None, :8]
        return Split(curves.astype(np.float32), labels)

    return Task("bumps", split(1500), split(300), split(600), split(600), classes=("a", "b", "c"))


def ladder(learnt: bool = False) -> Ladder:
    """Three nets of random weights; the last one `learnt` if asked for."""
    torch.manual_seed(3)
    made = Ladder([net(1), net(4), net(16)])
    if learnt:
        train_module(made.rungs[-1], task(), LEARN, seed=0)
    return made


def drawn(nprng, n=200, tiers=3) -> Seen:
    """Tiers that are right as often as they are sure; the net that they are measured by is right in eight of ten."""
    sureness = nprng.uniform(0.3, 1.0, (n, tiers))
    return Seen(sureness, nprng.uniform(0, 1, (n, tiers)) < sureness, np.arange(n) % 10 < 8)


def tiers_of(seen: Seen, *at: int) -> Seen:
    return Seen(seen.sureness[:, at], seen.right[:, at], seen.whole)


def test_scores_that_are_too_sure_by_a_factor_get_it_as_their_temperature(nprng):
    """Labels drawn from softmax(z): calibrated for z, so that 3z wants a temperature 3 times as high."""
    z = nprng.normal(0, 1.5, (20_000, 4))
    labels = (nprng.uniform(0, 1, (20_000, 1)) > softmax(z).cumsum(1)).sum(1)
    assert temperature_of(z, labels) == pytest.approx(1.0, abs=0.05)
    assert temperature_of(3 * z, labels) == pytest.approx(3 * temperature_of(z, labels), rel=1e-6)


def test_no_other_temperature_has_less_cross_entropy(nprng):
    z, labels = nprng.normal(0, 3, (500, 5)), nprng.integers(0, 5, 500)
    z[np.arange(500), labels] += 2

    def loss(temperature: float) -> float:
        return float(-np.log(softmax(z / temperature)[np.arange(500), labels]).mean())

    found = temperature_of(z, labels)
    assert all(loss(found) < loss(found * factor) for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2.0))


def test_the_first_sure_tier_answers():
    """Scores of log p have p as their softmax: sure from 0.8 and from 0.6 on."""
    rows = [
        [(0.9, 0.1), (0.1, 0.9), (0.2, 0.8)],  # the device is sure
        [(0.7, 0.3), (0.4, 0.6), (0.9, 0.1)],  # the fog is, just
        [(0.7, 0.3), (0.45, 0.55), (0.49, 0.51)],  # nobody is: the cloud
    ]
    features = torch.tensor(rows).log().flatten(1)
    got = Cascade((0.8, 0.6 - 1e-6), 2)(features).exp()
    assert torch.allclose(got, torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.49, 0.51]]), atol=1e-5)


def test_a_missing_tier_is_passed_over_and_the_last_there_answers():
    row = torch.tensor([[[0.7, 0.3], [0.45, 0.55], [0.2, 0.8]]]).log()
    cascade = Cascade((0.8, 0.6), 2)

    def without(*gone: int) -> list[float]:
        features = row.clone()
        features[:, gone] = 0.0
        return cascade(features.flatten(1)).exp()[0].tolist()

    assert without(1) == pytest.approx([0.2, 0.8])
    assert without(2) == pytest.approx([0.45, 0.55])
    assert without(1, 2) == pytest.approx([0.7, 0.3])


def test_the_module_and_the_choice_take_the_same_tier(nprng):
    scores = nprng.normal(0, 1, (300, 3, 4)).astype(np.float32)
    sureness = np.stack([softmax(scores[:, tier]).max(1) for tier in range(3)], 1)
    thresholds = (0.6, 0.5)
    got = Cascade(thresholds, 4)(torch.from_numpy(scores).flatten(1)).numpy()
    assert np.array_equal(got, scores[np.arange(300), answered_by(sureness, thresholds)])


def test_latency_is_what_each_request_passes_through():
    """Half stop at the device, a quarter at the fog: 1 + 1/2 * (6 + 2) + 1/4 * (40 + 0.5) ms on idle tiers."""
    sureness = np.array([[0.9, 0, 0], [0.9, 0, 0], [0.1, 0.9, 0], [0.1, 0.1, 0]])
    right = np.array([[1, 0, 0], [0, 1, 1], [0, 1, 0], [1, 1, 0]], bool)
    stages = [Stage(1.0), Stage(2.0, trip_ms=6.0), Stage(0.5, trip_ms=40.0)]
    found = outlook(Seen(sureness, right, np.array([1, 1, 1, 0], bool)), stages, 1e-9, (0.8, 0.8))
    assert found.latency_ms == pytest.approx(1 + 4 + 10.125) and found.shares == (0.5, 0.25, 0.25)
    # Right are the first and the third of four, the net beside it all but the last: 0, 1, 0, 0 are lost.
    assert found.accuracy == 0.5 and found.lost == 0.25
    assert found.error == pytest.approx((0.25 * 0.75 / 4) ** 0.5)


def test_waiting_grows_with_the_load_and_a_tier_that_falls_behind_is_never_chosen():
    """1,000 / 2 requests a second on two machines are a load of 0.5 each: 0.5 * 2 / (2 * 0.5) = 1 ms."""
    assert Stage(2.0, machines=2).wait_ms(500.0) == pytest.approx(1.0)
    assert Stage(2.0).wait_ms(450.0) == float("inf")
    with pytest.raises(BadInput, match="falls? behind"):
        best([], 0.5)


def test_the_fastest_must_lose_less_by_as_many_errors_as_are_asked_for():
    def one(lost: float, latency_ms: float) -> Outlook:
        return Outlook((0.5,), 0.9 - lost, lost, 0.004, latency_ms, (0.5, 0.5))

    found = [one(0.009, 1.0), one(0.006, 2.0), one(0.002, 3.0)]
    assert [best(found, 0.01, spare).latency_ms for spare in (0.0, 1.0, 2.0)] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("loss", [0.3, 0.08, 0.0, -0.19])
def test_the_choice_is_the_fastest_that_is_accurate_enough(nprng, loss):
    """Against all pairs of thresholds, each sample followed by hand; -0.19 cannot be met, and accuracy decides."""
    seen = drawn(nprng)
    stages, tried = [Stage(1.0), Stage(2.0, 6.0), Stage(0.5, 40.0)], []
    for first, second in product(candidates(seen.sureness[:, 0]), candidates(seen.sureness[:, 1])):
        good, total_ms = 0, 0.0
        for sure, correct in zip(seen.sureness, seen.right, strict=True):
            at = 0 if sure[0] >= first else 1 if sure[1] >= second else 2
            good, total_ms = good + int(correct[at]), total_ms + (1.0, 9.0, 49.5)[at]
        tried.append((good / 200, total_ms / 200))
    found = best(outlooks(seen, stages, 1e-9), loss)
    enough = [ms for accuracy, ms in tried if accuracy >= 0.8 - loss - 1e-9]
    assert bool(enough) == (loss > -0.19)
    if enough:
        assert found.accuracy >= 0.8 - loss - 1e-9 and found.latency_ms == pytest.approx(min(enough), rel=1e-6)
    else:
        assert found.accuracy == pytest.approx(max(accuracy for accuracy, _ in tried))


def test_more_tiers_never_make_the_choice_slower(nprng):
    """A threshold that lets all pass or none makes three tiers into two of nearly any kind."""
    seen = drawn(nprng, 400)
    stages = [Stage(1.0), Stage(0.0, 6.0), Stage(0.5, 40.0)]
    three = best(outlooks(seen, stages, 1e-9), 0.1)
    fog = best(outlooks(tiers_of(seen, 0, 1), stages[:2], 1e-9), 0.1)
    relayed = best(outlooks(tiers_of(seen, 0, 2), [stages[0], Stage(0.5, 46.0)], 1e-9), 0.1)
    assert three.latency_ms <= min(fog.latency_ms, relayed.latency_ms) + 1e-9


def test_shares_are_of_what_reaches_a_tier(nprng):
    sureness = drawn(nprng, 1000).sureness
    thresholds = at_shares(sureness, (0.6, 0.25))
    counts = np.bincount(answered_by(sureness, thresholds), minlength=3)
    assert counts.tolist() == pytest.approx([600, 100, 300], abs=2)
    assert at_shares(sureness, (1.0, 0.5))[1] == NEVER


def test_a_ladder_becomes_a_plan_that_is_as_accurate_as_it_says():
    """The plan's answers on the validation samples have the accuracy and the shares that it was chosen for."""
    bed, module = task(), ladder(learnt=True)
    made = cloud_fog(cost, BACK, Traffic(input_bytes=960), tune=LEARN)(module, bed, TIERS, NEAR)
    whole = (encoded(module, bed.validation.inputs).argmax(1) == bed.validation.labels).mean()
    assert made.expected.accuracy >= whole - 0.01 - 1e-9 and made.expected.latency_ms < 1 + 7.1 + 2 + 41.1 + 0.5
    scores = made.answer(bed.validation.inputs)
    assert (scores.argmax(1) == bed.validation.labels).mean() == pytest.approx(made.expected.accuracy)
    own = [(made.features(bed.validation.inputs)[name] == scores).all(1) for name in made.names]
    assert np.mean(own[0]) == pytest.approx(made.expected.shares[0], abs=0.01)
    assert made.rungs == (0, 1, 2) and [part.device for part in made.parts] == list(MS)


def test_the_plans_latency_counts_links_both_ways():
    """All goes to the cloud: 1 ms, 1 + 3 ms up, 2 ms, 1 + 20 ms up, 0.5 ms, and answers of 72 bytes, 0.072 ms, back."""
    goal = Goal(shares=(0.0, 0.0))
    made = cloud_fog(cost, BACK, Traffic(1e-9, input_bytes=960), goal, Recipe(1, 32, 1e-2))(
        ladder(), task(), TIERS, NEAR
    )
    reply_ms = (REPLY_BYTES + 40) * 8e-3 / 8
    # The surest sample of each tier stays where it is: 600 samples, at most one in a hundred.
    assert made.expected.latency_ms == pytest.approx(1 + 4 + 3 + 2 + 21 + 20 + 0.5 + 2 * reply_ms, rel=0.02)


def test_the_last_net_stays_and_the_others_learn():
    module, bed = ladder(), task()
    made = cloud_fog(cost, BACK, tune=LEARN)(module, bed, TIERS, NEAR)
    inner = [part.module.net for part in made.parts]
    for index, (before, after) in enumerate(zip(module.rungs, inner, strict=True)):
        same = all(torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True))
        assert same == (index == 2)
    middle = encoded(inner[1], bed.test.inputs).argmax(1)
    assert (middle == bed.test.labels).mean() > 0.6, "one in three is chance"


def test_the_temperature_does_not_change_an_answer(rng):
    x = torch.randn(5, 1, 8, generator=rng)
    layer = net(4)
    assert torch.allclose(Calibrated(layer, 2.5)(x) * 2.5, layer(x))


def test_larger_nets_stand_further_on_within_what_tiers_hold():
    """The nets take 11, 44 and 176 multiply-accumulates: a tier that has 20 gets the first."""
    assert read_ladder(ladder(), task())[1] == (11, 44, 176)
    small = (Device("device", 10**6, 20), Device("fog", 10**6, 100))
    made = cloud_fog(cost, tune=Recipe(1, 32, 1e-2))(ladder(), task(), small, NEAR)
    assert made.rungs == (0, 1)
    with pytest.raises(DoesNotFit, match="each larger than the last"):
        cloud_fog(cost)(ladder(), task(), (small[0], replace(small[0], name="fog")), NEAR)


@pytest.mark.parametrize(
    ("module", "devices", "uplink", "said"),
    [
        (net(4), TIERS, BACK, "no Ladder"),
        (Ladder([]), TIERS, BACK, "no Ladder"),
        (Ladder([net(4), net(1)]), TIERS[:1], None, "take more than the last"),
        (Ladder([net(1), nn.Sequential(nn.Flatten(), nn.Linear(8, 2))]), TIERS[:1], None, "the same of all"),
        (Ladder([net(1)]), (), None, "need one to 3"),
        (Ladder([net(1)]), TIERS, None, "Give uplink"),
    ],
)
def test_tiers_and_ladders_without_meaning_are_refused(module, devices, uplink, said):
    with pytest.raises(BadInput, match=said):
        cloud_fog(cost, uplink)(module, task(), devices, NEAR)
