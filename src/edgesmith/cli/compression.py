"""Commands on compression: compress by a recipe, compare methods."""

from pathlib import Path
from typing import Annotated

import typer

from edgesmith.cli.models import load, need_task
from edgesmith.cli.options import Accelerator, Data, Json, ModelSpec, Seed, Trust
from edgesmith.cli.output import as_json, note, say, table
from edgesmith.core.errors import BadInput

RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", metavar="FILE", help="A TOML file with a [[step]] for each method.")
]
MethodName = Annotated[str | None, typer.Option("--method", metavar="NAME", help="In place of a recipe: one method.")]
Bits = Annotated[int, typer.Option("--bits", min=1, max=16, metavar="N", help="Of its weights, with --method.")]
Activations = Annotated[
    int, typer.Option("--activations", min=0, max=8, metavar="N", help="Bits of activations; 0: float where it can be.")
]
Methods = Annotated[str, typer.Option("--methods", metavar="NAMES", help="all, or names with commas.")]
Widths = Annotated[str, typer.Option("--bits", metavar="LIST", help="Of the weights, with commas.")]
On = Annotated[str | None, typer.Option("--target", metavar="NAME", help="Predict flash, RAM and latency there too.")]


def compress(
    model: ModelSpec,
    out: Annotated[Path, typer.Option("--out", help="The folder to write; other commands take it as a model.")],
    recipe: RecipeFile = None,
    method: MethodName = None,
    bits: Bits = 8,
    activations: Activations = 8,
    data: Data = None,
    seed: Seed = 0,
    accelerator: Accelerator = "cpu",
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Compress a model by a recipe, or by one method."""
    if (recipe is None) == (method is None):
        raise BadInput("compress: need either --recipe FILE or --method NAME.")
    named = load(model, data, trust)
    task = need_task(named)
    from edgesmith.pipeline.comparing import choices
    from edgesmith.pipeline.compressed import compress_model, describe, write_compressed
    from edgesmith.pipeline.recipes import read_recipe
    from edgesmith.training.accelerator import named as named_device

    device = named_device(accelerator)
    steps = read_recipe(recipe) if recipe else tuple(choices([method or ""], [bits], activations))
    keep = out.parent / f".{out.name}.training"
    made = compress_model(named.module, task, steps, named.name, seed, keep, note, device)
    write_compressed(out, made, steps, task)
    for state in keep.glob("*"):
        state.unlink()
    if keep.is_dir():
        keep.rmdir()
    if json:
        return as_json(describe(made, steps, task))
    rows = [
        [f"{task.metric.name}, validation", f"{made.before:.4f}", f"{made.after:.4f}"],
        ["weights, bytes", f"{made.bytes_before:,}", f"{made.bytes_after:,}"],
    ]
    table(["", "before", "after"], rows, numbers=(1, 2))
    return say(f"\ncompressed: {out}; next: edgesmith compile {out} --target NAME --out DIR")


def compare(
    model: ModelSpec,
    methods: Methods = "all",
    bits: Widths = "2,3,4,8",
    activations: Activations = 8,
    target: On = None,
    out: Annotated[
        Path, typer.Option("--out", help="The folder of compare.html; an interrupted comparison goes on there.")
    ] = Path("edgesmith-compare"),
    data: Data = None,
    seed: Seed = 0,
    accelerator: Accelerator = "cpu",
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Compare compression methods on a model: quality, bytes, latency, time taken."""
    widths = numbers(bits)
    board = None
    if target:
        from edgesmith.targets import load as load_target

        board = load_target(target)
    named = load(model, data, trust)
    task = need_task(named)
    from edgesmith.pipeline.comparing import choices, compare_methods
    from edgesmith.report.compare import write_comparison
    from edgesmith.training.accelerator import named as named_device

    device = named_device(accelerator)
    steps = choices([name.strip() for name in methods.split(",")], widths, activations)
    rows = compare_methods(named.module, task, steps, board, named.name, seed, out, note, device)
    facts = {"model": named.name, "task": task.name, "metric": task.metric.name, "direction": task.metric.direction}
    facts["target"] = board.name if board else ""
    page = write_comparison({**facts, "rows": rows}, out / "compare.html")
    if json:
        return as_json({**facts, "rows": rows})
    cells = [line(row, with_target=board is not None) for row in rows]
    columns = ["method", "bits", task.metric.name, "weights", *(["flash", "latency"] if board else []), "seconds", ""]
    table(columns, cells, numbers=tuple(range(1, len(columns) - 1)))
    return say(f"\npage: {page}")


def numbers(text: str) -> list[int]:
    """Widths from "2,3,4,8".

    Raises:
        BadInput: something else than numbers from 1 to 16.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= 16 for part in parts):
        raise BadInput(f"compare: --bits {text!r}; need widths with commas, such as 2,3,4,8.")
    return list(dict.fromkeys(map(int, parts)))


def line(row: dict, with_target: bool) -> list[str]:
    """One row as text."""

    def said(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    cost = [said(row["flash_bytes"], ",.0f"), said(row["latency_ms"], ",.3g") and f"{row['latency_ms']:,.3g} ms"]
    head = [row["method"], f"{row['bits'] or ''}", said(row["quality"], ".4f"), said(row["bytes"], ",")]
    return [*head, *(cost if with_target else []), f"{row['seconds']:.1f}", row["error"][:90]]
