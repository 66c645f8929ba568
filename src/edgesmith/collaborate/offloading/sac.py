"""Discrete soft actor-critic over servers: however many there are, one net looks at each of them.

Source: arXiv:1910.07207 (soft actor-critic for discrete actions), with two objectives and a preference between them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgesmith.collaborate.offloading.replay import follow
from edgesmith.core.errors import BadInput


class Servers(nn.Module):
    """What each server is worth, beside the others that are there.

    A server is seen through the same layers as any other, then beside the mean of all; so a net has no number of
    servers, and what it says moves with them when their order changes.

    Args:
        features: of one server.
        outputs: values of one server.
        width: of the layers between.
    """

    def __init__(self, features: int, outputs: int, width: int) -> None:
        super().__init__()
        self.enter, self.alone = nn.Linear(features, width), nn.Linear(width, width)
        self.beside, self.leave = nn.Linear(2 * width, width), nn.Linear(width, outputs)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """(n, servers, outputs) from (n, servers, features); `there` (n, servers) is 0 where there is no server."""
        x = functional.relu(self.enter(x))
        x = x + functional.relu(self.alone(x))
        mean = (x * there.unsqueeze(-1)).sum(1, keepdim=True) / there.sum(1).clamp(min=1)[:, None, None]
        return self.leave(x + functional.relu(self.beside(torch.cat((x, mean.expand_as(x)), -1))))


@dataclass(frozen=True)
class Rates:
    """How fast it learns.

    Attributes:
        learning_rate: Adam's, of nets and temperature; the paper takes 3e-4 and many more updates.
        follow: share by which the targets move each time; 0.005 is the paper's.
        discount: of the next reward; 0.9 is that of GMORL's forerunner.
        entropy: aimed at, as a share of the greatest, log(servers); the paper's 0.98 leaves the policy hardly any
            choice, 0.05 is by our runs.
    """

    learning_rate: float = 5e-4
    follow: float = 0.005
    discount: float = 0.9
    entropy: float = 0.05

    def __post_init__(self) -> None:
        if not (self.learning_rate > 0 and 0 < self.follow <= 1 and 0 <= self.discount < 1 and 0 <= self.entropy <= 1):
            raise BadInput(f"sac: {self}; need a rate above 0, follow in (0, 1], discount below 1, entropy in [0, 1].")


class Sac:
    """Actor, two critics, and a temperature that keeps the policy's entropy near its aim.

    The critics estimate delay and energy apart, for each server; a preference weighs them.

    Args:
        features: of one server, its preference among them.
        width: of all nets.
        seed: of their weights.
    """

    def __init__(self, features: int, width: int, rates: Rates, seed: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.actor = Servers(features, 1, width)
            self.critics, self.targets = ([Servers(features, 2, width) for _ in range(2)] for _ in range(2))
        for target, critic in zip(self.targets, self.critics, strict=True):
            target.load_state_dict(critic.state_dict())
        self.rates = rates
        self.log_temperature = torch.tensor(-2.0, requires_grad=True)
        learned = [*self.actor.parameters(), *(p for c in self.critics for p in c.parameters()), self.log_temperature]
        self.optimizer = torch.optim.Adam(learned, rates.learning_rate)

    def chances(self, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """(n, servers) probabilities and their logarithms; none where there is no server."""
        scores = self.actor(x, there).squeeze(-1).masked_fill(there == 0, -1e9)
        logs = functional.log_softmax(scores, 1)
        return logs.exp(), logs

    def learn(self, rows: dict[str, Tensor]) -> None:
        """One step on rows.

        Args:
            rows: `state` and `then` (n, servers, features), `there` (n, servers), `server` (n,), `rewards` (n, 2),
                `goes_on` (n,), `weights` (n, 2) of the rewards.
        """
        there, weights = rows["there"], rows["weights"]
        chances, logs = self.chances(rows["state"], there)
        values = [critic(rows["state"], there) for critic in self.critics]
        loss = self.critics_loss(values, rows) + self.actor_loss(values, chances, logs, weights)
        loss = loss + self.temperature_loss(chances, logs, there)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        for target, critic in zip(self.targets, self.critics, strict=True):
            follow(target, critic, self.rates.follow)

    def critics_loss(self, values: list[Tensor], rows: dict[str, Tensor]) -> Tensor:
        """Squared distance of both critics, in either objective, to the reward and what the targets say follows."""
        aim = rows["rewards"] + self.rates.discount * rows["goes_on"][:, None] * self.following(rows)
        chosen = rows["server"].long()[:, None, None].expand(-1, 1, 2)
        return torch.stack([(value.gather(1, chosen).squeeze(1) - aim).square().mean() for value in values]).sum()

    @torch.no_grad()
    def following(self, rows: dict[str, Tensor]) -> Tensor:
        """(n, 2): what the next state is worth, of the target that weighs less there, with the policy's entropy.

        The paper takes the lower target action by action; here it is one for the whole state, so that both objectives
        come of the same net. The weights add up to one, so the entropy that both objectives bear counts once.
        """
        chances, logs = self.chances(rows["then"], rows["there"])
        each = torch.stack([(chances.unsqueeze(-1) * t(rows["then"], rows["there"])).sum(1) for t in self.targets])
        least = (each * rows["weights"]).sum(-1).argmin(0)
        lower = each.gather(0, least[None, :, None].expand(1, -1, 2)).squeeze(0)
        return lower - self.log_temperature.exp() * (chances * logs).sum(1, keepdim=True)

    def actor_loss(self, values: list[Tensor], chances: Tensor, logs: Tensor, weights: Tensor) -> Tensor:
        """Cross-entropy to the softened lower critic, as the gradient of the policy's expected value sees it."""
        lower = torch.stack([(value.detach() * weights[:, None]).sum(-1) for value in values]).amin(0)
        return (chances * (self.log_temperature.exp().detach() * logs - lower)).sum(1).mean()

    def temperature_loss(self, chances: Tensor, logs: Tensor, there: Tensor) -> Tensor:
        """Raises the temperature where the entropy is below its aim, lowers it where above."""
        entropy = -(chances * logs).sum(1).detach()
        return (self.log_temperature * (entropy - self.rates.entropy * there.sum(1).log())).mean()
