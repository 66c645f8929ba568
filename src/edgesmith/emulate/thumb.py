"""Thumb instructions of the Cortex-M cores: which class of cost each belongs to."""

from typing import Any

CORES = ("cortex-m0", "cortex-m0+", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33")
# One class per executed instruction. "load_next" and "float_load_next" follow another load or store, which lets a
# Cortex-M pipeline their address phases. "mac" is MLA and MLS; "dsp" the other short multiplies (SMLAD, SMMUL, ...).
CLASSES = (
    "alu", "mul", "mac", "mul_long", "dsp", "div", "load", "load_next", "store", "load_multiple", "store_multiple",
    "branch", "branch_taken", "float", "float_mac", "float_div", "float_load", "float_load_next", "float_store",
    "other",
)  # fmt: skip
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


def engine(capstone: Any) -> Any:
    """The disassembler."""
    mode = capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS | capstone.CS_MODE_V8
    return capstone.Cs(capstone.CS_ARCH_ARM, mode)


def classify(mnemonic: str, operands: str = "") -> str:
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


def registers(mnemonic: str, operands: str) -> int:
    """How many registers a multiple load or store names; capstone prints them singly or as a range.

    >>> registers("push", "{r4, r5, lr}"), registers("vpush", "{d8-d10}"), registers("ldrd", "r0, r1, [r2]")
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
