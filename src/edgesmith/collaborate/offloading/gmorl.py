"""GMORL: one policy for every preference between delay and energy, and for any number and speed of servers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from edgesmith.collaborate.offloading.policy import Learner, Policy, rewards
from edgesmith.collaborate.offloading.replay import Replay
from edgesmith.collaborate.offloading.sac import Rates, Sac
from edgesmith.collaborate.offloading.servers import Episode, Site, drawn
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput

EXPERIMENT = "benchmarks/claims/collaborate/gmorl.py"
BINS, BIN_BITS = 60, 1e6  # the authors'
FACTS = 6  # of a server, beside its histogram
FEATURES = FACTS + BINS + 1


@dataclass(frozen=True)
class Training:
    """How long and on how much it learns; the figures are of our runs of other seeds than the experiment's.

    Attributes:
        tasks: assigned while learning, in episodes of the sites.
        every: tasks between two updates.
        batch: rows of an update.
        first: tasks assigned at random before the first update.
        width: of the nets.
    """

    tasks: int = 8000
    every: int = 2
    batch: int = 128
    first: int = 1000
    width: int = 64
    rates: Rates = field(default_factory=Rates)

    def __post_init__(self) -> None:
        if min(self.tasks, self.every, self.batch, self.first, self.width) < 1 or self.first > self.tasks:
            raise BadInput(
                f"gmorl: {self}; need counts of at least 1, and no more tasks before the first update than all."
            )


@method(
    Card(
        name="gmorl",
        does="learns one policy that sends tasks to servers under any preference between delay and energy, and on sites"
        " of any number and speed of servers",
        source=Source("Yang, Wen, Zhang, Tang", 2025, "arXiv:2509.10474"),
        claims=(
            Claim(
                "the delay counted at each choice adds up to the delays that come",
                test="test_what_choices_cost_adds_up_to_the_delays",
            ),
            Claim("the choice moves with the servers' order", test="test_a_choice_moves_with_the_order_of_servers"),
            Claim(
                "one policy chooses the fast server or the thrifty one, as the preference says",
                test="test_one_policy_serves_opposite_preferences",
            ),
            Claim("a hypervolume up to 121% above that of other schedulers", experiment=EXPERIMENT),
            Claim(
                "one policy covers the front of policies that learned for one preference each", experiment=EXPERIMENT
            ),
            Claim("it serves numbers and speeds of servers that it did not learn on", experiment=EXPERIMENT),
        ),
        omits=(
            "the paper's text beyond its beginning, which was not found: the form of the rewards, the histogram and the"
            " constants of servers and tasks are those of the forerunner's code (arXiv:2307.14346); the nets, what else"
            " is seen of a server, and a tenth of its weight of energy are ours",
            "the lower critic action by action in what follows: the one that is lower for the whole state, as each has"
            " two objectives",
            "steps of one second in which one task is assigned at most: tasks are assigned as they come",
            "the channel: gains are squared in the forerunner's code, so that every link carries 0.5 Gbit/s and more;"
            " here Shannon's rate over Rayleigh fading, from a handset of 0.2 W",
            "a cloud 1 to 2 km away: it is reached through a base station as near as the edges'",
            "any wait for a user's link: a user sends several tasks at once, each at the full rate",
        ),
    )
)
def gmorl(training: Training | None = None, preference: float | None = None, seed: int = 0) -> Learner:
    """A learner of offloading policies.

    Args:
        preference: of delay over energy, if one alone is to be learned for; the policy then heeds no other. That is
            what the paper calls scalarized.
        seed: of weights, episodes and choices.

    Raises:
        BadInput: a preference outside 0 to 1; while learning, no sites.
    """
    training = training or Training()
    if preference is not None and not 0 <= preference <= 1:
        raise BadInput(f"gmorl: a preference of {preference:g}; need one in [0, 1], or None to learn for all.")

    def learn(sites: Sequence[Site]) -> Policy:
        if not sites:
            raise BadInput("gmorl: no sites; need at least one to learn on.")
        trial = Trial(sites, training, preference, seed)
        while trial.tasks < training.tasks:
            trial.episode()
        return chooser(trial.sac, preference)

    return learn


def chooser(sac: Sac, preference: float | None) -> Policy:
    """The likeliest server by the actor."""

    @torch.no_grad()
    def choose(episode: Episode, wanted: float) -> int:
        seen = with_preference(observed(episode), wanted if preference is None else preference)
        return int(sac.actor(seen[None], torch.ones(1, len(seen))).argmax())

    return choose


def observed(episode: Episode) -> np.ndarray:
    """(servers, FEATURES - 1) float32: the servers, the task, and what is left of each server's tasks in a histogram.

    The last bin holds what is larger too, as in the authors' code.
    """
    task = episode.task
    assert task is not None
    seen = np.zeros((len(episode.servers), FEATURES - 1), np.float32)
    for row, server, hz, rate in zip(seen, episode.servers, episode.site.hz, task.rates, strict=True):
        left = server.left_bits()
        send_s = task.bits / rate
        row[:FACTS] = hz / 1e9, len(seen) / 10, task.bits / 1e7, np.log10(rate) - 7, np.log1p(send_s), len(left) / 10
        for bits in left:
            row[FACTS + min(int(bits / BIN_BITS), BINS - 1)] += 1
    return seen


def with_preference(seen: np.ndarray | Tensor, preference: float | Tensor) -> Tensor:
    """(..., servers, FEATURES): the preference beside what is seen of each server."""
    seen = torch.as_tensor(seen)
    wanted = torch.as_tensor(preference, dtype=torch.float32)[..., None, None]
    return torch.cat((seen, wanted.expand(*seen.shape[:-1], 1)), -1)


class Trial:
    """Episodes of sites drawn evenly, each under a preference, and updates on rows under preferences drawn anew."""

    def __init__(self, sites: Sequence[Site], training: Training, preference: float | None, seed: int) -> None:
        self.sites, self.training, self.preference = sites, training, preference
        self.rng = np.random.default_rng(seed)
        self.sac = Sac(FEATURES, training.width, training.rates, seed)
        self.most = max(len(site.hz) for site in sites)
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("state", "then"), (self.most, FEATURES - 1))
        shapes |= {"there": (self.most,), "server": (), "rewards": (2,), "goes_on": ()}
        self.replay = Replay(training.tasks, shapes, seed)
        self.tasks = 0

    def episode(self) -> None:
        """One episode, learning as it goes."""
        site = self.sites[int(self.rng.integers(len(self.sites)))]
        episode = Episode(site, drawn(site, int(self.rng.integers(1 << 32)) + (1 << 32)))
        wanted = self.rng.random() if self.preference is None else self.preference
        state = observed(episode)
        while episode.task is not None:
            server = self.tried(state, wanted)
            reward = rewards(episode.assign(server))
            then = observed(episode) if episode.task is not None else state
            self.keep(state, server, reward, then, episode.task is not None)
            state = then
            self.tasks += 1
            if self.tasks >= self.training.first and self.tasks % self.training.every == 0:
                self.sac.learn(self.rows())

    @torch.no_grad()
    def tried(self, state: np.ndarray, wanted: float) -> int:
        """A server drawn by the policy; before the first update, any."""
        if self.tasks < self.training.first:
            return int(self.rng.integers(len(state)))
        chances, _ = self.sac.chances(with_preference(state, wanted)[None], torch.ones(1, len(state)))
        return int((chances[0].cumsum(0) < self.rng.random()).sum().clamp(max=len(state) - 1))

    def keep(
        self, state: np.ndarray, server: int, reward: tuple[float, float], then: np.ndarray, goes_on: bool
    ) -> None:
        """A row, with empty places where the site has fewer servers than the largest."""
        empty = ((0, self.most - len(state)), (0, 0))
        self.replay.add(
            state=np.pad(state, empty),
            then=np.pad(then, empty),
            there=np.arange(self.most) < len(state),
            server=server,
            rewards=np.array(reward),
            goes_on=goes_on,
        )

    def rows(self) -> dict[str, Tensor]:
        """Rows for an update; what was done under one preference teaches another too."""
        rows = self.replay.draw(self.training.batch)
        if self.preference is None:
            wanted = torch.from_numpy(self.rng.random(self.training.batch).astype(np.float32))
        else:
            wanted = torch.full((self.training.batch,), self.preference)
        rows |= {name: with_preference(rows[name], wanted) for name in ("state", "then")}
        return rows | {"weights": torch.stack((wanted, 1 - wanted), 1)}
