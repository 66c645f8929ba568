"""A row of features on its way to a model's scores, in float32 or in fixed point.

Scalers are not computed: they stay pending as one scale and shift per feature until an op takes them in.
"""

import math
from dataclasses import dataclass

import numpy as np

from edgesmith.core.formats import PerTensor
from edgesmith.core.ops.fixed import multipliers_of
from edgesmith.lower.builder import Builder

ACC = (1 << 31) - 1  # what a sum may reach
ROOM = 1.25  # of the calibration's range that is kept representable: what lies beyond saturates
MOST_SHIFT = 30


@dataclass
class Flow:
    """Where a row of features is, and what it means: real = scale * stored + shift, per feature.

    Attributes:
        tensor: (1, n) float32, or the integers that stand for the row.
        values: the calibration samples at this point: (samples, n) float64.
        fixed: integers are computed with; else float32.
    """

    builder: Builder
    tensor: str
    values: np.ndarray
    scale: np.ndarray
    shift: np.ndarray
    fixed: bool

    @property
    def dtype(self) -> str:
        """Of the stored features."""
        return self.builder.tensors[self.tensor].dtype

    @property
    def width(self) -> int:
        """Number of features."""
        return len(self.scale)

    def affine(self, scale: np.ndarray, shift: np.ndarray) -> None:
        """Let the features be scale * feature + shift."""
        self.scale, self.shift = self.scale * scale, self.shift * scale + shift
        self.values = self.values * scale + shift

    def stored(self) -> str:
        """The features as float32 without what is pending."""
        if self.dtype != "float32":
            return self.builder.op("dequantize", self.tensor, zero=0, scale=1.0)
        return self.tensor

    def real(self) -> str:
        """The features as float32, what is pending computed."""
        name = self.stored()
        if np.all(self.scale == 1) and np.all(self.shift == 0):
            return name
        builder = self.builder
        parts = builder.constant("scaler.scale", self.scale), builder.constant("scaler.shift", self.shift)
        return builder.op("affine", name, *parts)

    def int16(self, limit: int, common: bool, half: float | None = None) -> "Int16":
        """The features as int16 within [-limit, limit].

        Args:
            common: one step for all features, as distances need; else each has its own.
            half: real range on either side of the middle; None for what the calibration shows, and some room.
        """
        low, high = self.values.min(axis=0), self.values.max(axis=0)
        middle = self.shift if self.dtype == "int32" else (low + high) / 2
        reach = np.maximum(high - middle, middle - low) * ROOM
        least = (
            np.abs(self.scale) if self.dtype in ("uint8", "int8", "int16") else np.maximum(np.abs(middle) * 1e-3, 1e-6)
        )
        reach = np.maximum(reach, least) if half is None else np.full(self.width, half)
        step = (np.full(self.width, reach.max()) if common else reach) / limit
        factor, offset = self.scale / step, (self.shift - middle) / step
        return Int16(self._integers(factor, offset, limit), step, middle, limit)

    def _integers(self, factor: np.ndarray, offset: np.ndarray, limit: int) -> str:
        """stored * factor + offset as int16."""
        builder = self.builder
        if self.dtype == "float32":
            parts = builder.constant("features.a", factor), builder.constant("features.b", offset)
            return builder.op("quantize_s16", self.tensor, *parts, limit=limit)
        if self.dtype == "int32":
            multiplier, shift = multipliers_of(factor)
            parts = builder.constant("features.multiplier", multiplier), builder.constant("features.shift", shift)
            return builder.op("requantize_s16", self.tensor, *parts, limit=limit)
        largest = np.maximum(np.abs(factor) / 32767, np.abs(offset) / (1 << 29))
        right = np.clip(np.floor(-np.log2(np.maximum(largest, 2.0**-40))), 0, MOST_SHIFT).astype(np.int64)
        m = np.clip(np.rint(factor * 2.0**right), -32767, 32767).astype(np.int16)
        b = np.rint(offset * 2.0**right).astype(np.int32)
        consts = [
            builder.constant(f"features.{n}", v) for n, v in (("m", m), ("b", b), ("right", right.astype(np.uint8)))
        ]
        return builder.op("affine_s16", self.tensor, *consts, limit=limit)

    def linear(self, weight: np.ndarray, bias: np.ndarray) -> "Scores":
        """weight (O, n) times the features, plus bias (O,), the scaler folded in."""
        builder = self.builder
        if not self.fixed:
            folded = weight * self.scale, bias + weight @ self.shift
            parts = builder.constant("linear.w", folded[0]), builder.constant("linear.b", folded[1])
            return Scores(builder.op("linear", self.stored(), *parts), None)
        bits = min(15, (31 - math.ceil(math.log2(self.width))) // 2)
        x = self.int16((1 << bits) - 1, common=False)
        w, b = weight * x.step, bias + weight @ x.middle
        return fixed_linear(builder, x.tensor, w, b, x.limit)

    def project(self, weight: np.ndarray, bias: np.ndarray) -> None:
        """Go on with weight times the features, plus bias, as the features."""
        values = self.values @ weight.T + bias
        middle = (values.min(axis=0) + values.max(axis=0)) / 2 if self.fixed else np.zeros(len(weight))
        scores = self.linear(weight, bias - middle)
        self.tensor, self.values = scores.tensor, values
        self.scale, self.shift = np.full(len(weight), scores.scale or 1.0), middle


@dataclass(frozen=True)
class Int16:
    """Features in fixed point: real = middle + step * q, |q| <= limit."""

    tensor: str
    step: np.ndarray
    middle: np.ndarray
    limit: int

    def quantize(self, rows: np.ndarray) -> np.ndarray:
        """Real rows (m, n) as the same int16."""
        return np.clip(np.rint((rows - self.middle) / self.step), -self.limit, self.limit).astype(np.int16)


@dataclass(frozen=True)
class Scores:
    """A result: float32, whole numbers, or int32 at a scale.

    Attributes:
        scale: real = scale * stored; None where the stored numbers are what is meant.
    """

    tensor: str
    scale: float | None

    def formatted(self, builder: Builder) -> str:
        """The tensor, its format noted."""
        if self.scale is not None:
            builder.set_format(self.tensor, PerTensor(self.scale, 0, "int32"))
        return self.tensor

    def opposites(self, builder: Builder) -> "Scores":
        """A decision between two classes as one score each."""
        return Scores(builder.op("opposites", self.tensor), self.scale)


def fixed_linear(builder: Builder, x: str, w: np.ndarray, b: np.ndarray, most: int) -> Scores:
    """w (O, n) times integers of at most `most`, plus b, in int32 that never wraps.

    Args:
        w: real, per step of x.
    """
    worst = (np.abs(w).sum(axis=1) * most + np.abs(b)).max()
    scale = max(float(np.abs(w).max()) / 32767, float(worst) / (ACC - (w.shape[1] + 2) * most), 1e-30)
    wq, bq = np.rint(w / scale).astype(np.int16), np.rint(b / scale).astype(np.int32)
    parts = builder.constant("linear.w", wq), builder.constant("linear.b", bq)
    return Scores(builder.op("linear_s16", x, *parts), scale)
