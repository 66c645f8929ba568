"""A program's four figures on its target, each with its stated error."""

import math
from collections.abc import Sequence

from edgesmith.compile.emit.model import Program
from edgesmith.core.reading import Reading
from edgesmith.core.target import Target
from edgesmith.cost.code import library_bytes
from edgesmith.cost.memory import call_bytes, constant_bytes, flash_bytes, stack_bytes, static_ram_bytes
from edgesmith.cost.ops import OpCost, has_tables
from edgesmith.emulate import cost
from edgesmith.targets.machine import is_here

LIBRARY_ERROR = 0.1  # of a shared library: its sections are padded to pages; what tests hold
FLASH_ERROR, FLASH_SLACK_BYTES = 0.02, 1024  # what tests hold: the larger of the two


def totals(program: Program, ops: Sequence[OpCost], target: Target) -> tuple[Reading, Reading, Reading, Reading]:
    """Flash, RAM, latency and energy of one inference, all estimated.

    Args:
        ops: of `op_costs` for the same program and target.
    """
    time = latency(ops, target)
    return flash(program, target), ram(program, target), time, cost.energy(target, time)


def flash(program: Program, target: Target) -> Reading:
    """Bytes of the linked program."""
    if is_here(target):
        value = library_bytes(program) + constant_bytes(program) + call_bytes(program, target)
        how = "constants counted, a library of the kernels built here, calls modelled"
        return Reading(value, "B", "estimated", how, LIBRARY_ERROR * value)
    if target.hosted and not target.emulated:
        how = "weights, tables and parameters; code of the library is not counted"
        return Reading(constant_bytes(program), "B", "estimated", how, None)
    value = flash_bytes(program, target)
    spread = max(FLASH_ERROR * value, FLASH_SLACK_BYTES)
    how = "constants counted, kernels linked, calls modelled; within 2% or 1 KB of the linked program"
    return Reading(value, "B", "estimated", how, spread)


def ram(program: Program, target: Target) -> Reading:
    """Bytes of arena, states, variables and stack."""
    face = program.interface
    if target.hosted and not target.emulated:
        value = face.arena_bytes + face.state_bytes
        return Reading(value, "B", "estimated", "arena and states, exact; the process around them is not counted", None)
    stack = stack_bytes(program, target)
    how = f"arena and states exact, {stack:,} B of stack as the kernels used when measured one by one"
    return Reading(static_ram_bytes(program, target) + stack, "B", "estimated", how, float(stack))


def latency(ops: Sequence[OpCost], target: Target) -> Reading:
    """Milliseconds of one inference."""
    cycles = sum(op.cycles for op in ops)
    value = cycles / target.clock_hz * 1e3
    if not has_tables(target):
        how = "cycles per multiply-accumulate and element, rough; error unknown"
        return Reading(value, "ms", "estimated", how, None)
    counted = count_error(ops)
    model = target.cycle_model.error
    how = f"{_counted(ops, counted)}; {_modelled(model)}, at {target.clock_hz / 1e6:g} MHz"
    spread = None if counted is None or model is None else value * math.hypot(counted, model)
    return Reading(value, "ms", "estimated", how, spread)


def count_error(ops: Sequence[OpCost]) -> float | None:
    """Relative error of the summed instructions, the ops' errors by their cycles; None if an op has none."""
    if any(op.error is None for op in ops):
        return None
    cycles = sum(op.cycles for op in ops)
    return sum((op.error or 0.0) * op.cycles for op in ops) / cycles if cycles else 0.0


def _counted(ops: Sequence[OpCost], error: float | None) -> str:
    if error is not None:
        return f"instructions by kernel from measured tables, nine in ten within {error:.0%}"
    kinds = sorted({op.kind for op in ops if op.error is None})
    return f"instructions from measured tables, but a pessimistic assumption for {', '.join(kinds)}: error unknown"


def _modelled(error: float | None) -> str:
    if error is None:
        return "cycle model not checked against published figures"
    return f"cycle model within {error:.0%} of published figures"
