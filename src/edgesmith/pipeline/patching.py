"""Split a program's first stage into patches or bands when it is too large for its board's RAM, and only then."""

from collections.abc import Callable
from dataclasses import dataclass

from edgesmith.compile.patch import Choice, mcunetv2, parse
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph
from edgesmith.core.target import Target
from edgesmith.cost.memory import flash_bytes
from edgesmith.cost.totals import ram
from edgesmith.pipeline.build import bind_for


@dataclass(frozen=True)
class Patching:
    """How a program may be split.

    Attributes:
        how: "auto" splits what breaks the limit; "off"; or a schedule such as "4x4@3" or "lines:28@3".
        ram_bytes: the limit; None for the board's own, and none where an operating system runs.
    """

    how: str = "auto"
    ram_bytes: int | None = None

    def limit(self, target: Target) -> int | None:
        """RAM that the program may use on a target."""
        if target.hosted:
            return self.ram_bytes
        return min(self.ram_bytes or target.ram_bytes, target.ram_bytes)


AUTO, OFF = Patching(), Patching("off")


def patched(graph: Graph, target: Target, wish: Patching = AUTO) -> Choice:
    """The program as it is, or split so that its RAM, as planned, stays within the limit.

    Args:
        graph: of integer or float ops, as it would be compiled.

    Raises:
        BadInput: `wish.how` is none of the forms.
        Unsupported: a schedule's layer cannot be made piece by piece.
    """
    if not wish.how.strip():
        raise BadInput("patch: the schedule is empty; need auto, off, ROWSxCOLUMNS@LAYER or lines:BANDS@LAYER.")
    if wish.how == "off":
        return Choice(None, graph, 0, 0.0)
    if wish.how != "auto":
        return Choice.of(parse(wish.how, graph), graph)
    limit = wish.limit(target)
    if limit is None:
        return Choice(None, graph, 0, 0.0)
    return mcunetv2(_fullness(graph, target, limit), limit - _beside_the_arena(graph, target))(graph)


def _fullness(graph: Graph, target: Target, limit: int) -> Callable[[Graph], float]:
    """A measure of how full RAM is; what is split into more code than flash holds is no answer.

    Where flash is too small for the graph as it is, no schedule helps, and RAM alone is looked at.
    """
    room = None
    if not target.hosted and flash_bytes(bind_for(graph, target).program, target) <= target.flash_bytes:
        room = target.flash_bytes

    def measure(changed: Graph) -> float:
        program = bind_for(changed, target).program
        full = ram(program, target).value / limit
        over = flash_bytes(program, target) / room if room is not None else 0.0
        return full if over <= 1 else 1 + max(full, over)

    return measure


def _beside_the_arena(graph: Graph, target: Target) -> int:
    """States, variables and stack."""
    program = bind_for(graph, target).program
    return int(ram(program, target).value) - program.interface.arena_bytes
