"""Commands that use a model: profile it, run it."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from click.exceptions import UsageError

from edgesmith.cli.models import load
from edgesmith.cli.options import (
    MODEL_FILES,
    ArtifactFolder,
    Data,
    Folder,
    Json,
    MaxRam,
    ModelOrArtifact,
    Patch,
    Port,
    Precision,
    Repeats,
    TargetUnlessPort,
    Trust,
)
from edgesmith.cli.output import arena_said, as_json, readings, say, stderr, table, working
from edgesmith.core.budget import Budget
from edgesmith.core.reading import Reading

if TYPE_CHECKING:
    import numpy as np


def profile(
    model: ModelOrArtifact,
    target: TargetUnlessPort = None,
    data: Data = None,
    precision: Precision = "int8",
    patch: Patch = "off",
    max_ram: MaxRam = None,
    trust: Trust = False,
    port: Port = None,
    repeats: Repeats = 10,
    json: Json = False,
) -> None:
    """Show what each layer of a model costs on a target; with --port, of an artifact on the board itself."""
    if port is not None:
        return profile_port(Path(model), port, repeats, json)
    if target is None:
        raise UsageError("Missing option '--target'.")
    from edgesmith.targets import load as load_target

    board, ram_bytes = load_target(target), Budget.parse(ram=max_ram).ram_bytes
    named = load(model, data, trust)
    with working(f"compiling {named.name} and counting it on {board.name}"):
        from edgesmith.pipeline.compiling import profile_model
        from edgesmith.pipeline.patching import Patching

        wish = Patching(patch, ram_bytes)
        found = profile_model(
            named.module, named.example_inputs, named.task, board, named.name, precision, patching=wish
        )
    facts = found.to_json()
    if json:
        return as_json(facts)
    rows = [
        [r["name"], r["op"], f"{r['macs']:,}", f"{r['weight_bytes']:,}", f"{r['cycles']:,.0f}", f"{r['share']:.1%}"]
        for r in facts["layers"]["rows"]
    ]
    table(["layer", "op", "MACs", "weight bytes", "cycles", "share"], rows, numbers=(2, 3, 4, 5))
    memory = facts["memory"]
    say(f"\n{arena_said(memory)}\n")
    return readings(found.readings())


def profile_port(folder: Path, port: str, repeats: int, json: bool) -> None:
    """The same, read from a board that runs the artifact."""
    from edgesmith.pipeline.onboard import profile_on_board

    with working(f"running on the board at {port}"):
        found = profile_on_board(folder, port, repeats)
    if json:
        facts = found.to_json()
        return as_json({name: facts[name] for name in ("readings", "layers")})
    rows = [[r["name"], r["op"], f"{r['macs']:,}", f"{r['cycles']:,.0f}", f"{r['share']:.1%}"] for r in found.layers]
    counted = "cycles" if "cycles" in found.readings else "instructions"
    table(["layer", "op", "MACs", counted, "share"], rows, numbers=(2, 3, 4))
    say()
    return readings(found.readings)


def run(
    folder: Folder,
    inputs: Annotated[Path, typer.Argument(help=".npy or .npz: one array per input, with or without a batch axis.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write the outputs to this .npz.")] = None,
    on: Annotated[
        str, typer.Option(metavar="PLACE", help="host, target (its emulated core or wasmtime) or numpy.")
    ] = "host",
    port: Port = None,
    repeats: Repeats = 10,
    threads: Annotated[
        int, typer.Option("--threads", min=1, metavar="N", help="On the host; results are the same.")
    ] = 1,
    json: Json = False,
) -> None:
    """Run a compiled model on inputs of yours."""
    import numpy as np

    from edgesmith.pipeline.execute import read_inputs, run_artifact, save_outputs

    given = read_inputs(inputs)
    outputs: Mapping[str, np.ndarray]
    figures: Mapping[str, Reading] = {}
    with working(f"running on {port or on}"):
        if folder.suffix in MODEL_FILES:
            from edgesmith.pipeline.imported import run_model

            outputs = run_model(folder, given, on)
        elif port is None:
            outputs = run_artifact(folder, given, on, threads)
        else:
            outputs, figures = run_port(folder, given, port, repeats)
    if out is not None:
        save_outputs(out, outputs)
    if json:
        values = {name: array.tolist() for name, array in outputs.items()}
        found = {name: reading.to_json() for name, reading in figures.items()}
        return as_json({"outputs": values, "readings": found} if port else values)
    if out is not None:
        say(f"outputs: {out}")
    for name, array in outputs.items() if out is None else ():
        say(f"{name} {array.shape}:")
        say(np.array2string(array, precision=4, suppress_small=True, max_line_width=100))
    if figures:
        readings(figures)
    return None


def run_port(
    folder: Path, given: "Mapping[str, np.ndarray]", port: str, repeats: int
) -> "tuple[Mapping[str, np.ndarray], Mapping[str, Reading]]":
    """The same on the board at a serial port, and what it took."""
    from edgesmith.pipeline.onboard import run_on_board

    found = run_on_board(folder, given, port, repeats)
    return found.outputs, found.readings


def flash(
    folder: ArtifactFolder,
    port: Annotated[
        str | None, typer.Option("--port", metavar="PORT", help="Where the chip's own serial boot loader listens.")
    ] = None,
    probe: Annotated[str | None, typer.Option(metavar="NAME", help="stlink, cmsis-dap or jlink.")] = None,
    tool: Annotated[str | None, typer.Option(metavar="NAME", help="Which program flashes; see --dry-run.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Keep sources, .elf, .bin, .hex and .uf2 here.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the commands, run none.")] = False,
    emulated: Annotated[
        bool, typer.Option("--emulated", help="Start an emulated board instead; prints its port, ends with Ctrl-C.")
    ] = False,
    json: Json = False,
) -> None:
    """Put a compiled model onto a board, with a program that answers on its serial port."""
    from edgesmith.pipeline.onboard import Way, emulated_board, flash_artifact

    if emulated:
        with emulated_board(folder) as board:
            say(board.port, now=True)
            return board.wait()
    with working("building the firmware"):
        way = Way(port, probe, tool)
        done = flash_artifact(folder, way, out, dry_run, lambda line: stderr().print(line))
    if json:
        plans = [{"tool": p.tool, "commands": p.commands, "missing": p.missing} for p in done.plans]
        kept = done.files if out is not None else {}
        return as_json({"tool": done.plan.tool, "flashed": not dry_run, "plans": plans, "files": kept})
    if dry_run:
        rows = [
            [plan.tool, " && ".join(shlex.join(words) for words in plan.commands), plan.missing or "ready"]
            for plan in done.plans
        ]
        table(["tool", "command", ""], rows)
    else:
        say(f"flashed with {done.plan.tool}: program {done.sha256[:12]}")
    if out is not None:
        say(f"files: {out}")
    return None
