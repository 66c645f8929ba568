"""Times and energies of shared servers, by hand and against a simulation in small steps."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad

from edgesmith.collaborate.offloading.policy import run
from edgesmith.collaborate.offloading.rules import round_robin
from edgesmith.collaborate.offloading.servers import (
    BANDWIDTH_HZ,
    NOISE_W,
    SEND_W,
    SHADOW_DB,
    Episode,
    Sharing,
    Site,
    Task,
    drawn,
    joules,
    rate,
)
from edgesmith.core.errors import BadInput

SITE = Site((4e9, 2e9, 1e9), tasks=40)


def in_small_steps(tasks: list[tuple[float, float]], speed: float, step_s: float = 1e-3) -> float:
    """Sum of the ends of (arrival, bits) that share a speed."""
    left = np.array([bits for _, bits in tasks])
    arrives = np.array([at for at, _ in tasks])
    total, now = 0.0, 0.0
    while (left > 0).any():
        here = (arrives <= now) & (left > 0)
        left[here] -= speed * step_s / max(here.sum(), 1)
        now += step_s
        total += now * (here & (left <= 0)).sum()
    return total


def test_two_tasks_share_by_hand() -> None:
    """1 bit/s: 2 bits at 0 s, 1 bit at 1 s. From 1 s on both get half: the second is done at 3 s, as is the first."""
    server = Sharing(1.0)
    server.add(0.0, 2.0)
    server.add(1.0, 1.0)
    assert server.total_s() == pytest.approx(6.0)
    server.run(2.0)
    assert sorted(server.left_bits()) == pytest.approx([0.5, 0.5])


def test_a_short_task_leaves_the_long_one_its_speed() -> None:
    """3 and 1 bits at once: the short one is done at 2 s, the other at 4 s."""
    server = Sharing(1.0)
    server.add(0.0, 3.0)
    server.add(0.0, 1.0)
    assert server.total_s() == pytest.approx(6.0)
    server.run(2.5)
    assert server.left_bits() == pytest.approx([1.5])


def test_times_are_those_of_small_steps() -> None:
    rng = np.random.default_rng(5)
    for _ in range(5):
        tasks = [
            (float(at), float(bits)) for at, bits in zip(rng.uniform(0, 3, 6), rng.uniform(0.1, 2, 6), strict=True)
        ]
        server = Sharing(2.0)
        for at, bits in tasks:
            server.add(at, bits)
        assert server.total_s() == pytest.approx(in_small_steps(tasks, 2.0), rel=2e-3)


def test_running_in_pieces_changes_nothing() -> None:
    whole, pieces = Sharing(1.5), Sharing(1.5)
    for server in (whole, pieces):
        for at, bits in ((0.0, 2.0), (0.5, 1.0), (2.0, 4.0)):
            server.add(at, bits)
    for moment in np.linspace(0.1, 3.0, 30):
        pieces.run(moment)
    assert pieces.total_s() == pytest.approx(whole.total_s())


def test_what_choices_cost_adds_up_to_the_delays() -> None:
    """The sum of what each choice adds is the sum of (done - made) over all tasks."""
    tasks = drawn(SITE, 3)
    episode = Episode(SITE, tasks)
    choices = [index * 7 % 3 for index in range(len(tasks))]
    added = sum(episode.assign(server)[0] for server in choices)
    delays = 0.0
    for server, hz in enumerate(SITE.hz):
        alone = Sharing(hz / 1e3)
        for task, choice in zip(tasks, choices, strict=True):
            if choice == server:
                alone.add(task.at_s + task.bits / task.rates[server], task.bits)
                delays -= task.at_s
        delays += alone.total_s()
    assert added == pytest.approx(delays)


def test_energy_by_hand() -> None:
    """1 Mbit at 10 Mbit/s with 0.2 W is 0.02 J; 1e9 cycles at 2 GHz, 5e-31 * f^2 each, are 0.002 J."""
    task = Task(0.0, 1e6, np.array([1e7, 1e7, 1e7]))
    assert joules(SITE, task, 1) == pytest.approx(0.022)


def test_the_rate_is_shannons_averaged_over_fading() -> None:
    distance = np.full((1, 1), 150.0)
    found = rate(distance, np.random.default_rng(2))[0, 0]
    shadow = np.random.default_rng(2).normal(0, SHADOW_DB, (1, 1))[0, 0]
    gain = 10 ** (-(133.6 + 35 * np.log10(0.15) + shadow) / 10)
    mean, _ = quad(lambda x: np.exp(-x) * np.log2(1 + SEND_W * gain * x / NOISE_W), 0, 60)
    assert found == pytest.approx(BANDWIDTH_HZ * mean, rel=1e-4)


def test_a_hopeless_link_is_slow_and_not_broken() -> None:
    assert 0 < rate(np.full((1, 1), 1e6), np.random.default_rng(0))[0, 0] < 1e3


def test_tasks_come_at_the_rate_and_load_of_the_site() -> None:
    """Sizes are clipped, which a mean of 1 Mbit hardly feels at 100 Mbit and by 5e-3 at 0.1 Mbit."""
    tasks = drawn(Site((2e9, 2e9), tasks=20_000, per_s=2.0, load=0.5), 1)
    assert tasks[-1].at_s == pytest.approx(10_000, rel=0.03)
    assert np.mean([task.bits for task in tasks]) == pytest.approx(1.005e6, rel=0.03)


def test_the_same_seed_is_the_same_episode() -> None:
    assert run(SITE, round_robin, 0.5, [4]) == run(SITE, round_robin, 0.5, [4]) != run(SITE, round_robin, 0.5, [5])


@pytest.mark.parametrize("change", [{"hz": (2e9,)}, {"hz": (2e9, -1.0)}, {"tasks": 0}, {"load": 0.0}, {"users": 0}])
def test_a_site_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="site: .*need"):
        replace(SITE, **change)


def test_a_server_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadInput, match="server 3 of 3"):
        Episode(SITE, drawn(SITE, 0)).assign(3)
