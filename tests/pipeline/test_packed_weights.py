"""Nets with weights of four and two bits on emulated boards: equal to numpy, their flash less by what packing saves."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from cost.nets import random_net
from edgesmith import targets
from edgesmith.compile.emit.text import identifiers
from edgesmith.compile.integerize import integerize
from edgesmith.compress.quantize.ptq import quantized
from edgesmith.core import formats, graph, ops
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerChannel
from edgesmith.core.graph import Graph
from edgesmith.cost import flash_bytes
from edgesmith.cost.code import code_size
from edgesmith.cost.memory import constant_bytes
from edgesmith.kernels.packing import width_of
from edgesmith.lower import lower
from edgesmith.pipeline.build import Compiled, bind_for, firmware
from edgesmith.run.emulated import Emulated
from edgesmith.toolchain.firmware import Firmware

WEIGHTED = ("conv2d_s8", "linear_s8")
BOARD = "nucleo-l4r5zi"
WORD = 4
ROUNDING = 16  # sections begin at multiples of this


def with_bits(net: Graph, bits: dict[str, int], rng: np.random.Generator) -> Graph:
    """The integer net with new weights, of so many bits, for the ops that are named."""
    tensors, constants = dict(net.tensors), dict(net.constants)
    for op in net.ops:
        if op.name in bits:
            weight, half = op.inputs[1], 1 << (bits[op.name] - 1)
            shape = tensors[weight].shape
            constants[weight] = rng.integers(-half + (half == 128), half, shape).astype(np.int8)
            tensors[weight] = replace(tensors[weight], format=PerChannel((1.0,) * shape[0], bits=bits[op.name]))
    return replace(net, tensors=tensors, constants=constants)


def built(net: Graph, folder, board: str = BOARD) -> tuple[Compiled, Firmware]:
    compiled = bind_for(net, targets.load(board))
    folder.mkdir(exist_ok=True)
    return compiled, firmware(compiled, folder, roomy=True)


def on_board(compiled: Compiled, made: Firmware, x: np.ndarray) -> np.ndarray:
    face = compiled.program.interface
    with Emulated(made, face, compiled.target) as board:
        (y,) = board.run({face.inputs[0].tensor.name: x}).values()
    return y


class Small(nn.Module):
    """A first layer, a depthwise and a pointwise one, one in groups, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, 2, 1)
        self.depthwise = nn.Conv2d(12, 12, 3, 1, 1, groups=12)
        self.pointwise = nn.Conv2d(12, 18, 1)
        self.grouped = nn.Conv2d(18, 14, 3, 1, 1, groups=2)
        self.classify = nn.Linear(14 * 16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in (self.stem, self.depthwise, self.pointwise, self.grouped):
            x = torch.relu(layer(x))
        return self.classify(nn.functional.max_pool2d(x, 2).flatten(1))


@pytest.fixture(scope="module")
def small() -> tuple[Graph, np.ndarray]:
    """The annotated float graph, weights of 8 bits, and inputs."""
    torch.manual_seed(0)
    samples = np.random.default_rng(0).normal(size=(8, 3, 16, 16)).astype(np.float32)
    lowered = lower(Small().eval(), (torch.from_numpy(samples[:1]),))
    return quantized(lowered, samples, lambda seen, bits: (seen.low, seen.high), needs_counts=False), samples


def narrowed(annotated: Graph, bits: int) -> Graph:
    """The integer graph with weights of so many bits."""
    tensors = dict(annotated.tensors)
    for op in annotated.ops:
        if op.kind in ("conv2d", "linear"):
            weight = op.inputs[1]
            format_ = formats.symmetric(annotated.constants[weight], bits=bits)
            tensors[weight] = replace(tensors[weight], format=format_)
    return integerize(replace(annotated, tensors=tensors))


@pytest.mark.parametrize("bits", (4, 2))
def test_a_quantized_net_runs_packed_and_equals_numpy(small, bits, tmp_path):
    annotated, samples = small
    net = narrowed(annotated, bits)
    compiled, made = built(net, tmp_path)
    width = 2 if bits == 2 else 4
    stems = [kernel.source.stem for kernel in compiled.program.kernels if kernel and "_s8" in kernel.source.stem]
    assert stems.count(f"conv2d_s8_w{width}") == 3 and stems.count(f"linear_s8_w{width}") == 1
    assert stems.count(f"depthwise_conv2d_s8_w{width}") == 1
    for x in samples[:3, None]:
        wanted = ops.interpret(net, {net.inputs[0]: x})[net.outputs[0]]
        np.testing.assert_array_equal(on_board(compiled, made, x), wanted)


def constants_in(compiled: Compiled, made: Firmware) -> dict[str, int]:
    """Weight by op name to its bytes in the linked file."""
    names = identifiers(compiled.program.arrays)
    ops_ = [op for op in compiled.graph.ops if op.kind in WEIGHTED]
    return {op.name: made.symbol(f"c_{names[op.inputs[1]]}").size_bytes for op in ops_}


def test_linked_weights_shrink_by_exactly_what_packing_saves(tmp_path):
    """By the layout: pairs of channels in whole words, depthwise codes in one row (docs/numbers.md, Packed weights)."""
    net, rng = random_net(5, "int8"), np.random.default_rng(0)
    layers = [op.name for op in net.ops if op.kind in WEIGHTED]
    made = {bits: built(with_bits(net, dict.fromkeys(layers, bits), rng), tmp_path / str(bits)) for bits in (8, 4, 2)}
    for op in net.ops:
        if op.name not in layers:
            continue
        out, *window = net.tensors[op.inputs[1]].shape
        if len(window) == 3 and op.attrs["groups"] > 1:
            sizes = {bits: -(-out * window[0] * window[1] * bits // 8) for bits in (8, 4, 2)}
        else:
            rows, run = (1, window[0]) if len(window) == 1 else (window[0], window[1] * window[2])
            lanes = rows * (run + run % 2)
            sizes = {8: -(-out // 2) * 2 * lanes}
            sizes.update({bits: -(-out // 2) * -(-lanes * bits // 16) * WORD for bits in (4, 2)})
        assert {bits: constants_in(*each)[op.name] for bits, each in made.items()} == sizes
    for bits in (4, 2):
        (wide, wide_made), (narrow, narrow_made) = made[8], made[bits]
        saved = constant_bytes(wide.program) - constant_bytes(narrow.program)
        code = [code_size(each.program, each.target).flash_bytes for each in (wide, narrow)]
        assert abs(wide_made.flash_bytes - narrow_made.flash_bytes - saved - code[0] + code[1]) <= ROUNDING


@pytest.mark.parametrize("seed", range(2))
def test_any_mixture_of_bits_equals_numpy_and_is_predicted(seed, tmp_path):
    """Flash within 2% or 1 KB as for every program, RAM to the byte."""
    rng = np.random.default_rng(seed)
    net = random_net(20 + seed, "int8")
    net = with_bits(net, {op.name: int(rng.choice([2, 3, 4, 8])) for op in net.ops if op.kind in WEIGHTED}, rng)
    compiled, made = built(net, tmp_path, str(rng.choice(["nucleo-l4r5zi", "rp2040", "stm32f103"])))
    x = rng.integers(-128, 128, net.tensors["x"].shape).astype(np.int8)
    np.testing.assert_array_equal(on_board(compiled, made, x), ops.interpret(net, {"x": x})[net.outputs[0]])
    predicted = flash_bytes(compiled.program, compiled.target)
    assert abs(predicted - made.flash_bytes) <= max(0.02 * made.flash_bytes, 1024)
    assert compiled.program.interface.arena_bytes == made.symbol("arena").size_bytes


def test_bits_survive_the_graph_file(small):
    """Read back, the same kernels are chosen and the same bytes are stored."""
    net = narrowed(small[0], 4)
    back = graph.from_json(graph.to_json(net), net.constants)
    assert {t.name: width_of(t.format) for t in back.tensors.values()} == {
        t.name: width_of(t.format) for t in net.tensors.values()
    }
    first, second = (bind_for(n, targets.load(BOARD)).program.arrays for n in (net, back))
    assert first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def test_weights_beyond_the_stated_bits_are_refused(small):
    net = narrowed(small[0], 4)
    weight = next(op.inputs[1] for op in net.ops if op.kind == "linear_s8")
    wrong = replace(net, constants={**net.constants, weight: np.full_like(net.constants[weight], 8)})
    with pytest.raises(BadInput, match="need -8 to 7"):
        bind_for(wrong, targets.load(BOARD))
