"""The cost of each op of a bound program."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgesmith.compile.emit.model import Program
from edgesmith.core.graph import Op, Tensor
from edgesmith.core.ops import attrs_of, spec_of
from edgesmith.core.target import Target
from edgesmith.cost.memory import own_struct_bytes
from edgesmith.emulate import cost
from edgesmith.kernels.abi import FOLDER
from edgesmith.kernels.costs import KernelCost, key, table
from edgesmith.kernels.costs.features import features, form
from edgesmith.kernels.kernel import Kernel

REFERENCE = FOLDER / "reference"
# Assumed of a kernel that nobody measured: above the dearest of the measured ones, so that a fit is not a surprise.
INSTRUCTIONS_PER_MAC = 30.0
INSTRUCTIONS_PER_ELEMENT = 120.0
SOFT_FLOAT = 8.0  # times as many where floats are computed in software
# Cycles per element read or written besides multiply-accumulates, on targets without a table.
CYCLES_PER_ELEMENT = {"riscv32": 20.0, "x86-64": 0.34}  # x86-64: benchmarks/kernels/x86_costs.py
HOSTED_CYCLES_PER_ELEMENT = 1.0


@dataclass(frozen=True)
class OpCost:
    """One op on the target; cycles and instructions are estimates, bytes are exact.

    Attributes:
        layer: the op's name, else its kind and index.
        constant_bytes: weights, tables and parameters in flash; what two ops share counts for the first.
        peak_bytes: of this op's results, what is alive where the arena peaks.
        scratch_bytes: of its kernel.
        instructions: 0 where the target has no table of instructions.
        error: what nine in ten shapes that were kept out of the table stay within, of the instructions; None where
            nothing was measured.
    """

    layer: str
    kind: str
    macs: int
    constant_bytes: int
    peak_bytes: int
    scratch_bytes: int
    instructions: float
    cycles: float
    error: float | None


def has_tables(target: Target) -> bool:
    """Whether instructions are predicted kernel by kernel, from tables measured on the Cortex-M cores."""
    return target.isa == "thumb" and bool(target.cycle_model.cycles)


def op_costs(program: Program, target: Target) -> tuple[OpCost, ...]:
    """The cost of every op, in order; an op that moves nothing costs nothing."""
    peaks = peak_bytes(program)
    constants = _constant_bytes(program)
    return tuple(
        _op_cost(program, target, index, constants[index], peaks.get(index, 0))
        for index in range(len(program.graph.ops))
    )


def _op_cost(program: Program, target: Target, index: int, constants: int, peak: int) -> OpCost:
    op, kernel = program.graph.ops[index], program.kernels[index]
    layer = op.name or f"{op.kind}.{index}"
    if kernel is None:
        return OpCost(layer, op.kind, 0, constants, peak, 0, 0.0, 0.0, 0.0)
    inputs, outputs = program.graph.types(op.inputs), program.graph.types(op.outputs)
    macs = spec_of(op).macs(inputs, outputs, attrs_of(op))
    executed, cycles, error = _execution(op, inputs, outputs, kernel, target, macs)
    return OpCost(layer, op.kind, macs, constants, peak, kernel.scratch_bytes, executed, cycles, error)


def _execution(
    op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], kernel: Kernel, target: Target, macs: int
) -> tuple[float, float, float | None]:
    """Instructions, cycles and the relative error of the instructions."""
    elements = inputs[0].size + sum(tensor.size for tensor in outputs)
    is_float = any(tensor.dtype == "float32" for tensor in (*inputs, *outputs))
    if not has_tables(target):
        return 0.0, _throughput(op.kind, macs, elements, is_float, target), None
    line = form(op, inputs, outputs, kernel)
    if entry := _measured(key(kernel, line), target, is_float):
        counts = entry.counts(features(op, inputs, outputs, kernel))
        return cost.instructions(counts), cost.cycles(target, counts), entry.nine_in_ten
    if entry := _measured(key(replace(kernel, source=REFERENCE / kernel.source.name), line), target, is_float):
        counts = entry.counts(features(op, inputs, outputs, kernel))  # no faster than what will run
        return cost.instructions(counts), cost.cycles(target, counts), None
    soft = SOFT_FLOAT if is_float and not target.has_fpu else 1.0
    count = soft * (INSTRUCTIONS_PER_MAC * macs + INSTRUCTIONS_PER_ELEMENT * elements)
    return count, cost.cycles(target, {"load": count}), None


def _measured(name: str, target: Target, is_float: bool) -> KernelCost | None:
    """The entry called `name`, if it was measured with floats computed as they are on this target."""
    found = table(target.core)
    if found is None or (is_float and found.has_fpu != target.has_fpu):
        return None
    return found.kernels.get(name)


def _throughput(kind: str, macs: int, elements: int, is_float: bool, target: Target) -> float:
    per_mac = target.cycle_model.per_mac
    each = per_mac.get(kind, per_mac.get("f32" if is_float else "s8", 1.0))
    return macs * each + elements * CYCLES_PER_ELEMENT.get(target.isa, HOSTED_CYCLES_PER_ELEMENT)


def _constant_bytes(program: Program) -> list[int]:
    """Bytes of constants and parameters by op."""
    seen: set[str] = set()
    structs, found = own_struct_bytes(program), []
    for index, op in enumerate(program.graph.ops):
        own = [name for name in dict.fromkeys(op.inputs) if name in program.arrays and name not in seen]
        seen.update(own)
        found.append(sum(program.arrays[n].nbytes for n in own) + structs.get(index, 0))
    return found


def peak_bytes(program: Program) -> dict[int, int]:
    """Op index to the bytes of its results that are alive at the op where most bytes are."""
    producer, peak = program.graph.producer(), peak_index(program)
    found: dict[int, int] = {}
    for buffer in program.plan.buffers:
        makers = [producer[name] for name in list(buffer.tensors)[:1] if name in producer]  # no input, no scratch
        for maker in makers:
            found[maker] = found.get(maker, 0) + buffer.live_bytes(peak)
    return {maker: size for maker, size in found.items() if size}


def peak_index(program: Program) -> int:
    """Index of the op at which most bytes of the arena are alive."""
    times = range(len(program.graph.ops) + 1)
    alive = [sum(buffer.live_bytes(time) for buffer in program.plan.buffers) for time in times]
    return alive.index(max(alive))
