"""RISC-V instructions (RV32IMC): which class of cost each belongs to."""

from typing import Any

CORES = ("riscv32-imc",)
CLASSES = ("alu", "mul", "div", "load", "store", "branch", "branch_taken", "other")
BRANCHES = {"j", "jal", "jr", "jalr", "ret", "beq", "bne", "blt", "bge", "bltu", "bgeu", "beqz", "bnez", "blez", "bgez"}
BRANCHES |= {"bltz", "bgtz"}
LOADS = {"lb", "lbu", "lh", "lhu", "lw", "lwsp"}
STORES = {"sb", "sh", "sw", "swsp"}
SYSTEM = {"ecall", "ebreak", "fence", "fence.i", "wfi", "mret"}


def engine(capstone: Any) -> Any:
    """The disassembler."""
    return capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)


def classify(mnemonic: str, operands: str = "") -> str:
    """The cost class of a mnemonic; whether a branch was taken is found out later.

    >>> [classify(m) for m in ("c.lw", "mulhu", "rem", "c.bnez", "addi", "csrrw")]
    ['load', 'mul', 'div', 'branch', 'alu', 'other']
    """
    name = mnemonic.removeprefix("c.")
    if name in BRANCHES:
        return "branch"
    if name in LOADS:
        return "load"
    if name in STORES:
        return "store"
    if name.startswith("mul"):
        return "mul"
    if name.startswith(("div", "rem")):
        return "div"
    return "other" if name in SYSTEM or name.startswith("csr") else "alu"


def registers(mnemonic: str, operands: str) -> int:
    """No instruction of this set moves several registers."""
    return 0
