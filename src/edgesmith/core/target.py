"""A board or a machine: what its core, memories and power draw are, each figure with its source."""

from dataclasses import dataclass, field
from typing import Literal

Isa = Literal["thumb", "riscv32", "aarch64", "x86-64", "wasm"]


@dataclass(frozen=True)
class Memory:
    """One memory region as the program sees it.

    Attributes:
        origin: first address (0 on hosted targets).
        size_bytes: capacity available to the program.
        wait_states: extra cycles of an access at `Target.clock_hz`; 0 for none.
    """

    name: Literal["flash", "ram"]
    origin: int
    size_bytes: int
    wait_states: int = 0


@dataclass(frozen=True)
class CycleModel:
    """Cycles from executed instructions, per class.

    Attributes:
        cycles: instruction class ("alu", "mul", "load", "store", "branch_taken", ...) to cycles each.
        dual_issue: fraction of issue slots filled on a two-way core: cycles are divided by 1 + dual_issue; 0 if single.
        fetch_stall: extra cycles per executed instruction from flash wait states behind the prefetcher.
        error: relative error against published board figures, e.g. 0.12; None when none was found.
        checked_against: the published figures and where they stand.
        per_mac: op kind ("conv2d_s8", ...) to cycles per multiply-accumulate with our kernels, for predictions before
            anything is compiled; "s8" and "f32" serve every kind that is not listed.
    """

    cycles: dict[str, float]
    dual_issue: float = 0.0
    fetch_stall: float = 0.0
    error: float | None = None
    checked_against: str = ""
    per_mac: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Power:
    """Draw while inferring: energy = active_mw * latency.

    Attributes:
        active_mw: at `Target.clock_hz`, in milliwatts.
        error: relative error of the energy against published figures; None when none was found.
        checked_against: the published figures and where they stand.
    """

    active_mw: float
    error: float | None = None
    checked_against: str = ""


@dataclass(frozen=True)
class Step:
    """One step of a board's setup: `wait` until the masked register has `value`, or set its masked bits to it."""

    wait: bool
    address: int
    mask: int
    value: int


@dataclass(frozen=True)
class Serial:
    """The UART over which a computer drives a board.

    Attributes:
        driver: "stm32_v1", "stm32_v2", "stm32_lpuart", "pl011" or "nrf_uarte".
        base: address of its registers; `clock_hz` is what its baud rate is divided from.
        tx, rx: the board's pins, e.g. "PA9": to the adapter's RX and TX.
        setup: clocks at `Target.clock_hz` and pins, in order.
        boot: "rp2040" where the flash starts with that chip's second boot stage.
    """

    driver: str
    base: int
    clock_hz: int
    baud: int
    tx: str
    rx: str
    setup: tuple[Step, ...] = ()
    boot: str = ""


@dataclass(frozen=True)
class Target:
    """Everything edgesmith knows of one board or machine.

    Attributes:
        name: file name without ".toml", such as "stm32f103".
        core: such as "cortex-m3".
        isa: which instruction set the toolchain compiles for.
        kernels: kernel folders to look in, best first; "reference" is always last.
        has_fpu: single-precision float in hardware.
        compiler_flags: passed to the C compiler, e.g. ("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m3").
        hosted: an operating system runs there (no linker script, no fixed memory map).
        serial: the UART of the real board; None where it cannot be driven.
        chips: flashing tool ("openocd", "probe-rs", ...) to what it calls this chip.
        sources: dotted field name to where its figure comes from.
        toml: the file's text when it is the user's own: it goes along with what is compiled for it.
    """

    name: str
    title: str
    core: str
    isa: Isa
    clock_hz: int
    memories: tuple[Memory, ...]
    has_fpu: bool
    compiler_flags: tuple[str, ...]
    cycle_model: CycleModel
    power: Power
    kernels: tuple[str, ...] = ("reference",)
    simd: tuple[str, ...] = ()
    hosted: bool = False
    emulated: bool = False
    serial: Serial | None = None
    chips: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    toml: str = field(default="", repr=False, compare=False)

    def memory(self, name: Literal["flash", "ram"]) -> Memory:
        """The region called `name`."""
        return next(memory for memory in self.memories if memory.name == name)

    @property
    def pointer_bytes(self) -> int:
        """Size of an address in a program for it."""
        return 8 if self.isa in ("aarch64", "x86-64") else 4

    @property
    def flash_bytes(self) -> int:
        """Flash capacity in bytes."""
        return self.memory("flash").size_bytes

    @property
    def ram_bytes(self) -> int:
        """RAM capacity in bytes."""
        return self.memory("ram").size_bytes
