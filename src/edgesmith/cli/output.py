"""Printing: tables and JSON on stdout, progress on stderr."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def as_json(data: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(data, indent=1))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> None:
    """A table on stdout.

    Args:
        numbers: indices of the columns to align right.
    """
    drawn = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        drawn.add_column(column, justify="right" if index in numbers else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    stdout().print(drawn, markup=False)


def stdout() -> Console:
    """Where data go."""
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160)


def note(line: str) -> None:
    """One line of progress on stderr, when someone may be watching."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(line, markup=False, style="dim")
