"""Post-training quantization: int8 weights and activations from a few hundred samples, without training."""

from collections.abc import Callable, Mapping

import numpy as np
from torch import nn

from edgesmith.compress.quantize.bias_correction import correct_bias as corrected
from edgesmith.compress.quantize.bias_correction import layers_to_correct
from edgesmith.compress.quantize.calibrators import CALIBRATORS, PERCENTILE, Calibration, Histogram, Range
from edgesmith.compress.quantize.calibrators import percentile as percentile_range
from edgesmith.compress.quantize.equalization import equalize as equalized
from edgesmith.compress.quantize.observation import Extremes, histograms, observe
from edgesmith.compress.quantize.placement import INT8, Widths, annotate, check_bits, place, sources_to_observe
from edgesmith.compress.quantize.preparation import float_graph
from edgesmith.compress.quantize.raw_input import raw_formats
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph
from edgesmith.core.task import Task
from edgesmith.lower import lift

Transform = Callable[[nn.Module, Task], nn.Module]


@method(
    Card(
        name="ptq",
        does="int8 weights per channel and activations per tensor, ranges chosen on the calibration split",
        source=Source("Nagel et al.", 2021, "arXiv:2106.08295"),
        claims=(
            Claim(
                "MSE ranges lose less than min-max ranges on heavy tails", test="test_mse_beats_minmax_on_heavy_tails"
            ),
            Claim("equalization leaves the float function as it is", test="test_equalization_changes_no_output"),
            Claim(
                "equalization rescues a net whose channels differ in scale",
                test="test_equalization_helps_where_channels_differ_in_scale",
            ),
            Claim(
                "bias correction brings mean outputs back", test="test_bias_correction_reduces_the_mean_output_error"
            ),
            Claim("int8 loses at most one point on digits-resnet", test="test_digits_resnet_keeps_its_accuracy"),
        ),
        omits=("AdaRound", "quantization-aware training", "per-tensor weights", "analytic bias correction"),
    )
)
def ptq(
    calibration: Calibration = "mse",
    percentile: float = PERCENTILE,
    equalize: bool = False,
    correct_bias: bool = True,
    weights: int = 8,
    activations: int = 8,
    own: Mapping[str, int] | None = None,
) -> Transform:
    """Quantize a copy of the module; the result takes raw sensor values, the normalization is part of it.

    Args:
        calibration: how an activation's range follows from its values; mse is what arXiv:2106.08295, section 3.1,
            recommends.
        percentile: kept of the values, in %, by calibration "percentile"; 99.99 from arXiv:2004.09602, table 7.
        equalize: even out weight ranges first (arXiv:1906.04721, section 4.1). Off: weights have a scale per channel
            here, which leaves equalization little to gain (arXiv:2106.08295, table 5).
        correct_bias: take the mean error of rounded weights off the biases (arXiv:1906.04721, section 4.2).
        weights, activations: bits of each, 2 to 8; inputs and outputs keep 8.
        own: bits of single tensors, by their names in the lowered graph.

    Raises:
        BadInput: an unknown calibration, a percentile outside (50, 100], or other bits.
    """
    if calibration not in CALIBRATORS:
        raise BadInput(f"ptq: calibration is {calibration!r}; need one of {', '.join(CALIBRATORS)}.")
    if not 50 < percentile <= 100:
        raise BadInput(f"ptq: percentile is {percentile}; need above 50, at most 100.")

    check_bits("ptq", weights, activations, *(own or {}).values())

    def choose(seen: Histogram, bits: int) -> Range:
        return percentile_range(seen, percentile) if calibration == "percentile" else chosen(seen, bits)

    chosen, widths = CALIBRATORS[calibration], Widths(weights, activations, own or {})

    def transform(module: nn.Module, task: Task) -> nn.Module:
        samples = task.calibration.inputs
        graph = float_graph(module, task)
        graph = quantized(
            equalized(graph) if equalize else graph, samples, choose, calibration != "minmax", correct_bias, widths
        )
        return lift(graph)

    return transform


def quantized(
    graph: Graph,
    samples: np.ndarray,
    choose: Callable[[Histogram, int], Range],
    needs_counts: bool = True,
    correct_bias: bool = True,
    widths: Widths = INT8,
) -> Graph:
    """Choose a format for every tensor that is to be stored in integers.

    Args:
        graph: float, canonical, with one input.
        samples: (n, ...) values of that input as the sensor gives them; uint8 and int16 stay raw in the integer graph.
        choose: a tensor's histogram and its bits to the range its format holds.
        needs_counts: whether `choose` reads more than the extremes.

    Returns:
        the annotated graph; biases are corrected if asked.

    Raises:
        BadInput: not one input, or a value that is not finite.
    """
    if len(graph.inputs) != 1:
        raise BadInput(f"ptq: the model has {len(graph.inputs)} inputs; need one.")
    groups = place(graph, raw_formats(graph, samples))
    ranged = sources_to_observe(graph, groups)
    averaged = [op.inputs[0] for op in layers_to_correct(graph)] if correct_bias else []
    seen = observe(graph, samples, ranged, averaged)
    counted = histograms(graph, samples, seen) if needs_counts else _bare(seen)
    bits = {name: widths.of_group(graph, group) for group in groups for name in group.members}
    ranges = {name: choose(histogram, bits[name]) for name, histogram in counted.items()}
    annotated = annotate(graph, groups, ranges, widths)
    means = {name: total / seen.samples for name, total in seen.sums.items()}
    return corrected(annotated, means) if correct_bias else annotated


def _bare(seen: Extremes) -> dict[str, Histogram]:
    return {name: Histogram(seen.low[name], seen.high[name], np.zeros(0)) for name in seen.low}
