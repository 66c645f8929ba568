"""A head and the packing of its payload as one program of a board: what it takes, its bytes held against those here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgesmith.collaborate.crossing.carry import Carried
from edgesmith.collaborate.crossing.carry_source import files, room_bytes, scratch_bytes
from edgesmith.compile.emit import model_files
from edgesmith.compile.emit.firmware import main_source
from edgesmith.compile.emit.model import describe
from edgesmith.compile.emit.text import identifier
from edgesmith.core.errors import VerificationFailed
from edgesmith.core.interface import Interface
from edgesmith.core.reading import Reading
from edgesmith.core.target import Target
from edgesmith.emulate import Call, cost
from edgesmith.pipeline.build import Compiled, bind_for, written
from edgesmith.pipeline.joined import Joined
from edgesmith.run.emulated import Emulated
from edgesmith.toolchain import Firmware, compile_firmware

EXPORTS = ("infer", "reset", "pack", "payload", "payload_bytes")
Inputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class BoardHead:
    """One program on an emulated board that computes a payload and packs it.

    Attributes:
        flash, ram, latency: of the whole program; RAM with its stack.
        samples: over which every byte was equal to this machine's.
    """

    flash: Reading
    ram: Reading
    latency: Reading
    samples: int

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        readings = {name: getattr(self, name).to_json() for name in ("flash", "ram", "latency")}
        return {**readings, "samples": self.samples}


def sources(joined: Joined, target: Target) -> dict[str, str]:
    """The payload's C, and `head.c`, which packs what an inference left; both go with the head's own C."""
    return _sources(joined, bind_for(joined.head, target).program.interface)


def _sources(joined: Joined, face: Interface) -> dict[str, str]:
    return files(joined.carried, identifier(face.name)) | {"head.c": head_source(joined.carried, face)}


def head_source(carried: Sequence[Carried], face: Interface) -> str:
    """C of pack(): after infer() of main.c, each tensor's bytes in `payload`, one behind the other."""
    name = identifier(face.name)
    given = {port.tensor.name: f"arena + {name.upper()}_{port.identifier.upper()}_OFFSET" for port in face.inputs}
    made = {port.tensor.name: f"result.{port.identifier}" for port in face.outputs}
    steps = "".join(
        STEP.format(name=name, index=index, said=describe(one.tensor), values=(given | made)[one.tensor.name])
        for index, one in enumerate(carried)
    )
    return HEAD.format(
        name=name,
        room=sum(room_bytes(one) for one in carried),
        scratch=max(1, *(scratch_bytes(one) for one in carried)),
        count=len(carried),
        steps=steps,
    )


def on_board(joined: Joined, target: Target, samples: Sequence[Inputs]) -> BoardHead:
    """Link head and payload for an emulated board, run samples, and hold what is packed against this machine.

    Args:
        samples: stored inputs of the head.

    Raises:
        DoesNotFit: both together are too large for the board.
        VerificationFailed: a byte differs.
        Unsupported: a tensor that boards do not narrow.
    """
    compiled = bind_for(joined.head, target)
    face = compiled.program.interface
    with TemporaryDirectory(prefix="edgesmith-head-") as folder:
        linked = _linked(joined, compiled, Path(folder))
        with Emulated(linked, face, target) as board:
            calls = [_held(board, linked, joined, inputs) for inputs in samples]
    worst = max((latency for latency, _ in calls), key=lambda reading: reading.value)
    stack = max(stack for _, stack in calls)
    flash = Reading(linked.flash_bytes, "B", "emulated", "head and packing, linked as one program")
    both = f"{linked.ram_bytes:,} B linked, the packed payload among them, and {stack:,} B of stack used"
    return BoardHead(flash, Reading(linked.ram_bytes + stack, "B", "emulated", both), worst, len(samples))


def _linked(joined: Joined, compiled: Compiled, folder: Path) -> Firmware:
    face = compiled.program.interface
    texts = {**model_files(compiled.program), "main.c": main_source(face), **_sources(joined, face)}
    paths = [path for path in written(texts, folder) if path.suffix == ".c"]
    return compile_firmware(paths, [folder, folder / "kernels"], compiled.target, folder / "head.elf", exports=EXPORTS)


def _held(board: Emulated, linked: Firmware, joined: Joined, inputs: Inputs) -> tuple[Reading, int]:
    """Latency of inference and packing, and stack in bytes."""
    made = joined.run_head(inputs)
    wanted = [one.pack(made[one.tensor.name]) for one in joined.carried]
    board.run(inputs)
    inferred, packed = board.last, board.call("pack")
    sizes = np.frombuffer(board.read(linked.symbol("payload_bytes").address, 4 * len(wanted)), "<i4").tolist()
    whole = b"".join(wanted)
    if sizes != [len(one) for one in wanted] or board.read(linked.symbol("payload").address, len(whole)) != whole:
        raise VerificationFailed(
            f"split: the emulated {board.target.name} packs {sizes} bytes, other ones than this machine."
        )
    if inferred is None:
        raise AssertionError("an inference leaves its counts")
    return cost.latency(board.target, _added(inferred, packed)), max(inferred.stack_bytes, packed.stack_bytes)


def _added(*calls: Call) -> dict[str, int]:
    """Counts of several calls by class."""
    names = dict.fromkeys(name for call in calls for name in call.classes)
    return {name: sum(call.classes.get(name, 0) for call in calls) for name in names}


HEAD = """\
/* After infer() of main.c: what it found, packed as it crosses the link. Send `payload`. */
#include <stdint.h>

#include "{name}.h"
#include "{name}_payload.h"

extern uint8_t arena[];
extern {name}_out result;
extern uint8_t payload[{room}];
extern int32_t payload_bytes[{count}];
uint8_t payload[{room}];
int32_t payload_bytes[{count}]; /* of each tensor; they lie one behind the other */
static int8_t scratch[{scratch}];

/* Returns the number of bytes in all, or an error below 0. */
int32_t pack(void);
int32_t pack(void) {{
    int32_t at = 0;
{steps}    return at;
}}
"""

STEP = """\
    payload_bytes[{index}] = {name}_payload_{index}({values}, scratch, payload + at, sizeof payload - (uint32_t)at);
    if (payload_bytes[{index}] < 0)
        return payload_bytes[{index}];
    at += payload_bytes[{index}]; /* {said} */
"""
