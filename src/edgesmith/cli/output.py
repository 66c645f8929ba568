"""Printing: tables and JSON on stdout, progress on stderr."""

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table

from edgesmith.core.reading import Reading

PIPED_WIDTH = 160  # columns of a table that nobody looks at in a terminal


def as_json(data: Any) -> None:
    """One JSON document on stdout; what is not a number becomes null, for JSON knows no NaN."""
    print(json.dumps(plain(data), indent=1, allow_nan=False))


def plain(data: Any) -> Any:
    """The same with None for NaN and infinities.

    >>> plain({"a": [1.0, float("nan")]})
    {'a': [1.0, None]}
    """
    if isinstance(data, Mapping):
        return {key: plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [plain(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> None:
    """A table on stdout.

    Args:
        numbers: indices of the columns to align right.
    """
    drawn = Table(header_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        drawn.add_column(column, justify="right" if index in numbers else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    stdout().print(drawn, markup=False)


def readings(found: Mapping[str, Reading]) -> None:
    """Figures on stdout, each with how it was obtained."""
    rows = [[name, f"{r.value:,.6g}", r.unit, r.kind, r.how] for name, r in found.items()]
    table(["figure", "value", "", "kind", "how"], rows, numbers=(1,))


def say(line: str = "", now: bool = False) -> None:
    """One line on stdout, never broken; `now` even into a pipe, for a command that goes on."""
    print(line, flush=now)


def stdout() -> Console:
    """Where data go."""
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)


def stderr() -> Console:
    """Where progress and errors go."""
    return Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def note(line: str) -> None:
    """One line of progress, when someone is watching."""
    console = stderr()
    if console.is_terminal:
        console.print(line, style="dim")


def working(on: str) -> AbstractContextManager[Status]:
    """A spinner beside what is being done, when someone is watching."""
    return stderr().status(f"{on} ...")


def arena_said(memory: Mapping[str, Any]) -> str:
    """One line on a memory plan.

    >>> arena_said({"arena_bytes": 10400, "lower_bound_bytes": 9760, "optimal": True})
    'arena 10,400 B, the smallest there is; in use at once 9,760 B (gap 6.2%)'
    """
    arena, bound = memory["arena_bytes"], memory["lower_bound_bytes"]
    known = ", the smallest there is" if memory["optimal"] else ""
    return f"arena {arena:,} B{known}; in use at once {bound:,} B (gap {(arena - bound) / max(arena, 1):.1%})"
