"""Commands that use a model: profile it, run it."""

from pathlib import Path
from typing import Annotated

import typer

from edgesmith.cli.models import load
from edgesmith.cli.options import Data, Folder, Json, ModelSpec, TargetName, Trust
from edgesmith.cli.output import as_json, stdout, table


def profile(
    model: ModelSpec,
    target: TargetName,
    data: Data = None,
    precision: Annotated[str, typer.Option(help="int8 or float32.")] = "int8",
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Show what each layer of a model costs on a target."""
    from edgesmith.compiling import profile_model
    from edgesmith.targets import load as load_target

    named = load(model, data, trust)
    found = profile_model(named.module, named.example_inputs, named.task, load_target(target), named.name, precision)
    if json:
        return as_json(found.to_json())
    layers, memory = found.tables()
    rows = [
        [r["name"], r["op"], f"{r['macs']:,}", f"{r['weight_bytes']:,}", _count(r["cycles"]), _share(r, layers["rows"])]
        for r in layers["rows"]
    ]
    table("", ["layer", "op", "MACs", "weight bytes", "cycles", "share"], rows, numbers=(2, 3, 4, 5))
    stdout().print(f"\narena {memory['arena_bytes']:,} B (no plan can be below {memory['lower_bound_bytes']:,} B)")
    for name, reading in found.readings().items():
        stdout().print(f"{name:8} {reading}")
    return None


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _share(row: dict[str, float], rows: list[dict[str, float]]) -> str:
    total = sum(r["cycles"] or 0 for r in rows)
    return f"{(row['cycles'] or 0) / total:.1%}" if total else ""


def run(
    folder: Folder,
    inputs: Annotated[Path, typer.Argument(help=".npy or .npz: one array per input, with or without a batch axis.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write the outputs to this .npz.")] = None,
    on: Annotated[str, typer.Option(help="host, board (emulated) or numpy.")] = "host",
    json: Json = False,
) -> None:
    """Run a compiled model on inputs of yours."""
    from edgesmith.execute import read_inputs, run_artifact, save_outputs

    outputs = run_artifact(folder, read_inputs(inputs), on)
    if out is not None:
        save_outputs(out, outputs)
        stdout().print(f"outputs: {out}")
    elif json:
        as_json({name: array.tolist() for name, array in outputs.items()})
    else:
        for name, array in outputs.items():
            stdout().print(f"{name} {array.shape}:")
            stdout().print(str(array))
