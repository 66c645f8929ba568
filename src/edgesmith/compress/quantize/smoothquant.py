"""SmoothQuant: activations' outliers move into weights before both get 8 bits."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from edgesmith.compress.quantize.calibrators import CALIBRATORS, Calibration
from edgesmith.compress.quantize.observation import run as run_samples
from edgesmith.compress.quantize.placement import Widths, check_bits
from edgesmith.compress.quantize.preparation import float_graph
from edgesmith.compress.quantize.ptq import Transform, quantized
from edgesmith.compress.quantize.smoothing import moved, sites, weight_peaks
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph
from edgesmith.core.task import Task
from edgesmith.lower import lift

ALPHA = 0.5  # arXiv:2211.10438, section 4
LEAST = 1e-5  # of a magnitude, as in the authors' code
EXPERIMENT = "benchmarks/claims/compress/smoothquant.py"


@method(
    Card(
        name="smoothquant",
        does="outliers of activation channels move into the weights that read them, then both get 8 bits",
        source=Source("Xiao et al.", 2022, "arXiv:2211.10438"),
        claims=(
            Claim("the float function stays as it is", test="test_smoothing_changes_no_output"),
            Claim("outlying channels cost less", test="test_smoothing_rescues_a_net_with_an_outlying_channel"),
            Claim("at most a point below float at 8 bits", experiment=EXPERIMENT),
        ),
        omits=(
            "weights per tensor: they have a scale per channel here",
            "layers whose input comes through a sum or a function that is not proportional: left as they are "
            "(`smoothing.unscaled` names them)",
            "dynamic ranges per token",
        ),
    )
)
def smoothquant(
    alpha: float = ALPHA,
    weights: int = 8,
    activations: int = 8,
    calibration: Calibration = "mse",
    own: Mapping[str, int] | None = None,
) -> Transform:
    """Smooth and quantize a copy of the module; the result takes raw sensor values.

    Args:
        alpha: how much of the difficulty moves into the weights, 0 to 1.
        weights, activations: bits of each, 2 to 8.
        calibration: how an activation's range follows from its values; as in `ptq`.
        own: bits of single tensors, by their names in the lowered graph.

    Raises:
        BadInput: another alpha, other bits or an unknown calibration.
    """
    if not 0 <= alpha <= 1:
        raise BadInput(f"smoothquant: alpha is {alpha}; need 0 to 1.")
    if calibration not in CALIBRATORS:
        raise BadInput(f"smoothquant: calibration is {calibration!r}; need one of {', '.join(CALIBRATORS)}.")
    check_bits("smoothquant", weights, activations, *(own or {}).values())

    def transform(module: nn.Module, task: Task) -> nn.Module:
        samples = task.calibration.inputs
        graph = smoothed(float_graph(module, task), samples, alpha)
        choose, counts = CALIBRATORS[calibration], calibration != "minmax"
        return lift(quantized(graph, samples, choose, counts, False, Widths(weights, activations, own or {})))

    return transform


def smoothed(graph: Graph, samples: np.ndarray, alpha: float = ALPHA) -> Graph:
    """The float graph with scales moved at every site; it computes the same.

    Args:
        samples: (n, ...) raw values of the graph's only input.
    """
    found = sites(graph)
    peaks = channel_peaks(graph, samples, [graph.ops[site.maker].outputs[0] for site in found])
    for site in found:
        peak = peaks[graph.ops[site.maker].outputs[0]]
        # A site's readers may be the next one's maker: their rows change there, their columns here.
        graph = moved(graph, site, scales(peak, weight_peaks(graph, site), alpha))
    return graph


def scales(activations: np.ndarray, weights: np.ndarray, alpha: float = ALPHA) -> np.ndarray:
    """s_j = max|x_j|^alpha / max|w_j|^(1 - alpha); 1 for channels without values or weights.

    Args:
        activations, weights: (channels,) largest magnitudes.

    Source: arXiv:2211.10438, equation 4.
    """
    used = (activations > LEAST) & (weights > LEAST)
    x, w = np.where(used, activations, 1.0), np.where(used, weights, 1.0)
    return np.asarray(x**alpha / w ** (1 - alpha))


def channel_peaks(graph: Graph, samples: np.ndarray, names: list[str]) -> Mapping[str, np.ndarray]:
    """Largest magnitude of each channel, the last axis, of the named tensors."""
    wanted, peaks = set(names), {name: np.zeros(graph.tensors[name].shape[-1]) for name in names}

    def watch(name: str, value: torch.Tensor) -> None:
        if name in wanted:
            found = value.reshape(-1, value.shape[-1]).abs().amax(0).double().numpy()
            peaks[name] = np.maximum(peaks[name], found)

    for _ in run_samples(graph, samples, watch):
        pass
    return peaks
