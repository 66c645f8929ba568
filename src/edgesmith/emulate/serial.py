"""An emulated board that runs by itself and whose UART is a pseudo-terminal, opened like any serial port."""

import contextlib
import itertools
import os
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.core.target import Serial, Target
from edgesmith.emulate.emulator import COUNTER, check
from edgesmith.emulate.wire import receive, send, start
from edgesmith.toolchain.firmware import Firmware, load_segments
from edgesmith.toolchain.library import compile_library


class SerialBoard:
    """A board running the serial harness; a context manager.

    Its cycle counters count executed instructions, and its core identifies itself as emulated, so that nothing read
    here can pass for a measurement.

    Args:
        firmware: linked with the serial harness.
        identity: what the core's CPUID register reads as.

    Attributes:
        port: what to open, such as /dev/pts/3.

    Raises:
        Missing: unicorn or capstone is not installed.
        Unsupported: the target's core has no emulation or its UART is not known, or the system has no pseudo-terminals.
    """

    def __init__(self, firmware: Firmware, target: Target, identity: int) -> None:
        if os.name != "posix":
            raise Unsupported("emulate: this system has no pseudo-terminals; need Linux or macOS for an emulated UART.")
        check(target, firmware.memories)
        message, payload = _setup(firmware, target, identity)
        self._process = start("edgesmith.emulate.serial_worker")
        try:
            send(cast(BinaryIO, self._process.stdin), message, payload)
            self.port: str = receive(cast(BinaryIO, self._process.stdout))[0]["port"]
        except (EOFError, BrokenPipeError) as error:
            self.close()
            raise Unsupported(
                f"emulate: the board {target.name} did not start, what it said stands above; need registers outside "
                "flash and RAM. Check base and setup of its [serial] table."
            ) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait(self) -> None:
        """Until the board ends by itself, which it does only when its program faults."""
        self._process.wait()

    def unplug(self) -> None:
        """Take the board away at once, whatever it is doing."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the board."""
        self.unplug()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def _setup(firmware: Firmware, target: Target, identity: int) -> tuple[dict[str, Any], bytes]:
    """The worker's first message; the image, then one byte a halfword: whether an instruction starts there."""
    flash, ram = firmware.memories
    loaded = load_segments(firmware.elf)
    segments, image = [(address, len(data)) for address, data in loaded], b"".join(data for _, data in loaded)
    code = (flash.origin, (firmware.sections[".vectors"] + firmware.sections[".text"] + 15) & ~3)
    starts = instruction_starts(firmware, image[: code[1]], flash.origin)
    serial = serial_of(target)
    own_handler = firmware.symbols.get("SysTick_Handler", firmware.symbol("edgesmith_halt"))
    message = {
        "isa": target.isa,
        "core": target.core,
        "flash": (flash.origin, flash.size_bytes),
        "ram": (ram.origin, ram.size_bytes),
        "segments": segments,
        "code": code,
        "layers": 0,
        "marker": None,
        "library": str(compile_library([COUNTER])),
        "stack_top": ram.origin + ram.size_bytes,
        "start": firmware.symbol("Reset_Handler").address,
        "until": firmware.symbol("edgesmith_halt").address,
        "systick": own_handler.address,
        "identity": identity,
        "driver": serial.driver,
        "base": serial.base,
        "clock_hz": serial.clock_hz,
        "baud": serial.baud,
        "boot": serial.boot == "rp2040",
        "steps": [(step.wait, step.address, step.mask, step.value) for step in serial.setup],
    }
    return message, image + starts.tobytes()


def serial_of(target: Target) -> Serial:
    """The target's UART.

    Raises:
        Unsupported: it says none.
    """
    if target.serial is None:
        raise Unsupported(f"emulate: {target.name} has no [serial] table; need its UART (docs/real-board.md).")
    return target.serial


def instruction_starts(firmware: Firmware, code: bytes, base: int) -> np.ndarray:
    """(halves,) 1 at each halfword where a Thumb instruction starts, function by function.

    A first halfword of 0b11101, 0b11110 or 0b11111 in its upper five bits has a second one (ARMv7-M Architecture
    Reference Manual, DDI 0403E, A5.1).
    """
    halves = np.frombuffer(code[: len(code) & ~1], "<u2")
    starts = np.zeros(len(halves), np.uint8)
    found = {(s.address - base) // 2 for s in firmware.symbols.values() if s.kind == "function"}
    heads = sorted({head for head in found if 0 <= head < len(halves)} | {0, len(halves)})
    for head, end in itertools.pairwise(heads):
        while head < end:
            starts[head] = 1
            head += 2 if halves[head] >> 11 >= 0b11101 else 1
    return starts
