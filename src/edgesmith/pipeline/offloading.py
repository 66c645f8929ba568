"""Requests of a data set through a plan: the device's half here, the server wherever it is."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgesmith.collaborate.links.ledger import How, Ledger
from edgesmith.collaborate.links.link import Link
from edgesmith.collaborate.serve.background import Background
from edgesmith.collaborate.serve.client import COLUMNS, Answer, Client, Device, Tail
from edgesmith.collaborate.serve.shaper import Shaper
from edgesmith.collaborate.serve.transport import Remote, Stream
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Split, Task
from edgesmith.pipeline.plan_folder import Alone, Head, PlanFolder, load_plan, real

ENERGY = How("estimated", "as planned for the device and the link of the plan; a request in vain counts as a whole one")
WARM_UP = 3  # runs of the fallback before the first request, so that its time is known


@dataclass(frozen=True)
class Traffic:
    """What is asked.

    Attributes:
        deadline_ms: of each request.
        requests: how many; samples of the test split, again and again.
        per_second: at which pace; 0 asks as soon as the last was answered.
    """

    deadline_ms: float
    requests: int
    per_second: float = 0.0


@dataclass(frozen=True)
class Asked:
    """What became of it.

    Attributes:
        quality: the task's metric by place; places without an answer are left out.
    """

    ledger: Ledger
    quality: dict[str, float]


def offload(
    folder: Path,
    task: Task,
    remote: Remote,
    traffic: Traffic,
    link: Link | None = None,
    seen: Callable[[Answer, Ledger], None] = lambda answer, ledger: None,
) -> Asked:
    """Ask for every sample; the answers come by the server, or in time by the device.

    Args:
        link: shapes the connection; None leaves it as it is.
        seen: called after every answer.

    Raises:
        BadInput, Missing: no plan, a damaged one, or one without anything to stand in.
    """
    plan = load_plan(folder)
    with reached(remote, link) as near:
        client = Client(Tail(plan.model, plan.outputs, plan.place), device(plan, task.test), Stream(near))
        try:
            ledger = Ledger({**COLUMNS, "peak_bytes": memory_of(plan), "energy_uj": ENERGY})
            answers = []
            for index, answer in _asked(client, task.test, traffic):
                uj, most = energy_uj(plan, answer), peak_bytes(plan, answer)
                ledger.add(replace(answer.entry, energy_uj=uj, peak_bytes=most))
                answers.append((index, answer))
                seen(answer, ledger)
        finally:
            client.close()
    return Asked(ledger, quality(plan, task, answers))


def energy_uj(plan: PlanFolder, answer: Answer) -> float:
    """Of the plan's own device: what it planned for the server's answer, for its own, or for both where it asked."""
    by_server, alone = plan.energy_uj
    if answer.entry.place != "fallback":
        return by_server
    return alone + (by_server if answer.entry.up_bytes else 0.0)


def memory_of(plan: PlanFolder) -> How:
    """How the memory of the plan's own device was found."""
    reading = plan.ram(plan.device or plan.fallback)
    return How(reading.kind, f"of the device's programs: {reading.how}")


def peak_bytes(plan: PlanFolder, answer: Answer) -> int:
    """The most memory that a request took on the plan's device: of its head, of what stood in, one after the other."""
    head, alone = bool(answer.entry.up_bytes), answer.entry.place == "fallback"
    ran = [artifact for artifact, did in ((plan.device, head), (plan.fallback, alone)) if did and artifact]
    return max((int(plan.ram(artifact).value) for artifact in ran), default=0)


def device(plan: PlanFolder, split: Split) -> Device:
    """The device's half, its fallback timed.

    Raises:
        BadInput: the plan has no fallback.
    """
    if plan.fallback is None:
        raise BadInput("offload: the plan has no fallback/: the whole model does not fit the device. Give --fallback.")
    alone = Alone(plan.fallback)
    begin = time.perf_counter()
    for sample in split.inputs[:WARM_UP]:
        alone({"": sample})
    return Device(Head(plan), alone, (time.perf_counter() - begin) * 1e3 / WARM_UP)


@contextlib.contextmanager
def reached(remote: Remote, link: Link | None) -> Iterator[Remote]:
    """The server, behind the link if there is one."""
    if link is None:
        yield remote
        return
    with Background() as background:

        async def start() -> tuple[Shaper, int]:
            shaper = Shaper(link, remote.port, remote.host)
            return shaper, await shaper.start()

        shaper, port = background.run(start())
        try:
            yield Remote("127.0.0.1", port, remote.root, remote.token, remote.max_bytes)
        finally:
            background.run(shaper.stop())


def _asked(client: Client, split: Split, traffic: Traffic) -> Iterator[tuple[int, Answer]]:
    begin = time.perf_counter()
    for turn in range(traffic.requests):
        if traffic.per_second:
            time.sleep(max(0.0, begin + turn / traffic.per_second - time.perf_counter()))
        index = turn % len(split)
        yield index, client.request({"": split.inputs[index]}, traffic.deadline_ms)


def quality(plan: PlanFolder, task: Task, answers: list[tuple[int, Answer]]) -> dict[str, float]:
    """The task's metric over the answers of each place."""
    found = {}
    for where in dict.fromkeys(answer.entry.place for _, answer in answers):
        own = [(index, answer) for index, answer in answers if answer.entry.place == where]
        graph = plan.fallback.graph if where == "fallback" and plan.fallback else plan.server.graph
        outputs = np.stack([real(graph, answer.outputs) for _, answer in own])
        found[str(where)] = task.metric.compute(outputs, task.test.labels[[index for index, _ in own]])
    return found
