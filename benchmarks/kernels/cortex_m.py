"""Count what the Cortex-M kernels execute on the layers of three MLPerf Tiny nets, on emulated cores.

    python benchmarks/kernels/cortex_m.py [--boards nucleo-l4r5zi ...]

Every layer of a net (convolutions and linear; the few elementwise ops are left out) runs once on random data inside one
marked firmware; its output must equal the numpy definition. Some layers run with weights of 4 and 2 bits too
("packed"). Writes benchmarks/results/cortex_m_kernels.json; boards that are not named keep their entry.
"""

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgesmith.core import ops
from edgesmith.core.atomic import write_file
from edgesmith.core.formats import PerChannel
from edgesmith.core.graph import Graph, Op, Tensor
from edgesmith.core.target import Target
from edgesmith.cost.memory import constant_bytes
from edgesmith.emulate.cost import cycles, instructions
from edgesmith.pipeline.build import bind_for, firmware
from edgesmith.run.emulated import Emulated
from edgesmith.targets import load
from edgesmith.zoo.models.mlperf_tiny import MobilenetV1, same_padding

sys.path.insert(0, str(Path(__file__).parents[1]))
from stamp import commit

RESULTS = Path(__file__).parents[1] / "results" / "cortex_m_kernels.json"
BOARDS = ("nucleo-l4r5zi", "stm32h743", "nrf5340", "stm32f103", "rp2040")
# CMSIS-NN built with gcc -Ofast, counted on the same emulated Cortex-M4: instructions per multiply-accumulate.
CMSIS_NN = {
    "nets": {"ds-cnn": 2.9, "resnet8": 2.15, "mobilenet-v1-025": 3.73},
    "layers": {
        "pointwise 64 to 64": 2.09,
        "3x3 32 to 32": 1.94,
        "3x3 16 to 16": 2.36,
        "first layers": [5.0, 6.3],
        "depthwise": [8.4, 10.4],
    },
}


@dataclass(frozen=True)
class Layer:
    """A convolution with padding "same", or a linear layer when `kernel` is (0, 0).

    Attributes:
        size: height and width of the input.
    """

    name: str
    size: tuple[int, int]
    inside: int
    outside: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    groups: int = 1
    bits: int = 8

    def constants(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Weights, bias, multiplier and shift whose outputs spread over int8."""
        per_group = self.inside // self.groups
        shape = (self.outside, *self.kernel, per_group) if any(self.kernel) else (self.outside, self.inside)
        half = 1 << (self.bits - 1)
        w = rng.integers(-half + (self.bits == 8), half, shape).astype(np.int8)
        shift = np.full(self.outside, 29 + self.bits + round(0.5 * np.log2(w[0].size)), np.uint8)
        bias = rng.integers(-(1 << 12), 1 << 12, self.outside).astype(np.int32)
        return [w, bias, rng.integers(1 << 30, 1 << 31, self.outside).astype(np.int32), shift]

    def input(self, rng: np.random.Generator) -> np.ndarray:
        """Activations."""
        shape = (1, *self.size, self.inside) if any(self.kernel) else (1, self.inside)
        return rng.integers(-128, 128, shape).astype(np.int8)

    def op(self, index: int) -> Op:
        """The layer as an op on tensors of its own."""
        inputs = tuple(f"{name}{index}" for name in ("x", "w", "b", "multiplier", "shift"))
        if not any(self.kernel):
            return Op("linear_s8", inputs, (f"y{index}",), {"y_zero": -128}, self.name)
        pads = [pad for axis in (0, 1) for pad in same_padding(self.size[axis], self.kernel[axis], self.stride)]
        attrs = {"stride": (self.stride,) * 2, "padding": tuple(pads), "groups": self.groups}
        return Op("conv2d_s8", inputs, (f"y{index}",), {**attrs, "x_zero": -128, "y_zero": -128}, self.name)


def separable(name: str, size: tuple[int, int], inside: int, outside: int, stride: int = 1) -> Iterator[Layer]:
    """A depthwise and a pointwise layer."""
    after = (-(-size[0] // stride), -(-size[1] // stride))
    yield Layer(f"{name} depthwise", size, inside, inside, (3, 3), stride, inside)
    yield Layer(f"{name} pointwise", after, inside, outside)


def ds_cnn() -> Iterator[Layer]:
    """Keyword spotting."""
    yield Layer("stem", (49, 10), 1, 64, (10, 4), 2)
    for block in range(4):
        yield from separable(f"block {block}", (25, 5), 64, 64)
    yield Layer("classify", (1, 1), 64, 12, (0, 0))


def mobilenet_v1() -> Iterator[Layer]:
    """Visual wake words."""
    yield Layer("stem", (96, 96), 3, 8, (3, 3), 2)
    inside, size = 8, 48
    for block, (outside, stride) in enumerate(MobilenetV1.BLOCKS):
        yield from separable(f"block {block}", (size, size), inside, outside, stride)
        inside, size = outside, size // stride
    yield Layer("classify", (1, 1), inside, 2, (0, 0))


def resnet8() -> Iterator[Layer]:
    """Image classification."""
    yield Layer("stem", (32, 32), 3, 16, (3, 3))
    inside, size = 16, 32
    for block, outside in enumerate((16, 32, 64)):
        stride = 1 if block == 0 else 2
        yield Layer(f"block {block} first", (size, size), inside, outside, (3, 3), stride)
        if block > 0:
            yield Layer(f"block {block} shortcut", (size, size), inside, outside, (1, 1), stride)
        size //= stride
        yield Layer(f"block {block} second", (size, size), outside, outside, (3, 3))
        inside = outside
    yield Layer("classify", (1, 1), 64, 10, (0, 0))


# Single layers at every width of weights.
PACKED = (
    Layer("pointwise 64 to 64", (25, 5), 64, 64),
    Layer("3x3 32 to 32", (16, 16), 32, 32, (3, 3)),
    Layer("3x3 3 to 16", (32, 32), 3, 16, (3, 3)),
    Layer("depthwise 64", (25, 5), 64, 64, (3, 3), 1, 64),
    Layer("linear 256 to 64", (1, 1), 256, 64, (0, 0)),
)
WIDTHS = (8, 4, 2)


NETS = {"ds-cnn": ds_cnn, "resnet8": resnet8, "mobilenet-v1-025": mobilenet_v1}


def graph_of(layers: Sequence[Layer], rng: np.random.Generator) -> tuple[Graph, dict[str, np.ndarray]]:
    """All layers side by side as one program, and every input and constant."""
    tensors: dict[str, Tensor] = {}
    arrays: dict[str, np.ndarray] = {}
    steps = [layer.op(index) for index, layer in enumerate(layers)]
    for layer, op in zip(layers, steps, strict=True):
        arrays.update(zip(op.inputs, [layer.input(rng), *layer.constants(rng)], strict=True))
        inputs = tuple(Tensor(name, arrays[name].shape, str(arrays[name].dtype)) for name in op.inputs)
        weight = PerChannel((1.0,) * layer.outside, bits=layer.bits)
        inputs = (inputs[0], replace(inputs[1], format=weight), *inputs[2:])
        ((shape, dtype),) = ops.infer(op, inputs)
        tensors.update({t.name: t for t in (*inputs, Tensor(op.outputs[0], shape, dtype))})
    live = tuple(op.inputs[0] for op in steps)
    constants = {name: array for name, array in arrays.items() if name not in live}
    outputs = tuple(op.outputs[0] for op in steps)
    return Graph("layers", tensors, tuple(steps), live, outputs, constants), arrays


def flash_of(layers: Sequence[Layer], target: Target) -> dict[str, int]:
    """Bytes of a linked program of these layers, and of its constants."""
    graph, _ = graph_of(layers, np.random.default_rng(20261121))
    with tempfile.TemporaryDirectory(prefix="edgesmith-bench-") as folder:
        compiled = bind_for(graph, target)
        flash = firmware(compiled, Path(folder), roomy=True).flash_bytes
    return {"flash_bytes": flash, "constant_bytes": constant_bytes(compiled.program)}


def count(layers: Sequence[Layer], target: Target) -> list[dict[str, Any]]:
    """One row per layer; raises where an output differs from the numpy definition."""
    graph, arrays = graph_of(layers, np.random.default_rng(20261121))
    with tempfile.TemporaryDirectory(prefix="edgesmith-bench-") as folder:
        compiled = bind_for(graph, target)
        built = firmware(compiled, Path(folder), roomy=True, mark=True)
        with Emulated(built, compiled.program.interface, target, layers=len(layers)) as board:
            made = board.run({name: arrays[name] for name in graph.inputs})
            assert board.last is not None
            place = {
                op.name: index for index, op in enumerate(compiled.graph.ops)
            }  # the plan may have ordered them anew
            counts = [board.last.by_layer[place[op.name]] for op in graph]
    rows = []
    kernels = [compiled.program.kernels[place[op.name]] for op in graph]
    for op, classes, kernel in zip(graph, counts, kernels, strict=True):
        inputs, outputs = graph.types(op.inputs), graph.types(op.outputs)
        (wanted,) = ops.spec_of(op).run([arrays[name] for name in op.inputs], ops.attrs_of(op))
        np.testing.assert_array_equal(made[op.outputs[0]], wanted, err_msg=op.name)
        macs = ops.spec_of(op).macs(inputs, outputs, ops.attrs_of(op))
        executed = int(instructions(classes))
        row = {"layer": op.name, "x": inputs[0].shape, "w": inputs[1].shape, "macs": macs, "instructions": executed}
        measured = {"per_mac": round(executed / macs, 3), "scratch_bytes": kernel.scratch_bytes if kernel else 0}
        arrange = kernel.arrange.get(1) if kernel else None
        stored = arrange(arrays[op.inputs[1]]) if arrange else arrays[op.inputs[1]]
        measured["weight_bytes"] = int(stored.nbytes)
        rows.append({**row, **measured, "estimated_cycles": round(cycles(target, classes))})
    return rows


def measure(board: str) -> dict[str, Any]:
    """All nets on one board."""
    target = load(board)
    result: dict[str, Any] = {"core": target.core}
    for name, layers in NETS.items():
        rows = count(list(layers()), target)
        totals = {key: sum(row[key] for row in rows) for key in ("macs", "instructions", "estimated_cycles")}
        macs, executed = totals["macs"], totals["instructions"]
        result[name] = {**totals, "per_mac": round(executed / macs, 3), "layers": rows}
        print(f"{board:16} {name:18} {executed / macs:.3f} instructions per multiply-accumulate", file=sys.stderr)
    result["packed"] = packed(target)
    result["packed_net"] = packed_net(target)
    return result


def packed(target: Target) -> list[dict[str, Any]]:
    """One row per layer of PACKED: instructions per multiply-accumulate and weight bytes by the bits of its weights."""
    rows: dict[str, dict[str, Any]] = {layer.name: {"layer": layer.name} for layer in PACKED}
    for bits in WIDTHS:
        for layer, row in zip(PACKED, count([replace(layer, bits=bits) for layer in PACKED], target), strict=True):
            own = rows[layer.name]
            own.setdefault("per_mac", {})[str(bits)] = row["per_mac"]
            own.setdefault("weight_bytes", {})[str(bits)] = row["weight_bytes"]
            own.setdefault("scratch_bytes", {})[str(bits)] = row["scratch_bytes"]
            own.setdefault("estimated_cycles", {})[str(bits)] = row["estimated_cycles"]
    return list(rows.values())


def packed_net(target: Target) -> dict[str, Any]:
    """The layers of resnet8 with all weights of 8, 4 and 2 bits: flash and instructions."""
    found: dict[str, Any] = {"net": "resnet8"}
    for bits in WIDTHS:
        layers = [replace(layer, bits=bits) for layer in resnet8()]
        rows = count(layers, target)
        macs, executed = (sum(row[key] for row in rows) for key in ("macs", "instructions"))
        found[str(bits)] = {**flash_of(layers, target), "per_mac": round(executed / macs, 3)}
    return found


def main() -> None:
    """Measure the boards named on the command line, or all five."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--boards", nargs="+", default=BOARDS)
    boards = {name: measure(name) for name in parser.parse_args().boards}
    before = json.loads(RESULTS.read_text())["boards"] if RESULTS.exists() else {}
    document = {
        "unit": "per_mac: instructions per multiply-accumulate, counted on the emulated core (kind: emulated)",
        "estimated_cycles": "from the board's cycle model (kind: estimated)",
        "baseline": {"cmsis-nn, cortex-m4": CMSIS_NN},
        "command": shlex.join(["python", *sys.argv]),
        "commit": commit(),
        "boards": {**before, **boards},
    }
    write_file(RESULTS, (json.dumps(document, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
