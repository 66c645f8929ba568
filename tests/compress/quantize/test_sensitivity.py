"""Sensitivities against algebra, their causes, and what the solver makes of them."""

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith import zoo
from edgesmith.compress.quantize import mixed, ptq
from edgesmith.compress.quantize import sensitivity as measuring
from edgesmith.compress.quantize.calibrators import histogram
from edgesmith.compress.quantize.causes import Shape, causes, shapes, spread
from edgesmith.compress.quantize.hessian import hutchinson
from edgesmith.compress.quantize.mixed import packed_bytes, uniform_bytes
from edgesmith.compress.quantize.sensitivity import Sensitivity, divergence, sensitivities, spots
from edgesmith.core.errors import BadInput, DoesNotFit
from edgesmith.core.formats import PerChannel, symmetric
from edgesmith.core.task import Split, Task
from edgesmith.lower import lower, with_normalize
from edgesmith.training.evaluate import evaluate_raw


@pytest.fixture(scope="module")
def bed():
    return zoo.load("digits-cnn")


@pytest.fixture(scope="module")
def graph(bed):
    example = torch.from_numpy(bed.task.calibration.inputs[:1]).float()
    return lower(with_normalize(bed.module, bed.task.normalize), (example,))


def test_the_trace_of_a_quadratic_is_exact(rng):
    """x'Ax/2 with a diagonal A: every vector of signs gives z'Az = trace(A), off the diagonal the mean does."""
    diagonal = torch.rand(12, generator=rng)
    x, y = torch.zeros(12, requires_grad=True), torch.zeros(3, requires_grad=True)
    loss = 0.5 * (diagonal * x * x).sum() + 2.5 * y.square().sum() + x.sum() * y.sum()
    found = hutchinson(loss, {"x": [x], "y": [y]}, rng, probes=1)
    assert found["x"] == pytest.approx(float(diagonal.sum()), rel=1e-5)
    assert found["y"] == pytest.approx(15.0, rel=1e-5)


def test_the_trace_of_a_full_matrix_comes_out_on_average(rng):
    a = torch.randn(6, 6, generator=rng)
    matrix = a @ a.T
    x = torch.zeros(6, requires_grad=True)
    found = hutchinson(0.5 * x @ matrix @ x, {"x": [x]}, rng, probes=4000)
    assert found["x"] == pytest.approx(float(matrix.trace()), rel=0.05)


def linear_task(rng):
    inputs = torch.randn(96, 5, generator=rng).numpy()
    labels = torch.randn(96, 3, generator=rng).numpy()
    split = Split(inputs, labels)
    return Task("line", split, split, split, split, loss="mse")


def test_a_linear_nets_hessian_predicts_its_loss(rng):
    """For mse and a linear layer the loss is quadratic in the weight: trace(H) = 2/3 sum over the classes of E|x|^2."""
    task = linear_task(rng)
    module = nn.Linear(5, 3)
    made = lower(module, (torch.from_numpy(task.calibration.inputs[:1]),))
    places, _ = spots(made, task.calibration.inputs)
    weight = next(spot for spot in places if spot.kind == "weight")
    rows = sensitivities(made, task, [weight], (4,), ("hessian", "loss"))
    values = made.constants[weight.name]
    error = symmetric(values, bits=4)
    squared = float(((error.dequantize(error.quantize(values)) - values) ** 2).sum())
    seen = task.calibration.inputs[:64]
    mean_trace = 2 / 3 * 3 * float((seen**2).sum(1).mean()) / values.size
    assert rows[0].hessian == pytest.approx(0.5 * mean_trace * squared, rel=0.25)


def test_fewer_bits_hurt_more_and_what_is_measured_is_what_rounding_does(graph, bed):
    places, _ = spots(graph, bed.task.calibration.inputs)
    weights = [spot for spot in places if spot.kind == "weight"]
    rows = sensitivities(graph, bed.task, weights, measures=("kl", "loss", "sqnr"))
    by_bits = {bits: [row for row in rows if row.bits == bits] for bits in (8, 4, 2)}
    for eight, four, two in zip(by_bits[8], by_bits[4], by_bits[2], strict=True):
        assert eight.kl < four.kl < two.kl and eight.sqnr_db > four.sqnr_db > two.sqnr_db
    first = by_bits[4][0]
    values = graph.constants[first.tensor]
    format_ = weights[0].formats[4]
    error = format_.dequantize(format_.quantize(values)) - values
    assert first.sqnr_db == pytest.approx(10 * np.log10((values**2).sum() / (error**2).sum()), abs=0.01)
    assert first.bias == pytest.approx(abs(error.mean()) / np.sqrt((error**2).mean()), abs=0.01)


def test_the_divergence_of_classes_is_kullback_and_leiblers():
    p, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]])
    assert divergence(p.log(), q.log(), classes=True) == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3), abs=1e-6)
    outputs = torch.tensor([[1.0], [-1.0]])  # variance 2
    assert divergence(outputs, outputs + 1, classes=False) == pytest.approx(0.25)


def test_measuring_goes_on_where_it_was_killed(graph, bed, tmp_path, monkeypatch):
    places = [spot for spot in spots(graph, bed.task.calibration.inputs)[0] if spot.kind == "weight"]
    whole = sensitivities(graph, bed.task, places, (4,), ("kl",))
    real, calls = measuring._measured, []

    def dying(*words):
        calls.append(words[3].spot.name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*words)

    monkeypatch.setattr(measuring, "_measured", dying)
    with pytest.raises(KeyboardInterrupt):
        sensitivities(graph, bed.task, places, (4,), ("kl",), tmp_path / "kept")
    assert sensitivities(graph, bed.task, places, (4,), ("kl",), tmp_path / "kept") == whole
    assert calls.count(places[0].name) == 1, "what was kept is not measured again"
    (tmp_path / "kept").write_text("{")
    with pytest.raises(BadInput, match="Delete it"):
        sensitivities(graph, bed.task, places, (4,), ("kl",), tmp_path / "kept")
    with pytest.raises(BadInput, match="no measure"):
        sensitivities(graph, bed.task, places, (4,), ("mood",))


def rows_of(harms, bias=0.0):
    return [Sensitivity(f"t{i}", "weight", f"l{i}", 4, harm, 0, 20, 0, bias) for i, harm in enumerate(harms)]


def test_a_layer_that_does_most_of_the_harm_is_named_with_its_reason():
    calm = Shape(3.0, 1.3, 1.0)
    found = causes(
        rows_of([1.0, *[0.1] * 9]), {"t0": Shape(40.0, 30.0, 1.0), **{f"t{i}": calm for i in range(1, 10)}}, 4
    )
    assert [cause.tensor for cause in found if cause.sensitive] == ["t0"]
    assert found[0].reasons[0].startswith("outliers") and "30.0 times" in found[0].reasons[0]
    unequal = causes(rows_of([1.0, *[0.1] * 9]), {f"t{i}": Shape(3.0, 1.3, 20.0) for i in range(10)}, 4)
    assert unequal[0].reasons == ("range: the widest channel spans 20.0 times the median one",)
    shifted = causes(rows_of([1.0, *[0.1] * 9], bias=0.5), {f"t{i}": calm for i in range(10)}, 4)
    assert shifted[0].reasons[0].startswith("bias shift: the mean error is 50%")
    even = causes(rows_of([0.1] * 10), {f"t{i}": calm for i in range(10)}, 4)
    assert not any(cause.sensitive for cause in even)


def test_kurtosis_and_tail_are_those_of_the_distribution(nprng):
    kurtosis, tail = spread(histogram(nprng.normal(size=200_000)))
    assert kurtosis == pytest.approx(3.0, abs=0.1) and 1.2 < tail < 1.7
    kurtosis, _ = spread(histogram(nprng.laplace(size=200_000)))
    assert kurtosis == pytest.approx(6.0, rel=0.15)
    values = np.append(nprng.normal(size=10_000), 100.0)
    assert spread(histogram(values))[1] > 20


def test_unequal_channels_are_seen_on_the_samples(graph, bed):
    places, seen = spots(graph, bed.task.calibration.inputs)
    found = shapes(graph, bed.task.calibration.inputs, places, seen)
    assert set(found) == {spot.name for spot in places}
    assert all(shape.unequal >= 1 and shape.tail >= 1 for shape in found.values())


def test_mixed_bits_hold_the_bytes_of_uniform_ones_and_lose_less(bed):
    uniform = ptq(weights=3)(bed.module, bed.task)
    found = mixed(weights=3)(bed.module, bed.task)
    sizes = []
    for module in (uniform, found):
        made = module.to_graph()
        names = [n for n in made.constants if isinstance(made.tensors[n].format, PerChannel)]
        packed = [n for n in names if made.tensors[n].format.dtype == "int8"]
        sizes.append(sum(-(-made.constants[n].size * made.tensors[n].format.bits // 8) for n in packed))
    assert sizes[1] <= sizes[0]
    score = [evaluate_raw(module, bed.task, bed.task.validation) for module in (uniform, found)]
    assert score[1] >= score[0] - 0.01
    assert len({made.tensors[n].format.bits for n in packed}) > 1


def test_a_limit_on_cycles_is_held_as_well(graph, bed):
    def cost(graph, spot, bits):
        return {**packed_bytes(graph, spot, bits), "cycles": spot.size * (1.0 if bits == 8 else 1.5)}

    size = uniform_bytes(graph, bed.task, 8)
    with pytest.raises(DoesNotFit, match="not all together"):
        mixed(limits={"bytes": 0.6 * size, "cycles": 1.1 * size}, cost=cost)(bed.module, bed.task)


def test_what_is_not_known_is_refused():
    for wrong in ({"weights": 9}, {"tuned": "prayer"}):
        with pytest.raises(BadInput, match="mixed:"):
            mixed(**wrong)
