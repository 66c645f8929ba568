"""Which instruction lies at each address of a program, and which class of cost it belongs to."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgesmith.core.errors import Missing
from edgesmith.toolchain.firmware import Firmware

# One class per executed instruction. "load_next" and "float_load_next" follow another load or store, which lets a
# Cortex-M pipeline their address phases. "mac" is MLA and MLS; "dsp" the other short multiplies (SMLAD, SMMUL, ...).
CLASSES = (
    "alu", "mul", "mac", "mul_long", "dsp", "div", "load", "load_next", "store", "load_multiple", "store_multiple",
    "branch", "branch_taken", "float", "float_mac", "float_div", "float_load", "float_load_next", "float_store",
    "other",
)  # fmt: skip
# What costs cycles besides: registers of multiple loads and stores, and jumps of instructions that are no branch.
EXTRAS = ("registers_moved", "jump_other")
CONDITIONS = ("eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "al", "cs", "cc")
BRANCHES = {"b", "bl", "bx", "blx", "cbz", "cbnz", "tbb", "tbh", *(f"{b}{c}" for b in ("b", "bx") for c in CONDITIONS)}
SYSTEM = {"mrs", "msr", "dsb", "dmb", "isb", "svc", "bkpt", "wfi", "wfe", "udf"}
# Prefix to class, the first that matches; "pop" and the like stand before the shorter prefixes they begin with.
INTEGER = (
    (("pop", "ldm", "ldrd"), "load_multiple"),
    (("push", "stm", "strd"), "store_multiple"),
    (("ldr",), "load"),
    (("str",), "store"),
    (("sdiv", "udiv"), "div"),
    (("umull", "smull", "umlal", "smlal", "umaal", "smlsld"), "mul_long"),
    (("mla", "mls"), "mac"),
    (("mul",), "mul"),
    (("smul", "smla", "smm", "smuad", "smusd", "smlsd"), "dsp"),
)
FLOAT = (
    (("vldm", "vpop"), "load_multiple"),
    (("vstm", "vpush"), "store_multiple"),
    (("vldr",), "float_load"),
    (("vstr",), "float_store"),
    (("vdiv", "vsqrt"), "float_div"),
    (("vmla", "vmls", "vfma", "vfms", "vnmla", "vnmls", "vfnma", "vfnms"), "float_mac"),
    (("v",), "float"),
)


@dataclass(frozen=True)
class Listing:
    """The instructions of a program, by halfword from `base`.

    Attributes:
        classes: (halves,) index into CLASSES at each instruction's first halfword, -1 elsewhere.
        sizes: (halves,) halfwords of the instruction that starts there, 0 elsewhere.
        moved: (halves,) registers a multiple load or store moves, 0 elsewhere.
    """

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
        counts = np.bincount(self.classes[heads], executed[heads], minlength=len(CLASSES))
        found = dict(zip(CLASSES, (int(count) for count in counts), strict=True))
        jumped = jumps[heads + self.sizes[heads] - 1]
        branches = self.classes[heads] == CLASSES.index("branch")
        found["branch_taken"] = int(jumped[branches].sum())
        found["branch"] -= found["branch_taken"]
        found["registers_moved"] = int((self.moved * executed).sum())
        found["jump_other"] = int(jumped[~branches].sum())
        return found


def classify(mnemonic: str) -> str:
    """The cost class of an ARM mnemonic; whether a branch was taken and a load follows another is found out later.

    >>> [classify(m) for m in ("ldrb.w", "smlad", "bne", "vfma.f32", "smull", "pop", "bic")]
    ['load', 'dsp', 'branch', 'float_mac', 'mul_long', 'load_multiple', 'alu']
    """
    name = mnemonic.split(".")[0]
    if name in BRANCHES:
        return "branch"
    if name in SYSTEM:
        return "other"
    table = FLOAT if name.startswith("v") else INTEGER
    return next((kind for prefixes, kind in table if name.startswith(prefixes)), "alu")


def disassemble(code: bytes, base: int, firmware: Firmware) -> Listing:
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
    engine = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS | capstone.CS_MODE_V8)
    engine.skipdata = True
    halves = len(code) // 2
    listing = Listing(base, np.full(halves, -1, np.int8), np.zeros(halves, np.int8), np.zeros(halves, np.int16))
    for start, stop in _functions(firmware, base, base + len(code)):
        _read(listing, engine.disasm_lite(code[start - base : stop - base], start))
    return listing


def _read(listing: Listing, instructions: Iterator[tuple[int, int, str, str]]) -> None:
    """Enter one function's instructions into the listing."""
    before = ""
    for address, size, mnemonic, operands in instructions:
        index = (address - listing.base) // 2
        kind = classify(mnemonic)
        if kind in ("load", "float_load") and before in ("load", "store", "float_load", "float_store"):
            listing.classes[index] = CLASSES.index(f"{kind}_next")
        else:
            listing.classes[index] = CLASSES.index(kind)
        listing.sizes[index] = max(1, size // 2)
        if kind.endswith("multiple"):
            listing.moved[index] = _registers(mnemonic, operands)
        before = kind


def _functions(firmware: Firmware, first: int, end: int) -> list[tuple[int, int]]:
    """Spans of code: function by function, since an ELF of functions may hold constants between them."""
    starts = {s.address for s in firmware.symbols.values() if s.kind == "function" and first <= s.address < end}
    ordered = sorted({first, *starts, end})
    return list(zip(ordered[:-1], ordered[1:], strict=True))


def _registers(mnemonic: str, operands: str) -> int:
    """How many registers a multiple load or store names; capstone prints them singly or as a range.

    >>> _registers("push", "{r4, r5, lr}"), _registers("vpush", "{d8-d10}"), _registers("ldrd", "r0, r1, [r2]")
    (3, 3, 2)
    """
    if mnemonic.startswith(("ldrd", "strd")):
        return 2
    inside = operands[operands.find("{") + 1 : operands.find("}")]
    count = 0
    for part in inside.split(","):
        first, _, last = part.strip().partition("-")
        count += int(last[1:]) - int(first[1:]) + 1 if last else 1
    return count
