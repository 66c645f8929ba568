"""A vision transformer whose widths may all differ: what is left of one after heads and channels are gone."""

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from edgesmith.collaborate.distributed.plan import FLOAT_BYTES
from edgesmith.core.errors import BadInput

TOLERANCE = 1e-3  # of the scores, between the module that came in and what was read from it


@dataclass(frozen=True)
class Sizes:
    """Of a transformer.

    Attributes:
        channels: of the picture.
        patch: pixels along a patch's side.
        tokens: patches of a picture.
        width: of the residual stream.
        head_width: of queries, keys and values of one head.
        hidden: units between a block's two linear layers.
    """

    channels: int
    patch: int
    tokens: int
    width: int
    heads: int
    head_width: int
    hidden: int
    depth: int

    def scaled(self, share: float) -> "Sizes":
        """All widths times a share, heads whole: none falls below one."""
        heads = max(1, round(share * self.heads))
        head_width = min(self.head_width, max(1, round(share * self.heads * self.head_width / heads)))
        width, hidden = (max(1, round(share * size)) for size in (self.width, self.hidden))
        return replace(self, width=width, heads=heads, head_width=head_width, hidden=hidden)

    @property
    def inner(self) -> int:
        """Width of attention: all heads side by side."""
        return self.heads * self.head_width

    @property
    def parameters(self) -> int:
        """Of the net that gives features, without a classifier."""
        attention = (self.width + 1) * 3 * self.inner + (self.inner + 1) * self.width
        mlp = (self.width + 1) * self.hidden + (self.hidden + 1) * self.width
        embed = self.channels * self.patch**2 * self.width + self.width
        return embed + self.tokens * self.width + self.depth * (attention + mlp + 4 * self.width) + 2 * self.width

    @property
    def nbytes(self) -> int:
        """Of its parameters, as float32."""
        return FLOAT_BYTES * self.parameters

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one picture."""
        linear = self.width * 4 * self.inner + 2 * self.width * self.hidden + 2 * self.tokens * self.inner
        return self.tokens * (self.channels * self.patch**2 * self.width + self.depth * linear)


class Attention(nn.Module):
    """Multi-head self-attention: (n, tokens, width) to the same."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.heads, self.head_width = sizes.heads, sizes.head_width
        self.query_key_value = nn.Linear(sizes.width, 3 * sizes.inner)
        self.project = nn.Linear(sizes.inner, sizes.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.mixed(x))

    def mixed(self, x: Tensor) -> Tensor:
        """What the heads give, side by side: (n, tokens, inner)."""
        n, tokens, _ = x.shape
        split = self.query_key_value(x).reshape(n, tokens, 3, self.heads, self.head_width)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        return mixed.transpose(1, 2).reshape(n, tokens, self.heads * self.head_width)


class Block(nn.Module):
    """Attention and a two-layer net, each behind a layer norm and added to its input."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(sizes.width)
        self.attention = Attention(sizes)
        self.norm_2 = nn.LayerNorm(sizes.width)
        self.mlp = nn.Sequential(nn.Linear(sizes.width, sizes.hidden), nn.GELU(), nn.Linear(sizes.hidden, sizes.width))

    @property
    def first(self) -> nn.Linear:
        """The two-layer net's first layer."""
        return self.mlp[0]  # type: ignore[return-value]

    @property
    def last(self) -> nn.Linear:
        """The two-layer net's second layer."""
        return self.mlp[2]  # type: ignore[return-value]

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))


class SubVit(nn.Module):
    """(n, channels, size, size) pictures to (n, width) features: the mean over patches."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.embed = nn.Conv2d(sizes.channels, sizes.width, sizes.patch, sizes.patch)
        self.position = nn.Parameter(torch.zeros(1, sizes.tokens, sizes.width))
        self.blocks = nn.Sequential(*(Block(sizes) for _ in range(sizes.depth)))
        self.norm = nn.LayerNorm(sizes.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.pooled(self.blocks(self.tokens(x)))

    def block(self, index: int) -> Block:
        """One block."""
        return self.blocks[index]  # type: ignore[return-value]

    def tokens(self, x: Tensor) -> Tensor:
        """Patches with their positions: (n, tokens, width)."""
        return self.embed(x).flatten(2).transpose(1, 2) + self.position

    def pooled(self, tokens: Tensor) -> Tensor:
        """Tokens to features."""
        return self.norm(tokens).mean(1)


@dataclass(frozen=True)
class Classifier:
    """A transformer with the layer that tells classes apart."""

    vit: SubVit
    classify: nn.Linear

    def scores(self, x: Tensor) -> Tensor:
        """(n, channels, size, size) to (n, classes)."""
        return self.classify(self.vit(x))


def read_vit(module: nn.Module, example: Tensor) -> Classifier:
    """A copy of a module's weights as a transformer whose channels can be taken out.

    Args:
        module: `embed` (a convolution), `position`, `blocks` of `norm_1`, `attention` (`heads`, `query_key_value`,
            `project`), `norm_2` and `mlp`, then `norm` and `classify`, as fashion-vit of the zoo.
        example: (n, channels, size, size) normalized pictures, on which both must agree.

    Raises:
        BadInput: it is built otherwise, or it computes something else.
    """
    state = module.state_dict()
    try:
        heads = int(module.blocks[0].attention.heads)  # type: ignore[union-attr, index]
        sizes = _sizes(state, heads)
        found = SubVit(sizes)
        classify = nn.Linear(sizes.width, len(state["classify.weight"]))
        classify.load_state_dict({name: state.pop(f"classify.{name}") for name in ("weight", "bias")})
        found.load_state_dict(state)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise BadInput(
            f"ed_vit: {type(module).__name__} is no vision transformer that it can read ({error}); need one built as "
            "fashion-vit of the zoo."
        ) from error
    made = Classifier(found.eval(), classify.eval())
    _check_same(module, made, example)
    return made


def _sizes(state: dict[str, Tensor], heads: int) -> Sizes:
    embed, hidden = state["embed.weight"], state["blocks.0.mlp.0.weight"]
    inner = state["blocks.0.attention.project.weight"].shape[1]
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    return Sizes(
        channels=embed.shape[1],
        patch=embed.shape[2],
        tokens=state["position"].shape[1],
        width=embed.shape[0],
        heads=heads,
        head_width=inner // heads,
        hidden=hidden.shape[0],
        depth=depth,
    )


@torch.no_grad()
def _check_same(module: nn.Module, made: Classifier, example: Tensor) -> None:
    """Whether the module computes what its weights' names say."""
    away = float((copy.deepcopy(module).eval()(example) - made.scores(example)).abs().max())
    if not away <= TOLERANCE:
        raise BadInput(
            f"ed_vit: {type(module).__name__} has the weights of fashion-vit but other scores, by up to {away:.3g}; "
            "need a transformer that computes the same. Check its norms, its activation, its pooling."
        )
