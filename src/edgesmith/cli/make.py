"""Commands that make something: fit, demo, compile, report."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from edgesmith.cli.models import load, need_task
from edgesmith.cli.options import (
    MODEL_FILES,
    Data,
    Jobs,
    Json,
    MaxRam,
    ModelSpec,
    Patch,
    Precision,
    Seed,
    TargetName,
    Trust,
)
from edgesmith.cli.output import arena_said, as_json, note, readings, say, stdout, working
from edgesmith.core.budget import Budget, parse_quantity
from edgesmith.core.errors import DoesNotFit
from edgesmith.core.reading import Reading

if TYPE_CHECKING:
    from edgesmith.compress.quantize.calibrators import Calibration
    from edgesmith.training.recipe import Augment

MaxFlash = Annotated[
    str | None, typer.Option("--max-flash", metavar="SIZE", help='Such as "64KB". Default: the board\'s own.')
]
MaxLatency = Annotated[
    str | None, typer.Option("--max-latency", metavar="TIME", help='Of one inference, such as "5ms".')
]
MaxEnergy = Annotated[
    str | None, typer.Option("--max-energy", metavar="ENERGY", help='Of one inference, such as "40uJ".')
]
MinAccuracy = Annotated[
    str | None, typer.Option("--min-accuracy", metavar="SHARE", help='On the validation split, such as "97%".')
]
FitOut = Annotated[Path, typer.Option("--out", help="The folder to work in; an interrupted fit goes on there.")]
Out = Annotated[Path, typer.Option("--out", help="The folder to write.")]
Time = Annotated[str, typer.Option("--time", metavar="TIME", help='Most time to search, such as "600s".')]
Trials = Annotated[int, typer.Option(min=1, metavar="N", help="Most candidates to try.")]
Epochs = Annotated[int, typer.Option(min=1, metavar="N", help="Of fine-tuning after pruning.")]
DEMO_MODEL, DEMO_TARGET, DEMO_LATENCY, DEMO_TRIALS = "digits-resnet", "stm32f103", "80ms", 8


def fit(
    model: ModelSpec,
    target: TargetName,
    data: Data = None,
    max_flash: MaxFlash = None,
    max_ram: MaxRam = None,
    max_latency: MaxLatency = None,
    max_energy: MaxEnergy = None,
    min_accuracy: MinAccuracy = None,
    out: FitOut = Path("edgesmith-fit"),
    time: Time = "1800s",
    trials: Trials = 12,
    epochs: Epochs = 15,
    jobs: Jobs = None,
    seed: Seed = 0,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Find the best model that fits a target and a budget."""
    from edgesmith.targets import load as load_target

    board = load_target(target)
    budget = Budget.parse(max_flash, max_ram, max_latency, max_energy, min_accuracy)
    time_s = parse_quantity(time, "ms") / 1000
    named = load(model, data, trust)
    task = need_task(named)
    from edgesmith.fit import fit as run_fit
    from edgesmith.fit.fit import Effort

    given: dict[str, object] = {"target": target, "data": data, "max-flash": max_flash, "max-ram": max_ram}
    given |= {"max-latency": max_latency, "max-energy": max_energy, "min-accuracy": min_accuracy, "out": out}
    given |= {"time": time, "trials": trials, "epochs": epochs, "seed": seed, "trust": trust}
    if model.endswith((".pt2", *MODEL_FILES)):
        note("a program from a file is quantized and tuned, its channels are not pruned: give file.py:function")
    try:
        run_fit(
            named.module,
            task,
            target=board,
            budget=budget,
            out=out,
            name=named.name,
            effort=Effort(trials, time_s, jobs, epochs, seed, augment_of(model)),
            command=command_line("fit", model, given),
            progress=note,
        )
    except DoesNotFit as error:
        show(out, json)
        raise DoesNotFit(f"fit: nothing fits. Why, and what would, stands in {out / 'report.html'}.") from error
    show(out, json)


def show(out: Path, json: bool) -> None:
    """The report of a fit that has ended, in whatever way, on stdout."""
    from edgesmith.report import load as load_report
    from edgesmith.report import summary

    data = load_report(out / "report.json")
    if json:
        return as_json(data)
    stdout().print(summary(data))
    if data["outcome"]["fits"]:
        say(f"artifact: {out / 'best'}")
    return say(f"report:   {out / 'report.html'}")


def augment_of(model: str) -> "Augment":
    """How the zoo trained a net, so that fine-tuning does likewise; none for a user's own."""
    from edgesmith import zoo

    recipe = zoo.info(model).recipe if model in zoo.names() else None
    return recipe.augment if recipe else "none"


def command_line(verb: str, model: str, given: dict[str, object]) -> str:
    """The command that was given, for the report.

    >>> command_line("fit", "my net.py:f", {"target": "rp2040", "data": None, "trust": True})
    "edgesmith fit 'my net.py:f' --target rp2040 --trust"
    """
    words = ["edgesmith", verb, model]
    for name, value in given.items():
        if value is not None and value is not False:
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return shlex.join(words)


def demo(out: FitOut = Path("demo"), jobs: Jobs = None, json: Json = False) -> None:
    """Watch a net that is far too big for a Blue Pill become one that fits."""
    note(f"edgesmith fit {DEMO_MODEL} --target {DEMO_TARGET} --max-latency {DEMO_LATENCY} --out {out}")
    fit(DEMO_MODEL, DEMO_TARGET, max_latency=DEMO_LATENCY, out=out, trials=DEMO_TRIALS, jobs=jobs, json=json)


def compile_(
    model: ModelSpec,
    target: TargetName,
    out: Out,
    data: Data = None,
    precision: Precision = "int8",
    calibration: Annotated[str, typer.Option(metavar="NAME", help="minmax, percentile, mse or entropy.")] = "mse",
    patch: Patch = "auto",
    max_ram: MaxRam = None,
    method: Annotated[str, typer.Option(metavar="NAME", help="ptq, i-vit, i-segmenter or edge-moe.")] = "ptq",
    images: Annotated[int, typer.Option(min=0, metavar="N", help="To calibrate on; 0 for the whole split.")] = 0,
    integer_only: Annotated[bool, typer.Option("--integer-only", help="Refuse a program with a float op.")] = False,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Compile a model as it is for a target, without search."""
    from edgesmith.targets import load as load_target

    board, ram_bytes = load_target(target), Budget.parse(ram=max_ram).ram_bytes
    named = load(model, data, trust)
    with working(f"compiling {named.name} for {board.name}"):
        from edgesmith.pipeline.compiling import compile_model
        from edgesmith.pipeline.patching import Patching
        from edgesmith.pipeline.programs import Numbers

        numbers = Numbers(precision, cast("Calibration", calibration), method, images, integer_only)
        wish = Patching(patch, ram_bytes)
        artifact = compile_model(named.module, named.example_inputs, named.task, board, out, named.name, numbers, wish)
    if json:
        return as_json(artifact.manifest)
    readings({name: Reading.from_json(facts) for name, facts in artifact.manifest["readings"].items()})
    say(f"\n{arena_said(artifact.manifest['memory'])}")
    if (chosen := artifact.manifest["schedule"])["patch"] != "off":
        say(f"\nsplit to fit RAM: {chosen['patch']}, {chosen['extra_macs']:,} more multiply-accumulates")
    if artifact.manifest["calibrated_on"] == "random":
        say("\nno data: calibrated on random inputs, so the costs are right and the outputs are not; give --data")
    return say(f"\nartifact: {artifact.folder}")


def report(folder: Annotated[Path, typer.Argument(help="A folder of edgesmith fit.")], json: Json = False) -> None:
    """Print the summary of a fit; write its report again."""
    from edgesmith.report import load as load_report
    from edgesmith.report import write

    data = load_report(folder / "report.json")
    if not json:
        write(data, folder / "report.html")
    show(folder, json)
