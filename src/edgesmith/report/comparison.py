"""The before/after table as rows of text, the same for the page and the terminal."""

from dataclasses import dataclass
from typing import Any

from edgesmith.report.numbers import Reading, figure, origin, points

# reading, its limit in the budget, what it is called
FIGURES = (
    ("flash", "flash_bytes", "Flash"),
    ("ram", "ram_bytes", "RAM"),
    ("latency", "latency_ms", "Latency"),
    ("energy", "energy_uj", "Energy"),
    ("accuracy", "accuracy", "Accuracy"),
)


@dataclass(frozen=True)
class Cell:
    """One figure: what it is, its kind and error, and how it was obtained."""

    figure: str
    origin: str
    how: str


@dataclass(frozen=True)
class Row:
    """One line of the table; None where there is nothing to say.

    Attributes:
        share: what the result takes of its limit (1 is all of it); None for an accuracy.
        met: whether the limit is met.
    """

    name: str
    before: Cell | None
    after: Cell | None
    change: str
    limit: str
    share: float | None
    met: bool | None


def change(before: Reading, after: Reading, unit: str) -> str:
    """How the figure moved.

    >>> change({"value": 1000.0}, {"value": 100.0}, "B"), change({"value": 0.98}, {"value": 0.985}, "fraction")
    ('10.0× less', '+0.50 pt')
    """
    old, new = before["value"], after["value"]
    if unit == "fraction":
        return points(new - old)
    if old == new:
        return "the same"
    if old <= 0 or new <= 0:
        return ""
    return f"{old / new:.1f}× less" if new < old else f"{new / old:.1f}× more"


def meets(value: float, limit: float, upwards: bool) -> bool:
    """Whether a value keeps its limit; `upwards` when more is better."""
    return value >= limit if upwards else value <= limit


def cell(reading: Reading | None) -> Cell | None:
    """A reading as text."""
    if reading is None:
        return None
    return Cell(figure(reading["value"], reading["unit"]), origin(reading), reading["how"])


def row(data: dict[str, Any], key: str, limit_key: str, name: str) -> Row | None:
    """One line, or None where neither side has the figure."""
    before, after = ((data.get(side) or {}).get("readings", {}).get(key) for side in ("before", "after"))
    known = after or before
    if known is None:
        return None
    task = data.get("task") or {}
    limit = (data.get("budget") or {}).get(limit_key)
    upwards = key == "accuracy" and task.get("direction", "max") == "max"
    return Row(
        name=name if key != "accuracy" else task.get("metric", name).capitalize(),
        before=cell(before),
        after=cell(after),
        change=change(before, after, known["unit"]) if before and after else "",
        limit="" if limit is None else f"{'at least' if upwards else 'at most'} {figure(limit, known['unit'])}",
        share=None if limit is None or after is None or upwards else after["value"] / limit,
        met=None if limit is None or after is None else meets(after["value"], limit, upwards),
    )


def rows(data: dict[str, Any]) -> list[Row]:
    """The lines of a validated report's before/after table."""
    return [line for figures in FIGURES if (line := row(data, *figures)) is not None]
