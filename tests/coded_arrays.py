"""Random calls of the ops on packed codes: (generator) to (kind, arrays, attributes)."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgesmith.core.formats import KINDS, POSITS
from edgesmith.core.formats.packing import packed_bytes, trit_bytes

Drawn = tuple[str, list[np.ndarray], dict[str, Any]]
Maker = Callable[[np.random.Generator], Drawn]


def _bytes(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(0, 256, count).astype(np.uint8)


def _scales(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return (rng.random(shape) + 0.01).astype(np.float32)


def _shape(rng: np.random.Generator, width: int = 1) -> tuple[tuple[int, ...], int]:
    """A weight's shape, and how many scales share it out: one, one a row, or several a row."""
    rows, groups, each = (int(v) for v in rng.integers(1, 7, 3))
    shape = (rows, groups, each * width)
    return shape, int(rng.choice([1, rows, rows * groups]))


def group(rng: np.random.Generator) -> Drawn:
    shape, runs = _shape(rng)
    runs = max(runs, shape[0])
    bits = int(rng.integers(2, 9))
    return "decode_group", [_bytes(rng, packed_bytes(shape, bits)), _scales(rng, runs)], {"shape": shape, "bits": bits}


def group_zeros(rng: np.random.Generator) -> Drawn:
    _, (codes, scales), attrs = group(rng)
    zeros = _bytes(rng, packed_bytes(scales.shape, attrs["bits"]))
    return "decode_group_zeros", [codes, scales, zeros], attrs


def table(rng: np.random.Generator) -> Drawn:
    width = int(rng.choice([1, 1, 2, 3]))
    shape, runs = _shape(rng, width)
    entries = int(rng.choice([3, rng.integers(2, 40), rng.integers(250, 700)]))
    trits = entries == 3 and width == 1 and bool(rng.integers(2))
    values = np.sort(rng.standard_normal((entries, width)).astype(np.float32), axis=0)
    bits = (entries - 1).bit_length()
    count = trit_bytes(shape) if trits else packed_bytes((int(np.prod(shape)) // width,), bits)
    codes = rng.integers(0, 243, count).astype(np.uint8) if trits else _bytes(rng, count)
    return "decode_table", [codes, _scales(rng, runs), values], {"shape": shape, "trits": trits}


def bases(rng: np.random.Generator) -> Drawn:
    shape, _ = _shape(rng)
    count = int(rng.integers(1, 5))
    return "decode_bases", [_bytes(rng, packed_bytes(shape, count)), _scales(rng, count, shape[0])], {"shape": shape}


def float_(rng: np.random.Generator) -> Drawn:
    shape, runs = _shape(rng)
    kind = str(rng.choice(list(KINDS)))
    codes = _bytes(rng, packed_bytes(shape, KINDS[kind].bits))
    return "decode_float", [codes, _scales(rng, runs)], {"shape": shape, "number": kind}


def posit(rng: np.random.Generator) -> Drawn:
    shape, runs = _shape(rng)
    n, es = (int(v) for v in rng.choice(POSITS))
    codes = _bytes(rng, packed_bytes(shape, n))
    return "decode_posit", [codes, _scales(rng, runs)], {"shape": shape, "n": n, "es": es}


def outliers(rng: np.random.Generator) -> Drawn:
    x = rng.standard_normal((int(rng.integers(1, 5)), int(rng.integers(1, 40)))).astype(np.float32)
    places = np.sort(rng.choice(x.size, int(rng.integers(1, x.size + 1)), replace=False)).astype(np.uint32)
    values = (rng.standard_normal(len(places)) * 10.0 ** rng.integers(-8, 5, len(places))).clip(-65504, 65504)
    return "outliers", [x, places, values.astype(np.float16).view(np.uint16)], {}


def round_float(rng: np.random.Generator) -> Drawn:
    kind = str(rng.choice(list(KINDS)))
    scale = float(np.float32(rng.random() + 0.01))
    levels = np.array([KINDS[kind].magnitude(code) for code in range(KINDS[kind].numbers)])
    ties = rng.choice((levels[1:] + levels[:-1]) / 2, 30)
    sizes = np.concatenate(
        [rng.standard_normal(40) * 10.0 ** rng.integers(-6, 6, 40), ties, levels[-3:] * 2, [0, np.inf]]
    )
    signs = rng.choice([-1, 1], sizes.size)
    return "round_float", [(sizes * signs * scale).astype(np.float32)], {"number": kind, "scale": scale}


EXACT: Mapping[str, Maker] = {
    "decode_group": group,
    "decode_group_zeros": group_zeros,
    "decode_table": table,
    "decode_bases": bases,
    "decode_float": float_,
    "decode_posit": posit,
    "outliers": outliers,
    "round_float": round_float,
}
