"""A learned prior of integer latents: for each channel a distribution of its own, from training to the coder's tables.

The cumulative distribution is a small monotone network (arXiv:1802.01436, appendix 6.1). While a net is trained its
latents carry uniform noise of one step's width instead of being rounded, so that the rate has a gradient; the density
at a noisy latent is then the probability of the integer that it would be rounded to.
"""

import copy
import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgesmith.collaborate.coding import Code, from_pmf

FILTERS = (3, 3, 3)  # hidden widths (arXiv:1802.01436, appendix 6.1)
SPREAD = 10.0  # values the prior spans before training (the authors' code)
LEAST = 1e-9  # of a likelihood: bits stay finite (the authors' code)
LOW, HIGH = -128, 127  # latents are int8
RARE = 2.0**-16  # an integer less likely than this gets no place in a table; the coder's escape carries it


class FactorizedPrior(nn.Module):
    """Channel by channel, a distribution over the reals whose integers' shares are the rate.

    Args:
        channels: of the latents.
        filters: hidden widths of each channel's network.
        spread: about how many values the untrained prior spans.
    """

    def __init__(self, channels: int, filters: tuple[int, ...] = FILTERS, spread: float = SPREAD) -> None:
        super().__init__()
        widths = (1, *filters, 1)
        scale = spread ** (1 / (len(filters) + 1))
        self.matrices, self.biases, self.factors = nn.ParameterList(), nn.ParameterList(), nn.ParameterList()
        for inside, outside in zip(widths[:-1], widths[1:], strict=True):
            start = math.log(math.expm1(1 / scale / outside))
            self.matrices.append(torch.full((channels, outside, inside), start))
            self.biases.append(torch.rand(channels, outside, 1) - 0.5)
            self.factors.append(torch.zeros(channels, outside, 1))

    @property
    def channels(self) -> int:
        """Of the latents."""
        return len(self.matrices[0])

    def logits(self, values: Tensor) -> Tensor:
        """Of the cumulative distribution: (channels, 1, n) to the same shape, rising with the values (appendix 6.1)."""
        last = len(self.matrices) - 1
        for index, (matrix, bias, factor) in enumerate(zip(self.matrices, self.biases, self.factors, strict=True)):
            values = torch.matmul(functional.softplus(matrix), values) + bias
            if index < last:
                values = values + torch.tanh(factor) * torch.tanh(values)
        return values

    def likelihood(self, latents: Tensor) -> Tensor:
        """Share of the step's width around each latent: (n, channels, ...) to the same shape, above 0."""
        values = latents.transpose(0, 1).flatten(1).unsqueeze(1)
        lower, upper = self.logits(values - 0.5), self.logits(values + 0.5)
        # Far to the right both are near 1: their mirror images keep the difference's digits.
        sign = -torch.sign(lower + upper).detach()
        share = (torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower)).abs().clamp_min(LEAST)
        shape = (latents.shape[1], latents.shape[0], *latents.shape[2:])
        return share.reshape(shape).transpose(0, 1)

    def bits(self, latents: Tensor) -> Tensor:
        """Estimated bits of each sample's latents: (n, channels, ...) to (n,)."""
        return -self.likelihood(latents).log2().flatten(1).sum(1)

    @torch.no_grad()
    def pmf(self, low: int = LOW, high: int = HIGH) -> np.ndarray:
        """(channels, high - low + 1) float64 probabilities of low .. high; what a row lacks to 1 lies outside."""
        edges = torch.arange(low, high + 2, dtype=torch.float64) - 0.5
        logits = copy.deepcopy(self).double().logits(edges.expand(self.channels, 1, -1)).squeeze(1)
        # Likewise: differences on whichever side of the middle is exact.
        right = logits[:, :-1] > 0
        left_share = torch.sigmoid(logits).diff(dim=1)
        right_share = -torch.sigmoid(-logits).diff(dim=1)
        return torch.where(right, right_share, left_share).clamp_min(0).numpy()

    def code(self, tables: int | None = None) -> Code:
        """The coder's tables of int8 latents with the channels last.

        Args:
            tables: at most so many; None keeps one for each channel.
        """
        pmf = self.pmf()
        return from_pmf(np.where(pmf < RARE, 0.0, pmf), LOW, tables)


def noisy(latents: Tensor) -> Tensor:
    """With uniform noise of one step's width, from torch's own generator: rounding's stand-in (section 2)."""
    return latents + torch.rand_like(latents) - 0.5
