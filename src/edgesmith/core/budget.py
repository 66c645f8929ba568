"""The limits a user sets, and how they are written: "64KB", "5ms", "40uJ", "97%"."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from edgesmith.core.errors import BadInput
from edgesmith.core.reading import Reading
from edgesmith.core.target import Target

# Each limit on cost, with the name of the reading it limits.
LIMITS = {"flash_bytes": "flash", "ram_bytes": "ram", "latency_ms": "latency", "energy_uj": "energy"}

UNITS: dict[str, dict[str, float]] = {
    # KB is 1024 bytes here, as in the memory sizes on microcontroller datasheets.
    "bytes": {"b": 1, "kb": 1024, "kib": 1024, "mb": 1024**2, "mib": 1024**2, "gb": 1024**3, "gib": 1024**3},
    "ms": {"us": 1e-3, "ms": 1.0, "s": 1e3},
    "uj": {"nj": 1e-3, "uj": 1.0, "mj": 1e3, "j": 1e6},
    "fraction": {"%": 0.01, "": 1.0},
}

QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([a-zA-Zµ%]*)\s*")


def parse_quantity(text: str, unit: str) -> float:
    """Read a number with its unit.

    Args:
        text: such as "64KB"; case of the unit does not matter.
        unit: what to return it in: "bytes", "ms", "uj" or "fraction".

    Raises:
        BadInput: not a number, an unknown unit, or not above zero.

    >>> parse_quantity("64KB", "bytes")
    65536.0
    >>> parse_quantity("97%", "fraction")
    0.97
    """
    scales = UNITS[unit]
    match = QUANTITY.fullmatch(text)
    suffix = match[2].replace("µ", "u").lower() if match else ""
    if match is None or suffix not in scales:
        wanted = ", ".join(name or "a plain number" for name in scales)
        raise BadInput(f"budget: {text!r} is not a quantity; need a number and one of: {wanted}.")
    value = float(match[1]) * scales[suffix]
    if not (value > 0 and math.isfinite(value)):
        raise BadInput(f"budget: {text!r} is not above zero; a limit must leave room. Leave it out for no limit.")
    return value


@dataclass(frozen=True)
class Budget:
    """Hard limits; None means no limit.

    Attributes:
        flash_bytes, ram_bytes: most the linked program may use.
        latency_ms: most one inference may take.
        energy_uj: most one inference may use.
        accuracy: least value of the task's metric, as a fraction for accuracies; the most of a metric whose
            direction is "min".
    """

    flash_bytes: int | None = None
    ram_bytes: int | None = None
    latency_ms: float | None = None
    energy_uj: float | None = None
    accuracy: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise BadInput(f"budget: {field.name} is {value}; need a number above zero, or None for no limit.")

    @classmethod
    def parse(
        cls,
        flash: str | None = None,
        ram: str | None = None,
        latency: str | None = None,
        energy: str | None = None,
        accuracy: str | None = None,
    ) -> "Budget":
        """Read limits as written on the command line.

        >>> Budget.parse(flash="64KB", latency="5ms").flash_bytes
        65536
        """
        return cls(
            flash_bytes=None if flash is None else int(parse_quantity(flash, "bytes")),
            ram_bytes=None if ram is None else int(parse_quantity(ram, "bytes")),
            latency_ms=None if latency is None else parse_quantity(latency, "ms"),
            energy_uj=None if energy is None else parse_quantity(energy, "uj"),
            accuracy=None if accuracy is None else parse_quantity(accuracy, "fraction"),
        )

    def ratios(self, readings: Mapping[str, Reading]) -> dict[str, float]:
        """Each limit on cost that is set to the reading over it; above 1 it is broken.

        >>> Budget(flash_bytes=1000).ratios({"flash": Reading(500, "B", "estimated", "an example")})
        {'flash_bytes': 0.5}
        """
        return {
            limit: readings[figure].value / getattr(self, limit)
            for limit, figure in LIMITS.items()
            if getattr(self, limit) is not None
        }

    def within(self, target: Target) -> "Budget":
        """The same, with no more flash and RAM than the board has; a hosted target has no such limit."""
        if target.hosted:
            return self
        return replace(
            self,
            flash_bytes=min(self.flash_bytes or target.flash_bytes, target.flash_bytes),
            ram_bytes=min(self.ram_bytes or target.ram_bytes, target.ram_bytes),
        )

    def to_json(self) -> dict[str, Any]:
        """The limits that are set."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
