"""AWQ: weights that meet large activations are scaled up before rounding, by a search over one exponent a tensor."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from edgesmith.compress.quantize.grids import Clip, check_clip, output_loss, searched
from edgesmith.compress.quantize.layers import Layer, Walk, walk
from edgesmith.compress.quantize.ptq import Transform
from edgesmith.compress.quantize.rounding import ENDS, Storage, Work, rounding
from edgesmith.compress.quantize.rtn import nearest
from edgesmith.compress.quantize.smoothing import Reader, Site, channel_factors, moved, sites
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph
from edgesmith.core.task import Task
from edgesmith.training.loop import Run

GRID = 20  # exponents tried in [0, 1) (arXiv:2306.00978, section 3.2, and the authors' code)
LEAST = 1e-4  # of a scale, as in the authors' code
EXPERIMENT = "benchmarks/claims/compress/awq.py"


@method(
    Card(
        name="awq",
        does="channels scaled by a power of their mean activation, searched, then weights rounded with ranges searched",
        source=Source("Lin et al.", 2023, "arXiv:2306.00978"),
        claims=(
            Claim("the float function stays as it is", test="test_scaling_changes_no_output"),
            Claim("a layer's outputs err no more than by rounding", test="test_scales_never_lose_to_rounding"),
            Claim("no less accurate than rounding at 8 to 2 bits", experiment=EXPERIMENT),
        ),
        omits=(
            "layers whose input comes through a sum or a function that is not proportional: rounded without scales "
            "(`smoothing.unscaled` names them)",
            "a search over whole blocks: each tensor's scales minimize the summed errors of the layers that read it",
        ),
    )
)
def awq(
    weights: int = 4,
    activations: int = 0,
    group: int = 0,
    grid: int = GRID,
    clip: Clip = "output",
    ends: int = ENDS,
    run: Run | None = None,
    own: Mapping[str, int] | None = None,
) -> Transform:
    """Round a copy of the module.

    Args:
        weights, activations, group, ends, own: as in `Storage`.
        grid: exponents that are tried; 1 scales nothing.
        clip: ranges after scaling; as in `rtn`.
        run: as in `Walk`.

    Raises:
        BadInput: bits, groups or a clip that do not exist, or an empty grid.
    """
    check_clip("awq", clip)
    if grid < 1:
        raise BadInput(f"awq: a grid of {grid} exponents; need 1 or more.")
    storage = Storage(weights, activations, group, ends, own)

    def prepare(graph: Graph, task: Task) -> Graph:
        how = Walk(storage.widths(graph), run=Run(accelerator=run.accelerator if run else "cpu"))
        return activation_aware(graph, task.calibration.inputs, how, group, grid)

    work = Work(run=run, settings={"grid": grid, "clip": clip}, prepare=prepare)
    return rounding("awq", storage, partial(nearest, group=group, clip=clip), work)


def activation_aware(graph: Graph, samples: np.ndarray, how: Walk, group: int = 0, grid: int = GRID) -> Graph:
    """The float graph with the best scales moved at every site; it computes the same.

    Args:
        samples: (n, ...) raw values of the graph's only input.
    """
    index_of = {id(op): index for index, op in enumerate(graph.ops)}
    places = {reader.op: (site, reader) for site in sites(graph) for reader in site.readers}
    means: dict[int, np.ndarray] = {}  # by the site's maker
    losses: dict[int, np.ndarray] = {}

    def look(layer: Layer) -> None:
        found = places.get(index_of[id(layer.op)])
        if found is not None:
            site, reader = found
            if site.maker not in means:
                means[site.maker] = channel_means(layer, site, reader)
            tried = [candidate(means[site.maker], step / grid) for step in range(grid)]
            hessian = layer.hessian()
            loss = np.array([scaled_loss(layer, reader, hessian, scale, group) for scale in tried])
            losses[site.maker] = losses.get(site.maker, 0.0) + loss

    walk(graph, samples, look, how)
    for site in sites(graph):
        best = int(losses[site.maker].argmin())
        graph = moved(graph, site, candidate(means[site.maker], best / grid))
    return graph


def candidate(means: np.ndarray, exponent: float) -> np.ndarray:
    """s = mean|x|^exponent, scaled so that its least and greatest value are each other's inverse.

    Source: arXiv:2306.00978, equation 4; the normalization is that of the authors' code.
    """
    scale = np.maximum(means**exponent, LEAST)
    return np.asarray(scale / np.sqrt(scale.max() * scale.min()))


def channel_means(layer: Layer, site: Site, reader: Reader) -> np.ndarray:
    """Mean magnitude of each of the site's channels, as a reader sees them: (channels,)."""
    total, count = np.zeros(site.channels), np.zeros(site.channels)
    sums = sum((x.abs().double().mean(1).cpu() for x in layer.inputs()), torch.zeros(()))  # (groups, K)
    groups, _, k = layer.weight.shape
    for part, channel in enumerate(np.split(reader.channel, groups)):
        at = np.tile(channel, k // len(channel))  # K counts cells, then channels
        np.add.at(total, at, sums[part].numpy())
        np.add.at(count, at, 1.0)
    return total / np.maximum(count, 1)


def scaled_loss(layer: Layer, reader: Reader, hessian: Tensor, scale: np.ndarray, group: int = 0) -> float:
    """Mean squared error of a layer's outputs when its weight is scaled, rounded and scaled back."""
    weight = layer.weight.double()
    stored = layer.weight.cpu().numpy().reshape(layer.shape)
    factors = channel_factors(layer.op, stored, reader, scale).to(weight.device)
    grid = searched(weight * factors, layer.bits, group, "none")
    error: Tensor = weight - grid.round(weight * factors) / factors
    return float(output_loss(error, hessian).sum())
