"""Whether a linked program computes in floating point: instructions of the float unit, or helpers in software."""

import re
from collections.abc import Iterator
from typing import Any

from edgesmith.core.errors import Missing
from edgesmith.toolchain.firmware import Firmware

# Run-time helpers of the Arm ABI (IHI 0043, section 5.1.2) and of compiler-rt that stand in for float instructions.
HELPER = re.compile(
    r"__aeabi_(c?[fd](add|sub|rsub|mul|div|neg|cmp\w*|2\w+)|u?[il]2[fd]|u?l2[fd]|h2f|f2h\w*|d2h\w*)"
    r"|__(add|sub|mul|div|neg|cmp|ge|gt|le|lt|eq|ne|unord)[sdt]f[23]?(vfp)?|__(fix|float)\w+"
)
# Start-up code may let the float unit be used; these only move or save its state.
STARTUP = ("Reset_Handler",)


def float_use(firmware: Firmware) -> tuple[str, ...]:
    """Every float instruction and helper of a linked Arm program, as "function: instruction at address".

    Raises:
        Missing: capstone or pyelftools is not installed.
    """
    try:
        import capstone
        from elftools.elf.elffile import ELFFile
    except ImportError as error:
        raise Missing(
            f'emulate: {error.name} is not installed; need it to read programs. Run: pip install "edgesmith[firmware]".'
        ) from error
    engine = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS | capstone.CS_MODE_V8)
    functions = sorted((s.address, s.name) for s in firmware.symbols.values() if s.kind == "function")
    found = [f"{name}: a helper that computes floats" for _, name in functions if HELPER.fullmatch(name)]
    with firmware.elf.open("rb") as file:
        for base, code in code_of(ELFFile(file)):
            for address, _, mnemonic, operands in engine.disasm_lite(code, base):
                if mnemonic.startswith("v"):
                    name = next((n for start, n in reversed(functions) if start <= address), "?")
                    found.append(f"{name}: {mnemonic} {operands} at {address:#x}")
    return tuple(line for line in found if not line.startswith(STARTUP))


def code_of(image: Any) -> Iterator[tuple[int, bytes]]:
    """(address, bytes) of each stretch of instructions: mapping symbols tell them from the constants between."""
    marks = sorted(
        (s["st_value"] & ~1, s.name[:2])
        for s in image.get_section_by_name(".symtab").iter_symbols()
        if s.name[:2] in ("$t", "$d", "$a")
    )
    for section in image.iter_sections():
        if not section["sh_flags"] & 4 or section["sh_type"] != "SHT_PROGBITS":
            continue
        base, data = section["sh_addr"], section.data()
        inside = [(a, kind) for a, kind in marks if base <= a < base + len(data)]
        ends = [a for a, _ in inside[1:]] + [base + len(data)]
        for (start, kind), end in zip(inside, ends, strict=True):
            if kind == "$t":
                yield start, data[start - base : end - base]
