"""The instruction sets that are emulated: their cores, and how their programs are read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgesmith.core.target import Isa
from edgesmith.emulate import aarch64, riscv32, thumb


@dataclass(frozen=True)
class Core:
    """What the emulator must know of an instruction set.

    Attributes:
        cores: names of the cores that are emulated.
        classes: one per executed instruction; "branch" and "branch_taken" are among them.
        classify: mnemonic to class.
        engine: (capstone) to its disassembler.
        registers: (mnemonic, operands) to how many registers a multiple load or store moves.
    """

    cores: tuple[str, ...]
    classes: tuple[str, ...]
    classify: Callable[[str, str], str]
    engine: Callable[[Any], Any]
    registers: Callable[[str, str], int]


CORES: dict[Isa, Core] = {
    "thumb": Core(thumb.CORES, thumb.CLASSES, thumb.classify, thumb.engine, thumb.registers),
    "aarch64": Core(aarch64.CORES, aarch64.CLASSES, aarch64.classify, aarch64.engine, aarch64.registers),
    "riscv32": Core(riscv32.CORES, riscv32.CLASSES, riscv32.classify, riscv32.engine, riscv32.registers),
}
