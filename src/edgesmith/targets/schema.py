"""The strict form of a target's TOML: every key known, every figure there, in range and of its type."""

import re
from typing import Literal, cast, get_args

from edgesmith.core.errors import BadInput
from edgesmith.core.target import CycleModel, Isa, Memory, Power, Serial, Step, Target
from edgesmith.core.toml import Table, read

# Ranges wide enough for any real part, narrow enough to catch a wrong unit.
CLOCK_HZ = (10_000, 20_000_000_000)
MEMORY_BYTES = (64, 1 << 46)
ORIGIN = (0, (1 << 32) - 1)
WAIT_STATES = (0, 100)
CYCLES = (0.0, 1000.0)
ACTIVE_MW = (0.001, 2_000_000.0)
FRACTION = (0.0, 10.0)
# A target triple and -m... alone: a board may come with an artifact, and other flags load plugins or read files.
COMPILER_FLAG = re.compile(r"-target|-m[a-z0-9-]+(=[A-Za-z0-9_.+-]+)?|[a-z0-9_]+(-[a-z0-9_.]+)+")
WORD = (0, (1 << 32) - 1)
BAUD = (1200, 4_000_000)
DRIVERS = ("stm32_v1", "stm32_v2", "stm32_lpuart", "pl011", "nrf_uarte")
MAX_STEPS = 200
PIN = re.compile(r"P[A-Z][0-9]{1,2}|P[01]\.[0-9]{2}|GP[0-9]{1,2}")
CHIP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,60}")  # an argument of a flashing tool: never an option
TOOLS = ("openocd", "probe-rs", "st-flash", "stm32loader", "picotool", "nrfjprog", "uf2")
KERNEL_FOLDER = re.compile(r"[a-z0-9_]+")


def _error(table: Table) -> float | None:
    """The key "error": absent where no published figure was found to check against."""
    return table.number("error", float, FRACTION) if "error" in table.values else None


def parse(name: str, text: str) -> Target:
    """A Target from the text of a TOML file.

    Raises:
        BadInput: what is wrong, at which key, and what is needed.
    """
    top = read(f"target {name}", text)
    memories = _memories(top)
    model, power = _cycle_model(top.table("cycle_model")), _power(top.table("power"))
    sources = _sources(top)
    target = Target(
        name=name,
        title=top.text("title"),
        core=top.text("core"),
        isa=_isa(top),
        clock_hz=top.number("clock_hz", int, CLOCK_HZ),
        memories=memories,
        has_fpu=top.take("has_fpu", bool, "true or false"),
        compiler_flags=top.words("compiler_flags", COMPILER_FLAG),
        cycle_model=model,
        power=power,
        kernels=_kernels(top),
        simd=top.words("simd", KERNEL_FOLDER, ()),
        hosted=top.take("hosted", bool, "true or false", False),
        emulated=top.take("emulated", bool, "true or false", False),
        serial=_serial(top),
        chips=_chips(top),
        sources=sources,
    )
    top.end()
    _consistent(target)
    return target


def _isa(top: Table) -> Isa:
    value = top.text("isa")
    if value not in get_args(Isa):
        raise top.fail("isa", f"is {value!r}", f"one of {', '.join(get_args(Isa))}")
    return cast(Isa, value)


def _memories(top: Table) -> tuple[Memory, ...]:
    table = top.table("memory")
    found = tuple(_memory(table, name) for name in ("flash", "ram"))
    table.end()
    return found


def _memory(parent: Table, name: Literal["flash", "ram"]) -> Memory:
    table = parent.table(name)
    memory = Memory(
        name,
        table.number("origin", int, ORIGIN, 0),
        table.number("size_bytes", int, MEMORY_BYTES),
        table.number("wait_states", int, WAIT_STATES, 0),
    )
    table.end()
    return memory


def _cycle_model(table: Table) -> CycleModel:
    cycles = table.table("cycles", required=False).numbers(CYCLES)
    per_mac = table.table("per_mac").numbers(CYCLES)
    model = CycleModel(
        cycles=cycles,
        dual_issue=table.number("dual_issue", float, (0.0, 1.0), 0.0),
        fetch_stall=table.number("fetch_stall", float, CYCLES, 0.0),
        error=_error(table),
        checked_against=table.text("checked_against", ""),
        per_mac=per_mac,
    )
    table.end()
    return model


def _power(table: Table) -> Power:
    power = Power(table.number("active_mw", float, ACTIVE_MW), _error(table), table.text("checked_against", ""))
    table.end()
    return power


def _kernels(top: Table) -> tuple[str, ...]:
    kernels = top.words("kernels", KERNEL_FOLDER, ("reference",))
    if not kernels or kernels[-1] != "reference":
        raise top.fail("kernels", f"is {list(kernels)!r}", 'a list that ends with "reference"')
    return kernels


def _serial(top: Table) -> Serial | None:
    if "serial" not in top.values:
        return None
    table = top.table("serial")
    driver = table.text("driver")
    if driver not in DRIVERS:
        raise table.fail("driver", f"is {driver!r}", f"one of {', '.join(DRIVERS)}")
    serial = Serial(
        driver=driver,
        base=table.number("base", int, WORD),
        clock_hz=table.number("clock_hz", int, CLOCK_HZ),
        baud=table.number("baud", int, BAUD, 115_200),
        tx=_pin(table, "tx"),
        rx=_pin(table, "rx"),
        setup=_steps(table),
        boot=table.text("boot", ""),
    )
    if serial.boot not in ("", "rp2040"):
        raise table.fail("boot", f"is {serial.boot!r}", '"rp2040" or nothing')
    table.end()
    return serial


def _pin(table: Table, key: str) -> str:
    name = table.text(key)
    if not PIN.fullmatch(name):
        raise table.fail(key, f"is {name!r}", 'a pin such as "PA9", "P0.20" or "GP0"')
    return name


def _steps(table: Table) -> tuple[Step, ...]:
    """The setup: lists ["set" or "wait", address, mask, value]."""
    need = f'at most {MAX_STEPS} lists ["set" or "wait", address, mask, value] of numbers below 2^32'
    found = table.take("setup", list, need, [])
    for entry in found:
        words = isinstance(entry, list) and len(entry) == 4 and entry[0] in ("set", "wait")
        if not words or any(type(value) is not int or not WORD[0] <= value <= WORD[1] for value in entry[1:]):
            raise table.fail("setup", f"holds {str(entry)[:60]}", need)
    if len(found) > MAX_STEPS:
        raise table.fail("setup", f"has {len(found)} steps", need)
    return tuple(Step(kind == "wait", address, mask, value) for kind, address, mask, value in found)


def _chips(top: Table) -> dict[str, str]:
    """What each flashing tool calls the chip."""
    table = top.table("flash", required=False)
    found = {key: table.text(key) for key in list(table.values) if key in TOOLS}
    for tool, chip in found.items():
        if not CHIP.fullmatch(chip) or ".." in chip:
            raise table.fail(tool, f"is {chip!r}", f"a name like {CHIP.pattern}")
    table.end()
    return found


def _sources(top: Table) -> dict[str, str]:
    table = top.table("sources", required=False)
    return {key: table.text(key) for key in list(table.values)}


def _consistent(target: Target) -> None:
    """What no single key shows: bare boards need disjoint memories and a cycle table."""
    if target.hosted:
        return
    flash, ram = target.memory("flash"), target.memory("ram")
    for memory in (flash, ram):
        if memory.origin + memory.size_bytes > 1 << 32:
            raise BadInput(
                f"target {target.name}: {memory.name} ends beyond 32 bits; need origin + size_bytes <= 2^32."
            )
    if flash.origin < ram.origin + ram.size_bytes and ram.origin < flash.origin + flash.size_bytes:
        raise BadInput(f"target {target.name}: flash and ram overlap; need disjoint memories. Correct the origins.")
    if target.emulated and not target.cycle_model.cycles:
        raise BadInput(
            f"target {target.name}: cycle_model.cycles is empty; need cycles per instruction class for an emulated "
            "board. Copy the table of a built-in board with the same core."
        )
