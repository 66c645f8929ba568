"""Which instruction lies at each address of a program, and which class of cost it belongs to."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgesmith.core.errors import Missing
from edgesmith.emulate.cores import Core
from edgesmith.toolchain.firmware import Firmware

# What costs cycles besides: registers of multiple loads and stores, and jumps of instructions that are no branch.
EXTRAS = ("registers_moved", "jump_other")


@dataclass(frozen=True)
class Listing:
    """The instructions of a program, by halfword from `base`.

    Attributes:
        core: whose classes they are.
        classes: (halves,) index into the core's classes at each instruction's first halfword, -1 elsewhere.
        sizes: (halves,) halfwords of the instruction that starts there, 0 elsewhere.
        moved: (halves,) registers a multiple load or store moves, 0 elsewhere.
    """

    core: Core
    base: int
    classes: np.ndarray
    sizes: np.ndarray
    moved: np.ndarray

    def count(self, executed: np.ndarray, jumps: np.ndarray) -> dict[str, int]:
        """Executions by class.

        Args:
            executed: (halves,) how often the halfword ran.
            jumps: (halves,) how often the instruction ending there was followed by one that is not its neighbour.
        """
        heads = np.flatnonzero(self.classes >= 0)
        counts = np.bincount(self.classes[heads], executed[heads], minlength=len(self.core.classes))
        found = dict(zip(self.core.classes, (int(count) for count in counts), strict=True))
        jumped = jumps[heads + self.sizes[heads] - 1]
        branches = self.classes[heads] == self.core.classes.index("branch")
        found["branch_taken"] = int(jumped[branches].sum())
        found["branch"] -= found["branch_taken"]
        found["registers_moved"] = int((self.moved * executed).sum())
        found["jump_other"] = int(jumped[~branches].sum())
        return found


def disassemble(code: bytes, base: int, firmware: Firmware, core: Core) -> Listing:
    """Classify every instruction of `code`, which starts at address `base`.

    Functions are read one by one, so that constants between them do not shift the reading.

    Raises:
        Missing: capstone is not installed.
    """
    try:
        import capstone
    except ImportError as error:
        raise Missing(
            'emulate: capstone is not installed; need it to tell instructions apart. pip install "edgesmith[firmware]"'
        ) from error
    engine = core.engine(capstone)
    engine.skipdata = True
    halves = len(code) // 2
    empty = np.full(halves, -1, np.int8), np.zeros(halves, np.int8), np.zeros(halves, np.int16)
    listing = Listing(core, base, *empty)
    for start, stop in _functions(firmware, base, base + len(code)):
        _read(listing, engine.disasm_lite(code[start - base : stop - base], start))
    return listing


def _read(listing: Listing, instructions: Iterator[tuple[int, int, str, str]]) -> None:
    """Enter one function's instructions into the listing."""
    before, core = "", listing.core
    for address, size, mnemonic, operands in instructions:
        index = (address - listing.base) // 2
        kind = core.classify(mnemonic, operands)
        follows = kind in ("load", "float_load") and before in ("load", "store", "float_load", "float_store")
        after = f"{kind}_next" if follows and f"{kind}_next" in core.classes else kind
        listing.classes[index] = core.classes.index(after)
        listing.sizes[index] = max(1, size // 2)
        if kind.endswith("multiple"):
            listing.moved[index] = core.registers(mnemonic, operands)
        before = kind


def _functions(firmware: Firmware, first: int, end: int) -> list[tuple[int, int]]:
    """Spans of code: function by function, since an ELF of functions may hold constants between them."""
    starts = {s.address for s in firmware.symbols.values() if s.kind == "function" and first <= s.address < end}
    ordered = sorted({first, *starts, end})
    return list(zip(ordered[:-1], ordered[1:], strict=True))
