"""What there is: targets, methods, and the experiments behind their claims."""

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edgesmith.cli.options import Json
from edgesmith.cli.output import as_json, note, say, table
from edgesmith.core.card import Card
from edgesmith.core.errors import BadInput, Missing


def targets(
    name: Annotated[
        str | None, typer.Argument(help="One target, or a .toml file: every figure with its source.")
    ] = None,
    json: Json = False,
) -> None:
    """List the boards and machines edgesmith knows."""
    from edgesmith.targets import load, names

    found = [load(name)] if name else [load(each) for each in names()]
    if json:
        return as_json([asdict(target) for target in found])
    rows = [
        [
            t.name,
            t.title,
            t.core,
            f"{t.clock_hz / 1e6:g}",
            _size(t.flash_bytes),
            _size(t.ram_bytes),
            "emulated" if t.emulated else "in wasmtime" if t.isa == "wasm" else "measured here",
            "±" + f"{t.cycle_model.error:.0%}" if t.cycle_model.error is not None else "not known",
        ]
        for t in found
    ]
    columns = ["target", "board", "core", "MHz", "flash", "RAM", "runs", "latency error"]
    table(columns, rows, numbers=(3, 4, 5, 7))
    if name:
        say()
        table(["figure", "source"], [[key, text] for key, text in sorted(found[0].sources.items())])
    return None


def _size(nbytes: int) -> str:
    """A memory's size in the largest unit that leaves a number of at least one."""
    value, units = float(nbytes), ["B", "KB", "MB", "GB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:,.0f} {units[0]}"


def methods(json: Json = False) -> None:
    """List the methods, their papers, the evidence behind their claims."""
    from edgesmith.catalog import methods as listed

    cards: list[tuple[str, Card]] = [(family, factory.card) for family, factory in listed()]
    if json:
        return as_json([{"family": family, **asdict(card)} for family, card in cards])
    rows = [
        [
            family,
            card.name,
            card.does,
            f"{card.source.authors} {card.source.year}, {card.source.where}",
            _backed(card),
        ]
        for family, card in cards
    ]
    table(["family", "method", "does", "source", "claims with evidence"], rows)
    return None


def _backed(card: Card) -> str:
    return f"{sum(claim.verified for claim in card.claims)} of {len(card.claims)}"


def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="METHOD...", help="Methods' names; without any, list the experiments.")
    ] = None,
) -> None:
    """Run the experiments behind methods' claims, one after the other."""
    folder = Path.cwd() / "benchmarks" / "claims"
    if not folder.is_dir():
        raise Missing(f"reproduce: no benchmarks/claims in {Path.cwd()}. Run this in a checkout of edgesmith's source.")
    scripts = {path.stem: path for path in sorted(folder.glob("*/*.py"))}
    if not names:
        rows = [[name, str(path.relative_to(Path.cwd()))] for name, path in scripts.items()]
        return table(["method", "experiment"], rows)
    wanted = [name.replace("-", "_") for name in names]  # papers hyphenate, files cannot
    if unknown := [name for name, file in zip(names, wanted, strict=True) if file not in scripts]:
        raise BadInput(f"reproduce: no experiment for {unknown[0]!r}; there are: {', '.join(scripts) or 'none'}.")
    codes = [_run(scripts[name]) for name in wanted]
    raise typer.Exit(max(codes))


def _run(script: Path) -> int:
    note(f"running {script.relative_to(Path.cwd())}")
    return abs(subprocess.run([sys.executable, str(script)], check=False).returncode)
