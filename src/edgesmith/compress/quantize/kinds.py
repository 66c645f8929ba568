"""Small floats and posits as kinds of format to choose from, and a net whose tensors are rounded to them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from edgesmith.compress.quantize.snapping import Grid, Rounding, grid_of, tensor_scale, weight_scales
from edgesmith.compress.quantize.spots import Spot
from edgesmith.core.formats import POSITS, FloatFormat, Format, Posit
from edgesmith.core.graph import Graph
from edgesmith.lower import Lifted, lift

Make = Callable[[tuple[float, ...]], Format]


@dataclass(frozen=True)
class Kind:
    """A way of storing numbers, up to the scales.

    Attributes:
        bits: of one number.
        make: scales, one or one a channel, to the format.
    """

    name: str
    bits: int
    make: Make

    @cached_property
    def grid(self) -> Grid:
        """Its values at scale one."""
        codes = np.arange(1 << self.bits).astype(np.uint8 if self.bits <= 8 else np.uint16)
        return grid_of(self.make((1.0,)), codes)

    def rounding(self, spot: Spot) -> Rounding:
        """A module that rounds the tensors of a spot, its scales those of least squared error."""
        if spot.weight is not None:
            scales = weight_scales(spot.weight, self.grid)
        else:
            assert spot.values is not None and spot.counts is not None
            scales = torch.tensor([tensor_scale(spot.values, spot.counts, self.grid)])
        return Rounding(self.grid, scales, lambda scale: self.make(tuple(scale.tolist())))


def _float(name: str, kind: str) -> Kind:
    return Kind(name, FloatFormat(kind=kind).bits, lambda scales: FloatFormat(scales, kind))


def _posit(bits: int, exponent: int) -> Kind:
    return Kind(f"posit{bits}", bits, lambda scales: Posit(scales, bits, exponent))


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        *(_float(name, name) for name in ("e5m2", "e4m3", "e3m4", "e2m5")),
        _float("fp4", "e2m1"),
        *(_posit(bits, exponent) for bits, exponent in POSITS),
    )
}


def with_kinds(graph: Graph, found: tuple[Spot, ...], kind_of: Callable[[Spot], Kind | None]) -> Lifted:
    """The graph as a module whose spots are rounded to the kinds chosen; None leaves a spot as it is."""
    quantizers = {}
    for spot in found:
        kind = kind_of(spot)
        if kind is not None:
            quantizers.update(dict.fromkeys(spot.tensors, kind.rounding(spot)))
    return lift(graph, quantizers).eval()
