"""What a board says of itself, and whether it is one of silicon."""

import re
import struct
from dataclasses import dataclass

from edgesmith.core.errors import BadInput
from edgesmith.core.reading import Kind
from edgesmith.core.target import Target

PROTOCOL = 1
HEAD = struct.Struct("<BBBIIIIIIH32sB")
# Implementer and part number of CPUID, from each core's technical reference manual: DDI 0484 4.2 (M0+), DDI 0337 (M3),
# DDI 0439 (M4), DDI 0489 (M7), 100230 (M33).
PARTS = {
    "cortex-m0": 0xC20,
    "cortex-m0+": 0xC60,
    "cortex-m3": 0xC23,
    "cortex-m4": 0xC24,
    "cortex-m7": 0xC27,
    "cortex-m33": 0xD21,
}
ARM = 0x41
# What our emulated cores read as: "ESMU", an implementer (0x45) that Arm has given to nobody.
EMULATED_IDENTITY = 0x45534D55


@dataclass(frozen=True)
class Hello:
    """A board's answer to the first request.

    Attributes:
        identity: its CPUID register.
        sha256: of the program, hexadecimal.
    """

    inputs: int
    outputs: int
    identity: int
    clock_hz: int
    arena_bytes: int
    state_bytes: int
    input_bytes: int
    output_bytes: int
    ops: int
    sha256: str
    name: str


def read_hello(payload: bytes) -> Hello:
    """Read the answer.

    Raises:
        BadInput: another protocol version, or malformed.
    """
    if payload[:1] != bytes([PROTOCOL]):
        raise BadInput(
            f"serial: the board speaks protocol {payload[0] if payload else 'nothing'}; this edgesmith speaks "
            f"{PROTOCOL}. Flash it again with edgesmith flash."
        )
    if len(payload) < HEAD.size or len(payload) != HEAD.size + payload[HEAD.size - 1]:
        raise BadInput(f"serial: the board's greeting has {len(payload)} bytes, which is malformed. Flash it again.")
    _, inputs, outputs, identity, clock, arena, state, given, made, ops, sha, _ = HEAD.unpack_from(payload)
    name = re.sub(r"[^ -~]", "?", payload[HEAD.size :].decode("ascii", "replace"))
    return Hello(inputs, outputs, identity, clock, arena, state, given, made, ops, sha.hex(), name)


def kind_of(hello: Hello, target: Target) -> Kind:
    """Whether figures from this board are measured or emulated, by the core's own identification.

    Nothing counts as measured that does not identify itself as Arm's and as the core that the target names.

    Raises:
        BadInput: it is another core than the target's.
    """
    if hello.identity == EMULATED_IDENTITY:
        return "emulated"
    part = PARTS.get(target.core)
    if part is not None and hello.identity >> 24 == ARM and (hello.identity >> 4) & 0xFFF == part:
        return "measured"
    raise BadInput(
        f"serial: the board's core identifies itself as {hello.identity:#010x}; {target.name} has a {target.core}, "
        f"{ARM << 24 | (part or 0) << 4:#010x} but for its revision. Connect that board, or compile for this one."
    )
