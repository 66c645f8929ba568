"""What the serial harness needs to know of one model and one board, as C."""

from collections.abc import Callable, Sequence

from edgesmith.compile.emit.text import comment, identifier
from edgesmith.core.errors import Unsupported
from edgesmith.core.interface import Interface, Port
from edgesmith.core.target import Serial, Target

MAX_PORTS = 255  # an index is one byte
MAX_OPS = (1 << 15) - 1
NAME_BYTES = 64
SYSTICK_CORES = ("cortex-m0", "cortex-m0+")  # no cycle counter in the DWT
CACHED_CORES = ("cortex-m7",)


def glue_source(face: Interface, target: Target, ops: int, sha256: bytes) -> str:
    """edgesmith_glue.c: the model's blocks, and what the program says of itself.

    Args:
        ops: ops of the graph, each of which is timed.
        sha256: of the program, by which the computer recognises it.

    Raises:
        Unsupported: more inputs, outputs or ops than the protocol counts.
    """
    if max(len(face.inputs), len(face.outputs)) > MAX_PORTS or ops > MAX_OPS:
        raise Unsupported(
            f"serial: {face.name} has {len(face.inputs)} inputs, {len(face.outputs)} outputs and {ops} ops; need at "
            f"most {MAX_PORTS}, {MAX_PORTS} and {MAX_OPS}."
        )
    name = identifier(face.name)
    macro = name.upper()
    shown = name.encode()[:NAME_BYTES]
    return GLUE.format(
        name=name,
        macro=macro,
        ops=max(ops, 1),
        given=", ".join(
            f".{p.identifier} = (const void *)(arena + {macro}_{p.identifier.upper()}_OFFSET)" for p in face.inputs
        ),
        inputs=_cases(face.inputs, f"arena + {macro}_{{}}_OFFSET", str.upper),
        outputs=_cases(face.outputs, "(uint8_t *)(uintptr_t)result.{}", str),
        fields=_fields(face, target, ops, len(shown)),
        sha=", ".join(f"{byte:#04x}" for byte in sha256),
        letters=", ".join(str(byte) for byte in shown),
    )


def _cases(ports: Sequence[Port], pointer: str, spelled: Callable[[str], str]) -> str:
    """The block of each port by its index."""
    return "\n".join(
        f"        case {index}: return (es_block){{{pointer.format(spelled(port.identifier))}, {port.tensor.nbytes}u}};"
        for index, port in enumerate(ports)
    )


def _fields(face: Interface, target: Target, ops: int, name_bytes: int) -> str:
    values = {
        "inputs": len(face.inputs),
        "outputs": len(face.outputs),
        "name_bytes": name_bytes,
        "ops": ops,
        "clock_hz": f"{target.clock_hz}u",
        "arena_bytes": face.arena_bytes,
        "state_bytes": face.state_bytes,
        "input_bytes": sum(port.tensor.nbytes for port in face.inputs),
        "output_bytes": sum(port.tensor.nbytes for port in face.outputs),
    }
    return ", ".join(f".{name} = {value}" for name, value in values.items())


def board_header(target: Target) -> str:
    """edgesmith_board.h: the UART, and the setup of clocks and pins.

    Raises:
        Unsupported: the target says no UART.
    """
    serial = serial_of(target)
    lines = [
        f"#define ES_UART_BASE {serial.base:#x}u",
        f"#define ES_UART_CLOCK_HZ {serial.clock_hz}u",
        f"#define ES_UART_BAUD {serial.baud}u",
    ]
    if serial.driver == "stm32_lpuart":
        lines.append("#define ES_UART_SCALE 256u")
    if serial.driver == "nrf_uarte":
        lines += [f"#define ES_UART_TX_PIN {_number(serial.tx)}u", f"#define ES_UART_RX_PIN {_number(serial.rx)}u"]
    if target.core in SYSTICK_CORES:
        lines.append("#define ES_SYSTICK 1")
    if target.core in CACHED_CORES:
        lines.append("#define ES_CACHES 1")
    steps = [f"    {{{int(s.wait)}u, {s.address:#x}u, {s.mask:#x}u, {s.value:#x}u}}," for s in serial.setup]
    steps = steps or ["    {0u, ES_UART_BASE, 0u, 0u},"]  # C has no empty list
    body = "\n".join(lines) + "\n#define ES_SETUP \\\n" + " \\\n".join(steps)
    guard = "#ifndef EDGESMITH_BOARD_H\n#define EDGESMITH_BOARD_H"
    return f"/* {comment(target.title)}: its UART. */\n{guard}\n\n{body}\n\n#endif\n"


def _number(pin: str) -> int:
    """A Nordic pin as its register counts: port times 32 plus pin.

    >>> _number("P1.02")
    34
    """
    port, _, number = pin.removeprefix("P").partition(".")
    if not (port.isdigit() and number.isdigit()):
        raise Unsupported(f'serial: pin {pin!r} of a Nordic chip; need one such as "P0.20". Correct the TOML file.')
    return 32 * int(port) + int(number)


def serial_of(target: Target) -> Serial:
    """The target's UART.

    Raises:
        Unsupported: it says none.
    """
    if target.serial is None:
        raise Unsupported(
            f"serial: {target.name} has no [serial] table, so a real board of this kind cannot be driven. "
            "Add one to a TOML file of your own (docs/real-board.md), or use the emulated board."
        )
    return target.serial


def driver_files(target: Target) -> tuple[str, ...]:
    """The files of toolchain/support/serial that the target's firmware needs."""
    serial = serial_of(target)
    driver = serial.driver.replace("stm32_lpuart", "stm32_v2")
    boot = (f"boot_{serial.boot}.c",) if serial.boot else ()
    return ("main.c", "harness.c", "frames.c", "core_cortex_m.c", f"uart_{driver}.c", "edgesmith_serial.h", *boot)


GLUE = """\
/* {name} for the serial harness: generated by edgesmith. */
#include "{name}.h"

#include "edgesmith_serial.h"

uint8_t arena[{macro}_ARENA_BYTES] __attribute__((aligned({macro}_ALIGNMENT)));
#if {macro}_STATE_BYTES > 0
static uint8_t state[{macro}_STATE_BYTES] __attribute__((aligned({macro}_ALIGNMENT)));
#else
#define state ((void *)0)
#endif
static {name}_out result;
uint32_t es_op_ticks[{ops}];

const es_program es_model = {{
    {fields},
    .sha256 = {{{sha}}},
    .name = {{{letters}}},
}};

es_block es_model_input(uint8_t index) {{
    switch (index) {{
{inputs}
        default: return (es_block){{0, 0}};
    }}
}}

es_block es_model_output(uint8_t index) {{
    switch (index) {{
{outputs}
        default: return (es_block){{0, 0}};
    }}
}}

int es_model_reset(void) {{ return {name}_init(state); }}

int es_model_run(void) {{
    const {name}_in given = {{{given}}};
    const int wrong = {name}_run(&given, &result, state, arena);
    edgesmith_tick((int32_t)es_model.ops);
    return wrong;
}}
"""
