"""The process behind `serial.SerialBoard`: a whole board from reset on, its UART on a pseudo-terminal.

Started as `python -m edgesmith.emulate.serial_worker`. Unicorn is only here and in `worker`.
"""

import contextlib
import os
import select
import sys
import tty
from typing import Any

import numpy as np
import unicorn
from unicorn import arm_const

from edgesmith.emulate.machines import SYSTEM_CONTROL
from edgesmith.emulate.uarts import DRIVERS, Line, Uart
from edgesmith.emulate.wire import receive, send
from edgesmith.emulate.worker import Machine

PAGE = 0x1000
DWT = 0xE0001000
CYCCNT = DWT + 4
SYSTICK_CONTROL, SYSTICK_VALUE = SYSTEM_CONTROL + 0x10, SYSTEM_CONTROL + 0x18
CPUID = SYSTEM_CONTROL + 0xD00
SYSTICK_RANGE = 1 << 24
BOOT_BYTES, BOOT_AT = 252, 0x20041F00  # what RP2040's boot ROM checks, and where it runs it (datasheet 2.8.1.3.1)
FLASH_INTERFACE = 0x18000000  # its SSI
IDLE_S = 0.005  # how long a look at an idle line waits
IDLE_LOOKS = 8  # without a byte sent in between, after which a line is idle


class Terminal:
    """The pseudo-terminal whose other end a program opens like a serial port."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()  # our copy of the slave keeps the line open between programs
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.name = os.ttyname(self.slave)
        self.gone = False
        self._in, self._out = bytearray(), bytearray()
        self._looks = 0  # since the last byte was sent

    def arrived(self) -> bool:
        """Whether a byte is there, after a short wait; `gone` once the main process is.

        A core that sends looks at the same register before every byte, so while it does nothing is waited for.
        """
        self._looks += 1
        if self._out and self._looks < IDLE_LOOKS:
            return bool(self._in)
        self._flush()
        if not self._in:
            ready, _, _ = select.select([self.master, sys.stdin.buffer], [], [], IDLE_S)
            self.gone |= sys.stdin.buffer in ready
            if self.master in ready:
                with contextlib.suppress(BlockingIOError):
                    self._in += os.read(self.master, 4096)
        return bool(self._in)

    def take(self) -> int:
        """The next byte."""
        return self._in.pop(0)

    def send(self, byte: int) -> None:
        """One byte; lost when nobody reads, as on a wire."""
        self._looks = 0
        self._out.append(byte)
        if len(self._out) >= 256:
            self._flush()

    def _flush(self) -> None:
        if self._out:
            with contextlib.suppress(BlockingIOError):
                os.write(self.master, self._out)
            self._out.clear()


class Peripherals:
    """The pages that the board's setup and UART touch: words that keep what is written, and the UART.

    A register that the setup waits for reads as what is waited for: clocks start at once.
    """

    def __init__(self, setup: dict[str, Any], uart: Uart) -> None:
        self.base, self.uart = setup["base"], uart
        self.words: dict[int, int] = {}
        self.ready: dict[int, tuple[int, int]] = {}
        for _, address, mask, value in (step for step in setup["steps"] if step[0]):
            masks, values = self.ready.get(address, (0, 0))
            self.ready[address] = (masks | mask, values & ~mask | value)
        touched = [self.base, *(address for _, address, _, _ in setup["steps"])]
        touched += [FLASH_INTERFACE] if setup["boot"] else []
        self.pages = sorted({address & -PAGE for address in touched})

    def read(self, address: int) -> int:
        """What the core reads."""
        if 0 <= address - self.base < PAGE:
            return self.uart.read(address - self.base)
        mask, value = self.ready.get(address, (0, 0))
        return self.words.get(address, 0) & ~mask | value

    def write(self, address: int, value: int) -> None:
        """What the core writes."""
        if 0 <= address - self.base < PAGE:
            self.uart.write(address - self.base, value)
        else:
            self.words[address] = value


class SerialMachine(Machine):
    """A board that runs by itself, from the reset handler on."""

    def __init__(self, setup: dict[str, Any], image: bytes, starts: bytes) -> None:
        super().__init__(setup, image)
        self.terminal = Terminal()
        line = Line(self._arrived, self.terminal.take, self.terminal.send)
        more: dict[str, Any] = {"peek": self._peek, "poke": self._poke} if setup["driver"] == "nrf_uarte" else {}
        uart = DRIVERS[setup["driver"]](line, setup["clock_hz"], setup["baud"], **more)
        self.peripherals = Peripherals(setup, uart)
        self.starts = np.frombuffer(starts, np.uint8).astype(bool)
        self.zero = {CYCCNT: 0, SYSTICK_VALUE: 0}
        self.ticking = self.counting = False
        self.wraps = 0  # how often SysTick has run out
        self._map_peripherals()

    def executed(self) -> int:
        """Instructions since the start, the running block included."""
        runs = np.cumsum(self.edges[:, :-1].sum(axis=0))
        return int(runs[: len(self.starts)][self.starts[: len(runs)]].sum())

    def _map_peripherals(self) -> None:
        for page in self.peripherals.pages:
            self.uc.mmio_map(
                page, PAGE,
                lambda uc, offset, size, base: self.peripherals.read(base + offset), page,
                lambda uc, offset, size, value, base: self.peripherals.write(base + offset, value), page,
            )  # fmt: skip
        self.uc.mmio_map(
            DWT, PAGE,
            lambda uc, offset, size, data: self._cycles() if offset == CYCCNT - DWT else 0, None,
            lambda uc, offset, size, value, data: self._set_cycles(offset, value), None,
        )  # fmt: skip
        self.uc.mem_write(CPUID, self.setup["identity"].to_bytes(4, "little"))
        span = {"begin": SYSTICK_CONTROL, "end": SYSTICK_CONTROL + 15}
        self.uc.hook_add(unicorn.UC_HOOK_MEM_READ, self._read_systick, **span)
        self.uc.hook_add(unicorn.UC_HOOK_MEM_WRITE, self._write_systick, **span)

    def _arrived(self) -> bool:
        found = self.terminal.arrived()
        if self.terminal.gone:
            self.uc.emu_stop()
        return found

    def _peek(self, address: int) -> int:
        return int(self.uc.mem_read(address, 1)[0])

    def _poke(self, address: int, value: int) -> None:
        self.uc.mem_write(address, bytes([value]))

    def _cycles(self) -> int:
        return (self.executed() - self.zero[CYCCNT]) & 0xFFFFFFFF if self.counting else 0

    def _set_cycles(self, offset: int, value: int) -> None:
        if offset == 0:
            self.counting = bool(value & 1)
        elif offset == CYCCNT - DWT:
            self.zero[CYCCNT] = self.executed() - value

    def _elapsed(self) -> int:
        return self.executed() - self.zero[SYSTICK_VALUE]

    def _read_systick(self, uc: Any, access: int, address: int, size: int, value: int, data: Any) -> None:
        if address == SYSTICK_VALUE:
            # exceptions are taken a few instructions early or late: meanwhile the value stands still
            into = min(max(self._elapsed() - self.wraps * SYSTICK_RANGE, 0), SYSTICK_RANGE)
            self.uc.mem_write(address, (SYSTICK_RANGE - into & SYSTICK_RANGE - 1).to_bytes(4, "little"))

    def _write_systick(self, uc: Any, access: int, address: int, size: int, value: int, data: Any) -> None:
        if address == SYSTICK_VALUE:
            self.zero[SYSTICK_VALUE], self.wraps = self.executed(), 0
        elif address == SYSTICK_CONTROL:
            self.ticking = value & 3 == 3
            self.counter.limit = self.counter.bytes  # stop at the next block, so that the exception is waited for

    def serve(self) -> None:
        """Run until the main process is gone or the program faults."""
        self.uc.reg_write(arm_const.UC_ARM_REG_SP, self.setup["stack_top"])
        self._reset_counts(1 << 62)
        at = self._second_stage() if self.setup["boot"] else self.setup["start"]
        while not self.terminal.gone:
            left = self._until_wrap()  # of at least two bytes each
            self.counter.limit = self.counter.bytes + 2 * left if self.ticking else 1 << 62
            self.uc.emu_start(at | 1, self.setup["until"])
            at = self.uc.reg_read(arm_const.UC_ARM_REG_PC)
            if at == self.setup["until"]:
                return
            due = self.ticking and self._until_wrap() <= 0  # within the block that starts here
            self._uncount(at)
            if due:
                self._take_exception()
                self.wraps += 1

    def _second_stage(self) -> int:
        """What RP2040's boot ROM does: the flash's first bytes are checked, copied to RAM and run from there.

        A wrong checksum ends the emulated board; the ROM would wait on USB.
        """
        origin, (ram, ram_bytes) = self.setup["flash"][0], self.setup["ram"]
        code = bytes(self.uc.mem_read(origin, BOOT_BYTES + 4))
        if boot_checksum(code[:BOOT_BYTES]) != int.from_bytes(code[BOOT_BYTES:], "little"):
            return int(self.setup["until"])
        self.uc.mem_protect(ram, ram_bytes, unicorn.UC_PROT_ALL)
        self.uc.mem_write(BOOT_AT, code[:BOOT_BYTES])
        return BOOT_AT

    def _uncount(self, at: int) -> None:
        """Take back the block that starts at `at`: it was counted when the stop came, and will be once more."""
        base, end = self.counter.base, self.counter.previous
        if base <= at < end:
            self.edges[0, (at - base) // 2] -= 1
            self.edges[0, (end - base) // 2] += 1
            self.counter.bytes -= end - at
            self.counter.previous = at

    def _until_wrap(self) -> int:
        """Instructions until SysTick runs out the next time."""
        return (self.wraps + 1) * SYSTICK_RANGE - self._elapsed()

    def _take_exception(self) -> None:
        """Run SysTick's handler between two blocks, as the core does between two instructions; registers stay."""
        kept = self.uc.context_save()
        self.counter.limit = 1 << 62
        self.uc.reg_write(arm_const.UC_ARM_REG_LR, self.setup["until"] | 1)
        self.uc.emu_start(self.setup["systick"] | 1, self.setup["until"])
        self.uc.context_restore(kept)


def boot_checksum(data: bytes) -> int:
    """CRC-32 of RP2040's boot ROM: polynomial 0x04C11DB7, from all ones, neither reflected nor inverted."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc >> 31 else 0)) & 0xFFFFFFFF
    return crc


def main() -> None:
    """Build the board, say the terminal's name, run."""
    setup, payload = receive(sys.stdin.buffer)
    image_bytes = sum(count for _, count in setup["segments"])
    machine = SerialMachine(setup, payload[:image_bytes], payload[image_bytes:])
    send(sys.stdout.buffer, {"port": machine.terminal.name})
    try:
        machine.serve()
    except unicorn.UcError as error:
        send(sys.stdout.buffer, {"error": machine._describe(str(error))})


if __name__ == "__main__":
    main()
