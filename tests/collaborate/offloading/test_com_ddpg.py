"""What agents see, remember, tell and learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from collaborate.offloading.small import Identity, diamond, small_setting
from edgesmith.collaborate.offloading import com_ddpg
from edgesmith.collaborate.offloading.cluster import Run, play
from edgesmith.collaborate.offloading.com_ddpg import Training, rewarded
from edgesmith.collaborate.offloading.ddpg import Ddpg, Rates, hard, straight_through
from edgesmith.collaborate.offloading.exact import optimum
from edgesmith.collaborate.offloading.nets import Actor, Critic
from edgesmith.collaborate.offloading.observation import HIDDEN, PLACE, TASK, hidden_size, observe, seen_size
from edgesmith.collaborate.offloading.settings import Setting
from edgesmith.core.errors import BadInput

SERVERS, AGENTS, ROUNDS = 2, 4, 5
SHORT = Training(episodes=40, together=10, updates=2, batch=8, kept=40, width=16)


def actor(remember: bool = True, communicate: bool = True) -> Actor:
    torch.manual_seed(5)
    return Actor(SERVERS, 16, remember, communicate)


def seen(rng: torch.Generator) -> torch.Tensor:
    return torch.randn(1, ROUNDS, AGENTS, seen_size(SERVERS), generator=rng)


def changed(net: Actor, before: torch.Tensor, turn: int, agent: int) -> torch.Tensor:
    """(T, N): whose scores change when one agent sees something else in one round."""
    after = before.clone()
    after[0, turn, agent] += 1.0
    with torch.no_grad():
        return ((net(before)[0] - net(after)[0]).abs() > 1e-6).any(-1)[0]


def test_messages_change_a_neighbours_choice(rng) -> None:
    """In both directions, and to the point that the neighbour chooses another place."""
    before, net = seen(rng), actor()
    for agent in (0, AGENTS - 1):
        assert changed(net, before, 2, agent)[2].all(), "all agents hear it"
    many = torch.randn(500, 1, AGENTS, seen_size(SERVERS), generator=rng)
    for teller, neighbour in ((0, 1), (AGENTS - 1, AGENTS - 2)):
        told = many.clone()
        told[:, 0, teller] += 3 * torch.randn(500, seen_size(SERVERS), generator=rng)
        first, second = (net(each)[0][:, 0, neighbour].argmax(-1) for each in (many, told))
        assert (first != second).any()


def test_without_messages_only_the_agent_itself_changes(rng) -> None:
    alone = changed(actor(communicate=False), seen(rng), 2, 1)
    assert alone[2:, 1].all() and not alone[:, [0, 2, 3]].any()


def test_memory_reaches_later_rounds_and_no_earlier_ones(rng) -> None:
    reached = changed(actor(communicate=False), seen(rng), 1, 0)[:, 0]
    assert reached.tolist() == [False, True, True, True, True]


def test_without_memory_only_the_round_itself_changes(rng) -> None:
    reached = changed(actor(remember=False), seen(rng), 1, 0)
    assert reached[1].all() and not reached[[0, 2, 3, 4]].any()


def test_round_by_round_is_the_same_as_all_rounds_at_once(rng) -> None:
    before, net, memory, each = seen(rng), actor(), None, []
    for turn in range(ROUNDS):
        scores, memory = net(before[:, turn : turn + 1], memory)
        each.append(scores)
    assert torch.allclose(torch.cat(each, 1), net(before)[0], atol=1e-6)


def test_agents_do_not_see_the_servers_queues() -> None:
    """Two worlds that differ in what another device placed on a server look the same, until it is asked itself."""
    world = small_setting()(1)
    runs = [Run(world) for _ in range(2)]
    runs[0].round([0, 1])
    runs[1].round([0, 2])
    (first, queue), (second, other) = (observe(run) for run in runs)
    assert 0 in runs[0].active
    assert np.array_equal(first[0], second[0]) and not np.array_equal(queue[0], other[0])


def test_what_is_seen_of_a_place_by_hand() -> None:
    """The diamond's first task: 2 s of a mean of 3.5 s on the device; on server 1 1 s, after 2 s of sending."""
    figures, hidden = observe(Run(diamond()))
    places = figures[0, TASK:].reshape(3, PLACE)
    assert figures[0, 0] == pytest.approx(2 / 3.5)
    assert places[:, 0] == pytest.approx([2 / 3.5, 1 / 3.5, 0.5 / 3.5])
    assert places[:, 1] == pytest.approx([0.0, 2 / 3.5, 2 / 3.5])
    assert places[:, 2] == pytest.approx([4 / 7, (3 + 1) / 7, (4 + 1) / 7])
    assert hidden[0].reshape(3, HIDDEN)[:, 1] == pytest.approx([2 / 3.5, 3 / 3.5, 2.5 / 3.5])


def test_rewards_of_a_run_sum_to_minus_its_costs() -> None:
    draw = np.random.default_rng(2)
    for seed in range(10):
        run, total = Run(Setting()(seed)), 0.0
        for _ in run.world.rounds:
            total += rewarded(run, draw.integers(4, size=5).tolist()).sum()
        assert total == pytest.approx(-run.cost * 5)


def test_the_gradient_of_a_choice_is_that_of_its_softmax(rng) -> None:
    scores = torch.randn(3, 4, generator=rng, requires_grad=True)
    worth = torch.randn(3, 4, generator=rng)
    assert torch.equal(straight_through(scores).detach().round(), hard(scores).detach())
    (found,) = torch.autograd.grad((straight_through(scores) * worth).sum(), scores)
    share = scores.softmax(-1)
    assert torch.allclose(found, share * (worth - (share * worth).sum(-1, keepdim=True)), atol=1e-6)


def test_what_is_wanted_is_the_reward_and_the_discounted_next_value(rng) -> None:
    """The critic's target by hand: nothing after the last round, nothing from agents that are done."""
    sizes = {"seen": seen_size(SERVERS), "hidden": hidden_size(SERVERS), "actions": SERVERS + 1}
    rows = {name: torch.randn(1, 3, 2, size, generator=rng) for name, size in sizes.items()}
    rows |= {"rewards": torch.ones(1, 3, 2), "active": torch.tensor([[[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]]])}
    ddpg = Ddpg(actor(), Critic(SERVERS, 16), Rates(discount=0.5), rng)
    places = hard(ddpg.actor(rows["seen"])[0]) * rows["active"][..., None]
    values = ddpg.critic(rows["seen"], rows["hidden"], places)[0].detach()
    by_hand = [[1 + 0.5 * values[1, 0], 1 + 0.5 * values[1, 1]], [1 + 0.5 * values[2, 0], 1.0], [1.0, 1.0]]
    assert torch.allclose(ddpg.wanted(rows)[0], torch.tensor(by_hand), atol=1e-6)


def test_an_identity_world_is_learned_to_its_known_cost() -> None:
    """The good server takes 0.01 of time and energy; two tasks on it wait for each other: 0.01 and 0.02 of the time."""
    training = Training(episodes=400, together=10, updates=4, batch=32, width=16, rates=Rates(actor=5e-3, critic=5e-3))
    learned = com_ddpg(training, seed=1)(Identity())
    best = (0.5 * 0.01 + 0.5 * 0.015) + 1e-3
    assert all(play(Identity()(seed), learned).cost < best for seed in range(4))
    assert play(Identity()(1), lambda _: lambda run: [2, 2]).cost > 1.0, "the bad server is worse than the device"


@pytest.mark.parametrize(("remember", "communicate"), [(True, True), (False, True), (True, False), (False, False)])
def test_learning_repeats_with_its_seed_and_beats_no_optimum(remember: bool, communicate: bool) -> None:
    setting = small_setting()
    first, second = (com_ddpg(SHORT, remember, communicate, seed=3)(setting) for _ in range(2))
    for seed in range(3):
        run = play(setting(seed), first)
        assert run.placed == play(setting(seed), second).placed
        assert run.cost >= optimum(setting(seed)).cost - 1e-12


def test_one_policy_serves_other_numbers_of_devices() -> None:
    learned = com_ddpg(SHORT)(small_setting())
    for devices in (1, 5):
        run = play(small_setting(devices)(0), learned)
        assert all(len(made) == len(order) for made, order in zip(run.placed, run.world.orders, strict=True))


def test_learning_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    com_ddpg(replace(SHORT, episodes=10))(small_setting())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Training(episodes=0),
        lambda: Training(width=7),
        lambda: Training(noise=-1.0),
        lambda: Rates(discount=1.1),
        lambda: Rates(actor=0.0),
    ],
)
def test_training_without_meaning_is_refused(make) -> None:
    with pytest.raises(BadInput, match="need"):
        make()


def test_another_number_of_servers_is_refused() -> None:
    learned = com_ddpg(replace(SHORT, episodes=10))(small_setting())
    with pytest.raises(BadInput, match="Learn anew"):
        play(Setting()(0), learned)
