"""The before/after table for the terminal."""

from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from edgesmith.report.comparison import Cell, Row, rows
from edgesmith.report.schema import validate


def two_lines(cell: Cell | None) -> Text:
    """The figure, and below it how it was obtained."""
    if cell is None:
        return Text("")
    return Text.assemble(cell.figure, "\n", (cell.origin, "dim"))


def verdict(line: Row) -> Text:
    """The limit, and below it whether it is met."""
    if line.met is None:
        return Text(line.limit)
    used = "" if line.share is None else f", {100 * line.share:.0f}% used"
    return Text.assemble(line.limit, "\n", ("met", "green") if line.met else ("missed", "bold red"), (used, "dim"))


def summary(data: dict[str, Any]) -> Group:
    """A rich renderable: the outcome in a sentence and the before/after table.

    Raises:
        BadInput: `data` is not a report.
    """
    validate(data)
    table = Table(title=escape(data["title"]), title_justify="left", title_style="bold", box=None, padding=(0, 2, 1, 0))
    table.add_column("")
    for side in ("before", "after"):
        table.add_column(escape((data.get(side) or {}).get("label", side)), justify="right")
    table.add_column("change", justify="right")
    table.add_column("limit", justify="right")
    for line in rows(data):
        table.add_row(Text(line.name), two_lines(line.before), two_lines(line.after), line.change, verdict(line))
    outcome = data["outcome"]
    lead = Text.assemble(("fits: " if outcome["fits"] else "does not fit: ", "bold"), outcome["message"])
    return Group(table, lead, *(Text(f"  {advice}") for advice in outcome.get("advice") or ()))
