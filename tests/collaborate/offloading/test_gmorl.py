"""GMORL: discrete SAC by hand, and one policy for opposite preferences."""

import math

import numpy as np
import pytest
import torch

from edgesmith.collaborate.offloading import rules
from edgesmith.collaborate.offloading.gmorl import FEATURES, Training, gmorl, observed, with_preference
from edgesmith.collaborate.offloading.policy import run, weighed
from edgesmith.collaborate.offloading.sac import Rates, Sac, Servers
from edgesmith.collaborate.offloading.servers import Episode, Site, Task, drawn
from edgesmith.core.errors import BadInput

ONES = torch.ones(1, 2)


def row(reward: tuple[float, float], goes_on: float, server: int = 1) -> dict[str, torch.Tensor]:
    return {
        "state": torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]),
        "then": torch.tensor([[[0.5, 0.0], [0.0, 0.5]]]),
        "there": ONES,
        "server": torch.tensor([float(server)]),
        "rewards": torch.tensor([reward]),
        "goes_on": torch.tensor([goes_on]),
        "weights": torch.tensor([[0.25, 0.75]]),
    }


def test_a_last_row_pulls_critics_to_its_rewards() -> None:
    """Nothing follows: each critic's error is its value of the chosen server less the reward, in both objectives."""
    sac, data = Sac(2, 8, Rates(), 0), row((-1.0, -2.0), 0.0)
    values = [critic(data["state"], ONES) for critic in sac.critics]
    expected = sum(((value[0, 1].detach() - torch.tensor([-1.0, -2.0])) ** 2).mean() for value in values)
    assert sac.critics_loss(values, data).detach().item() == pytest.approx(float(expected))


def test_what_follows_is_the_lower_target_with_its_entropy() -> None:
    """As arXiv:1910.07207, sum over actions of chance * (Q - temperature * log chance), Q of one net for the state."""
    sac, data = Sac(2, 8, Rates(), 1), row((0.0, 0.0), 1.0)
    with torch.no_grad():
        chances, logs = sac.chances(data["then"], ONES)
        each = [(chances[0, :, None] * target(data["then"], ONES)[0]).sum(0) for target in sac.targets]
    lower = min(each, key=lambda value: float(0.25 * value[0] + 0.75 * value[1]))
    entropy = -(chances * logs).sum()
    assert torch.allclose(sac.following(data)[0], lower + math.exp(-2) * entropy)


def test_the_policy_becomes_the_softmax_of_rewards_over_the_temperature() -> None:
    """One state, rewards 0 and -0.2 at a temperature of 0.2, nothing follows: chances e^0 and e^-1."""
    sac = Sac(2, 16, Rates(learning_rate=5e-3), 3)
    sac.temperature_loss = lambda *_: torch.zeros(())  # type: ignore[method-assign]
    sac.log_temperature.data.fill_(math.log(0.2))
    rows = [row((0.0, 0.0), 0.0, 0), row((-0.2, -0.2), 0.0, 1)]
    both = {name: torch.cat([each[name] for each in rows]) for name in rows[0]}
    for _ in range(1500):
        sac.learn(both)
    chances, _ = sac.chances(rows[0]["state"], ONES)
    assert chances[0, 1].item() == pytest.approx(math.exp(-1) / (1 + math.exp(-1)), abs=0.03)


def test_the_temperature_rises_where_choice_is_below_its_aim() -> None:
    sac = Sac(2, 8, Rates(entropy=0.5), 0)
    for chance, sign in ((0.999, 1), (0.5, -1)):
        chances = torch.tensor([[chance, 1 - chance]])
        (slope,) = torch.autograd.grad(sac.temperature_loss(chances, chances.log(), ONES), sac.log_temperature)
        assert -slope * sign > 0


def test_servers_that_are_not_there_change_nothing_and_are_never_chosen() -> None:
    net, x = Servers(4, 1, 8), torch.randn(1, 3, 4)
    wider = torch.cat((x, torch.randn(1, 2, 4)), 1)
    there = torch.tensor([[1.0, 1, 1, 0, 0]])
    assert torch.allclose(net(x, torch.ones(1, 3)), net(wider, there)[:, :3], atol=1e-6)
    chances, _ = Sac(4, 8, Rates(), 0).chances(wider, there)
    assert chances[0, 3:].max() == 0 and chances.sum().item() == pytest.approx(1)


def test_a_choice_moves_with_the_order_of_servers() -> None:
    sac, x = Sac(4, 8, Rates(), 0), torch.randn(1, 5, 4)
    order = torch.tensor([3, 0, 4, 1, 2])
    chances, _ = sac.chances(x, torch.ones(1, 5))
    moved, _ = sac.chances(x[:, order], torch.ones(1, 5))
    assert torch.allclose(chances[:, order], moved, atol=1e-6)


def test_the_histogram_counts_what_is_left_in_bins_of_a_megabit() -> None:
    rates = np.full(2, 1e12)
    tasks = [Task(0.0, bits, rates) for bits in (2.5e6, 2.6e6, 99e6, 1e6)]
    episode = Episode(Site((1e3, 1e3)), tasks)
    for _ in range(3):
        episode.assign(1)
    bins = observed(episode)[1, 6:]
    assert (bins[2], bins[59], bins.sum()) == (2, 1, 3)
    assert observed(episode)[0, 6:].sum() == 0


def test_each_preference_stands_beside_its_own_row() -> None:
    seen = with_preference(np.zeros((2, 3, FEATURES - 1), np.float32), torch.tensor([0.25, 0.75]))
    assert seen.shape == (2, 3, FEATURES)
    assert seen[0, :, -1].tolist() == [0.25] * 3 and seen[1, :, -1].tolist() == [0.75] * 3


QUICK = Training(tasks=1600, every=1, first=200, batch=64, width=32, rates=Rates(learning_rate=3e-3))
FAST_OR_THRIFTY = Site((8e9, 1e9, 1e9), load=0.8)


def test_one_policy_serves_opposite_preferences() -> None:
    """A cloud that is eight times as fast, at 64 times the energy a bit."""
    policy = gmorl(QUICK, seed=1)([FAST_OR_THRIFTY])
    in_haste, thrifty = run(FAST_OR_THRIFTY, policy, 1.0, [7]), run(FAST_OR_THRIFTY, policy, 0.0, [7])
    assert in_haste[0] < 1.25 * run(FAST_OR_THRIFTY, rules.weighted_greedy, 1.0, [7])[0]
    assert in_haste[0] < 0.6 * thrifty[0] and thrifty[1] < 0.4 * in_haste[1]


def test_one_preference_alone_heeds_no_other() -> None:
    policy = gmorl(Training(tasks=120, first=100), preference=0.5)([FAST_OR_THRIFTY])
    assert run(FAST_OR_THRIFTY, policy, 0.0, [3]) == run(FAST_OR_THRIFTY, policy, 1.0, [3])


def test_rewards_weigh_seconds_and_joules_by_the_preference() -> None:
    """0.01 a second, 5 a joule."""
    assert weighed((3.0, 0.2), 1.0) == pytest.approx(-0.03)
    assert weighed((3.0, 0.2), 0.0) == pytest.approx(-1.0)
    assert weighed((3.0, 0.2), 0.25) == pytest.approx(-0.7575)


def test_the_weighted_greedy_rule_takes_the_least_delay_or_the_least_energy() -> None:
    episode = Episode(FAST_OR_THRIFTY, drawn(FAST_OR_THRIFTY, 2))
    for _ in range(20):
        delays, energies = zip(*(episode.cost(server) for server in range(3)), strict=True)
        assert rules.weighted_greedy(episode, 1.0) == int(np.argmin(delays))
        assert rules.weighted_greedy(episode, 0.0) == int(np.argmin(energies))
        episode.assign(0)


def test_each_rule_looks_at_what_it_is_named_after() -> None:
    """Server 0 is fast and loaded, 1 has the best link, 2 is slow and empty with the worst link."""
    tasks = [Task(0.0, 3e6, np.array([1e9, 2e9, 1e6])) for _ in range(4)]
    episode = Episode(Site((4e9, 2e9, 1e9)), tasks)
    for server in (0, 0, 1):
        episode.assign(server)
    assert rules.fastest_server(episode, 0.5) == 0
    assert rules.fastest_link(episode, 0.5) == 1
    assert rules.fewest_tasks(episode, 0.5) == 0  # 3 / 4, 2 / 2 and 1 / 1 tasks a GHz
    assert rules.least_work(episode, 0.5) == 0  # 9 / 4, 6 / 2 and 3 / 1 Mbit a GHz
    assert rules.least_energy(episode, 0.5) == 1  # 0.0246, 0.0063 and 0.6015 J
    assert rules.round_robin(episode, 0.5) == 0
    chosen = rules.random_server(1)
    assert {chosen(episode, 0.5) for _ in range(50)} == {0, 1, 2}


@pytest.mark.parametrize("preference", [-0.1, 1.5, float("nan")])
def test_a_preference_outside_its_range_is_refused(preference: float) -> None:
    with pytest.raises(BadInput, match="preference"):
        gmorl(preference=preference)


def test_training_of_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 1"):
        Training(tasks=0)


def test_nothing_to_learn_on_is_refused() -> None:
    with pytest.raises(BadInput, match="no sites"):
        gmorl()([])


@pytest.mark.parametrize("rates", [{"discount": 1.5}, {"entropy": 2.0}, {"follow": 0.0}, {"learning_rate": -1.0}])
def test_rates_that_cannot_be_are_refused(rates: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="sac: "):
        Rates(**rates)


@pytest.mark.parametrize(("preference", "seeds"), [(7.0, [1]), (float("nan"), [1]), (0.5, [])])
def test_a_run_of_nothing_or_of_no_preference_is_refused(preference: float, seeds: list[int]) -> None:
    with pytest.raises(BadInput, match="run: "):
        run(FAST_OR_THRIFTY, rules.round_robin, preference, seeds)
