"""arXiv:1906.04721, section 4.1: the same function, weight ranges evened out."""

import numpy as np
import pytest

from core.sketch import Sketch, annotated
from edgesmith.compress.quantize.equalization import equalize, find_pairs
from edgesmith.core.formats import symmetric
from edgesmith.core.ops import interpret


def net(rng, spread=1.0):
    """conv, depthwise, conv, pool, flatten, linear; the channels of each layer differ in scale."""
    s = Sketch()

    def weights(*shape):
        return s.const(rng.normal(size=shape) * np.exp(spread * rng.normal(size=(shape[0], *[1] * (len(shape) - 1)))))

    x = s.input(1, 8, 8, 3)
    x = s("conv2d", x, weights(8, 3, 3, 3), s.const(rng.normal(size=8)), padding=(1, 1, 1, 1), low=0.0)
    x = s("conv2d", x, weights(8, 3, 3, 1), s.const(rng.normal(size=8)), padding=(1, 1, 1, 1), groups=8, low=0.0)
    x = s("conv2d", x, weights(6, 1, 1, 4), s.const(rng.normal(size=6)), groups=2)
    x = s("max_pool2d", s("clamp", x, low=0.0), kernel=(2, 2), stride=(2, 2))
    x = s("linear", s("reshape", x, shape=(1, 96)), weights(10, 96), s.const(rng.normal(size=10)))
    return s.graph(x)


def outputs(graph, samples):
    return np.stack([interpret(graph, sample)[graph.outputs[0]] for sample in samples])


def inputs(rng, count=6):
    return [{"in0": rng.normal(size=(1, 8, 8, 3)).astype(np.float32)} for _ in range(count)]


def test_pairs_reach_through_relu_pooling_and_flattening(nprng):
    graph = net(nprng)
    assert [(pair.first, pair.second) for pair in find_pairs(graph)] == [(0, 1), (1, 2), (2, 6)]


def test_equalization_changes_no_output(nprng):
    graph, samples = net(nprng), inputs(nprng)
    before, after = outputs(graph, samples), outputs(equalize(graph), samples)
    assert np.abs(after - before).max() <= 1e-5 * np.abs(before).max()


def test_ranges_of_a_pair_meet_at_their_geometric_mean(nprng):
    """Equation 9: after equalization both sides of a channel have the range sqrt(r1 r2)."""
    s = Sketch()
    w1, w2 = nprng.normal(size=(4, 3)), nprng.normal(size=(5, 4))
    x = s("linear", s.input(1, 3), s.const(w1), s.const(np.zeros(4)), low=0.0)
    graph = s.graph(s("linear", x, s.const(w2), s.const(np.zeros(5))))
    even = equalize(graph, rounds=1)
    wanted = np.sqrt(np.abs(w1).max(axis=1) * np.abs(w2).max(axis=0))
    assert np.abs(even.constants["const0"]).max(axis=1) == pytest.approx(wanted)
    assert np.abs(even.constants["const2"]).max(axis=0) == pytest.approx(wanted)


def test_equalization_helps_where_channels_differ_in_scale(nprng):
    """A depthwise net whose activations differ a hundredfold between channels, with one activation scale for all."""
    graph, samples = net(nprng, spread=2.0), inputs(nprng, 12)
    exact = outputs(graph, samples)

    def error(source):
        return float(np.square(rounded(annotated(source, samples), samples) - exact).mean())

    assert error(equalize(graph)) < 0.5 * error(graph)


def rounded(marked, samples):
    """Outputs with every tensor rounded to its format."""
    from core.sketch import numpy_reference

    run = numpy_reference(marked)
    return np.stack([run([sample["in0"]])[0] for sample in samples])


def test_relu6_is_left_alone(nprng):
    s = Sketch()
    x = s("linear", s.input(1, 3), s.const(np.ones((4, 3))), s.const(np.ones(4)), low=0.0, high=6.0)
    assert find_pairs(s.graph(s("linear", x, s.const(np.ones((2, 4))), s.const(np.ones(2))))) == ()


def test_a_layer_with_two_readers_is_left_alone(nprng):
    s = Sketch()
    x = s("linear", s.input(1, 3), s.const(np.ones((4, 3))), s.const(np.ones(4)), low=0.0)
    y = s("linear", x, s.const(np.ones((4, 4))), s.const(np.ones(4)))
    assert find_pairs(s.graph(s("add", x, y))) == ()


def test_dead_channels_stay_as_they_are():
    s = Sketch()
    x = s("linear", s.input(1, 2), s.const([[0.0, 0.0], [1.0, 2.0]]), s.const(np.ones(2)), low=0.0)
    graph = equalize(s.graph(s("linear", x, s.const([[3.0, 8.0]]), s.const([0.0]))))
    assert graph.constants["const2"][0, 0] == 3 and np.isfinite(graph.constants["const2"]).all()
    assert symmetric(graph.constants["const0"]).scales[0] == 1
