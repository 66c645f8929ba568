"""`edgesmith split`: device, server, or some of both."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from edgesmith.cli.models import load, need_task
from edgesmith.cli.options import TARGET, Data, Json, ModelSpec, Precision, Seed, Trust
from edgesmith.cli.output import as_json, say, table, working
from edgesmith.core.budget import Budget, parse_quantity

if TYPE_CHECKING:
    from edgesmith.collaborate.plan.planner import Goal

MAIN_LINK = "wifi"
DeviceName = Annotated[str, typer.Option("--device", metavar="NAME", help=TARGET)]
ServerName = Annotated[str, typer.Option("--server", metavar="NAME", help="Likewise; x86-64 is this machine.")]
Links = Annotated[
    list[str] | None,
    typer.Option(
        "--link",
        metavar="LINK",
        help=f"A built-in link or a .toml file; repeat it to compare. Default: {MAIN_LINK}, with all built-in ones.",
    ),
]
GoalName = Annotated[str, typer.Option("--goal", metavar="GOAL", help="What is made small: latency, energy or bytes.")]
MaxLatency = Annotated[str | None, typer.Option("--max-latency", metavar="TIME", help='Of a request, such as "50ms".')]
MaxEnergy = Annotated[
    str | None, typer.Option("--max-energy", metavar="ENERGY", help='Of a request on the device, such as "5mJ".')
]
MaxBytes = Annotated[str | None, typer.Option("--max-bytes", metavar="SIZE", help='Sent a request, such as "2KB".')]
MinAccuracy = Annotated[
    str | None, typer.Option("--min-accuracy", metavar="SHARE", help='On the validation split, such as "97%".')
]
BottleneckAt = Annotated[
    str | None,
    typer.Option(
        metavar="LAYER", help="Also train a bottleneck (BottleFit) in place of the layers up to this, and cut there."
    ),
]
Epochs = Annotated[int, typer.Option(min=1, metavar="N", help="Of either stage of a bottleneck's training.")]
Out = Annotated[Path | None, typer.Option("--out", help="Write plan.json, plan.html and both programs here.")]


def split(
    model: ModelSpec,
    device: DeviceName,
    server: ServerName = "x86-64",
    link: Links = None,
    data: Data = None,
    goal: GoalName = "latency",
    max_latency: MaxLatency = None,
    max_energy: MaxEnergy = None,
    max_bytes: MaxBytes = None,
    min_accuracy: MinAccuracy = None,
    precision: Precision = "int8",
    bottleneck: BottleneckAt = None,
    epochs: Epochs = 5,
    seed: Seed = 0,
    out: Out = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Find where to cut a model between a device and a server, for a link."""
    from edgesmith.collaborate.links import link as links
    from edgesmith.pipeline.split import Narrowing
    from edgesmith.pipeline.split import split as plan
    from edgesmith.pipeline.split_document import document
    from edgesmith.pipeline.splitting import need_choice

    chosen = [links.load(name) for name in link or [MAIN_LINK, *(n for n in links.names() if n != MAIN_LINK)]]
    named = load(model, data, trust)
    with working(f"costs of {named.name} on {device} and {server}, every cut, {len(chosen)} links"):
        found = plan(
            named.module,
            need_task(named),
            device=device,
            server=server,
            links=chosen,
            budget=Budget.parse(latency=max_latency, energy=max_energy, accuracy=min_accuracy),
            goal=cast("Goal", goal),
            max_bytes=None if max_bytes is None else int(parse_quantity(max_bytes, "bytes")),
            narrowing=Narrowing(bottleneck, epochs, seed) if bottleneck else None,
            precision=precision,
            name=named.name,
        )
        facts = found.save(out) if out else document(found)
    as_json(facts) if json else show(facts, out)
    need_choice(found.options, chosen[0])


def show(facts: dict[str, Any], out: Path | None) -> None:
    """The options over the first link, then the choice over every link."""
    first, metric = facts["links"][0], facts["metric"]
    say(f"{facts['model']} on {facts['device']['title']} and {facts['server']['title']}")
    say(f"over {first['title']}, smallest {facts['goal']} first\n")
    own = sorted((o for o in facts["options"] if o["link"] == first["name"]), key=order(facts["goal"]))
    columns = ("", "", "latency", "device", "up", "server", "down", "sent", "energy", metric, "")
    table(columns, [line(option) for option in own], numbers=range(2, 10))
    if len(facts["links"]) > 1:
        say()
        table(("link", "best", "latency", "sent", "energy", metric), best_lines(facts), numbers=range(2, 6))
    kinds = facts["kinds"]
    say(f"\ndevice {kinds['device_ms']}, server {kinds['server_ms']}, link {kinds['up_ms']}; one request, nobody waits")
    from edgesmith.report.split import linked

    if together := linked(facts):
        say(together)
    if out:
        say(f"\nplan: {out / 'plan.html'}")


def order(goal: str) -> Any:
    """The key that sorts options by what was asked for."""
    key = {"latency": "latency_ms", "energy": "energy_uj", "bytes": "up_bytes"}[goal]
    return lambda option: (option[key], option["latency_ms"])


def line(option: dict[str, Any]) -> list[str]:
    """One option as text."""
    from edgesmith.report.numbers import duration

    times = [
        duration(option[f"{part}_ms"]) if option[f"{part}_ms"] else "" for part in ("device", "up", "server", "down")
    ]
    over = ", ".join(f"{name.rsplit('_', 1)[0]} {ratio:.2f}× its limit" for name, ratio in option["broken"].items())
    return [
        "→" if option["chosen"] else "",
        option["how"],
        duration(option["latency_ms"]),
        *times,
        *costs(option),
        over,
    ]


def costs(option: dict[str, Any]) -> list[str]:
    """Bytes, energy and quality as text."""
    from edgesmith.report.numbers import energy, size

    sent = size(option["up_bytes"]) if option["up_bytes"] else ""
    return [sent, energy(option["energy_uj"]), f"{option['quality']:.4f}"]


def best_lines(facts: dict[str, Any]) -> Sequence[list[str]]:
    """One row a link."""
    from edgesmith.report.numbers import duration

    rows = []
    for link in facts["links"]:
        best = next((o for o in facts["options"] if o["link"] == link["name"] and o["chosen"]), None)
        said = [best["how"], duration(best["latency_ms"]), *costs(best)] if best else ["nothing keeps to the limits"]
        rows.append([f"{link['title']} ({link['mbps']:g} Mbit/s)", *said, *[""] * (5 - len(said))])
    return rows
