"""arXiv:1906.04721, section 4.2: rounded weights shift mean outputs, and the bias takes the shift back."""

from dataclasses import replace

import numpy as np
import pytest

from core.sketch import Sketch, annotated
from edgesmith.compress.quantize.bias_correction import correct_bias, mean_error
from edgesmith.core.formats import PerChannel
from edgesmith.core.ops import spec_of


def layer(rng, kind):
    s = Sketch()
    if kind == "linear":
        y = s("linear", s.input(1, 20), s.const(rng.normal(size=(6, 20))), s.const(rng.normal(size=6)))
    elif kind == "conv2d":
        w = s.const(rng.normal(size=(6, 3, 3, 2)))
        y = s("conv2d", s.input(1, 7, 7, 4), w, s.const(rng.normal(size=6)), padding=(1, 0, 1, 1), groups=2, low=0.0)
    else:
        w = s.const(rng.normal(size=(6, 3, 3, 4)))
        y = s("conv_transpose2d", s.input(1, 5, 5, 4), w, s.const(rng.normal(size=6)), stride=(2, 2))
    return s.graph(y)


def with_coarse_weights(graph):
    """Weights of a few steps only, so that their rounding is large."""
    w = graph.ops[0].inputs[1]
    coarse = PerChannel((0.4,) * len(graph.constants[w]))
    return replace(graph, tensors={**graph.tensors, w: replace(graph.tensors[w], format=coarse)})


def before_activation(graph, weight, samples):
    op = graph.ops[0]
    free = {**dict(op.attrs), "low": -np.inf, "high": np.inf}
    attrs = spec_of(op).complete(free)
    return np.concatenate(
        [spec_of(op).run([x["in0"], weight, graph.constants[op.inputs[2]]], attrs)[0].reshape(-1, 6) for x in samples]
    )


@pytest.mark.parametrize("kind", ["linear", "conv2d", "conv_transpose2d"])
def test_bias_correction_reduces_the_mean_output_error(nprng, kind):
    """Measured on every output cell of every sample, not on means."""
    graph = layer(nprng, kind)
    samples = [{"in0": (1 + nprng.normal(size=graph.tensors["in0"].shape)).astype(np.float32)} for _ in range(30)]
    marked = with_coarse_weights(annotated(graph, samples))
    name = graph.ops[0].inputs[1]
    rounded = marked.tensors[name].format.dequantize(marked.tensors[name].format.quantize(graph.constants[name]))
    exact = before_activation(graph, graph.constants[name], samples).mean(axis=0)
    fixed = correct_bias(marked, {"in0": np.mean([x["in0"] for x in samples], axis=0)})
    off = np.abs(before_activation(marked, rounded, samples).mean(axis=0) - exact)
    left = np.abs(before_activation(fixed, rounded, samples).mean(axis=0) - exact)
    assert off.max() > 0.05 and left.max() < 1e-4 * max(1, off.max())


def test_mean_error_by_hand():
    """w = [0.3, 1.2] is rounded to [0.5, 1.0]; the mean input [2, 10] makes 0.2 * 2 - 0.2 * 10 = -1.6."""
    s = Sketch()
    y = s("linear", s.input(1, 2), s.const([[0.3, 1.2]]), s.const([0.0]), low=0.0)
    graph = s.graph(y)
    w = replace(graph.tensors["const0"], format=PerChannel((0.5,)))
    graph = replace(graph, tensors={**graph.tensors, "const0": w})
    assert mean_error(graph, graph.ops[0], np.float32([[2, 10]])) == pytest.approx([-1.6])


def test_layers_that_stay_float_keep_their_bias(nprng):
    graph = layer(nprng, "linear")
    fixed = correct_bias(graph, {"in0": np.ones((1, 20), np.float32)})
    assert (fixed.constants["const1"] == graph.constants["const1"]).all()
