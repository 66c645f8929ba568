"""`split`: where a request should run, on the device, on the server or in parts on both, over each link."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from edgesmith.collaborate.crossing import images
from edgesmith.collaborate.crossing.carry import carry, mean_bytes
from edgesmith.collaborate.links.ledger import Place
from edgesmith.collaborate.links.link import Link
from edgesmith.collaborate.plan.costs import FORMS, STORED, Costs, Figures, Form, figures_of, place_of, sent
from edgesmith.collaborate.plan.cuts import Cut, cut_at
from edgesmith.collaborate.plan.planner import Found, Goal, Limits, all_cuts, best_cut, score
from edgesmith.collaborate.serve.wire import message_bytes
from edgesmith.core.errors import BadInput, DoesNotFit, Unsupported
from edgesmith.core.graph import Graph
from edgesmith.core.reading import Kind
from edgesmith.core.target import Target
from edgesmith.core.task import Split, Task
from edgesmith.pipeline.build import bind_for, native
from edgesmith.pipeline.joined import Joined, join, quality
from edgesmith.pipeline.profile import Profile, profile
from edgesmith.pipeline.realize import accuracy_of, arranged

CYCLES_PER_INSTRUCTION = 1.5  # of narrowing and coding, on any core; rough
CODED_ON = 16  # samples over which coded bytes are counted
MOST_SAMPLES = 500  # of the validation split on which a cut's quality is measured


@dataclass(frozen=True)
class Wish:
    """What a plan is to be.

    Attributes:
        goal: what is made small, among plans that keep to `limits`.
        quality: the least (or most) of the task's metric.
    """

    goal: Goal = "latency"
    limits: Limits = Limits()
    quality: float | None = None


@dataclass(frozen=True)
class Option:
    """One way to run a request over one link.

    Attributes:
        how: in words: "all on the device", "cut after conv3, 8 bits".
        quality: of the task's metric on the validation split.
        broken: limits it does not keep, each with how often the figure contains it.
        chosen: the best of those that keep all.
        narrow: a cut of the net with a bottleneck, not of the net as it came.
    """

    link: str
    place: Place
    how: str
    figures: Figures
    quality: float
    broken: Mapping[str, float]
    cut: Cut | None = None
    form: Form = STORED
    picture: images.Picture | None = None
    proven: bool = True
    chosen: bool = False
    narrow: bool = False

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        parts = {"latency_ms": self.figures.latency_ms, **vars(self.figures)}
        cut = {"head": list(self.cut.head), "payload": list(self.cut.payload)} if self.cut else None
        own = {"link": self.link, "place": self.place, "how": self.how, "quality": self.quality}
        return {
            **own,
            **parts,
            "broken": dict(self.broken),
            "cut": cut,
            "form": self.form.name,
            "proven": self.proven,
            "chosen": self.chosen,
            "narrow": self.narrow,
        }


@dataclass
class Setting:
    """A program on two machines, with what was measured of it so far.

    Attributes:
        task: gives quality, and the pictures to send.
    """

    graph: Graph
    task: Task
    device: Target
    server: Target
    profiles: tuple[Profile, Profile]
    costs: Costs
    joins: dict[tuple[tuple[int, ...], Form], tuple[Joined, float]] = field(default_factory=dict)

    @cached_property
    def validation(self) -> Split:
        """The samples on which quality is measured."""
        split = self.task.validation
        return Split(split.inputs[:MOST_SAMPLES], split.labels[:MOST_SAMPLES])

    @cached_property
    def whole_quality(self) -> float:
        """Of the program in one piece."""
        return accuracy_of(native(self.graph), self.graph, self.task, self.validation)

    @cached_property
    def pictures(self) -> list[tuple[images.Picture, images.Sent, float]]:
        """Each way to send the picture, with the quality it leaves; none where inputs are no pictures."""
        if not images.are_pictures(self.validation):
            return []
        runner, found = native(self.graph), []
        for picture in images.PICTURES:
            arrived = images.send(picture, self.validation.inputs)
            seen = replace(self.validation, inputs=arrived.inputs)
            found.append((picture, arrived, accuracy_of(runner, self.graph, self.task, seen)))
        return found

    def cut_quality(self, cut: Cut, form: Form) -> float:
        """With the payload as it crosses; measured once."""
        if form.lossless or place_of(self.graph, cut) == "device":
            return self.whole_quality
        return self.joined(cut, form)[1]

    def joined(self, cut: Cut, form: Form) -> tuple[Joined, float]:
        """Both halves, compiled here, and their quality."""
        key = (cut.head, form)
        if key not in self.joins:
            made = join(self.graph, cut, form, self.task.calibration)
            self.joins[key] = made, quality(made, self.graph, self.task, self.validation)
        return self.joins[key]


def setting(graph: Graph, task: Task, device: Target, server: Target) -> Setting:
    """What each op costs on both machines: counted on an emulated core, timed here, or predicted.

    Raises:
        Unsupported: an op has no kernel on one of them, or the program has several inputs or keeps states.
    """
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or graph.states:
        raise Unsupported(f"split: {graph.name} has several inputs or outputs, or keeps states; need one of each.")
    found = tuple(profile(bind_for(graph, target).program, target) for target in (device, server))
    times = [op_times(graph, one, target) for one, target in zip(found, (device, server), strict=True)]
    sizes = constant_bytes(graph)
    pace = tuple(CYCLES_PER_INSTRUCTION / target.clock_hz * 1e3 for target in (device, server))
    coded = coded_bytes(graph, task.calibration)
    costs = Costs(graph, times[0], times[1], sizes, device.power.active_mw, coded, (pace[0], pace[1]))
    return Setting(graph, task, device, server, (found[0], found[1]), costs)


def op_times(graph: Graph, found: Profile, target: Target) -> list[float]:
    """Milliseconds of each op, so that they add up to the whole's latency.

    A program may hold copies that its graph does not, and its layers' cycles are timed one by one: both are shared out
    over all ops in proportion.
    """
    by_name: dict[str, float] = {}
    for layer in found.layers:
        by_name[layer.name] = by_name.get(layer.name, 0.0) + layer.cycles
    own = [by_name.get(op.name or f"{op.kind}.{index}", 0.0) for index, op in enumerate(graph.ops)]
    return [cycles / max(sum(own), 1e-30) * found.latency.value for cycles in own]


def coded_bytes(graph: Graph, calibration: Split) -> dict[tuple[Form, str], int]:
    """Bytes of each tensor that may cross, in each coded form: means over samples that the codes were not made of."""
    read = {name for op in graph.ops for name in op.inputs}
    made = [name for op in graph.ops for name in op.outputs if name in read]
    runner = native(replace(graph, outputs=tuple(made)))
    inputs = [{graph.inputs[0]: arranged(graph, one)} for one in calibration.inputs[: 2 * CODED_ON]]
    seen = [{**one, **runner.run(one)} for one in inputs]
    found = {}
    for name in (*graph.inputs, *made):
        tensor, values = graph.tensors[name], [one[name] for one in seen]
        half = max(1, len(values) // 2)
        for form in (form for form in FORMS if form.coded and form.carries(tensor)):
            carried = carry(tensor, form, np.stack(values[:half]))
            found[form, name] = mean_bytes(carried, values[half:] or values)
    return found


def constant_bytes(graph: Graph) -> list[int]:
    """Bytes of the constants of each op; what two ops share counts for the first."""
    seen: set[str] = set()
    sizes = []
    for op in graph.ops:
        own = [name for name in dict.fromkeys(op.inputs) if name in graph.constants and name not in seen]
        seen.update(own)
        sizes.append(sum(graph.constants[name].nbytes for name in own))
    return sizes


def options(made: Setting, link: Link, wish: Wish, narrow: Setting | None = None) -> list[Option]:
    """Every way worth a look over one link, the chosen one marked; none is marked where none keeps to the limits.

    Args:
        narrow: the net with a bottleneck, whose cuts are looked at too.
    """
    found = [*_whole(made, link, wish), *_pictures(made, link, wish), *_cuts(made, link, wish)]
    if narrow:
        own = _cuts(narrow, link, wish)
        found += [replace(option, how=f"bottleneck, {option.how}", narrow=True) for option in own]
    kept = [option for option in found if not option.broken]
    if not kept:
        return found
    best = min(kept, key=lambda option: score(option.figures, wish.goal))
    return [replace(option, chosen=option is best) for option in found]


def _option(made: Setting, link: Link, wish: Wish, how: str, figures: Figures, quality: float, **more: Any) -> Option:
    broken = dict(wish.limits.broken(figures))
    if wish.quality is not None and not made.task.metric.meets(quality, wish.quality):
        high, low = max(quality, wish.quality), min(quality, wish.quality)
        broken["quality"] = high / low if low > 0 else np.inf
    return Option(link.name, more.pop("place"), how, figures, quality, broken, **more)


def _whole(made: Setting, link: Link, wish: Wish) -> list[Option]:
    """All on the device, and all on the server with the input as it is."""
    ops = len(made.graph.ops)
    found = []
    for count, how in ((ops, "all on the device"), (0, "all on the server, input as it is")):
        cut = cut_at(made.graph, range(count))
        figures = figures_of(made.costs, cut, STORED, link)
        place = place_of(made.graph, cut)
        found.append(_option(made, link, wish, how, figures, made.whole_quality, place=place, cut=cut))
    return found


def _pictures(made: Setting, link: Link, wish: Wish) -> list[Option]:
    """All on the server, the picture sent as a file. Coding is timed here and scaled by the clocks."""
    from edgesmith.targets import load

    here, found = load("x86-64"), []
    server_ms = sum(made.costs.server_ms)
    for picture, arrived, kept in made.pictures:
        device_ms = arrived.encode_ms * here.clock_hz / made.device.clock_hz
        nbytes = message_bytes({made.graph.inputs[0]: (1, round(arrived.mean_bytes))})
        figures = sent(made.costs, link, device_ms, nbytes, server_ms + arrived.decode_ms)
        found.append(
            _option(
                made, link, wish, f"{picture.name}, then the server", figures, kept, place="server", picture=picture
            )
        )
    return found


def _cuts(made: Setting, link: Link, wish: Wish) -> list[Option]:
    """The best cut with each form of the payload; where none keeps to the limits, the best without them."""
    found = []
    for form in FORMS:
        best = _best(made, link, form, wish) or _best(made, link, form, Wish(wish.goal))
        if best:
            how = f"cut after {name_of(made.graph, best.cut)}, {form.name}"
            kept = made.cut_quality(best.cut, form)
            more = {"place": "split", "cut": best.cut, "form": form, "proven": best.proven}
            found.append(_option(made, link, wish, how, best.figures, kept, **more))
    return found


def _best(made: Setting, link: Link, form: Form, wish: Wish) -> Found | None:
    ops = len(made.graph.ops)

    def accept(cut: Cut, form: Form) -> bool:
        if not 0 < cut.after < ops:
            return False
        return wish.quality is None or made.task.metric.meets(made.cut_quality(cut, form), wish.quality)

    try:
        return best_cut(made.costs, form, link, wish.goal, wish.limits, accept)
    except Unsupported:
        return None


def name_of(graph: Graph, cut: Cut) -> str:
    """A cut in words: the layers that made what crosses."""
    producer = graph.producer()
    names = [graph.ops[producer[name]].name or name if name in producer else "the input" for name in cut.payload]
    return " and ".join(names) if len(names) < 4 else f"{names[-1]} and {len(names) - 1} more"


def kinds(made: Setting) -> dict[str, Kind]:
    """How the figures of a plan were obtained."""
    device, server = made.profiles
    return {"device_ms": device.latency.kind, "server_ms": server.latency.kind, "up_ms": "estimated"}


def plan(made: Setting, links: Sequence[Link], wish: Wish, narrow: Setting | None = None) -> list[Option]:
    """Options over every link; `narrow` as `options` has it.

    Raises:
        BadInput: no link.
    """
    if not links:
        raise BadInput("split: no link; need at least one.")
    return [option for link in links for option in options(made, link, wish, narrow)]


def need_choice(found: Sequence[Option], link: Link) -> Option:
    """The option chosen over a link.

    Raises:
        DoesNotFit: none keeps to all limits; it names the nearest and by how much it fails.
    """
    own = [option for option in found if option.link == link.name]
    chosen = next((option for option in own if option.chosen), None)
    if chosen:
        return chosen
    near = min(own, key=lambda option: max(option.broken.values()))
    over = " and ".join(f"{name.rsplit('_', 1)[0]} {ratio:.2f} times its limit" for name, ratio in near.broken.items())
    raise DoesNotFit(f"split: over {link.name} nothing keeps to the limits. Nearest: {near.how}, {over}.")


def along(made: Setting, link: Link) -> list[dict[str, Any]]:
    """Every cut along the program's order with every form: what a page draws."""
    rows = []
    for form in FORMS:
        for found in all_cuts(made.costs, form, link):
            place = place_of(made.graph, found.cut)
            facts = {
                "after": found.cut.after,
                "form": form.name,
                "place": place,
                "latency_ms": found.figures.latency_ms,
            }
            rows.append({**facts, **vars(found.figures)})
    return rows
