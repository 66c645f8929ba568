"""The command that hands a model to other runtimes and build systems."""

from pathlib import Path
from typing import Annotated

import typer

from edgesmith.cli.models import load
from edgesmith.cli.options import Data, Json, Precision, Trust
from edgesmith.cli.output import as_json, say, working

Spec = Annotated[
    str, typer.Argument(help="A folder made by edgesmith compile or fit, or a model as in edgesmith compile.")
]
To = Annotated[
    str,
    typer.Option("--to", metavar="FORMAT", help="onnx, onnx-int8, executorch, tflite, arduino, zephyr or esp-idf."),
]


def export(
    model: Spec,
    to: To,
    out: Annotated[Path, typer.Option("--out", help="The folder to write into.")],
    target: Annotated[
        str | None, typer.Option("--target", metavar="NAME", help="The board of a firmware package, for a model.")
    ] = None,
    data: Data = None,
    precision: Precision = "int8",
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Write a model in another format, after checking it there."""
    from edgesmith import export as exporting

    if (Path(model) / "manifest.json").is_file():
        source = exporting.from_artifact(Path(model), data, trust)
    else:
        from edgesmith.targets import load as load_target

        board = load_target(target) if target else None
        named = load(model, data, trust)
        source = exporting.from_model(named.module, named.example_inputs, named.task, named.name, precision, board)
    with working(f"exporting {source.name} to {to}"):
        done = exporting.export(source, to, out)
    if json:
        return as_json({"files": [str(path) for path in done.files], "relation": done.relation.to_json()})
    say(f"{done.relation.name}: {done.relation.detail}")
    return say(f"written: {done.files[0]}" + (f" and {len(done.files) - 1} more" if len(done.files) > 1 else ""))
