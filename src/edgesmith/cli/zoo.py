"""The zoo: list its nets, train one."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesmith.cli.options import Accelerator, Json, Seed
from edgesmith.cli.output import as_json, note, say, table

if TYPE_CHECKING:
    from edgesmith.zoo.entries import Entry

zoo = typer.Typer(help="List nets to try edgesmith on, with their data and recipes; train one.")


@zoo.callback(invoke_without_command=True)
def list_nets(context: typer.Context, json: Json = False) -> None:
    """List the nets."""
    if context.invoked_subcommand is not None:
        return
    from edgesmith.zoo import info, names

    entries = [info(name) for name in names()]
    if json:
        return as_json([asdict(entry) for entry in entries])
    rows = [
        [
            e.name,
            e.what,
            f"{e.parameters:,}" if e.parameters else "",
            e.dataset or "none",
            _weights(e),
            f"{e.reference:.4g} {e.metric}" if e.reference is not None else "",
        ]
        for e in entries
    ]
    table(["net", "what", "parameters", "data", "weights", "test"], rows, numbers=(2,))


def _weights(entry: "Entry") -> str:
    """Where a net's weights come from."""
    if entry.classical:
        return "fitted when loaded"
    return "shipped" if entry.shipped else "edgesmith zoo train" if entry.dataset else "random"


@zoo.command()
def train(
    name: Annotated[str, typer.Argument(help="A net that has data.")],
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="The checkpoint; default: your cache, where fit finds it.")
    ] = None,
    accelerator: Accelerator = "cpu",
    json: Json = False,
) -> None:
    """Train a net by its recipe; a killed run goes on where it was."""
    from edgesmith.training.accelerator import named
    from edgesmith.zoo import train as train_net

    device = named(accelerator)
    trained = train_net(name, seed, out, lambda epoch, loss: note(f"epoch {epoch + 1}: loss {loss:.4f}"), device)
    facts = {"checkpoint": str(trained.checkpoint), "validation": trained.validation, "test": trained.test}
    if json:
        return as_json(facts)
    for key, value in facts.items():
        say(f"{key:10} {value}")
