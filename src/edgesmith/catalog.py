"""Every method of every family, for `edgesmith methods` and the tests that run over all of them."""

from importlib import import_module
from typing import Any

from edgesmith.core.errors import Missing

# Each lists its own METHODS; a family appears here with its first method.
FAMILIES = (
    "compress.quantize",
    "compress.binary",
    "compress.prune",
    "compress.distill",
    "compile",
    "collaborate.split",
    "collaborate.distributed",
    "collaborate.schedule",
    "collaborate.offloading",
    "measure",
)

Method = Any  # a callable with a `card`


def methods() -> tuple[tuple[str, Method], ...]:
    """All methods as (family, factory) in the families' order; a factory's facts are in its `card`.

    Raises:
        Missing: an optional package that a family needs is not installed.
    """
    found = []
    for family in FAMILIES:
        try:
            module = import_module(f"edgesmith.{family}")
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("edgesmith"):
                raise
            raise Missing(
                f"catalog: {error.name} is not installed; edgesmith.{family} needs it. "
                'Run: pip install "edgesmith[fit]".'
            ) from error
        found += [(family, factory) for factory in module.METHODS]
    return tuple(found)


def __getattr__(name: str) -> Any:
    # Lazy: the families import torch, and naming the catalog must cost nothing.
    if name == "METHODS":
        return tuple(factory for _, factory in methods())
    raise AttributeError(f"module 'edgesmith.catalog' has no attribute {name!r}")
