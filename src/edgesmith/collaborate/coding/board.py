"""The coder on a board: its tables as C, a program to be counted on an emulated core, and what it takes there."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from edgesmith.collaborate.coding.code import Code
from edgesmith.collaborate.coding.native import FOLDER, SOURCES
from edgesmith.collaborate.coding.tables import Table
from edgesmith.core.errors import BadInput, VerificationFailed
from edgesmith.core.target import Target
from edgesmith.emulate import Emulator
from edgesmith.toolchain import Firmware, compile_firmware

Way = Literal["encode", "decode"]
PER_LINE = 16
MAIN = """
static int8_t values[{values}];
static uint8_t stream[{room}];
int8_t *values_at(void);
uint8_t *stream_at(void);
int32_t encode(uint32_t n);
int32_t decode(uint32_t count, uint32_t n);
int main(void);

int8_t *values_at(void) {{ return values; }}
uint8_t *stream_at(void) {{ return stream; }}
int32_t encode(uint32_t n) {{ return es_code_encode_s8(&{name}, values, n, stream, sizeof stream); }}
int32_t decode(uint32_t count, uint32_t n) {{ return es_code_decode_s8(&{name}, stream, count, values, n); }}
int main(void) {{ return 0; }}
"""


def source(code: Code, name: str) -> str:
    """C that defines the code as `const es_code <name>`, for flash; compile it with the files of `SOURCES`."""
    tables = "".join(_starts(table, f"{name}_starts_{i}") for i, table in enumerate(code.tables))
    rows = "".join(f"    {{{table.low}, {table.symbols}, {name}_starts_{i}}},\n" for i, table in enumerate(code.tables))
    return (
        f'#include "edgesmith_code.h"\n\n{tables}'
        f"static const es_code_table {name}_tables[] = {{\n{rows}}};\n"
        f"static const uint8_t {name}_which[] = {{\n{_lines(code.which)}}};\n"
        f"extern const es_code {name};\n"
        f"const es_code {name} = {{{code.channels}, {code.bits}, {name}_which, {name}_tables}};\n"
    )


def _starts(table: Table, name: str) -> str:
    return f"static const uint16_t {name}[] = {{\n{_lines(table.starts)}}};\n"


def _lines(numbers: Sequence[int] | np.ndarray) -> str:
    rows = (numbers[i : i + PER_LINE] for i in range(0, len(numbers), PER_LINE))
    return "".join(f"    {', '.join(str(int(number)) for number in row)},\n" for row in rows)


@dataclass(frozen=True)
class Cost:
    """What coding one payload took on an emulated core.

    Attributes:
        values: coded.
        stream_bytes: they became, or came from.
        instructions: counted.
        cycles: an estimate of the target's model; None where it has none.
        code_bytes: flash of the function and all it calls, without tables.
        table_bytes: flash of the tables.
        stack_bytes: high water; besides it needs the values and the stream in RAM, and no other.
    """

    values: int
    stream_bytes: int
    instructions: int
    cycles: float | None
    code_bytes: int
    table_bytes: int
    stack_bytes: int


def measure(code: Code, payload: np.ndarray, target: Target, way: Way) -> Cost:
    """Code a payload on the target's emulated core, and hold its bytes against this machine's.

    Args:
        payload: (..., channels) int8.

    Raises:
        BadInput: the payload is not int8.
        VerificationFailed: the board gives other bytes, or other values.
        Unsupported: the target's core is not emulated.
        DoesNotFit: payload and tables exceed its memories.
    """
    if payload.dtype != np.int8:
        raise BadInput(f"code: a payload of {payload.dtype}; need int8, as boards hold activations.")
    data = code.encode(payload)
    with tempfile.TemporaryDirectory(prefix="edgesmith-code-") as name:
        folder = Path(name)
        room = max(len(data) + 8, 1)
        linked = _linked(code, target, folder, (max(payload.size, 1), room), (way,))
        bare = _linked(code, target, folder, (max(payload.size, 1), room), ())
        with Emulator(linked, target) as emulator:
            return _run(emulator, payload, data, (code.board_bytes, linked.flash_bytes - bare.flash_bytes))


def _linked(code: Code, target: Target, folder: Path, sizes: tuple[int, int], ways: tuple[Way, ...]) -> Firmware:
    """A program for `sizes` values and bytes that keeps the functions `ways`."""
    main = folder / "main.c"
    main.write_text(source(code, "payload_code") + MAIN.format(name="payload_code", values=sizes[0], room=sizes[1]))
    exports = ("values_at", "stream_at", *ways)
    narrow = [path for path in SOURCES if path.stem.endswith("_s8")]
    return compile_firmware([main, *narrow], [FOLDER], target, folder / f"code{len(ways)}.elf", exports=exports)


def _run(emulator: Emulator, payload: np.ndarray, data: bytes, flash: tuple[int, int]) -> Cost:
    """Call whichever function the program holds.

    Args:
        flash: bytes of the tables, and of tables and code.
    """
    encodes = "encode" in emulator.firmware.symbols
    values, stream = (emulator.call(name).result & 0xFFFFFFFF for name in ("values_at", "stream_at"))
    given, to = (payload.tobytes(), values) if encodes else (data, stream)
    expected, at = (data, stream) if encodes else (payload.tobytes(), values)
    if given:
        emulator.write(to, given)
    call = emulator.call("encode", payload.size) if encodes else emulator.call("decode", len(data), payload.size)
    if call.result != (len(data) if encodes else 0) or (expected and emulator.read(at, len(expected)) != expected):
        raise VerificationFailed(
            f"code: {emulator.target.name} codes {payload.size} values otherwise than this machine."
        )
    tables, both = flash
    return Cost(payload.size, len(data), call.instructions, call.cycles, both - tables, tables, call.stack_bytes)
