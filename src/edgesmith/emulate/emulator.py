"""Run functions of a program on an emulated core that has exactly the program's memories."""

import contextlib
import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import numpy as np

from edgesmith.core.errors import BadInput, EdgesmithError, Missing, Unsupported
from edgesmith.core.target import Memory, Target
from edgesmith.emulate import cost
from edgesmith.emulate.cores import CORES, Core
from edgesmith.emulate.instructions import Listing, disassemble
from edgesmith.emulate.wire import receive, send, start
from edgesmith.toolchain.firmware import Firmware, load_segments
from edgesmith.toolchain.library import compile_library

COUNTER = Path(__file__).parent / "counter.c"
MARKER = "edgesmith_layer"
GUARD_BYTES = 16
PAGE_BYTES = 4096


class EmulationFault(EdgesmithError):
    """The program did what the board would not survive: a touch outside its memories, a stack overflow, no end.

    Attributes:
        address: what was touched, or None.
        pc: the instruction, and `function` the symbol around it.
    """

    exit_code = 6

    def __init__(self, message: str, address: int | None, pc: int, function: str) -> None:
        super().__init__(message)
        self.address, self.pc, self.function = address, pc, function


@dataclass(frozen=True)
class Call:
    """One executed call.

    Attributes:
        result: the low half of the result's register as a signed 32-bit integer.
        instructions: executed, the callee's return included.
        classes: count per class of the core (`cores.CORES`) and of `instructions.EXTRAS`, which are no instructions.
        cycles: modelled from the classes (see `cost`), an estimate; None when the target has no cycle table.
        by_function: symbol to instructions executed inside it.
        by_layer: class counts per value written to `edgesmith_layer`; -1 is everything outside a layer. At the border
            the few instructions after the marker's store, up to the next branch, count for the layer before.
        stack_bytes: high water from the top of RAM.
    """

    result: int
    instructions: int
    classes: dict[str, int]
    cycles: float | None
    by_function: dict[str, int]
    stack_bytes: int
    by_layer: dict[int, dict[str, int]] = field(default_factory=dict)


class Emulator:
    """An emulated board running `firmware`; a context manager.

    Args:
        layers: how many values of `edgesmith_layer` (0 .. layers - 1) are counted apart.
        timeout_s: wall-clock limit of one call.
        max_instructions: a call that executes more is stopped (between this and twice this).

    Raises:
        Missing: unicorn or capstone is not installed.
        Unsupported: the target's core has no emulation.
    """

    def __init__(
        self,
        firmware: Firmware,
        target: Target,
        layers: int = 0,
        timeout_s: float = 300,
        max_instructions: int = 100_000_000_000,
    ) -> None:
        self._core = check(target, firmware.memories)
        self.firmware, self.target = firmware, target
        self.timeout_s, self.max_instructions, self.layers = timeout_s, max_instructions, layers
        self._flash, self._ram = firmware.memories
        self._code = self._code_range()
        loaded = load_segments(firmware.elf)
        segments, image = [(address, len(data)) for address, data in loaded], b"".join(data for _, data in loaded)
        self._listing = self._list(segments, image)
        self._process = start("edgesmith.emulate.worker")
        try:
            self._ask(self._setup(segments), image)
            self._boot()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # a request that the worker did not live to read
                    stream.close()

    def call(self, symbol: str, *arguments: int) -> Call:
        """Call a function with up to four integer or pointer arguments and count what it executes.

        Raises:
            EmulationFault: a touch outside the memories, an undefined instruction, a stack overflow, or no end
                within `timeout_s` or `max_instructions`.
        """
        if len(arguments) > 4:
            raise BadInput(f"emulate: {symbol} called with {len(arguments)} arguments; need at most 4 integers.")
        return self._call(self.firmware.symbol(symbol).address, [a & 0xFFFFFFFF for a in arguments], "edgesmith_halt")

    def write(self, where: str | int, data: bytes) -> None:
        """Put bytes into RAM, at a symbol or an address."""
        address = self._resolve(where, len(data), self._ram.origin, self._ram.size_bytes)
        self._ask({"do": "write", "address": address}, data)

    def read(self, where: str | int, count: int) -> bytes:
        """Take bytes out of RAM or flash, at a symbol or an address."""
        region = self._ram if self._in_ram(where) else self._flash
        address = self._resolve(where, count, region.origin, region.size_bytes)
        return self._ask({"do": "read", "address": address, "count": count})[1]

    def _in_ram(self, where: str | int) -> bool:
        address = self.firmware.symbol(where).address if isinstance(where, str) else where
        return self._ram.origin <= address < self._ram.origin + self._ram.size_bytes

    def _resolve(self, where: str | int, count: int, origin: int, size: int) -> int:
        address = self.firmware.symbol(where).address if isinstance(where, str) else where
        if not (origin <= address and address + count <= origin + size):
            raise BadInput(
                f"emulate: {count} bytes at {address:#x} lie outside {origin:#x} .. {origin + size:#x}; "
                "need an address inside the memory."
            )
        return address

    def _code_range(self) -> tuple[int, int]:
        """First address and size; sections may be aligned, so that functions end beyond the sum of their sizes."""
        sizes = self.firmware.sections[".vectors"] + self.firmware.sections[".text"]
        ends = [s.address + s.size_bytes for s in self.firmware.symbols.values() if s.kind == "function"]
        return self._flash.origin, (max(sizes, max(ends) - self._flash.origin) + 15) & ~3

    def _setup(self, segments: list[tuple[int, int]]) -> dict[str, Any]:
        marker = self.firmware.symbols.get(MARKER)
        return {
            "isa": self.target.isa,
            "core": self.target.core,
            "flash": (self._flash.origin, self._flash.size_bytes),
            "ram": (self._ram.origin, self._ram.size_bytes),
            "segments": segments,
            "code": self._code,
            "layers": self.layers,
            "marker": marker.address if marker else None,
            "library": str(compile_library([COUNTER])),
        }

    def _list(self, segments: list[tuple[int, int]], image: bytes) -> Listing:
        base, size = self._code
        code, start = bytearray(size), 0
        for address, count in segments:
            if base <= address < base + size:
                part = image[start : start + min(count, base + size - address)]
                code[address - base : address - base + len(part)] = part
            start += count
        return disassemble(bytes(code), base, self.firmware, self._core)

    def _boot(self) -> None:
        """Run the reset handler until memory is ready."""
        self._call(self.firmware.symbol("Reset_Handler").address, [], "edgesmith_booted", paint=False)

    def _call(self, address: int, arguments: list[int], until: str, paint: bool = True) -> Call:
        top = self._ram.origin + self._ram.size_bytes
        lowest = self.firmware.symbol("_ebss").address if paint else top
        request = {
            "do": "call",
            "address": address,
            "arguments": arguments,
            "until": self.firmware.symbol(until).address,
            "stack_top": top,
            "stack_lowest": lowest,
            "timeout_s": self.timeout_s,
            "limit": 4 * self.max_instructions,
        }
        reply, payload = self._ask(request)
        if reply["error"] is not None:
            self._fail(reply["error"])
        if paint and reply["stack_bytes"] > top - lowest - GUARD_BYTES:
            raise EmulationFault(
                f"emulate: the stack used all {top - lowest} bytes above .bss; need more RAM or a smaller arena.",
                lowest, address, self._function(address),
            )  # fmt: skip
        return self._summarize(reply, np.frombuffer(payload, np.int64))

    def _summarize(self, reply: dict[str, Any], counts: np.ndarray) -> Call:
        executed, jumps = counts.reshape(2, self.layers + 1, -1)
        rows = [self._listing.count(executed[i], jumps[i]) for i in range(self.layers + 1)]
        total = {name: sum(row[name] for row in rows) for name in rows[0]}
        result = reply["result"] & 0xFFFFFFFF
        return Call(
            result=result - (1 << 32) if result >= 1 << 31 else result,
            instructions=int(cost.instructions(total)),
            classes=total,
            cycles=cost.cycles(self.target, total) if self.target.cycle_model.cycles else None,
            by_function=self._by_function(executed.sum(axis=0)),
            stack_bytes=reply["stack_bytes"],
            by_layer={i - 1: row for i, row in enumerate(rows)},
        )

    def _by_function(self, executed: np.ndarray) -> dict[str, int]:
        starts = np.where(self._listing.classes >= 0, executed, 0)
        functions = sorted((s.address, name) for name, s in self.firmware.symbols.items() if s.kind == "function")
        found = {}
        bounds = [address for address, _ in functions[1:]] + [self._code[0] + self._code[1]]
        for (address, name), end in zip(functions, bounds, strict=True):
            count = int(starts[(address - self._code[0]) // 2 : (end - self._code[0]) // 2].sum())
            if count:
                found[name] = count
        return found

    def _function(self, pc: int) -> str:
        """The function around an address, or "no function"."""
        around = [s for s in self.firmware.symbols.values() if s.kind == "function" and s.address <= pc]
        best = max(around, key=lambda s: s.address, default=None)
        return best.name if best and pc < best.address + max(best.size_bytes, 2) else "no function"

    def _fail(self, error: dict[str, Any]) -> None:
        pc, function = error["pc"], self._function(error["pc"])
        place = f"at pc {pc:#010x} in {function}"
        match error["kind"]:
            case "fault":
                text = (
                    f"{error['access']} {error['address']:#010x} ({error['size']} bytes) {place}; the board has flash "
                    f"{_span(self._flash)} and RAM {_span(self._ram)}. Check indices and the stack."
                )
            case "limit":
                text = f"more than {self.max_instructions:,} instructions {place}; need a program that ends."
            case "timeout":
                text = f"still running after {self.timeout_s:g} s {place}; need a program that ends. Raise timeout_s."
            case _ if not self._flash.origin <= pc < self._flash.origin + self._flash.size_bytes:
                text = f"jump to {pc:#010x}, which is no code; need an address in flash {_span(self._flash)}."
            case _:
                text = f"{error['text']} {place}; need instructions that a {self.target.core} has."
        raise EmulationFault(f"emulate: {text}", error.get("address"), pc, function)

    def _ask(self, message: dict[str, Any], payload: bytes = b"") -> tuple[dict[str, Any], bytes]:
        try:
            send(cast(BinaryIO, self._process.stdin), message, payload)
            return receive(cast(BinaryIO, self._process.stdout))
        except (EOFError, BrokenPipeError) as error:
            raise Unsupported(
                f"emulate: the worker process ended with code {self._process.wait()}; need it alive. "
                "Its last words are on stderr."
            ) from error


def _span(memory: Memory) -> str:
    return f"{memory.origin:#010x} .. {memory.origin + memory.size_bytes:#010x}"


def check(target: Target, memories: tuple[Memory, ...]) -> Core:
    """How the target's programs are read.

    Raises:
        Unsupported: the core, or a memory that is not whole pages.
        Missing: unicorn is not installed.
    """
    core = CORES.get(target.isa)
    if core is None or target.core not in core.cores:
        known = ", ".join(name for one in CORES.values() for name in one.cores)
        raise Unsupported(
            f"emulate: {target.name} has a {target.core} core; need one of {known}. Compile for it, but run elsewhere."
        )
    for memory in memories:
        if memory.origin % PAGE_BYTES or memory.size_bytes % PAGE_BYTES:
            raise Unsupported(
                f"emulate: {target.name}: {memory.name} is {memory.size_bytes} bytes at {memory.origin:#x}; need "
                f"multiples of {PAGE_BYTES}, the emulator's page. Round the region down in a TOML of your own."
            )
    if importlib.util.find_spec("unicorn") is None:
        raise Missing(
            'emulate: unicorn is not installed; need it for emulated boards. pip install "edgesmith[firmware]"'
        )
    return core
