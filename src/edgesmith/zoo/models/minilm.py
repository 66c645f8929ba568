"""MiniLM (arXiv:2002.10957), a BERT of six layers (arXiv:1810.04805), with a linear head over its mean token.

Modules are named as in the published weights. The mask of filled-up positions is looked up by token id, so that the
tokens are the only input and every op has integer inputs or floats.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WORDS, WIDTH, HIDDEN, DEPTH, HEADS, POSITIONS = 30_522, 384, 1536, 6, 12, 512
PAD = 0  # the token that fills up
EPS = 1e-12
FORBIDDEN = -100.0  # added to the logits of positions not to be looked at: exp(-100) is 4e-44


class Embeddings(nn.Module):
    """(n, length) token ids to (n, length, WIDTH): word, position and type (always the first) added up."""

    def __init__(self) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(WORDS, WIDTH)
        self.position_embeddings = nn.Embedding(POSITIONS, WIDTH)
        self.token_type_embeddings = nn.Embedding(2, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH, eps=EPS)

    def forward(self, tokens: Tensor) -> Tensor:
        place = self.position_embeddings.weight[: tokens.shape[1]] + self.token_type_embeddings.weight[0]
        return self.LayerNorm(self.word_embeddings(tokens) + place)


class SelfAttention(nn.Module):
    """Multi-head attention without its output layer: (n, length, WIDTH) and a mask to add to the logits."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        n, length, _ = x.shape
        query, key, value = (
            layer(x).reshape(n, length, HEADS, WIDTH // HEADS).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return mixed.transpose(1, 2).reshape(n, length, WIDTH)


class Output(nn.Module):
    """A linear layer, the branch's input added, a layer norm."""

    def __init__(self, inside: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inside, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH, eps=EPS)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(x) + before)


class Layer(nn.Module):
    """One layer of the encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"self": SelfAttention(), "output": Output(WIDTH)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(WIDTH, HIDDEN)})
        self.output = Output(HIDDEN)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.attention["output"](self.attention["self"](x, mask), x)
        return self.output(F.gelu(self.intermediate["dense"](x)), x)


class Encoder(nn.Module):
    """All layers, one behind the other."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer() for _ in range(DEPTH))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        for layer in self.layer:
            x = layer(x, mask)
        return x


class Minilm(nn.Module):
    """(n, length) token ids, at most 512 long, to (n, WIDTH): the mean over the tokens that are not PAD."""

    real: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = Embeddings()
        self.encoder = Encoder()
        real = torch.ones(WORDS, 1)
        real[PAD] = 0.0
        self.register_buffer("real", real, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        real = F.embedding(tokens, self.real)
        mask = ((1.0 - real) * FORBIDDEN).reshape(-1, 1, 1, tokens.shape[1])
        x = self.encoder(self.embeddings(tokens), mask)
        return (x * real).sum(1) / real.sum(1)


class IntentClassifier(nn.Module):
    """(n, length) token ids to (n, classes) logits: MiniLM and a linear head."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.minilm = Minilm()
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.minilm(tokens))
