"""What a method is, where it comes from, and what it claims."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Factory = TypeVar("Factory", bound=Callable[..., Any])


@dataclass(frozen=True)
class Source:
    """Where a method was published."""

    authors: str
    year: int
    where: str  # "arXiv:1603.05279", or a DOI, or a venue


@dataclass(frozen=True)
class Claim:
    """A statement about a method, with what proves it.

    Exactly one of `test` (a test function's name) and `experiment` (a path under benchmarks/claims/)
    backs a claim; with neither it shows as *unverified* everywhere.
    """

    text: str
    test: str | None = None
    experiment: str | None = None

    @property
    def verified(self) -> bool:
        """Whether a test or an experiment stands behind the claim."""
        return self.test is not None or self.experiment is not None


@dataclass(frozen=True)
class Card:
    """The facts about one method: shown by `edgesmith methods`, checked by the catalog's tests."""

    name: str
    does: str
    source: Source
    claims: tuple[Claim, ...]
    omits: tuple[str, ...] = ()


def method(card: Card) -> Callable[[Factory], Factory]:
    """Attach `card` to a method's factory; it registers nothing."""

    def attach(factory: Factory) -> Factory:
        factory.card = card  # type: ignore[attr-defined]
        return factory

    return attach
