"""Cycles, latency and energy from what was executed. No emulator is imported here.

    cycles = sum(count * cycles of the class) / (1 + dual_issue) + fetch_stall * instructions

The table of each core and how far it is from published board figures stand in the target's TOML.
"""

from collections.abc import Mapping

from edgesmith.core.errors import BadInput, Unsupported
from edgesmith.core.reading import Reading
from edgesmith.core.target import Target
from edgesmith.emulate.instructions import EXTRAS


def instructions(counts: Mapping[str, float]) -> float:
    """Executed instructions of a table of class counts."""
    return sum(count for name, count in counts.items() if name not in EXTRAS)


def cycles(target: Target, counts: Mapping[str, float]) -> float:
    """Cycles that `counts` take on the target's core, behind its flash.

    Raises:
        Unsupported: the target has no cycle table.
        BadInput: a count of a class the table lacks.
    """
    model = target.cycle_model
    if not model.cycles:
        raise Unsupported(f"cost: {target.name} has no cycles by instruction; need a Cortex-M board. Use `predict`.")
    absent = sorted(name for name, count in counts.items() if count and name not in model.cycles)
    if absent:
        raise BadInput(
            f"cost: {target.name}: cycle_model.cycles lacks {', '.join(absent)}; need every executed class. "
            "Add it to the target's TOML."
        )
    issued = sum(count * model.cycles.get(name, 0.0) for name, count in counts.items()) / (1 + model.dual_issue)
    return issued + model.fetch_stall * instructions(counts)


def latency(target: Target, counts: Mapping[str, float]) -> Reading:
    """Milliseconds that `counts` take, with the model's stated error as spread."""
    value = cycles(target, counts) / target.clock_hz * 1e3
    how = f"{instructions(counts):,.0f} instructions counted on an emulated {target.core}, cycles by class"
    return _estimate(value, "ms", f"{how} at {target.clock_hz / 1e6:g} MHz", target.cycle_model.error)


def energy(target: Target, milliseconds: Reading) -> Reading:
    """Microjoules of `milliseconds` at the target's active power; the errors of both multiply."""
    how = f"{target.power.active_mw:g} mW times {milliseconds.value:.4g} ms"
    value, error = target.power.active_mw * milliseconds.value, target.power.error
    if error is not None and milliseconds.kind == "estimated":
        unknown = milliseconds.spread is None or not milliseconds.value
        error = None if unknown else (1 + error) * (1 + (milliseconds.spread or 0.0) / milliseconds.value) - 1
    return _estimate(value, "uJ", how, error)


def predict(target: Target, macs: Mapping[str, float], integer: bool = True) -> Reading:
    """Milliseconds before anything is compiled, from multiply-accumulates per op kind.

    Args:
        macs: op kind ("conv2d_s8", ...) to multiply-accumulates.
        integer: which of the table's defaults, "s8" or "f32", serves kinds it does not list.
    """
    table = target.cycle_model.per_mac
    default = "s8" if integer else "f32"
    if default not in table and any(kind not in table for kind in macs):
        raise BadInput(f"cost: {target.name}: cycle_model.per_mac lacks {default!r}; need it. Add it to the TOML.")
    total = sum(count * (table[kind] if kind in table else table[default]) for kind, count in macs.items())
    return _estimate(total / target.clock_hz * 1e3, "ms", "cycles per multiply-accumulate by op kind", None)


def _estimate(value: float, unit: str, how: str, error: float | None) -> Reading:
    stated = f"error within {error:.0%} of published figures" if error is not None else "error unknown"
    return Reading(value, unit, "estimated", f"{how}; {stated}", None if error is None else error * value)
