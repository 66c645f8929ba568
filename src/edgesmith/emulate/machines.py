"""The emulated instruction sets as Unicorn knows them; imported by the worker alone."""

from dataclasses import dataclass

import unicorn
from unicorn import arm64_const, arm_const, riscv_const

SYSTEM_CONTROL = 0xE000E000  # the Cortex-M's own registers; the start-up code switches the FPU on there


@dataclass(frozen=True)
class Registers:
    """An instruction set in Unicorn's terms.

    Attributes:
        models: core to CPU model.
        arguments: registers of the first arguments; the first holds the result too.
        entry: set in the addresses that are jumped to; 1 for Thumb.
        system: pages of the core's own registers, which no program's memory holds.
    """

    arch: int
    mode: int
    models: dict[str, int]
    arguments: tuple[int, ...]
    stack: int
    back: int
    counter: int
    entry: int = 0
    system: tuple[int, ...] = ()


MACHINES = {
    "thumb": Registers(
        unicorn.UC_ARCH_ARM,
        unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS,
        {
            "cortex-m0": arm_const.UC_CPU_ARM_CORTEX_M0,
            "cortex-m0+": arm_const.UC_CPU_ARM_CORTEX_M0,  # same instruction set; cycles come from the model
            "cortex-m3": arm_const.UC_CPU_ARM_CORTEX_M3,
            "cortex-m4": arm_const.UC_CPU_ARM_CORTEX_M4,
            "cortex-m7": arm_const.UC_CPU_ARM_CORTEX_M7,
            "cortex-m33": arm_const.UC_CPU_ARM_CORTEX_M33,
        },
        tuple(getattr(arm_const, f"UC_ARM_REG_R{i}") for i in range(4)),
        arm_const.UC_ARM_REG_SP,
        arm_const.UC_ARM_REG_LR,
        arm_const.UC_ARM_REG_PC,
        entry=1,
        system=(SYSTEM_CONTROL,),
    ),
    "aarch64": Registers(
        unicorn.UC_ARCH_ARM64,
        unicorn.UC_MODE_ARM,
        {
            "cortex-a72": arm64_const.UC_CPU_ARM64_A72,  # without dot product: a program that uses it is stopped
            "cortex-a76": arm64_const.UC_CPU_ARM64_MAX,
        },
        tuple(getattr(arm64_const, f"UC_ARM64_REG_X{i}") for i in range(4)),
        arm64_const.UC_ARM64_REG_SP,
        arm64_const.UC_ARM64_REG_LR,
        arm64_const.UC_ARM64_REG_PC,
    ),
    "riscv32": Registers(
        unicorn.UC_ARCH_RISCV,
        unicorn.UC_MODE_RISCV32,
        {"riscv32-imc": riscv_const.UC_CPU_RISCV32_SIFIVE_E31},  # imac, no floating point
        tuple(getattr(riscv_const, f"UC_RISCV_REG_A{i}") for i in range(4)),
        riscv_const.UC_RISCV_REG_SP,
        riscv_const.UC_RISCV_REG_RA,
        riscv_const.UC_RISCV_REG_PC,
    ),
}
