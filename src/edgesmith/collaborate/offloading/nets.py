"""Actor and critic over agents: memory in time by an LSTM, messages between agents by a bidirectional RNN.

All agents share the parameters. Shapes: B episodes, T rounds, N agents, P places.
"""

import torch
from torch import Tensor, nn

from edgesmith.collaborate.offloading.observation import HIDDEN, PLACE, TASK, seen_size

Memory = tuple[Tensor, Tensor]  # the LSTM's two states, each (1, B * N, width)


class Actor(nn.Module):
    """Scores of every agent's places.

    Args:
        remember: the LSTM, over what the agent itself saw in rounds before; else a layer of this round alone.
        communicate: the BRNN, over the agents in their order; else a layer of each agent alone.
    """

    def __init__(self, servers: int, width: int, remember: bool, communicate: bool) -> None:
        super().__init__()
        self.width, self.places = width, servers + 1
        self.encode = nn.Sequential(nn.Linear(seen_size(servers), width), nn.ReLU())
        self.memory = nn.LSTM(width, width, batch_first=True) if remember else None
        self.alone = None if remember else nn.Sequential(nn.Linear(width, width), nn.Tanh())
        self.messages = Messages(width, communicate)
        self.about = nn.Linear(2 * width, self.places * width // 2)
        self.score = nn.Sequential(nn.Linear(width // 2 + PLACE, width // 2), nn.ReLU(), nn.Linear(width // 2, 1))

    def forward(self, seen: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory | None]:
        """(B, T, N, seen) to scores (B, T, N, P), and the memory after the last round."""
        b, t, n, _ = seen.shape
        own = self.encode(seen)
        if self.memory is not None:
            series, memory = self.memory(own.transpose(1, 2).reshape(b * n, t, self.width), memory)
            own = series.reshape(b, n, t, self.width).transpose(1, 2)
        elif self.alone is not None:
            own = self.alone(own)
        told = torch.cat([own, self.messages(own)], -1)
        places = seen[..., TASK:].reshape(b, t, n, self.places, PLACE)
        about = self.about(told).reshape(b, t, n, self.places, self.width // 2)
        return self.score(torch.cat([about, places], -1))[..., 0], memory


class Messages(nn.Module):
    """What an agent hears of all others, or with communicate=False a layer of its own."""

    def __init__(self, width: int, communicate: bool) -> None:
        super().__init__()
        self.rnn = nn.RNN(width, width // 2, bidirectional=True, batch_first=True) if communicate else None
        self.alone = None if communicate else nn.Sequential(nn.Linear(width, width), nn.Tanh())

    def forward(self, own: Tensor) -> Tensor:
        """(B, T, N, width) to the same."""
        if self.rnn is None:
            return self.alone(own) if self.alone is not None else own
        b, t, n, width = own.shape
        return self.rnn(own.reshape(b * t, n, width))[0].reshape(b, t, n, width)


class Critic(nn.Module):
    """What each agent's job will still gain, from all that is known of all agents and from all their actions.

    It serves in training alone, sees the servers' queues too, and so needs no memory. Its agents are joined by a BRNN
    in every variant: what an ablation takes away, it takes from the actor.
    """

    def __init__(self, servers: int, width: int) -> None:
        super().__init__()
        self.places = servers + 1
        figures = PLACE + HIDDEN
        self.encode = nn.Sequential(
            nn.Linear(TASK + (self.places + 1) * figures + self.places, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
        )
        self.messages = Messages(width, communicate=True)
        self.value = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, seen: Tensor, hidden: Tensor, actions: Tensor) -> Tensor:
        """(B, T, N, seen), (B, T, N, hidden) and actions (B, T, N, P) as shares of places to values (B, T, N)."""
        shape = (*actions.shape, -1)
        places = torch.cat([seen[..., TASK:].reshape(shape), hidden.reshape(shape)], -1)
        chosen = (actions[..., None] * places).sum(-2)
        own = self.encode(torch.cat([seen[..., :TASK], places.flatten(-2), chosen, actions], -1))
        return self.value(torch.cat([own, self.messages(own)], -1))[..., 0]
