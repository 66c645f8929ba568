"""Commands that use a model: profile it, run it."""

from pathlib import Path
from typing import Annotated

import typer

from edgesmith.cli.models import load
from edgesmith.cli.options import MODEL_FILES, Data, Folder, Json, ModelSpec, Precision, TargetName, Trust
from edgesmith.cli.output import as_json, readings, say, table, working


def profile(
    model: ModelSpec,
    target: TargetName,
    data: Data = None,
    precision: Precision = "int8",
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Show what each layer of a model costs on a target."""
    from edgesmith.targets import load as load_target

    board = load_target(target)
    named = load(model, data, trust)
    with working(f"compiling {named.name} and counting it on {board.name}"):
        from edgesmith.compiling import profile_model

        found = profile_model(named.module, named.example_inputs, named.task, board, named.name, precision)
    facts = found.to_json()
    if json:
        return as_json(facts)
    rows = [
        [r["name"], r["op"], f"{r['macs']:,}", f"{r['weight_bytes']:,}", f"{r['cycles']:,.0f}", f"{r['share']:.1%}"]
        for r in facts["layers"]["rows"]
    ]
    table(["layer", "op", "MACs", "weight bytes", "cycles", "share"], rows, numbers=(2, 3, 4, 5))
    memory = facts["memory"]
    say(f"\narena {memory['arena_bytes']:,} B (no plan can be below {memory['lower_bound_bytes']:,} B)\n")
    return readings(found.readings())


def run(
    folder: Folder,
    inputs: Annotated[Path, typer.Argument(help=".npy or .npz: one array per input, with or without a batch axis.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write the outputs to this .npz.")] = None,
    on: Annotated[str, typer.Option(metavar="PLACE", help="host, board (emulated) or numpy.")] = "host",
    json: Json = False,
) -> None:
    """Run a compiled model on inputs of yours."""
    import numpy as np

    from edgesmith.execute import read_inputs, run_artifact, save_outputs

    with working(f"running on {on}"):
        if folder.suffix in MODEL_FILES:
            from edgesmith.imported import run_model

            outputs = run_model(folder, read_inputs(inputs), on)
        else:
            outputs = run_artifact(folder, read_inputs(inputs), on)
    if out is not None:
        save_outputs(out, outputs)
    if json:
        return as_json({name: array.tolist() for name, array in outputs.items()})
    if out is not None:
        return say(f"outputs: {out}")
    for name, array in outputs.items():
        say(f"{name} {array.shape}:")
        say(np.array2string(array, precision=4, suppress_small=True, max_line_width=100))
    return None
