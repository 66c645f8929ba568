"""How a linked program multiplies: the instructions in its code, by function, and how many were executed."""

from collections import Counter
from collections.abc import Mapping

from edgesmith.core.errors import Missing
from edgesmith.emulate import thumb
from edgesmith.emulate.float_use import code_of
from edgesmith.toolchain.firmware import Firmware

# Classes of an Arm core whose instructions multiply (emulate/thumb.py); floats besides integers.
MULTIPLYING = ("mul", "mac", "mul_long", "dsp", "float_mac")
FLOAT_PRODUCTS = ("vmul", "vnmul")
HELPERS = ("__aeabi_lmul", "__muldi3", "__mulsi3")  # of the run-time library, on cores that lack the instruction


def multiplications(firmware: Firmware) -> dict[str, int]:
    """Multiply instructions, and calls' targets that multiply, in a linked Arm program: by function, none left out.

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
    engine = thumb.engine(capstone)
    functions = sorted((s.address, s.name) for s in firmware.symbols.values() if s.kind == "function")
    found = Counter({name: 1 for _, name in functions if name in HELPERS})
    with firmware.elf.open("rb") as file:
        for base, code in code_of(ELFFile(file)):
            for address, _, mnemonic, operands in engine.disasm_lite(code, base):
                if multiplies(mnemonic, operands):
                    found[next((name for start, name in reversed(functions) if start <= address), "?")] += 1
    return dict(found)


def multiplies(mnemonic: str, operands: str = "") -> bool:
    """Whether an Arm instruction multiplies.

    >>> [multiplies(m) for m in ("mla", "smull", "smlabb", "vmul.f32", "lsl.w", "add", "usat")]
    [True, True, True, True, False, False, False]
    """
    return thumb.classify(mnemonic, operands) in MULTIPLYING or mnemonic.startswith(FLOAT_PRODUCTS)


def executed(classes: Mapping[str, int]) -> int:
    """Integer multiplications among the executed instructions of a call, or of a layer (`emulator.Call`)."""
    return sum(classes.get(kind, 0) for kind in MULTIPLYING)
