"""The process that holds Unicorn. Started as `python -m edgesmith.emulate.worker`; nothing else imports Unicorn.

Unicorn's library is GPL-2, so it lives in a process of its own that speaks the small protocol of `wire`.
"""

import ctypes
import sys
from typing import Any

import numpy as np
import unicorn
from unicorn.unicorn_py3.unicorn import uclib

from edgesmith.emulate.machines import MACHINES
from edgesmith.emulate.wire import receive, send

ACCESS = {
    unicorn.UC_MEM_READ_UNMAPPED: "read of",
    unicorn.UC_MEM_WRITE_UNMAPPED: "write to",
    unicorn.UC_MEM_FETCH_UNMAPPED: "jump to",
    unicorn.UC_MEM_WRITE_PROT: "write to read-only",
    unicorn.UC_MEM_READ_PROT: "read of protected",
    unicorn.UC_MEM_FETCH_PROT: "jump to data at",
}
PAINT = 0xA5


class Counter(ctypes.Structure):
    """The struct edgesmith_counter of counter.c."""

    _fields_ = (
        ("base", ctypes.c_uint64),
        ("halves", ctypes.c_uint64),
        ("regions", ctypes.c_uint64),
        ("current", ctypes.c_uint64),
        ("previous", ctypes.c_uint64),
        ("bytes", ctypes.c_uint64),
        ("limit", ctypes.c_uint64),
        ("edges", ctypes.c_void_p),
        ("jumps", ctypes.c_void_p),
        ("stop", ctypes.c_void_p),
    )


class Machine:
    """One emulated board: its memories, a program, and the counters."""

    def __init__(self, setup: dict[str, Any], image: bytes) -> None:
        self.kind = MACHINES[setup["isa"]]
        self.uc = unicorn.Uc(self.kind.arch, self.kind.mode)
        self.uc.ctl_set_cpu_model(self.kind.models[setup["core"]])
        self.setup = setup
        self.fault: tuple[int, int, int] | None = None
        self._map()
        self._load(image)
        self._count(setup["library"])

    def _map(self) -> None:
        read_execute = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
        read_write = unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE
        (flash, flash_bytes), (ram, ram_bytes) = self.setup["flash"], self.setup["ram"]
        self.uc.mem_map(flash, flash_bytes, read_execute)
        self.uc.mem_map(ram, ram_bytes, read_write)
        for page in self.kind.system:
            self.uc.mem_map(page, 0x1000, read_write)
        self.uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._refuse)

    def _load(self, image: bytes) -> None:
        start = 0
        for address, count in self.setup["segments"]:
            self.uc.mem_write(address, image[start : start + count])
            start += count

    def _count(self, path: str) -> None:
        """Hook the counting functions of the compiled library by address."""
        library = ctypes.CDLL(path)
        base, size = self.setup["code"]
        regions = self.setup["layers"] + 1
        shape = (regions, size // 2 + 1)
        self.edges, self.jumps = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self.counter = Counter(base, size // 2, regions)
        self.counter.edges, self.counter.jumps = self.edges.ctypes.data, self.jumps.ctypes.data
        self.counter.stop = ctypes.cast(uclib.uc_emu_stop, ctypes.c_void_p).value
        self.library = library
        self._hook(unicorn.UC_HOOK_BLOCK, library.edgesmith_count_block, base, base + size - 1)
        if self.setup["marker"] is not None:
            marker = self.setup["marker"]
            self._hook(unicorn.UC_HOOK_MEM_WRITE, library.edgesmith_mark, marker, marker)

    def _hook(self, kind: int, function: Any, begin: int, end: int) -> None:
        handle = ctypes.c_size_t()
        add = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p,
            ctypes.c_uint64, ctypes.c_uint64,
        )(ctypes.cast(uclib.uc_hook_add, ctypes.c_void_p).value or 0)  # fmt: skip
        pointer = ctypes.cast(function, ctypes.c_void_p)
        error = add(self.uc._uch, ctypes.byref(handle), kind, pointer, ctypes.byref(self.counter), begin, end)
        if error:
            raise unicorn.UcError(error)

    def _refuse(self, uc: Any, access: int, address: int, size: int, value: int, data: Any) -> bool:
        self.fault = (access, address, size)
        return False

    def call(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Run one function from its first instruction until it returns."""
        top, lowest = request["stack_top"], request["stack_lowest"]
        self.uc.mem_write(lowest, bytes([PAINT]) * (top - lowest))
        self.uc.reg_write(self.kind.stack, top)
        self.uc.reg_write(self.kind.back, request["until"] | self.kind.entry)
        for register, value in zip(self.kind.arguments, request["arguments"], strict=False):
            self.uc.reg_write(register, value)
        self._reset_counts(request["limit"])
        error = self._run(request)
        self._count_return()
        reply = {"error": error, "result": self.uc.reg_read(self.kind.arguments[0])}
        reply["stack_bytes"] = self._touched(lowest, top)
        executed = np.cumsum(self.edges[:, :-1], axis=1)
        return reply, executed.tobytes() + self.jumps[:, :-1].tobytes()

    def _reset_counts(self, limit: int) -> None:
        self.edges[:], self.jumps[:] = 0, 0
        self.counter.current = self.counter.previous = self.counter.bytes = 0
        self.counter.limit = limit

    def _count_return(self) -> None:
        """The last block jumps back to the caller, which no further block reports."""
        last = (self.counter.previous - self.counter.base) // 2 - 1
        if 0 <= last < self.counter.halves:
            self.jumps[self.counter.current, last] += 1

    def _run(self, request: dict[str, Any]) -> dict[str, Any] | None:
        self.fault = None
        try:
            self.uc.emu_start(
                request["address"] | self.kind.entry, request["until"], timeout=int(request["timeout_s"] * 1e6)
            )
        except unicorn.UcError as error:
            return self._describe(str(error))
        pc = self.uc.reg_read(self.kind.counter)
        if pc != request["until"]:
            kind = "limit" if self.counter.bytes > self.counter.limit else "timeout"
            return {"kind": kind, "pc": pc}
        return None

    def _describe(self, text: str) -> dict[str, Any]:
        pc = self.uc.reg_read(self.kind.counter)
        if self.fault is None:
            return {"kind": "invalid", "pc": pc, "text": text}
        access, address, size = self.fault
        return {"kind": "fault", "pc": pc, "access": ACCESS.get(access, "access to"), "address": address, "size": size}

    def _touched(self, lowest: int, top: int) -> int:
        """Bytes of stack used: from the top down to the lowest byte that lost its paint."""
        stack = np.frombuffer(bytes(self.uc.mem_read(lowest, top - lowest)), np.uint8)
        touched = np.flatnonzero(stack != PAINT)
        return int(top - lowest - touched[0]) if touched.size else 0


def serve() -> None:
    """Answer requests until the main process closes the pipe."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    setup, image = receive(source)
    machine = Machine(setup, image)
    send(sink, {"ready": True})
    while True:
        try:
            request, payload = receive(source)
        except EOFError:
            return
        send(sink, *_answer(machine, request, payload))


def _answer(machine: Machine, request: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
    match request["do"]:
        case "call":
            return machine.call(request)
        case "write":
            machine.uc.mem_write(request["address"], payload)
            return {}, b""
        case _:
            return {}, bytes(machine.uc.mem_read(request["address"], request["count"]))


if __name__ == "__main__":
    serve()
