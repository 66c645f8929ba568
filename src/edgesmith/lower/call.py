"""One call of an aten op, its arguments by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgesmith.core.errors import Unsupported
from edgesmith.lower.builder import Builder


@dataclass(frozen=True)
class Call:
    """Arguments of a node, defaults filled in.

    Attributes:
        arguments: by the name in the op's schema; tensors as names in the builder.
        complex_inputs: names of those inputs that are complex; ours hold real and imaginary part on a last axis of 2.
    """

    arguments: Mapping[str, Any]
    complex_inputs: frozenset[str] = frozenset()

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The argument, or `default` where this overload has none."""
        return self.arguments.get(name, default)

    def tensor(self, name: str) -> str:
        """An argument that is a tensor."""
        value = self.arguments[name]
        if not isinstance(value, str):
            raise Unsupported(f"needs a tensor as {name}; found {value!r}.")
        return value


Lowering = Callable[[Builder, Call], "str | list[str]"]


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front: -1 of 4 is 3."""
    return axis % max(rank, 1)
