"""Com-DDPG: agents on devices that remember, tell each other, and learn together where their tasks run."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from edgesmith.collaborate.offloading.cluster import Chooser, Policy, Run, World
from edgesmith.collaborate.offloading.ddpg import Ddpg, Rates
from edgesmith.collaborate.offloading.nets import Actor, Critic, Memory
from edgesmith.collaborate.offloading.observation import hidden_size, observe, seen_size
from edgesmith.collaborate.offloading.replay import Replay
from edgesmith.collaborate.offloading.settings import Worlds
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput

EXPERIMENT = "benchmarks/claims/collaborate/com_ddpg.py"
OMITS = (
    "the paper's own formulas, figures and sizes: beyond its abstract the text was not at hand; the model of time,"
    " energy and load, the reward and all numbers are ours",
    "the Alibaba cluster trace: jobs are drawn in shapes like its own; from_trace reads its rows where it is at hand",
    "links that are shared: data of several tasks goes at each link's full rate",
)
Learner = Callable[[Worlds], Policy]


@dataclass(frozen=True)
class Training:
    """How long and on how much agents learn; figures are of our runs with other seeds than the experiment's.

    Attributes:
        episodes: worlds met.
        together: of them played between updates.
        updates: after each such group.
        batch: episodes of one update.
        kept: episodes in the memory.
        width: of the nets' layers.
        noise: scale of the exploration's noise at the beginning; like the learning rates it falls evenly to a tenth.
    """

    episodes: int = 3200
    together: int = 10
    updates: int = 10
    batch: int = 16
    kept: int = 1500
    width: int = 64
    noise: float = 1.0
    rates: Rates = field(default_factory=Rates)

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises:
            BadInput: which field.
        """
        counts = (self.episodes, self.together, self.updates, self.batch, self.kept)
        if min(counts) < 1 or self.width < 2 or self.width % 2 or self.noise < 0:
            raise BadInput(f"com_ddpg: {self}; need counts above 0, an even width and a noise of at least 0.")


@method(
    Card(
        name="com_ddpg",
        does="learns where dependent tasks of several devices run, with agents that remember and tell each other",
        source=Source("Gao et al.", 2020, "arXiv:2012.05105"),
        omits=OMITS,
        claims=(
            Claim("what one agent sees can change what another does", test="test_messages_change_a_neighbours_choice"),
            Claim(
                "an agent remembers what it saw in earlier rounds",
                test="test_memory_reaches_later_rounds_and_no_earlier_ones",
            ),
            Claim("no task begins before its data is there", test="test_dependencies_hold_on_random_graphs"),
            Claim("messages and memory each lower what a job costs", experiment=EXPERIMENT),
            Claim("energy, load and latency are better than other methods'", experiment=EXPERIMENT),
            Claim("it comes near the optimum on small graphs", experiment=EXPERIMENT),
        ),
    )
)
def com_ddpg(
    training: Training | None = None, remember: bool = True, communicate: bool = True, seed: int = 0
) -> Learner:
    """A learner: worlds in, a policy out that places each agent's next task, round by round.

    Args:
        remember: with the LSTM over rounds.
        communicate: with the BRNN over agents; else each decides alone, though one critic taught them all.
        seed: of weights, worlds and noise.
    """
    training = training or Training()

    def learn(worlds: Worlds) -> Policy:
        noise = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            actor = Actor(worlds.servers, training.width, remember, communicate)
            critic = Critic(worlds.servers, training.width)
        ddpg = Ddpg(actor, critic, training.rates, noise)
        trial = Trial(worlds, training, ddpg, seed)
        while trial.played < training.episodes:
            trial.group()
        return policy(ddpg.target_actor)  # a mean over the last updates: steadier than the actor, in our runs

    return learn


def policy(actor: Actor) -> Policy:
    """The best-scored places; of as many servers as the actor was made for, of any number of devices."""

    def start(world: World) -> Chooser:
        memory: Memory | None = None

        @torch.no_grad()
        def choose(run: Run) -> list[int]:
            nonlocal memory
            seen = torch.from_numpy(observe(run)[0])
            scores, memory = actor(seen[None, None], memory)
            return scores[0, 0].argmax(-1).tolist()

        if len(world.servers) + 1 != actor.places:
            raise BadInput(f"com_ddpg: {len(world.servers)} servers; it learned with {actor.places - 1}. Learn anew.")
        return choose

    return start


class Trial:
    """Agents that play worlds in groups, keep what happened, and learn from it."""

    def __init__(self, worlds: Worlds, training: Training, ddpg: Ddpg, seed: int) -> None:
        self.worlds, self.training, self.ddpg = worlds, training, ddpg
        self.draw = np.random.default_rng(seed)
        self.played = 0
        grid, places = (worlds.rounds, worlds.devices), worlds.servers + 1
        sizes = {"seen": seen_size(worlds.servers), "hidden": hidden_size(worlds.servers), "actions": places}
        shapes = {name: (*grid, size) for name, size in sizes.items()} | {"rewards": grid, "active": grid}
        self.replay = Replay(training.kept, shapes, seed)
        self.shapes = shapes

    @property
    def left(self) -> float:
        """Of the noise and of the learning rates: they fall evenly to a tenth."""
        return max(0.1, 1 - self.played / self.training.episodes)

    def group(self) -> None:
        """Play some worlds side by side and learn."""
        worlds = [self.worlds(int(seed)) for seed in self.draw.integers(1 << 40, size=self.training.together)]
        for row in self.play([Run(world) for world in worlds]):
            self.replay.add(**row)
        self.played += len(worlds)
        self.ddpg.slow_to(self.left)
        for _ in range(self.training.updates):
            self.ddpg.update(self.replay.draw(self.training.batch))

    def play(self, runs: list[Run]) -> list[dict[str, np.ndarray]]:
        """Of each run what agents saw, did and got."""
        rows = [{name: np.zeros(shape, np.float32) for name, shape in self.shapes.items()} for _ in runs]
        memory: Memory | None = None
        for turn in range(self.worlds.rounds):
            for run, row in zip(runs, rows, strict=True):
                row["seen"][turn], row["hidden"][turn] = observe(run)
                row["active"][turn, list(run.active)] = 1.0
            seen = torch.from_numpy(np.stack([row["seen"][turn] for row in rows]))
            actions, memory = self.ddpg.explore(seen, memory, self.training.noise * self.left)
            for run, row, action in zip(runs, rows, actions.numpy(), strict=True):
                row["rewards"][turn] = rewarded(run, action.argmax(-1).tolist())
                row["actions"][turn] = action * row["active"][turn][:, None]
        return rows


def rewarded(run: Run, places: list[int]) -> np.ndarray:
    """Place a round; (devices,) by how much each job's cost fell.

    What balance costs is shared by those who had a task, so that all rewards of a run sum to minus its costs.
    """
    active, world = list(run.active), run.world
    before, share = np.array(run.own_costs), run.shared_cost
    run.round(places)
    rewards = before - np.array(run.own_costs)
    if active:
        rewards[active] += (share - run.shared_cost) * len(world.devices) / len(active)
    return rewards
