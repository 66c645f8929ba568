"""DDPG over whole episodes: choices among places as one-hot actions, whose gradient passes through a softmax.

Source: Lillicrap et al. 2015, arXiv:1509.02971; discrete actions as in Lowe et al. 2017, arXiv:1706.02275.
"""

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from edgesmith.collaborate.offloading.nets import Actor, Critic, Memory
from edgesmith.collaborate.offloading.replay import follow
from edgesmith.core.errors import BadInput

CALM = 1e-3  # weight of the squared scores in the actor's loss, as in the code of arXiv:1706.02275
LARGEST_NORM = 0.5  # of a gradient, likewise


@dataclass(frozen=True)
class Rates:
    """How fast what is learned; figures are of our runs with other seeds than the experiment's.

    Attributes:
        actor, critic: Adam's learning rates at the beginning.
        discount: of rewards a round later.
        follow: share by which targets follow an update.
    """

    actor: float = 2e-3
    critic: float = 2e-3
    discount: float = 0.9
    follow: float = 0.02

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises:
            BadInput: which field.
        """
        if not (self.actor > 0 and self.critic > 0 and 0 <= self.discount <= 1 and 0 < self.follow <= 1):
            raise BadInput(f"ddpg: {self}; need rates above 0, a discount in [0, 1] and follow in (0, 1].")


class Ddpg:
    """Two nets, their targets and what trains them.

    Args:
        generator: of the exploration's noise.
    """

    def __init__(self, actor: Actor, critic: Critic, rates: Rates, generator: torch.Generator) -> None:
        self.actor, self.critic, self.rates, self.generator = actor, critic, rates, generator
        self.target_actor, self.target_critic = deepcopy(actor), deepcopy(critic)
        self.actor_steps = torch.optim.Adam(actor.parameters(), rates.actor)
        self.critic_steps = torch.optim.Adam(critic.parameters(), rates.critic)

    def slow_to(self, share: float) -> None:
        """Learn at this share of the rates from now on."""
        for steps, rate in ((self.actor_steps, self.rates.actor), (self.critic_steps, self.rates.critic)):
            for group in steps.param_groups:
                group["lr"] = rate * share

    @torch.no_grad()
    def explore(self, seen: Tensor, memory: Memory | None, noise: float) -> tuple[Tensor, Memory | None]:
        """Actions of one round, one-hot (B, N, P), from scores with Gumbel noise of this scale; and the memory."""
        scores, memory = self.actor(seen[:, None], memory)
        return hard(scores[:, 0] + noise * gumbel(scores[:, 0], self.generator)), memory

    def update(self, rows: dict[str, Tensor]) -> tuple[float, float]:
        """One step of critic and actor, and of the targets.

        Args:
            rows: of B episodes: seen (B, T, N, ...), hidden, actions (B, T, N, P), rewards and active (B, T, N).

        Returns:
            The losses of critic and actor.
        """
        active = rows["active"]
        values = self.critic(rows["seen"], rows["hidden"], rows["actions"])
        critic_loss = mean_of((values - self.wanted(rows)).square(), active)
        step(self.critic_steps, critic_loss, self.critic)
        scores, _ = self.actor(rows["seen"])
        actions = straight_through(scores + gumbel(scores, self.generator)) * active[..., None]
        gain = mean_of(self.critic(rows["seen"], rows["hidden"], actions), active)
        actor_loss = CALM * mean_of(scores.square().mean(-1), active) - gain
        step(self.actor_steps, actor_loss, self.actor)
        follow(self.target_actor, self.actor, self.rates.follow)
        follow(self.target_critic, self.critic, self.rates.follow)
        return critic_loss.item(), actor_loss.item()

    @torch.no_grad()
    def wanted(self, rows: dict[str, Tensor]) -> Tensor:
        """(B, T, N): the reward, and what the targets expect of the next round."""
        active = rows["active"]
        scores, _ = self.target_actor(rows["seen"])
        later = self.target_critic(rows["seen"], rows["hidden"], hard(scores) * active[..., None]) * active
        ahead = torch.cat([later[:, 1:], torch.zeros_like(later[:, :1])], 1)
        return rows["rewards"] + self.rates.discount * ahead


def gumbel(like: Tensor, generator: torch.Generator) -> Tensor:
    """Noise that makes the largest score a draw from their softmax."""
    return -torch.empty_like(like).exponential_(generator=generator).log()


def hard(scores: Tensor) -> Tensor:
    """One at the largest score, zero elsewhere."""
    return one_hot(scores.argmax(-1), scores.shape[-1]).to(scores.dtype)


def straight_through(scores: Tensor) -> Tensor:
    """As `hard`, with the gradient of the softmax."""
    soft = scores.softmax(-1)
    return hard(scores) + soft - soft.detach()


def mean_of(values: Tensor, active: Tensor) -> Tensor:
    """Over those who had a task."""
    return (values * active).sum() / active.sum().clamp(min=1)


def step(optimizer: torch.optim.Optimizer, loss: Tensor, net: nn.Module) -> None:
    """One step down the loss, of a gradient not too large."""
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), LARGEST_NORM)
    optimizer.step()
