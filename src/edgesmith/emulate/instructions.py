"""Which instruction lies at each address of a program, and which class of cost it belongs to."""

from dataclasses import dataclass

import numpy as np

from edgesmith.core.errors import Missing
from edgesmith.toolchain.firmware import Firmware

LOADS = ("ldr", "ldrb", "ldrh", "ldrsb", "ldrsh", "ldrt", "ldrbt", "ldrex")
STORES = ("str", "strb", "strh", "strt", "strbt", "strex")
MULTIPLY_LONG = ("umull", "smull", "umlal", "smlal", "umaal", "smlald", "smlaldx", "smlsld", "smlalbb", "smlaltt")
CLASSES = (
    "alu", "mul", "mul_long", "dsp", "div", "load", "store", "load_multiple", "store_multiple", "branch",
    "branch_taken", "float", "float_mac", "float_div", "float_load", "float_store", "other", "registers_moved",
)  # fmt: skip


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


def classify(mnemonic: str) -> str:
    """The cost class of an ARM mnemonic; a conditional branch counts as "branch", taken ones are told apart later.

    >>> classify("ldrb.w"), classify("smlad"), classify("bne"), classify("vfma.f32")
    ('load', 'dsp', 'branch', 'float_mac')
    """
    name = mnemonic.split(".")[0]
    if name.startswith("v"):
        return _float_class(name)
    if name in ("push", "pop") or name.startswith(("ldm", "stm", "ldrd", "strd")):
        return "load_multiple" if name == "pop" or name.startswith("ld") else "store_multiple"
    if name.startswith(LOADS[0]):
        return "load"
    if name.startswith(STORES[0]):
        return "store"
    if name.startswith(("sdiv", "udiv")):
        return "div"
    if name.startswith(("umull", "smull", "umlal", "smlal", "umaal", "smlsld")):
        return "mul_long"
    if name.startswith(("mul", "mla", "mls", "smul", "smla", "smmul", "smmla", "smmls", "smuad", "smusd", "smlsd")):
        return "mul" if name.startswith(("mul", "mla", "mls")) else "dsp"
    if _is_branch(name):
        return "branch"
    if name in ("mrs", "msr", "dsb", "dmb", "isb", "svc", "bkpt", "wfi", "wfe", "udf"):
        return "other"
    return "alu"


def _is_branch(name: str) -> bool:
    conditions = ("eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "al", "cs", "cc")
    return name in ("b", "bl", "bx", "blx", "cbz", "cbnz", "tbb", "tbh", *(f"b{c}" for c in conditions))


def _float_class(name: str) -> str:
    if name.startswith(("vldm", "vpop")):
        return "load_multiple"
    if name.startswith(("vstm", "vpush")):
        return "store_multiple"
    if name.startswith("vldr"):
        return "float_load"
    if name.startswith("vstr"):
        return "float_store"
    if name.startswith(("vdiv", "vsqrt")):
        return "float_div"
    if name.startswith(("vmla", "vmls", "vfma", "vfms", "vnmla", "vnmls", "vfnma", "vfnms")):
        return "float_mac"
    return "float"


def disassemble(code: bytes, base: int, firmware: Firmware) -> Listing:
    """Classify every instruction of `code`, which starts at address `base`.

    Constants between functions are skipped by going from symbol to symbol; counts at halfwords that hold no known
    instruction are refused later rather than guessed.

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
    classes, sizes, moved = np.full(halves, -1, np.int8), np.zeros(halves, np.int8), np.zeros(halves, np.int16)
    for start, stop in _runs(firmware, base, base + len(code)):
        for address, size, mnemonic, operands in engine.disasm_lite(code[start - base : stop - base], start):
            index = (address - base) // 2
            sizes[index] = max(1, size // 2)
            kind = classify(mnemonic)
            classes[index] = CLASSES.index(kind)
            moved[index] = _registers(mnemonic, operands) if kind.endswith("multiple") else 0
    return Listing(base, classes, sizes, moved)


def _runs(firmware: Firmware, first: int, end: int) -> list[tuple[int, int]]:
    """Spans of code: function by function, since an ELF of functions may hold constants between them."""
    starts = {s.address for s in firmware.symbols.values() if s.kind == "function" and first <= s.address < end}
    ordered = sorted({first, *starts, end})
    return list(zip(ordered[:-1], ordered[1:], strict=True))


def _registers(mnemonic: str, operands: str) -> int:
    """How many registers a multiple load or store names; capstone prints them all, singly or as a range."""
    if mnemonic.startswith(("ldrd", "strd")):
        return 2
    inside = operands[operands.find("{") + 1 : operands.find("}")]
    count = 0
    for part in inside.split(","):
        first, _, last = part.strip().partition("-")
        count += int(last[1:]) - int(first[1:]) + 1 if last else 1
    return count
