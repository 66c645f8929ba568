"""Post-training rounding: grids, the walk, and each method against algebra, brute force and torchao."""

import itertools
import logging
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith.compress.quantize import gptq, rtn
from edgesmith.compress.quantize.adaround import Rows, inverse_rectified, output, reconstructed, rectified
from edgesmith.compress.quantize.awq import activation_aware, candidate, scaled_loss
from edgesmith.compress.quantize.gptq import compensated
from edgesmith.compress.quantize.grids import by_range, output_loss, searched
from edgesmith.compress.quantize.hqq import scaled, shrink, solved
from edgesmith.compress.quantize.layers import Layer, Rounded, Walk, rows_of, walk
from edgesmith.compress.quantize.nf4 import BLOCK
from edgesmith.compress.quantize.preparation import float_graph
from edgesmith.compress.quantize.smoothing import Reader, sites, unscaled
from edgesmith.compress.quantize.smoothquant import scales, smoothed, smoothquant
from edgesmith.core import formats
from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.graph import Op
from edgesmith.core.ops import attrs_of
from edgesmith.core.task import Split, Task
from edgesmith.lower import lift
from edgesmith.training.loop import Run

WIDE = {"low": float("-inf"), "high": float("inf")}


def matrix(rng, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=rng)


def correlated(rng, rows: int, k: int) -> torch.Tensor:
    """Inputs (1, rows, k) whose columns depend on one another."""
    return matrix(rng, 1, rows, k) @ (matrix(rng, k, k) + 0.3 * torch.ones(k, k))


def moments(x: torch.Tensor) -> torch.Tensor:
    return (x.double().transpose(1, 2) @ x.double()) / x.shape[1]


def test_rounding_finds_the_nearest_value(rng):
    weight = matrix(rng, 1, 3, 8).double()
    grid = by_range(weight, 3)
    values = torch.arange(grid.low, grid.high + 1) * grid.scales[..., None]  # (1, 3, 1, codes)
    nearest = (weight[..., None] - values).abs().min(-1).values
    assert torch.allclose((weight - grid.round(weight)).abs(), nearest)


def test_a_grids_format_keeps_its_values(rng):
    for group, bits in itertools.product((0, 4), (2, 3, 4, 8)):
        weight = matrix(rng, 1, 3, 8)
        grid = by_range(weight, bits, group)
        rounded = grid.round(weight.double())[0].numpy().astype(np.float32)
        format_ = grid.format()
        assert np.array_equal(format_.dequantize(format_.quantize(rounded)), rounded)


def test_searched_ranges_err_less_than_whole_ones(rng):
    weight = matrix(rng, 1, 16, 64)
    weight[0, :, 0] *= 6
    whole, found = by_range(weight, 3), searched(weight, 3, clip="mse")
    errors = [(weight - grid.round(weight.double())).square().sum(-1) for grid in (whole, found)]
    assert (errors[1] <= errors[0]).all() and errors[1].sum() < 0.8 * errors[0].sum()


def test_uncorrelated_inputs_leave_rounding(rng):
    """arXiv:2210.17323: with a diagonal Hessian there is nothing that another weight could make up for."""
    weight = matrix(rng, 2, 5, 6)
    grid = by_range(weight, 3)
    hessian = torch.diag_embed(torch.rand(2, 6, generator=rng) + 0.1).double()
    assert torch.allclose(compensated(weight, hessian, grid), grid.round(weight.double()))


def test_outputs_err_less_than_by_rounding(rng):
    """On every seed in sum, and never below the best of all roundings, found by brute force."""
    total = {"gptq": 0.0, "rtn": 0.0}
    for _ in range(20):
        weight, hessian = matrix(rng, 1, 1, 3), moments(correlated(rng, 50, 3))
        grid = by_range(weight, 3)
        scale = float(grid.scales)
        values = [scale * code for code in range(grid.low, grid.high + 1)]
        every = torch.tensor(list(itertools.product(values, repeat=3)), dtype=torch.float64)[None]
        best = float(output_loss(weight.double() - every, hessian).min())
        found = float(output_loss(weight.double() - compensated(weight, hessian, grid, damping=1e-6), hessian))
        assert found >= best - 1e-9
        total["gptq"] += found
        total["rtn"] += float(output_loss(weight.double() - grid.round(weight.double()), hessian))
    assert total["gptq"] < 0.85 * total["rtn"]


@pytest.mark.parametrize("act_order", [True, False])
def test_blocks_change_no_result(rng, act_order):
    weight, hessian = matrix(rng, 1, 4, 12), moments(correlated(rng, 40, 12))
    grid = by_range(weight, 4, 4)
    found = [compensated(weight, hessian, grid, act_order, block=block) for block in (1, 5, 128)]
    assert torch.allclose(found[0], found[1]) and torch.allclose(found[0], found[2])


def test_the_first_column_is_corrected_by_the_inverse_hessian(rng):
    """arXiv:2210.17323, equation 3, with the inverse of the whole Hessian: w_2 gets -e H^-1[1,2] / H^-1[1,1]."""
    weight, hessian = matrix(rng, 1, 1, 2), moments(correlated(rng, 30, 2))
    grid = by_range(weight, 2)
    damped = hessian[0] + 0.01 * hessian[0].diagonal().mean() * torch.eye(2)
    inverse = torch.linalg.inv(damped)
    first = grid.round(weight.double())[0, 0, 0]
    moved = weight[0, 0, 1] - (weight[0, 0, 0] - first) * inverse[0, 1] / inverse[0, 0]
    expected = grid.round(torch.tensor([[[0.0, float(moved)]]]).double())[0, 0, 1]
    found = compensated(weight, hessian, grid, act_order=False)[0, 0]
    assert torch.allclose(found, torch.stack([first, expected]))


@pytest.mark.parametrize(("groups", "padding"), [(1, (1, 1, 1, 1)), (2, (0, 1, 1, 0)), (4, (0, 0, 0, 0))])
def test_rows_times_weights_are_the_convolution(rng, groups, padding):
    x, w = matrix(rng, 3, 1, 6, 5, 4), matrix(rng, 4, 3, 2, 4 // groups)
    attrs = {"padding": padding, "stride": (2, 1), "dilation": (1, 2), "groups": groups}
    op = Op("conv2d", ("x", "w", "b"), ("y",), attrs)
    rows = rows_of(op, x, attrs_of(op), tuple(w.shape))
    found = rows @ w.reshape(groups, 4 // groups, -1).transpose(1, 2)  # (groups, cells, out)
    top, bottom, left, right = padding
    cells = nn.functional.pad(x[:, 0].permute(0, 3, 1, 2), (left, right, top, bottom))
    y = nn.functional.conv2d(cells, w.permute(0, 3, 1, 2), None, (2, 1), 0, (1, 2), groups)
    expected = y.permute(0, 2, 3, 1).reshape(-1, groups, 4 // groups).transpose(0, 1)
    assert torch.allclose(found, expected, atol=1e-5)


def layer(weight: torch.Tensor, x: torch.Tensor, bits: int = 3) -> Layer:
    """A linear layer that reads x, (1, rows, K)."""
    shape = tuple(weight.shape[1:])
    bias = torch.zeros(1, shape[0])
    return Layer(Op("linear", ("x", "w", "b"), ("y",)), "w", weight, bias, bits, WIDE, shape, x.device, [x[0]], [x[0]])


def test_learned_rounding_generalizes(rng):
    """arXiv:2004.10568, table 1: on inputs that were not seen, in sum over three layers."""
    learned, plain = 0.0, 0.0
    for _ in range(3):
        weight, mix = matrix(rng, 1, 6, 12), matrix(rng, 12, 12)
        seen, unseen = (matrix(rng, 1, 400, 12) @ mix for _ in range(2))
        made, grid = layer(weight, seen), by_range(weight, 3)
        rows = Rows(seen, output(made, seen, weight))
        found = reconstructed(made, grid, rows, 300, torch.Generator().manual_seed(0))
        learned += float(output_loss(weight - found, moments(unseen)).sum())
        plain += float(output_loss(weight - grid.round(weight.double()), moments(unseen)).sum())
    assert learned < 0.9 * plain


def test_every_weight_goes_to_a_neighbour(rng):
    weight, x = matrix(rng, 1, 6, 12), correlated(rng, 100, 12)
    made, grid = layer(weight, x), by_range(weight, 3)
    rows = Rows(x, output(made, x, weight))
    learned = reconstructed(made, grid, rows, 50, torch.Generator().manual_seed(0))
    scale = grid.scales
    steps = learned / scale
    assert torch.allclose(steps, steps.round(), atol=1e-6)
    assert ((learned - weight).abs() < scale + 1e-6).all()


def test_the_rectified_sigmoid_begins_at_the_weights_own_fraction():
    h = torch.linspace(0, 1, 11)
    assert torch.allclose(rectified(inverse_rectified(h)), h, atol=1e-6)


def test_shrinkage_solves_its_problem():
    """Badri and Shaji, 2023: for p = 1 it is the exact minimum of |e| + beta / 2 (e - x)^2, found here by search."""
    beta = 4.0
    e = torch.linspace(-3, 3, 60001, dtype=torch.float64)
    for x in (-2.0, -0.3, 0.1, 0.24, 0.26, 1.5):
        best = e[(e.abs() + beta / 2 * (e - x).square()).argmin()]
        assert float(shrink(torch.tensor(x).double(), beta, 1.0)) == pytest.approx(float(best), abs=2e-4)
    assert float(shrink(torch.tensor(2.0).double(), 10.0, 0.5)) == pytest.approx(2 - 2**-0.5 / 10)


def torchao(name: str):
    """A function of torchao, whose import logs what it lacks."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchao.quantization import quant_primitives
    logging.disable(logging.NOTSET)
    return getattr(quant_primitives, name)


def test_zero_points_are_those_of_torchao(rng):
    """One round from the same scales and zero points, in an independent code."""
    runs = matrix(rng, 12, 32)
    low, high = runs.amin(1, keepdim=True), runs.amax(1, keepdim=True)
    inverse = 7 / (high - low)
    optimize = torchao("optimize_weights_proximal_legacy")
    options = {"lp_norm": 0.7, "beta": 10.0, "kappa": 1.01, "iters": 1, "early_stop": False}
    _, _, expected = optimize(runs, inverse, -low * inverse, [0, 7], 1, torch.float32, "cpu", False, options)
    begin = (-low * inverse)[None, None].double().reshape(1, 12, 1, 1)
    four = runs.double().reshape(1, 12, 1, 32)
    found = solved(four, (1 / inverse).double().reshape(1, 12, 1, 1), begin, (0, 7), rounds=1).reshape(12, 1)
    kept = found == begin.reshape(12, 1)  # where the round makes the error larger, ours stays
    assert torch.allclose(found[~kept], expected.double()[~kept], atol=1e-4) and (~kept).sum() >= 4


def test_scales_never_lose_to_the_range(rng):
    """The l_p error of the solved scale is at most that of the largest magnitude's, row by row."""
    weight = matrix(rng, 1, 20, 40).double()
    errors = [
        (weight - grid.round(weight)).abs().pow(0.7).sum(-1)
        for grid in (scaled(weight[:, :, None], 3), by_range(weight, 3))
    ]
    assert (errors[0] <= errors[1] + 1e-9).all() and errors[0].sum() < errors[1].sum()


def test_normal_floats_are_those_of_torchao(rng):
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchao.quantization.quantize_.workflows.nf4.nf4_tensor import NF4Tensor
    logging.disable(logging.NOTSET)
    weight = matrix(rng, 8, 2 * BLOCK)
    format_ = formats.nf4(weight.numpy(), BLOCK)
    ours = format_.dequantize(format_.quantize(weight.numpy())).reshape(-1, BLOCK)
    theirs = NF4Tensor.from_tensor(weight, BLOCK, 16).to(torch.float32).numpy().reshape(-1, BLOCK)
    peaks = weight.abs().reshape(-1, BLOCK).amax(1, keepdim=True).numpy()
    rescaled = theirs / np.abs(theirs).max(axis=1, keepdims=True) * peaks  # theirs rounds its scales too
    assert np.mean(np.abs(ours - rescaled) < 2e-3 * peaks) > 0.999


class Block(nn.Module):
    """A norm read by two layers, a ReLU between two others, a GELU that stops scales."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.a, self.b = nn.Linear(8, 6), nn.Linear(8, 6)
        self.c, self.d, self.e = nn.Linear(6, 7), nn.Linear(7, 5), nn.Linear(5, 3)

    def forward(self, x):
        x = self.norm(x)
        x = torch.relu(self.c(self.a(x) * self.b(x)))
        return self.e(nn.functional.gelu(self.d(x)))


@pytest.fixture
def block(rng):
    torch.manual_seed(0)
    module = Block().eval()
    with torch.no_grad():
        module.norm.weight[3] *= 60
    inputs = matrix(rng, 64, 8).numpy()
    split = Split(inputs, np.zeros(64, np.int64))
    return module, Task("block", split, split, split, split)


def run(graph, task: Task) -> torch.Tensor:
    with torch.no_grad():
        return lift(graph)(torch.from_numpy(task.calibration.inputs))


def test_scales_move_where_all_readers_are_layers(block):
    graph = float_graph(*block)
    found = [(graph.ops[site.maker].kind, len(site.readers)) for site in sites(graph)]
    assert found == [("layer_norm", 2), ("linear", 1)]
    left = [graph.constants[name].shape for name in unscaled(graph)]
    assert left == [(7, 6), (3, 5)]  # behind the product and behind the GELU


def test_smoothing_changes_no_output(block):
    graph = float_graph(*block)
    made = smoothed(graph, block[1].calibration.inputs)
    assert torch.allclose(run(made, block[1]), run(graph, block[1]), rtol=1e-4, atol=1e-4)
    assert any(not np.array_equal(made.constants[name], graph.constants[name]) for name in graph.constants)


def test_half_the_difficulty_moves():
    """arXiv:2211.10438, equation 4, alpha = 0.5: both peaks become sqrt(|x| |w|)."""
    x, w = np.array([16.0, 0.0, 3.0]), np.array([1.0, 2.0, 0.0])
    s = scales(x, w, 0.5)
    assert s.tolist() == [4.0, 1.0, 1.0] and x[0] / s[0] == w[0] * s[0]


def test_smoothing_rescues_a_net_with_an_outlying_channel(block):
    """arXiv:2211.10438, section 3: one channel sixty times as large takes the levels of all others."""
    module, task = block
    exact = run(float_graph(module, task), task)
    errors = {}
    for alpha in (0.5, 0.0):
        made = smoothquant(alpha, weights=8, activations=6)(module, task)
        with torch.no_grad():
            errors[alpha] = float((made(torch.from_numpy(task.calibration.inputs)) - exact).norm())
    from edgesmith.compress.quantize import ptq

    with torch.no_grad():
        plain = ptq(activations=6, correct_bias=False)(module, task)(torch.from_numpy(task.calibration.inputs))
    assert errors[0.5] < float((plain - exact).norm())


def test_scaling_changes_no_output(block):
    graph = float_graph(*block)
    made = activation_aware(graph, block[1].calibration.inputs, Walk())
    assert torch.allclose(run(made, block[1]), run(graph, block[1]), rtol=1e-4, atol=1e-4)


def test_scales_never_lose_to_rounding(rng):
    """arXiv:2306.00978, section 3.2: the exponent 0, which scales nothing, is among those tried."""
    x = correlated(rng, 60, 8) * torch.tensor([20.0, 1, 1, 1, 1, 1, 1, 1])
    made = layer(matrix(rng, 1, 6, 8), x)
    means, reader = x.abs().mean((0, 1)).double().numpy(), Reader(0, np.arange(8))
    losses = [scaled_loss(made, reader, made.hessian(), candidate(means, step / 20)) for step in range(20)]
    grid = by_range(made.weight, 3)
    plain = float(output_loss(made.weight - grid.round(made.weight.double()), moments(x)).sum())
    assert losses[0] == pytest.approx(plain) and min(losses) < 0.8 * plain


def test_a_layer_sees_what_rounded_layers_make(block):
    """The second layer's inputs are the first one's rounded outputs; exact ones are the float model's."""
    module, task = block
    graph, seen = float_graph(module, task), {}

    def solve(made: Layer) -> Rounded:
        seen[made.name] = next(made.inputs()), next(made.inputs(exact=True))
        grid = by_range(made.weight, 2)
        return Rounded(grid.round(made.weight.double()), grid.format())

    done = walk(graph, task.calibration.inputs, solve, Walk(exact=True))
    last = graph.ops[-1]
    values = {}
    for name, whole in (("rounded", done), ("exact", graph)):
        module_ = lift(whole)
        with torch.no_grad(), module_.observe(lambda t, v, name=name: values.__setitem__((name, t), v)):
            module_(torch.from_numpy(task.calibration.inputs))
    for found, name in zip(seen[last.inputs[1]], ("rounded", "exact"), strict=True):
        assert torch.allclose(found[0], values[name, last.inputs[0]].reshape(-1, 5), atol=1e-5)


class Killed(Exception):
    pass


def test_a_killed_walk_goes_on_where_it_was(block, tmp_path):
    module, task = block
    state, heard = tmp_path / "gptq.state", []

    def stop(index: int, error: float) -> None:
        heard.append(index)
        if len(heard) == 3:
            raise Killed

    expected = gptq(3)(module, task)
    with pytest.raises(Killed):
        gptq(3, run=Run(state, stop))(module, task)
    assert len(list((tmp_path / "gptq.layers").iterdir())) == 3
    with pytest.raises(BadInput, match="other settings"):
        gptq(4, run=Run(state))(module, task)
    made = gptq(3, run=Run(state))(module, task)
    assert made.graph.tensors == expected.graph.tensors
    assert all(np.array_equal(made.graph.constants[n], a) for n, a in expected.graph.constants.items())
    assert not list(tmp_path.iterdir())


def test_a_damaged_state_is_refused(block, tmp_path):
    folder = tmp_path / "x.layers"
    folder.mkdir()
    for index in range(20):
        (folder / f"{index}.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0garbage!")
    with pytest.raises(BadInput, match="damaged"):
        rtn(run=Run(tmp_path / "x.state"))(*block)


def test_activations_of_eight_bits_make_an_integer_program(block):
    from edgesmith.compile.integerize import integerize

    graph = integerize(gptq(4, activations=8)(*block).to_graph())
    assert "linear_s8" in {op.kind for op in graph.ops} and "linear" not in {op.kind for op in graph.ops}


def test_what_has_no_form_is_refused(block):
    for bad in ({"weights": 1}, {"weights": 9}, {"group": -1}, {"group": 4, "activations": 8}, {"clip": "some"}):
        with pytest.raises(BadInput, match="need"):
            rtn(**bad)
    with pytest.raises(BadInput, match="cpu or cuda"):
        gptq(run=Run(accelerator="tpu"))
    if not torch.cuda.is_available():
        with pytest.raises(Missing, match="CUDA"):
            gptq(run=Run(accelerator="cuda"))


def test_groups_are_stored_as_groups(block):
    graph = rtn(4, group=4, ends=0)(*block).to_graph()
    found = [graph.tensors[op.inputs[1]].format for op in graph.ops if op.kind == "linear"]
    assert all(isinstance(format_, formats.Group) for format_ in found)
    assert [format_.size for format_ in found] == [4, 4, 3, 1, 1]  # the largest divisors of 8, 8, 6, 7 and 5 up to 4


def test_dead_inputs_and_equal_inputs_have_an_inverse(rng):
    x = correlated(rng, 30, 6)
    x[..., 2] = 0
    x[..., 4] = x[..., 5]
    weight = matrix(rng, 1, 4, 6)
    assert torch.isfinite(compensated(weight, moments(x), by_range(weight, 4))).all()
    assert torch.isfinite(compensated(weight, torch.zeros(1, 6, 6).double(), by_range(weight, 4))).all()
