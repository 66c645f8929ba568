"""A small language model like Llama (arXiv:2302.13971): RMS norms, rotary positions, gated nets, shared keys."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BASE = 10_000.0  # of the rotary frequencies, arXiv:2104.09864, section 3.2.2


@dataclass(frozen=True)
class Shape:
    """Sizes of a model.

    Attributes:
        heads, key_heads: each key head serves heads / key_heads query heads (arXiv:2305.13245).
        hidden: width inside the feed-forward net.
        length: tokens in a window.
    """

    vocabulary: int
    width: int
    depth: int
    heads: int
    key_heads: int
    hidden: int
    length: int

    @property
    def parameters(self) -> int:
        """Trainable numbers; the table of tokens is also the output layer."""
        head = self.width // self.heads
        attention = 2 * self.width * head * (self.heads + self.key_heads)
        block = attention + 3 * self.width * self.hidden + 2 * self.width
        return self.vocabulary * self.width + self.depth * block + self.width


class Rotary(nn.Module):
    """Turns pairs of entries by an angle that grows with the position: (n, heads, length, head) to the same."""

    cos: Tensor
    sin: Tensor

    def __init__(self, head: int, length: int) -> None:
        super().__init__()
        frequencies = BASE ** -(torch.arange(0, head, 2, dtype=torch.float64) / head)
        angles = torch.outer(torch.arange(length, dtype=torch.float64), frequencies).repeat(1, 2)
        self.register_buffer("cos", angles.cos().float(), persistent=False)
        self.register_buffer("sin", angles.sin().float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, -1)
        return x * self.cos + torch.cat([-second, first], -1) * self.sin


class Attention(nn.Module):
    """Each position attends to itself and those before it: (n, length, width) to the same."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.key_heads, self.head = shape.heads, shape.key_heads, shape.width // shape.heads
        self.query = nn.Linear(shape.width, self.heads * self.head, bias=False)
        self.key = nn.Linear(shape.width, self.key_heads * self.head, bias=False)
        self.value = nn.Linear(shape.width, self.key_heads * self.head, bias=False)
        self.project = nn.Linear(self.heads * self.head, shape.width, bias=False)
        self.rotary = Rotary(self.head, shape.length)

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        query = self.rotary(self.query(x).reshape(n, length, self.heads, self.head).transpose(1, 2))
        key = self.rotary(self.key(x).reshape(n, length, self.key_heads, self.head).transpose(1, 2))
        value = self.value(x).reshape(n, length, self.key_heads, self.head).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(query, self.shared(key), self.shared(value), is_causal=True)
        return self.project(mixed.transpose(1, 2).reshape(n, length, self.heads * self.head))

    def shared(self, x: Tensor) -> Tensor:
        """Each key head repeated for the query heads that it serves."""
        n, heads, length, head = x.shape
        times = self.heads // heads
        return x[:, :, None].expand(n, heads, times, length, head).reshape(n, self.heads, length, head)


class SwiGlu(nn.Module):
    """Feed-forward net with a gate (arXiv:2002.05202): (..., width) to the same."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    """Attention and a gated net, each behind an RMS norm and added to its input."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm_1 = nn.RMSNorm(shape.width, eps=1e-5)
        self.attention = Attention(shape)
        self.norm_2 = nn.RMSNorm(shape.width, eps=1e-5)
        self.mlp = SwiGlu(shape.width, shape.hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))


class Llama(nn.Module):
    """(n, length) token ids, int32 or int64, to (n, length, vocabulary) logits of the token that follows each."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.Sequential(*(Block(shape) for _ in range(shape.depth)))
        self.norm = nn.RMSNorm(shape.width, eps=1e-5)
        self._begin(shape)

    @torch.no_grad()
    def _begin(self, shape: Shape) -> None:
        """Normal weights of deviation 0.02, those that end a branch less by the root of their number (GPT-2)."""
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                ends = name.endswith(("project.weight", "down.weight"))
                parameter.normal_(0.0, 0.02 / ((2 * shape.depth) ** 0.5 if ends else 1.0))

    def forward(self, tokens: Tensor) -> Tensor:
        return F.linear(self.norm(self.blocks(self.embed(tokens))), self.embed.weight)
