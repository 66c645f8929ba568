"""Nets whose weights are codes and scales: compiled, equal to numpy, as small as their formats say, saved, loaded."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from compile.programs import bound, load
from edgesmith import targets
from edgesmith.compile.integerize import integerize
from edgesmith.core import artifact as artifacts
from edgesmith.core.errors import BadInput, Unsupported
from edgesmith.core.formats import (
    KINDS,
    POSITS,
    BinaryBases,
    Codebook,
    FloatFormat,
    Group,
    Posit,
    nf4,
    ternary,
    with_outliers,
)
from edgesmith.core.graph import Graph
from edgesmith.core.ops import check, interpret
from edgesmith.lower import graph_of, lift, lower
from edgesmith.pipeline.build import bind_for, firmware
from edgesmith.run.emulated import Emulated
from edgesmith.toolchain.firmware import Firmware

F32 = np.float32


class Small(nn.Module):
    """A convolution, one in groups, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4, 8, 3, 1, 1)
        self.grouped = nn.Conv2d(8, 8, 3, 2, 1, groups=2)
        self.classify = nn.Linear(8 * 9, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.grouped(torch.relu(self.stem(x))))
        return self.classify(x.flatten(1))


# Scales are powers of two and values few, so that sums of products are exact, and equal in any order.
FORMATS = {
    "group": lambda w: Group((0.25,) * (w.size // 4), 4, 3),
    "group with zero points": lambda w: Group(
        (0.25,) * (w.size // 12), 12, 2, tuple(i % 4 for i in range(w.size // 12))
    ),
    "table": lambda w: Codebook((0.5,) * len(w), (-2.0, -0.5, 0.0, 0.25, 1.0)),
    "vectors": lambda w: Codebook((0.5,), (0.0, 1.0, 1.0, 0.0, -1.0, 0.5), 2),
    "ternary": lambda w: ternary((0.5,) * len(w)),
    "two bases": lambda w: BinaryBases((0.25,) * len(w) + (0.125,) * len(w), 2),
    "outliers": lambda w: with_outliers(Group((0.25,) * (w.size // 4), 4, 2), np.rint(w * 4), [1, w.size - 1]),
    **{kind: lambda w, kind=kind: FloatFormat((0.25,) * len(w), kind) for kind in KINDS},
    **{f"posit {n},{es}": lambda w, n=n, es=es: Posit((0.25,), n, es) for n, es in POSITS},
}
INEXACT = ("e4m3", "e5m2", "posit 8,0", "posit 16,1", "nf4")


@pytest.fixture(scope="module")
def small() -> Graph:
    torch.manual_seed(0)
    with torch.no_grad():
        module = Small().eval()
        for layer in module.children():
            layer.bias.copy_(torch.round(layer.bias * 8) / 8)
    return lower(module, (torch.zeros(1, 4, 6, 6),))


def weights(graph: Graph) -> list[str]:
    return [op.inputs[1] for op in graph.ops if op.kind in ("conv2d", "linear")]


def stored(graph: Graph, make) -> Graph:
    """The net with a format on each weight."""
    made = {name: make(graph.constants[name]) for name in weights(graph)}
    tensors = {name: replace(t, format=made.get(name, t.format)) for name, t in graph.tensors.items()}
    return replace(graph, tensors=tensors)


def whole_numbers(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-3, 4, (1, 4, 6, 6)).astype(F32)


def outputs(graph: Graph, x: np.ndarray) -> np.ndarray:
    return interpret(graph, {graph.inputs[0]: x})[graph.outputs[0]]


@pytest.fixture(scope="module")
def natives(small, tmp_path_factory):
    """Every net of this file in one library: name to (annotated, program, runner)."""
    makers = {**FORMATS, "nf4": lambda w: nf4(w, 12)}
    annotated = {name: stored(small, make) for name, make in makers.items()}
    programs = {name: integerize(net) for name, net in annotated.items()}
    runners = load(bound(list(programs.values()), ("reference",)), tmp_path_factory.mktemp("coded"))
    return {name: (annotated[name], programs[name], runner) for name, runner in zip(annotated, runners, strict=True)}


@pytest.mark.parametrize("name", [*FORMATS, "nf4"])
def test_a_compiled_net_equals_numpy_and_the_lifted_module(name, natives):
    annotated, program, runner = natives[name]
    check(program)
    module = lift(annotated)
    for seed in range(3):
        x = whole_numbers(seed)
        (got,) = runner.run({program.inputs[0]: x}).values()
        want, lifted = outputs(program, x), module(torch.from_numpy(x)).detach().numpy()
        if name in INEXACT:
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(got, want)
        np.testing.assert_allclose(lifted, want, rtol=1e-5, atol=1e-5)
        assert np.ptp(want) > 0


@pytest.mark.parametrize("name", [*FORMATS, "nf4"])
def test_the_constants_take_what_the_formats_say(name, natives):
    annotated, program, _ = natives[name]
    biases = sum(annotated.constants[op.inputs[2]].nbytes for op in annotated.ops if len(op.inputs) == 3)
    sizes = [annotated.tensors[w].format.nbytes(annotated.tensors[w].shape) for w in weights(annotated)]
    assert program.weight_bytes() == sum(sizes) + biases


@pytest.mark.parametrize("name", ["group with zero points", "ternary", "outliers", "e2m1"])
def test_an_artifact_comes_back_as_it_was_saved(name, natives, tmp_path):
    annotated, program, _ = natives[name]
    for graph, folder in ((program, tmp_path / "program"), (annotated, tmp_path / "source")):
        artifacts.save(folder, graph, {"kind": "test", "name": "net"}, {})
        again = artifacts.load(folder).graph
        assert again.tensors == graph.tensors and again.ops == graph.ops
        assert all((again.constants[key] == array).all() for key, array in graph.constants.items())
    assert (tmp_path / "program" / "weights.safetensors").stat().st_size < program.weight_bytes() + 2500


def test_a_board_has_the_same_numbers_and_a_smaller_flash(small, natives, tmp_path):
    made: dict[str, Firmware] = {}
    for name, net in (("float", integerize(small)), ("group", natives["group"][1])):
        compiled = bind_for(net, targets.load("nucleo-l4r5zi"))
        (tmp_path / name).mkdir()
        made[name] = firmware(compiled, tmp_path / name, roomy=True)
    x, face = whole_numbers(1), compiled.program.interface
    with Emulated(made["group"], face, compiled.target) as board:
        (got,) = board.run({face.inputs[0].tensor.name: x}).values()
    np.testing.assert_array_equal(got, outputs(net, x))
    codes = [size.size_bytes for name, size in made["group"].symbols.items() if name.endswith("_codes")]
    assert sorted(codes) == sorted(
        -(-net.tensors[op.outputs[0]].size * 3 // 8) for op in net.ops if "decode" in op.kind
    )
    assert made["group"].flash_bytes < made["float"].flash_bytes - 1000


def small_floats(graph: Graph, kind: str) -> Graph:
    """Weights and all activations in a float kind."""
    net = stored(graph, lambda w: FloatFormat((0.25,), kind))
    tensors = dict(net.tensors)
    for name in (*net.inputs, *(name for op in net.ops for name in op.outputs)):
        tensors[name] = replace(tensors[name], format=FloatFormat((0.5,), kind))
    return replace(net, tensors=tensors)


@pytest.mark.parametrize("kind", ["e3m4", "e2m5", "e2m1"])
def test_activations_in_small_floats_are_the_same_everywhere(kind, small, tmp_path):
    annotated = small_floats(small, kind)
    program = integerize(annotated)
    (runner,) = load(bound([program], ("reference",)), tmp_path)
    module = lift(annotated)
    for seed in range(3):
        x = whole_numbers(seed) * F32(1.37)
        (got,) = runner.run({program.inputs[0]: x}).values()
        np.testing.assert_array_equal(got, outputs(program, x))
        np.testing.assert_array_equal(module(torch.from_numpy(x)).detach().numpy(), outputs(program, x))


def test_a_module_keeps_its_formats_through_export(small):
    """A lifted module inside another goes through torch.export; its formats come back."""
    annotated = stored(small, FORMATS["group with zero points"])
    again = lower(nn.Sequential(lift(annotated)), (torch.zeros(1, 4, 6, 6),))
    for mine, other in zip(weights(again), weights(annotated), strict=True):
        assert again.tensors[mine].format == annotated.tensors[other].format
    np.testing.assert_array_equal(outputs(again, whole_numbers(0)), outputs(annotated, whole_numbers(0)))
    assert graph_of(lift(annotated), ()).tensors == annotated.tensors


def test_an_activation_in_a_weight_format_is_refused(small):
    tensors = dict(small.tensors)
    name = small.ops[0].outputs[0]
    tensors[name] = replace(tensors[name], format=ternary((1.0,)))
    with pytest.raises(Unsupported, match="Codebook; need integers, or a float kind"):
        integerize(replace(small, tensors=tensors))


def test_a_program_whose_constants_are_no_format_is_refused(natives):
    _, program, _ = natives["table"]
    name = next(op for op in program.ops if op.kind == "decode_table").inputs[2]
    bad = {**program.constants, name: program.constants[name][::-1].copy()}
    with pytest.raises(BadInput, match="ascending"):
        check(replace(program, constants=bad))
