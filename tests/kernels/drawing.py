"""How a random op is drawn: sizes, arrays, multipliers, bounds."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from edgesmith.core.graph import Op

Rng = np.random.Generator
Case = tuple[Op, list[np.ndarray]]
Maker = Callable[[Rng], Case]


def case(kind: str, arrays: list[np.ndarray], outputs: int = 1, **attrs: Any) -> Case:
    """An op and its inputs."""
    names = tuple(f"x{i}" for i in range(len(arrays)))
    return Op(kind, names, tuple(f"y{i}" for i in range(outputs)), attrs, kind), arrays


def size(rng: Rng, low: int = 1, high: int = 9) -> int:
    return int(rng.integers(low, high + 1))


def pair(rng: Rng, low: int, high: int) -> tuple[int, int]:
    return size(rng, low, high), size(rng, low, high)


def s8(rng: Rng, *shape: int, low: int = -128) -> np.ndarray:
    return rng.integers(low, 128, shape).astype(np.int8)


def f32(rng: Rng, *shape: int, scale: float = 1.0) -> np.ndarray:
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def zero(rng: Rng) -> int:
    return int(rng.integers(-128, 128))


def multiplier(rng: Rng, real: float) -> tuple[int, int]:
    """A requantizer near `real`, its mantissa at random."""
    shift = int(np.clip(30 - math.floor(math.log2(real)), 1, 62))
    return int(rng.integers(1 << 30, 1 << 31)), shift


def multipliers(rng: Rng, real: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Requantizers around `real`, a dead channel among them now and then."""
    pairs = [multiplier(rng, real * 2.0 ** rng.integers(-3, 3)) for _ in range(count)]
    pairs = [(0, 1) if rng.random() < 0.05 else p for p in pairs]
    return np.array([m for m, _ in pairs], np.int32), np.array([s for _, s in pairs], np.uint8)


def bounds(rng: Rng) -> dict[str, int]:
    low, high = sorted(int(v) for v in rng.integers(-128, 128, 2))
    narrow = {"low": low, "high": high}
    return {**({} if rng.random() < 0.5 else narrow), "y_zero": zero(rng)}


def scaled(rng: Rng, real: float) -> dict[str, int]:
    m, s = multiplier(rng, real)
    return {"multiplier": m, "shift": s}


def clamps(rng: Rng) -> dict[str, float]:
    return (
        {} if rng.random() < 0.5 else {"low": float(np.float32(-rng.random())), "high": float(np.float32(rng.random()))}
    )
