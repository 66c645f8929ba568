"""A TOML file of a user's, read strictly: every key known, of its type and in range."""

import re
import sys
import tomllib
from collections.abc import Mapping
from typing import Any

from edgesmith.core.errors import BadInput


def read(owner: str, text: str) -> "Table":
    """The top table of a TOML file.

    Raises:
        BadInput: it is not TOML.
    """
    try:
        return Table(owner, "", tomllib.loads(text))
    except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
        raise BadInput(f"{owner}: not TOML ({error}); need a file as in the documentation.") from error


class Table:
    """One TOML table being read: each `take` checks a value, `end` refuses what is left.

    Args:
        owner: whose file it is, for messages: "target stm32f103".
        path: the dotted name of this table in it; "" at the top.
    """

    def __init__(self, owner: str, path: str, values: Mapping[str, Any]) -> None:
        self.owner, self.path, self.values = owner, path, dict(values)

    def where(self, key: str) -> str:
        """The dotted name of a key."""
        return f"{self.path}.{key}" if self.path else key

    def fail(self, key: str, found: str, need: str) -> BadInput:
        """The error for one key."""
        return BadInput(f"{self.owner}: {self.where(key)} {found}; need {need}. Correct the TOML file.")

    def take(self, key: str, kind: type, need: str, default: Any = None) -> Any:
        """The value of `key`; without a default it must be there."""
        if key not in self.values:
            if default is not None:
                return default
            raise self.fail(key, "is missing", need)
        value = self.values.pop(key)
        if kind is float and type(value) is int and abs(value) <= sys.float_info.max:
            value = float(value)
        if type(value) is not kind:
            raise self.fail(key, f"is {repr(value)[:60]}", need)
        return value

    def number(self, key: str, kind: type, bounds: tuple[float, float], default: float | None = None) -> Any:
        """A number inside `bounds`."""
        need = f"{'a whole number' if kind is int else 'a number'} from {bounds[0]:g} to {bounds[1]:g}"
        value = self.take(key, kind, need, default)
        if not bounds[0] <= value <= bounds[1]:  # NaN is not; bounds are finite
            raise self.fail(key, f"is {repr(value)[:60]}", need)
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A string of one line."""
        value: str = self.take(key, str, "a string", default)
        if len(value) > 2000 or any(not c.isprintable() for c in value):
            raise self.fail(key, "is too long or holds control characters", "one line of text")
        return value

    def words(self, key: str, form: re.Pattern[str], default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of strings that each match `form`."""
        values = self.take(key, list, "a list of strings", None if default is None else list(default))
        for value in values:
            if not isinstance(value, str) or not form.fullmatch(value):
                raise self.fail(key, f"holds {value!r}", f"strings like {form.pattern}")
        return tuple(values)

    def table(self, key: str, required: bool = True) -> "Table":
        """A table below this one."""
        found = self.take(key, dict, "a table", None if required else {})
        return Table(self.owner, self.where(key), found)

    def numbers(self, bounds: tuple[float, float]) -> dict[str, float]:
        """All of the table: names to numbers."""
        return {key: self.number(key, float, bounds) for key in list(self.values)}

    def tables(self, key: str) -> list["Table"]:
        """The tables of a list below this one; none where the key is absent."""
        found = self.take(key, list, "a list of tables", [])
        if not all(isinstance(values, dict) for values in found):
            raise self.fail(key, "holds something else", "a list of tables")
        return [Table(self.owner, f"{self.where(key)}[{index}]", values) for index, values in enumerate(found)]

    def end(self) -> None:
        """Refuse keys nobody took."""
        if self.values:
            key = next(iter(self.values))
            raise self.fail(key, "is not a known key", "only the keys of the documentation")
