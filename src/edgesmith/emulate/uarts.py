"""The peripherals of emulated boards, as far as the serial harness touches them: UARTs, and clocks that get ready.

Written from the reference manuals (the same that the drivers in toolchain/support/serial name), not from the drivers:
a byte only passes when the UART is switched on and its divisor gives the line's baud rate within 2%.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

BAUD_TOLERANCE = 0.02  # 8N1 bears about 2% on each side
NORDIC_BAUD = {0x01D60000: 115_200, 0x01D7E000: 115_200, 0x10000000: 1_000_000}  # BAUDRATE of the specification


@dataclass
class Line:
    """Both directions of a UART's wire.

    Attributes:
        arrived: whether a byte is there; may wait a little.
        take, send: one byte.
    """

    arrived: Callable[[], bool]
    take: Callable[[], int]
    send: Callable[[int], None]


@dataclass
class Uart:
    """A UART's registers; subclasses say what each does.

    `read(offset)` is a load and `write(offset, value)` a store of the core: offset in bytes from the UART's base, value
    the register's 32 bits. A read of the data register takes a byte off the line, a write to it sends one, if the UART
    works; any other register keeps what was written, but for status, which is made up when it is read.

    Attributes:
        registers: what was written, by offset.
    """

    line: Line
    clock_hz: int
    baud: int
    registers: dict[int, int] = field(default_factory=dict)

    def get(self, offset: int) -> int:
        """The value last written."""
        return self.registers.get(offset, 0)

    def read(self, offset: int) -> int:
        """What the core reads."""
        return self.get(offset)

    def write(self, offset: int, value: int) -> None:
        """What the core writes."""
        self.registers[offset] = value

    def works(self, enabled: bool, baud: float) -> bool:
        """Whether bytes pass: switched on, at the line's rate."""
        return enabled and abs(baud / self.baud - 1) <= BAUD_TOLERANCE


class Stm32V1(Uart):
    """USART of STM32F1: RM0008 section 27.6.

    read: status (0x00) and data (0x04) as the line is; write: data (0x04) sends. Both are the same register.
    """

    def _on(self) -> bool:
        control, divisor = self.get(0x0C), self.get(0x08)
        return self.works(control & 0x200C == 0x200C and divisor >= 16, self.clock_hz / max(divisor, 1))

    def read(self, offset: int) -> int:
        if offset == 0x00:
            return 0xC0 | (0x20 if self._on() and self.line.arrived() else 0)
        if offset == 0x04:
            return self.line.take() if self._on() and self.line.arrived() else 0
        return self.get(offset)

    def write(self, offset: int, value: int) -> None:
        if offset == 0x04:
            if self._on():
                self.line.send(value & 0xFF)
            return
        super().write(offset, value)


class Stm32V2(Uart):
    """USART of STM32F7, L4, H7: RM0385 section 31.8.

    read: status (0x1C) and received data (0x24) as the line is; write: data to transmit (0x28) sends.
    """

    scale = 1

    def _on(self) -> bool:
        control, divisor = self.get(0x00), self.get(0x0C)
        return self.works(control & 0xD == 0xD and divisor >= 16, self.scale * self.clock_hz / max(divisor, 1))

    def read(self, offset: int) -> int:
        if offset == 0x1C:
            return 0xC0 | (0x20 if self._on() and self.line.arrived() else 0)
        if offset == 0x24:
            return self.line.take() if self._on() and self.line.arrived() else 0
        return self.get(offset)

    def write(self, offset: int, value: int) -> None:
        if offset == 0x28:
            if self._on():
                self.line.send(value & 0xFF)
            return
        super().write(offset, value)


class Stm32Lpuart(Stm32V2):
    """LPUART: the same registers, 256 times the clock over the divisor (RM0432 section 50.4.4)."""

    scale = 256


class Pl011(Uart):
    """Arm PL011: DDI 0183 chapter 3.

    read: flags (0x18) and data (0x00) as the line is; write: data (0x00) sends.
    """

    def _on(self) -> bool:
        divisor = (self.get(0x24) << 6) + self.get(0x28)
        enabled = self.get(0x30) & 0x301 == 0x301 and (self.get(0x2C) >> 5) & 3 == 3
        return self.works(enabled and divisor > 0, 4 * self.clock_hz / max(divisor, 1))

    def read(self, offset: int) -> int:
        if offset == 0x18:
            return 0x80 if self._on() and self.line.arrived() else 0x90  # RXFE while nothing is there
        if offset == 0x00:
            return self.line.take() if self._on() and self.line.arrived() else 0
        return self.get(offset)

    def write(self, offset: int, value: int) -> None:
        if offset == 0x00:
            if self._on():
                self.line.send(value & 0xFF)
            return
        super().write(offset, value)


@dataclass
class Uarte(Uart):
    """UARTE of nRF53: bytes go through memory; one at a time is what is modelled.

    read: ENDRX (0x110) first puts a byte that arrived where RXD.PTR (0x534) points; write: STARTRX (0x000) waits for
    one, STARTTX (0x008) sends TXD.MAXCNT (0x548) bytes from TXD.PTR (0x544) and sets ENDTX (0x120).

    Attributes:
        peek, poke: one byte of the board's RAM.
    """

    peek: Callable[[int], int] = lambda address: 0
    poke: Callable[[int, int], None] = lambda address, value: None
    receiving: bool = False

    def _on(self) -> bool:
        return self.works(self.get(0x500) == 8, NORDIC_BAUD.get(self.get(0x524), 0))

    def read(self, offset: int) -> int:
        if offset == 0x110 and not self.get(0x110) and self.receiving and self._on() and self.line.arrived():
            self.poke(self.get(0x534), self.line.take())
            self.registers[0x110] = 1
            self.receiving = bool(self.get(0x200) & 1 << 5)
        return self.get(offset)

    def write(self, offset: int, value: int) -> None:
        if offset == 0x000 and value & 1:
            self.receiving = self.get(0x538) > 0
        elif offset == 0x008 and value & 1:
            if self._on():
                for index in range(self.get(0x548)):
                    self.line.send(self.peek(self.get(0x544) + index))
            self.registers[0x120] = 1
        else:
            super().write(offset, value)


DRIVERS: dict[str, type[Uart]] = {
    "stm32_v1": Stm32V1,
    "stm32_v2": Stm32V2,
    "stm32_lpuart": Stm32Lpuart,
    "pl011": Pl011,
    "nrf_uarte": Uarte,
}
