"""C text: identifiers, literals and arrays."""

import math
import re
from collections.abc import Iterable

import numpy as np

from edgesmith.core.errors import Unsupported

C_TYPES = {
    "float32": "float",
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "uint16": "uint16_t",
    "int32": "int32_t",
    "uint32": "uint32_t",
    "int64": "int64_t",
    "bool": "uint8_t",
}
# C99 keywords and the names that the emitted code and its macros use themselves, whatever their case.
RESERVED = frozenset(
    (
        *("auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern"),
        *("float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed"),
        *("sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while"),
        *("in", "out", "state", "arena", "a", "s", "main", "infer", "reset", "result", "alignment"),
        *("arena_bytes", "state_bytes", "before", "after", "h"),
        *("stdint", "stddef", "test_vectors", "null"),  # a model of this name would shadow a header
    )
)
RANGES = {"int32_t": (-(2**31), 2**31 - 1), "uint32_t": (0, 2**32 - 1), "int64_t": (-(2**63), 2**63 - 1)}
LINE = 20  # array elements a line


def identifier(name: str) -> str:
    """A C identifier near `name`.

    >>> identifier("layers.0/conv")
    'layers_0_conv'
    """
    text = re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_") or "x"
    return f"t_{text}" if text[0].isdigit() or text.lower() in RESERVED else text


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """A C identifier for each name, distinct even when written in capitals, as macros are."""
    result: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        base = text = identifier(name)
        turn = 1
        while text.lower() in taken:
            turn += 1
            text = f"{base}_{turn}"
        taken.add(text.lower())
        result[name] = text
    return result


def comment(text: str) -> str:
    r"""Text as it may stand in a comment: plain ASCII, nothing that ends it or that a compiler warns of.

    >>> comment("f(x) */ g() ??/")
    'f(x) * / g() ? ?/'
    """
    plain = text.encode("ascii", "replace").decode()
    for first, second in ("*/", "/*", "??"):
        plain = re.sub(re.escape(first) + "(?=" + re.escape(second) + ")", first + " ", plain)
    return plain.rstrip("\\")


def literal(value: int | float, ctype: str) -> str:
    """A C constant expression of exactly `value`.

    >>> literal(0.1, "float"), literal(-(2**31), "int32_t")
    ('0x1.99999a0000000p-4f', '(-2147483647 - 1)')
    """
    if ctype == "float":
        number = float(np.float32(value))
        if math.isinf(number) or math.isnan(number):
            return "(0.0f / 0.0f)" if math.isnan(number) else "ES_INFINITY" if number > 0 else "-ES_INFINITY"
        return f"{number.hex()}f"
    number = int(value)
    least, most = RANGES.get(ctype, RANGES["int32_t"])
    if not least <= number <= most:
        raise Unsupported(f"compile: {number} does not fit {ctype}; need a smaller model.")
    if number == -(2**63):
        return "(-9223372036854775807LL - 1)"
    if number == -(2**31):
        return "(-2147483647 - 1)"
    if ctype == "int64_t":
        return f"{number}LL"
    return f"{number}u" if ctype.startswith("uint") else str(number)


def array(name: str, values: np.ndarray, alignment: int) -> str:
    """The definition of a constant array, flattened in row-major order."""
    ctype = C_TYPES[str(values.dtype)]
    flat = values.ravel()
    if ctype == "float":
        words = [literal(v, ctype) for v in flat.tolist()]
    else:
        suffix = "u" if ctype == "uint32_t" else ""
        words = [literal(v, ctype) if v == -(2**31) else f"{v}{suffix}" for v in flat.tolist()]
    lines = [", ".join(words[i : i + LINE]) for i in range(0, len(words), LINE)]
    body = ",\n    ".join(lines)
    declaration = f"static const {ctype} {name}[{max(flat.size, 1)}] __attribute__((aligned({alignment})))"
    return f"{declaration} = {{\n    {body}\n}};\n"
