"""A number and how it was obtained; the three kinds are never mixed."""

import sys
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from edgesmith.core.errors import BadInput

Kind = Literal["measured", "emulated", "estimated"]


@dataclass(frozen=True)
class Reading:
    """One figure of one artifact.

    Attributes:
        value: in `unit`.
        unit: "B", "ms", "uJ", "cycles", "instructions", "%", ...
        kind: measured on the hardware itself, emulated on a model of the core that counts what it
            executes, or estimated from a cost model.
        how: one sentence; for estimates it names the model and its stated error.
        spread: half-width in `unit` (interquartile of repeats, or the model's stated error); None when exact.
    """

    value: float
    unit: str
    kind: Kind
    how: str
    spread: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields as a plain dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Reading":
        """Inverse of `to_json`.

        Raises:
            BadInput: a field is missing, unknown or of another type.
        """
        types: dict[str, Any] = {
            "value": (int, float),
            "unit": str,
            "kind": str,
            "how": str,
            "spread": (int, float, type(None)),
        }
        if not isinstance(data, dict) or set(data) != set(types):
            raise BadInput(f"reading: need exactly the fields {', '.join(types)}; the file is damaged.")
        for name, allowed in types.items():
            if isinstance(data[name], bool) or not isinstance(data[name], allowed):
                raise BadInput(f"reading: {name} is {type(data[name]).__name__}; the file is damaged.")
            if isinstance(data[name], int | float) and not abs(data[name]) <= sys.float_info.max:
                raise BadInput(f"reading: {name} is not a finite number; the file is damaged.")
        if data["kind"] not in get_args(Kind):
            raise BadInput(f"reading: kind is {data['kind']!r}; need one of {', '.join(get_args(Kind))}.")
        return cls(**data)

    def __str__(self) -> str:
        spread = f" ±{self.spread:.3g}" if self.spread else ""
        return f"{self.value:,.6g}{spread} {self.unit} ({self.kind})"
