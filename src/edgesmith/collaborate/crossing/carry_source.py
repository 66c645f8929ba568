"""A payload as C for boards: tables in flash, and one function for each tensor that crosses."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgesmith.collaborate.coding.board import source as code_source
from edgesmith.collaborate.coding.native import FOLDER
from edgesmith.collaborate.crossing.carry import Carried
from edgesmith.collaborate.crossing.payload import Steps
from edgesmith.core.errors import Unsupported

PER_LINE = 12
LAST_WORDS = 16  # bytes of what a coder still holds at its end, and of what it loses by rounding
HEADERS = ("edgesmith_code.h", "edgesmith_payload.h", "payload_steps.h", "code_encode.h", "code_shares.h")
FILES = ("payload_pack.c", "payload_code.c", "code_encode_s8.c")
BYTES = ("int8", "uint8")


def files(carried: Sequence[Carried], name: str) -> dict[str, str]:
    """Sources by file name: `<name>_payload.h` and `.c`, and what they need.

    Args:
        name: a C identifier, of the head.

    Raises:
        Unsupported: a tensor of wider integers.
    """
    own = {f"{name}_payload.h": header(carried, name), f"{name}_payload.c": source(carried, name)}
    return own | {file: (FOLDER / file).read_text() for file in (*HEADERS, *FILES)}


def header(carried: Sequence[Carried], name: str) -> str:
    """The functions' declarations."""
    guard = f"{name.upper()}_PAYLOAD_H"
    rows = [
        f"/* {one.tensor.name}: {one.tensor.size} of {one.tensor.dtype} to {_said(one)}.\n"
        f" * Gives the number of bytes, or an error below 0. scratch: {scratch_bytes(one)} bytes. */\n"
        f"{_signature(name, index)};\n"
        for index, one in enumerate(carried)
    ]
    return f"#ifndef {guard}\n#define {guard}\n\n#include <stdint.h>\n\n" + "\n".join(rows) + "\n#endif\n"


def source(carried: Sequence[Carried], name: str) -> str:
    """Tables and functions."""
    parts = [f'#include "edgesmith_payload.h"\n#include "{name}_payload.h"\n']
    for index, one in enumerate(carried):
        how = f"{name}_how_{index}"
        parts += [
            _tables(one, how),
            code_source(one.code, f"{how}_code") if one.code else "",
            _function(one, name, index),
        ]
    return "\n".join(part for part in parts if part)


def _said(one: Carried) -> str:
    if one.code:
        return "what its code makes of it"
    return f"{room_bytes(one)} bytes"


def scratch_bytes(one: Carried) -> int:
    """RAM that packing works in."""
    return one.tensor.size if one.code else 0


def room_bytes(one: Carried) -> int:
    """The most that one tensor can take packed; a code's rarest values cost `code.bits` each."""
    if one.code:
        return -(-one.tensor.size * one.code.bits // 8) + LAST_WORDS
    return -(-one.tensor.size * one.steps.bits // 8) if one.steps else one.tensor.nbytes


def _signature(name: str, index: int) -> str:
    return f"int32_t {name}_payload_{index}(const void *values, int8_t *scratch, uint8_t *out, uint32_t room)"


def _tables(one: Carried, how: str) -> str:
    """The step of each byte, or the thresholds of floats; none where numbers cross as they are."""
    steps = one.steps
    if steps is None and not one.code:
        return ""
    bits = steps.bits if steps else 8
    if one.tensor.dtype in BYTES:
        numbers, c_type, member = byte_steps(steps, one.tensor.dtype).tolist(), "uint8_t", "table"
        texts = [str(number) for number in numbers]
    elif steps and one.tensor.dtype == "float32":
        texts, c_type, member = [_float(value) for value in thresholds(steps)], "float", "thresholds"
    else:
        raise Unsupported(f"payload: {one.tensor.name} is {one.tensor.dtype}; boards narrow bytes and floats.")
    rows = "".join(f"    {', '.join(texts[i : i + PER_LINE])},\n" for i in range(0, len(texts), PER_LINE))
    pair = f"{how}_{member}, 0" if member == "table" else f"0, {how}_{member}"
    return (
        f"static const {c_type} {how}_{member}[] = {{\n{rows}}};\n"
        f"static const es_payload {how} = {{{one.tensor.size}, {bits}, {pair}}};\n"
    )


def _function(one: Carried, name: str, index: int) -> str:
    how = f"{name}_how_{index}"
    if one.code:
        body = f"return es_payload_code(&{how}, &{how}_code, values, scratch, out, room);"
    elif one.steps:
        body = f"(void)scratch;\n    return es_payload_pack(&{how}, values, out, room);"
    else:
        size = one.tensor.nbytes
        copied = (
            f"for (uint32_t i = 0; i < {size}; i++)\n        out[i] = ((const uint8_t *)values)[i];\n    return {size};"
        )
        body = f"(void)scratch;\n    if (room < {size})\n        return ES_CODE_NO_ROOM;\n    {copied}"
    return f"{_signature(name, index)} {{\n    {body}\n}}\n"


def byte_steps(steps: Steps | None, dtype: str) -> np.ndarray:
    """(256,) uint8: the step of each byte, by its bits; without steps that which keeps it, counted from its least."""
    values = np.arange(256, dtype=np.uint8).view(dtype)
    return steps.codes(values) if steps else (values.astype(np.int32) - np.iinfo(dtype).min).astype(np.uint8)


def thresholds(steps: Steps) -> list[np.float32]:
    """The least float32 of each step from the second on."""
    return [_least(steps, code) for code in range(1, 1 << steps.bits)]


def _least(steps: Steps, code: int) -> np.float32:
    """By walking from the middle between two steps: rounding leaves it a few floats away."""
    value = np.float32(steps.low + steps.step * (code - 0.5))
    while steps.codes(np.array(value))[()] >= code:
        value = np.nextafter(value, np.float32(-np.inf))
    while steps.codes(np.array(value))[()] < code:
        value = np.nextafter(value, np.float32(np.inf))
    return value


def _float(value: np.float32) -> str:
    return f"{float(value).hex()}f"


def sources() -> list[Path]:
    """The C files that do not depend on the payload."""
    return [FOLDER / file for file in FILES]
