"""What `edgesmith split` leaves: the plan as plain values, and the two programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesmith.collaborate.crossing.carry import Carried
from edgesmith.collaborate.links.link import Link, at_rate
from edgesmith.collaborate.plan.costs import figures_of
from edgesmith.core.atomic import explained, write_file
from edgesmith.core.errors import DoesNotFit
from edgesmith.core.graph import Graph
from edgesmith.core.target import Target
from edgesmith.core.task import Task
from edgesmith.pipeline.board_head import on_board, sources
from edgesmith.pipeline.compiling import check_room
from edgesmith.pipeline.joined import Joined
from edgesmith.pipeline.plan_folder import PLAN_FILE
from edgesmith.pipeline.realize import arranged, realize, write_artifact
from edgesmith.pipeline.splitting import Option, Setting, Wish, along, kinds
from edgesmith.report.split import write_plan

VERSION = 1
HELD_SAMPLES = 3  # run on an emulated board and held against this machine
SWEEP_MBPS = np.geomspace(0.01, 1000, 41)  # of the page's chart: LoRa to Ethernet


@dataclass(frozen=True)
class Plan:
    """Options over links and what they were made of.

    Attributes:
        links: the first is the one that was asked about.
        narrow: the net with a bottleneck, where one was trained.
    """

    made: Setting
    wish: Wish
    links: Sequence[Link]
    options: Sequence[Option]
    narrow: Setting | None = None

    def of(self, option: Option | None) -> Setting:
        """The net that an option runs."""
        return self.narrow if self.narrow and option and option.narrow else self.made

    @property
    def chosen(self) -> Option | None:
        """Over the first link; None where nothing keeps to the limits."""
        return next((o for o in self.options if o.chosen and o.link == self.links[0].name), None)

    def save(self, out: str | Path) -> dict[str, Any]:
        """Write the plan, its page and the programs of what was chosen; errors as in `write` and `write_plan`."""
        facts = write(self, Path(out))
        write_plan(facts, Path(out) / "plan.html")
        return facts


def document(plan: Plan) -> dict[str, Any]:
    """Everything a page and a reader need."""
    made, link = plan.made, plan.links[0]
    limits = {name: value for name, value in vars(plan.wish.limits).items() if value is not None}
    if plan.wish.quality is not None:
        limits["quality"] = plan.wish.quality
    return {
        "version": VERSION,
        "model": made.graph.name,
        "task": made.task.name,
        "metric": made.task.metric.name,
        "samples": len(made.validation),
        "device": {"name": made.device.name, "title": made.device.title},
        "server": {"name": made.server.name, "title": made.server.title},
        "goal": plan.wish.goal,
        "limits": limits,
        "kinds": kinds(made),
        "links": [{"name": one.name, "title": one.title, "mbps": one.mean_mbps()} for one in plan.links],
        "options": [option.to_json() for option in plan.options],
        "layers": layers(plan.of(plan.chosen)),
        "along": along(plan.of(plan.chosen), link),
        "sweep": sweep(plan, link),
    }


def layers(made: Setting) -> list[dict[str, Any]]:
    """Each op with its time on either side and the bytes of its result."""
    graph, costs = made.graph, made.costs
    return [
        {
            "name": op.name or op.kind,
            "op": op.kind,
            "device_ms": costs.device_ms[index],
            "server_ms": costs.server_ms[index],
            "result_bytes": sum(graph.tensors[name].nbytes for name in op.outputs),
        }
        for index, op in enumerate(graph.ops)
    ]


def sweep(plan: Plan, link: Link) -> dict[str, Any]:
    """Latency of each option, cut as it is, over rates; all else of the link stays."""
    rates = [float(rate) for rate in SWEEP_MBPS]
    links = [at_rate(link, rate) for rate in rates]
    lines = []
    for option in (option for option in plan.options if option.link == link.name):
        moved = [latency_over(plan.of(option), option, one) for one in links]
        lines.append({"how": option.how, "latency_ms": moved, "chosen": option.chosen})
    return {"mbps": rates, "lines": lines}


def latency_over(made: Setting, option: Option, link: Link) -> float:
    """Of one option over another link."""
    figures = option.figures
    if option.cut:
        return figures_of(made.costs, option.cut, option.form, link).latency_ms
    up, down = link.expected_ms(figures.up_bytes), link.expected_ms(figures.down_bytes, down=True)
    return figures.device_ms + up + figures.server_ms + down


def write(plan: Plan, out: Path) -> dict[str, Any]:
    """The plan; the programs of the chosen option, `device/` and `server/`, whichever it needs; `payload/`, the C
    that packs on a board what crosses.

    Raises:
        BadInput: the folder cannot be written.
        DoesNotFit: the part on the device, with the packing of its payload, is too large for it.
        VerificationFailed: the emulated board packs other bytes than this machine.
    """
    facts = document(plan)
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
    if plan.chosen:
        facts["parts"] = write_parts(plan, plan.chosen, out)
    write_file(out / PLAN_FILE, json.dumps(facts, indent=1) + "\n")
    return facts


def write_parts(plan: Plan, option: Option, out: Path) -> dict[str, Any]:
    """Both programs as artifacts, and how the payload crosses between them; the net as it came stands in."""
    made = plan.of(option)
    if option.place == "device":
        return {"device": artifact(made.graph, made.device, made.task, out / "device"), "payload": []}
    if option.place == "server":
        plain = [Carried(made.graph.tensors[name]) for name in made.graph.inputs]
        facts = {"payload": [one.to_json() for one in plain], "picture": option.picture and asdict(option.picture)}
        whole = {"server": artifact(made.graph, made.server, made.task, out / "server")}
        return {**whole, **fallback(plan.made, out), **facts}
    if option.cut is None:
        raise AssertionError("what is split has a cut")
    joined, _ = made.joined(option.cut, option.form)
    write_sources(sources(joined, made.device), out / "payload")
    return {
        "device": artifact(joined.head, made.device, made.task, out / "device"),
        "server": artifact(joined.tail, made.server, None, out / "server"),
        **fallback(plan.made, out),
        **together(joined, made),
        "payload": [one.to_json() for one in joined.carried],
    }


def together(joined: Joined, made: Setting) -> dict[str, Any]:
    """Head and packing as one program on the device's emulated core; nothing where it is not emulated."""
    if not made.device.emulated:
        return {}
    inputs = made.validation.inputs[:HELD_SAMPLES]
    found = on_board(joined, made.device, [{joined.head.inputs[0]: arranged(made.graph, one)} for one in inputs])
    return {"together": found.to_json()}


def fallback(made: Setting, out: Path) -> dict[str, str]:
    """The whole program for the device, to stand in when the server does not answer; nothing where it does not fit."""
    try:
        return {"fallback": artifact(made.graph, made.device, made.task, out / "fallback")}
    except DoesNotFit:
        return {}


def write_sources(texts: Mapping[str, str], folder: Path) -> None:
    """C that packs the payload on a board."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_file(folder / name, text)


def artifact(graph: Graph, target: Target, task: Task | None, folder: Path) -> str:
    """Compile one part and write it; the folder's name."""
    realized = realize(graph, target)
    check_room(realized, target)
    write_artifact(folder, realized, None, task, {"settings": {"part": folder.name}})
    return folder.name
