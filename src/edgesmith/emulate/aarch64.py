"""AArch64 instructions: which class each belongs to. Vector instructions are told apart by their operands."""

from typing import Any

CORES = ("cortex-a72", "cortex-a76")
# "vector" works on whole registers, "vector_mul" multiplies there, "vector_dot" is SDOT and UDOT.
CLASSES = (
    "alu", "mul", "div", "load", "store", "load_pair", "store_pair", "branch", "branch_taken", "float", "float_div",
    "float_load", "float_store", "vector", "vector_mul", "vector_dot", "other",
)  # fmt: skip
BRANCHES = {"b", "bl", "br", "blr", "ret", "cbz", "cbnz", "tbz", "tbnz"}
MULTIPLIES = {"mul", "madd", "msub", "mneg", "smull", "umull", "smaddl", "umaddl", "smsubl", "umsubl", "smulh", "umulh"}
SYSTEM = {"mrs", "msr", "dsb", "dmb", "isb", "svc", "hlt", "brk", "nop", "wfi", "wfe", "udf", "hint"}
VECTOR_MULTIPLIES = ("mul", "mla", "mls", "smul", "umul", "smla", "umla", "smls", "umls", "pmul", "sqdmul", "sqrdmul",
                     "sqdmla", "sqrdmla", "fmul", "fmla", "fmls")  # fmt: skip


def engine(capstone: Any) -> Any:
    """The disassembler."""
    return capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)


def classify(mnemonic: str, operands: str = "") -> str:
    """The class of an instruction; whether a branch was taken is found out later.

    >>> classify("sdot", "v0.4s, v1.16b, v2.16b"), classify("smull", "v0.8h, v1.8b, v2.8b")
    ('vector_dot', 'vector_mul')
    >>> classify("smull", "x0, w1, w2"), classify("ldp", "q0, q1, [x2]"), classify("b.ne", "#0x10")
    ('mul', 'load_pair', 'branch')
    """
    name = mnemonic.split(".")[0]
    if name in BRANCHES:
        return "branch"
    if name in SYSTEM:
        return "other"
    first = operands.lstrip("{ ")[:1]
    if name.startswith(("ld", "st")):
        return _memory(name, first in ("q", "d", "s", "v", "h", "b"))
    if first == "v" or ", v" in operands:
        return _vector(name)
    if name.startswith(("fdiv", "fsqrt")):
        return "float_div"
    if name.startswith("f") or name in ("scvtf", "ucvtf") or first in ("s", "d", "q", "h", "b"):
        return "float"
    if name in MULTIPLIES:
        return "mul"
    return "div" if name in ("sdiv", "udiv") else "alu"


def registers(mnemonic: str, operands: str) -> int:
    """Pairs have classes of their own, so that nothing is counted by registers."""
    return 0


def _memory(name: str, is_vector: bool) -> str:
    what = "load" if name.startswith("ld") else "store"
    if name.startswith(("ldp", "ldnp", "stp", "stnp")):
        return f"{what}_pair"
    return f"float_{what}" if is_vector else what


def _vector(name: str) -> str:
    if name in ("sdot", "udot"):
        return "vector_dot"
    return "vector_mul" if name.startswith(VECTOR_MULTIPLIES) else "vector"
