"""Commands that make something: fit, compile, report, demo."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesmith.cli.models import load, need_task
from edgesmith.cli.options import Data, Folder, Json, ModelSpec, TargetName, Trust
from edgesmith.cli.output import as_json, note, stdout
from edgesmith.core.budget import Budget

if TYPE_CHECKING:
    from edgesmith.training.recipe import Augment

MaxFlash = Annotated[str | None, typer.Option("--max-flash", help='Such as "64KB". Default: the board\'s own.')]
MaxRam = Annotated[str | None, typer.Option("--max-ram", help='Such as "20KB". Default: the board\'s own.')]
MaxLatency = Annotated[str | None, typer.Option("--max-latency", help='Of one inference, such as "5ms".')]
MaxEnergy = Annotated[str | None, typer.Option("--max-energy", help='Of one inference, such as "40uJ".')]
MinAccuracy = Annotated[str | None, typer.Option("--min-accuracy", help='On the validation split, such as "97%".')]
Out = Annotated[Path, typer.Option("--out", help="The folder to work in and to leave the result in.")]
Time = Annotated[str, typer.Option("--time", help='Most time to search, such as "600s".')]
DEMO_TARGET = "stm32f103"
DEMO_LATENCY = "80ms"


def fit(
    model: ModelSpec,
    target: TargetName,
    data: Data = None,
    max_flash: MaxFlash = None,
    max_ram: MaxRam = None,
    max_latency: MaxLatency = None,
    max_energy: MaxEnergy = None,
    min_accuracy: MinAccuracy = None,
    out: Out = Path("edgesmith-fit"),
    time: Time = "1800s",
    trials: Annotated[int, typer.Option(min=1, help="Most candidates to try.")] = 12,
    epochs: Annotated[int, typer.Option(min=1, help="Of fine-tuning after pruning.")] = 15,
    jobs: Annotated[int | None, typer.Option(min=1, help="Candidates side by side. Default: one a core.")] = None,
    seed: int = 0,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Find the best model that fits a target and a budget."""
    from edgesmith.core.budget import parse_quantity
    from edgesmith.fit.fit import Effort
    from edgesmith.fit.fit import fit as run_fit
    from edgesmith.report import summary
    from edgesmith.targets import load as load_target

    board = load_target(target)
    budget = with_board(Budget.parse(max_flash, max_ram, max_latency, max_energy, min_accuracy), board)
    named = load(model, data, trust)
    task = need_task(named)
    effort = Effort(trials, parse_quantity(time, "ms") / 1000, jobs, epochs, seed, augment_of(model))
    command = words("fit", model, target, data, max_flash, max_ram, max_latency, max_energy, min_accuracy, out)
    found = run_fit(
        named.module,
        task,
        target=board,
        budget=budget,
        out=out,
        name=named.name,
        effort=effort,
        command=command,
        progress=note,
    )
    if json:
        return as_json(found.data)
    stdout().print(summary(found.data))
    stdout().print(f"artifact: {found.folder / 'best'}\nreport:   {found.report()}")
    return None


def with_board(budget: Budget, board: object) -> Budget:
    """The budget with the board's own flash and RAM where none is set."""
    from dataclasses import replace

    if board.hosted:  # type: ignore[attr-defined]
        return budget
    return replace(
        budget,
        flash_bytes=min(budget.flash_bytes or board.flash_bytes, board.flash_bytes),  # type: ignore[attr-defined]
        ram_bytes=min(budget.ram_bytes or board.ram_bytes, board.ram_bytes),  # type: ignore[attr-defined]
    )


def augment_of(model: str) -> "Augment":
    """How the zoo trained a net, so that fine-tuning does likewise; none for a user's own."""
    from edgesmith import zoo

    recipe = zoo.info(model).recipe if ":" not in model and model in zoo.names() else None
    return recipe.augment if recipe else "none"


def words(verb: str, model: str, target: str, data: str | None, *limits: object) -> str:
    """The command line that was given, for the report."""
    names = ("--max-flash", "--max-ram", "--max-latency", "--max-energy", "--min-accuracy", "--out")
    options = [("--target", target), ("--data", data), *zip(names, limits, strict=True)]
    return " ".join(["edgesmith", verb, model, *(f"{name} {value}" for name, value in options if value is not None)])


def demo(
    out: Out = Path("demo"),
    jobs: Annotated[int | None, typer.Option(min=1, help="Candidates side by side. Default: one a core.")] = None,
) -> None:
    """Watch a net that is far too big for a Blue Pill become one that fits."""
    note(f"edgesmith fit digits-resnet --target {DEMO_TARGET} --max-latency {DEMO_LATENCY} --out {out}")
    fit("digits-resnet", DEMO_TARGET, max_latency=DEMO_LATENCY, out=out, trials=8, jobs=jobs)


def compile_(
    model: ModelSpec,
    target: TargetName,
    out: Out,
    data: Data = None,
    precision: Annotated[str, typer.Option(help="int8 or float32.")] = "int8",
    calibration: Annotated[str, typer.Option(help="minmax, percentile, mse or entropy.")] = "mse",
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Compile a model as it is for a target, without search."""
    from edgesmith.compiling import compile_model
    from edgesmith.targets import load as load_target

    named = load(model, data, trust)
    artifact = compile_model(
        named.module, named.example_inputs, named.task, load_target(target), out, named.name, precision, calibration
    )
    if json:
        return as_json(artifact.manifest)
    stdout().print(f"artifact: {artifact.folder}")
    for name, reading in artifact.manifest["readings"].items():
        stdout().print(f"{name:8} {reading['value']:>12,.6g} {reading['unit']:3} ({reading['kind']})")
    return None


def report(folder: Folder, json: Json = False) -> None:
    """Print the summary of a fit; write its report again."""
    from edgesmith.report import load as load_report
    from edgesmith.report import summary, write

    data = load_report(folder / "report.json")
    if json:
        return as_json(data)
    stdout().print(summary(data))
    stdout().print(f"report: {write(data, folder / 'report.html')}")
    return None
