"""Encode and decode with the C built under AddressSanitizer and UBSan: a program, run by test_hostile.py."""

import sys

import numpy as np

from edgesmith.collaborate.coding import Code, Table
from edgesmith.collaborate.coding.native import SOURCES, Native, load
from edgesmith.collaborate.coding.tables import VALUE_LIMIT, quantize
from edgesmith.core.errors import BadInput
from edgesmith.toolchain import compile_library


def any_code(rng: np.random.Generator) -> Code:
    """Windows anywhere, also at the limits of 22 bits."""
    bits = int(rng.integers(4, 16))
    tables = []
    for _ in range(int(rng.integers(1, 4))):
        size = int(rng.integers(2, min(400, 1 << bits)))
        frequencies = tuple(int(f) for f in quantize(np.rint(rng.pareto(0.5, size).clip(0, 1e6)), bits))
        edges = (-VALUE_LIMIT, VALUE_LIMIT - size, -128, 0, int(rng.integers(-300, 300)))
        tables.append(Table(int(rng.choice(edges)), frequencies))
    which = rng.integers(0, len(tables), int(rng.integers(1, 6)))
    return Code(bits, tuple(int(table) for table in which), tuple(tables))


def hostile(rng: np.random.Generator, stream: bytes) -> bytes:
    """A damaged stream, or none at all. Copied to exact size, so that a read beyond it is seen."""
    match int(rng.integers(5)):
        case 0:
            return rng.bytes(int(rng.integers(0, 40)))
        case 1:
            return stream[: int(rng.integers(0, len(stream) + 1))]
        case 2:
            return bytes([int(rng.choice([0, 255]))]) * int(rng.integers(0, 40))
        case _:
            damaged = np.frombuffer(stream, np.uint8).copy()
            for _ in range(3 if len(damaged) else 0):
                damaged[rng.integers(len(damaged))] = rng.integers(256)
            return damaged.tobytes()


def main(rounds: int, define: str) -> None:
    built = load(
        compile_library(SOURCES, sanitize="address", compiler="gcc", defines=[define] if define != "-" else [])
    )
    rng, refused = np.random.default_rng(20261127), 0
    for _ in range(rounds):
        code = any_code(rng)
        coder = Native(code.bits, code.which, code.tables, built)
        size = code.channels * int(rng.integers(0, 30))
        spread = int(rng.choice([2, 200, 1 << 21]))
        payload = rng.integers(-spread, spread, size).astype(np.int32)
        stream = coder.encode(payload)
        assert (coder.decode(stream, size, False) == payload).all()
        small = payload.clip(-128, 127).astype(np.int8)
        assert (coder.decode(coder.encode(small), size, True) == small).all()
        for narrow in (True, False):
            try:
                coder.decode(hostile(rng, stream), size, narrow)
            except BadInput:
                refused += 1
    print(rounds, refused)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
