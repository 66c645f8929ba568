"""ED-ViT's claims (arXiv:2410.11650) on fashion-vit: a part is up to 28.9 times smaller, latency falls, accuracy stays.

The shipped fashion-vit (138,890 parameters) goes to 2, 5 and 10 devices of 150,000, 42,000 and 24,000 bytes, the
sub-models fine-tuned for four epochs, seeds 0, 1, 2, accuracy on the whole test split. Beside it: classes dealt out at
random, units left at even distances, and one net of a part's size for all classes, each trained alike. A part's cost is
that of its int8 program on an emulated Raspberry Pi 4; a request's time adds the messages on the built-in Wi-Fi link,
which all devices share, in virtual time. The plan then runs in real processes behind loopback sockets: in the middle
one device's process is killed, later another is stopped without a word.

Criteria, fixed before the run: accuracy at most 2 points below the undivided net; ten devices' parts at least 20 times
smaller; the divergence at least half a point better than even distances, like classes together at least half a point
better than random ones, fused parts at least 2 points better than one net of a part's size; the slowest device's time
at most half of the undivided net's, without and with the link; with one device lost the remaining classes lose at
most 3 points, and no answer takes longer than the deadline and half a second.
"""

import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgesmith import targets, zoo
from edgesmith.collaborate.distributed import Device, Plan, ed_vit
from edgesmith.collaborate.distributed.ed_vit import TUNE, Cutting
from edgesmith.collaborate.distributed.request import Leg, requests_ms
from edgesmith.collaborate.distributed.workers import Cluster
from edgesmith.collaborate.links import link as links
from edgesmith.core.task import accuracy
from edgesmith.pipeline.compiling import profile_model
from edgesmith.zoo.testbed import Testbed

sys.path.insert(0, str(Path(__file__).parents[1]))
from record import Finding, compared, record
from testbeds import kept

SEEDS = (0, 1, 2)
MEMORY = {1: 24_000, 2: 150_000, 5: 42_000, 10: 24_000}  # bytes of each device, by their number
ARMS = {  # name: devices, cutting
    "2": (2, Cutting()),
    "5": (5, Cutting()),
    "10": (10, Cutting()),
    "10 even": (10, Cutting(importance="even")),
    "5 random": (5, Cutting(order="random")),
    "one": (1, Cutting()),
}
PICTURE_BYTES, FRAME_BYTES = 784 + 32, 24  # a picture and a vector's header as sent
DEADLINE_S = 2.0
BATCH, REQUESTS = 64, 60  # the first third with all devices, the second without one, the last without two
NARROW = "a part for ten devices has 12 channels and 6,000 parameters, a thousandth of the paper's"
LEARNT = (
    "in as many epochs a part for one class sees a fifth of the pictures that one net for all sees: with eight epochs "
    "instead of four ten parts reached 0.84 instead of 0.82 on validation (seed 0)"
)
FAST_NET = (
    "the whole net takes under a millisecond on this board, a Wi-Fi message alone three; the paper's takes seconds"
)


def measure(job: tuple[str, int]) -> dict[str, Any]:
    """One arm with one seed."""
    arm, seed = job
    return kept("ed_vit", f"{arm} {seed} {TUNE} {MEMORY}".replace("/", " "), lambda: divided(arm, seed))


def divided(arm: str, seed: int) -> dict[str, Any]:
    """Divide, and measure accuracy, cost and, for whole arms, what losses do."""
    torch.set_num_threads(1)
    bed = zoo.load("fashion-vit")
    count, cutting = ARMS[arm]
    devices = [Device(f"pi{index}", MEMORY[count], 10**9) for index in range(count)]
    plan = ed_vit(cutting=cutting, seed=seed)(bed.module, bed.task, devices, links.load("wifi"))
    features = plan.features(bed.task.test.inputs)
    labels = bed.task.test.labels
    found: dict[str, Any] = {
        "accuracy": accuracy(plan.fused(features), labels),
        "classes": [list(part.classes) for part in plan.parts],
        "nbytes": [part.nbytes for part in plan.parts],
        "macs": [part.macs for part in plan.parts],
    }
    if arm in ("2", "5", "10"):
        found |= {"lost": losses(plan, features, labels), "cost": costs(plan, bed) if seed == SEEDS[0] else None}
    if arm in ("5", "10"):
        found["served"] = served(plan, bed)
    print(arm, seed, {name: value for name, value in found.items() if name != "cost"}, flush=True)
    return found


def losses(plan: Plan, features: dict[str, np.ndarray], labels: np.ndarray) -> dict[str, float]:
    """Accuracy without one part, averaged over which: on all classes, and on those of the parts that are left."""
    whole, rows = plan.fused(features), []
    for part in plan.parts:
        scores = plan.fused({name: found for name, found in features.items() if name != part.name})
        own = np.isin(labels, part.classes)
        left = accuracy(scores[~own], labels[~own]), accuracy(whole[~own], labels[~own])
        rows.append((accuracy(scores, labels), *left, accuracy(scores[own], labels[own])))
    names = ("all classes", "classes left", "classes left, no loss", "classes lost")
    return dict(zip(names, np.mean(rows, 0).tolist(), strict=True))


def costs(plan: Plan, bed: Testbed) -> dict[str, Any]:
    """Flash, RAM and time of each part and of the fusion on a Raspberry Pi 4, int8."""
    target = targets.load("raspberry-pi-4")
    found = [figures(profile_model(part.module, bed.example_inputs, bed.task, target)) for part in plan.parts]
    vector = torch.zeros(1, sum(part.width for part in plan.parts))
    fusion = figures(profile_model(plan.fusion, (vector,), None, target))
    return {"parts": found, "fusion": fusion, "reply_bytes": [FRAME_BYTES + 4 * part.width for part in plan.parts]}


def figures(profile: Any) -> dict[str, float]:
    """A profile's readings as numbers."""
    return {f"{name} ({reading.unit})": reading.value for name, reading in profile.readings().items()}


def served(plan: Plan, bed: Testbed) -> dict[str, Any]:
    """Answers of real processes while devices are lost: waits in milliseconds, and whether they equal the plan's."""
    waits, same, came = [], True, []
    with Cluster(plan, bed.task.test.inputs[:1], DEADLINE_S) as cluster:
        for index in range(REQUESTS):
            if index == REQUESTS // 3:
                cluster.peers[plan.names[0]].process.kill()
            if index == 2 * REQUESTS // 3:
                os.kill(cluster.peers[plan.names[1]].process.pid or 0, signal.SIGSTOP)
            raw = bed.task.test.inputs[index * BATCH : (index + 1) * BATCH]
            answer = cluster.answer(raw)
            waits.append(answer.waited_ms)
            came.append(len(answer.came))
            expected = plan.answer(raw, set(plan.names) - set(answer.came))
            same = same and bool(np.abs(answer.scores - expected).max() < 1e-4)
    third = REQUESTS // 3
    return {
        "same": same,
        "devices": [came[0], came[third], came[-1]],
        "median_ms": [float(np.median(waits[at : at + third])) for at in (0, third, 2 * third)],
        "longest_ms": max(waits),
    }


def end_to_end(found: dict[str, Any], input_bytes: int) -> float:
    """Median milliseconds of a request: messages on Wi-Fi, the devices' work at once, the fusion."""
    cost = found["cost"]
    legs = [Leg(part["latency (ms)"], nbytes) for part, nbytes in zip(cost["parts"], cost["reply_bytes"], strict=True)]
    return float(np.median(requests_ms(links.load("wifi"), 0, input_bytes, legs))) + cost["fusion"]["latency (ms)"]


def main() -> None:
    """Measure and record."""
    begin = time.monotonic()
    jobs = [(arm, seed) for seed in SEEDS for arm in ARMS]
    with ProcessPoolExecutor(2) as pool:
        rows = dict(zip(jobs, pool.map(measure, jobs), strict=True))
    bed = zoo.load("fashion-vit")
    whole = figures(profile_model(bed.module, bed.example_inputs, bed.task, targets.load("raspberry-pi-4")))
    undivided = accuracy_of_whole(bed)
    found = {arm: [rows[arm, seed] for seed in SEEDS] for arm in ARMS}
    findings = accuracy_findings(found, undivided, bed) + latency_findings(found, whole) + loss_findings(found)
    tables = {"undivided": {"accuracy": undivided, **whole}, "arms": found, "requests": request_table(found)}
    record("ed_vit", 44, findings, ed_vit.card.omits, begin, tables)  # type: ignore[attr-defined]


def accuracy_of_whole(bed: Testbed) -> float:
    """Of the undivided net on the test split."""
    from edgesmith.training.evaluate import evaluate

    torch.set_num_threads(1)
    return evaluate(bed.module, bed.task, bed.task.test)


def accuracy_findings(found: dict[str, Any], undivided: float, bed: Testbed) -> list[Finding]:
    """Accuracy and size against the undivided net, and against other ways to make the parts."""
    ours = {arm: [row["accuracy"] for row in rows] for arm, rows in found.items()}
    paper = "accuracy comparable to the original, at most 28.9 times smaller (ViT-Base, CIFAR-10; abstract)"
    nbytes = 4 * sum(parameter.numel() for parameter in bed.module.parameters())
    findings = [
        compared(f"accuracy of {arm} devices close to the undivided net's", paper, "test accuracy",
                 "at most 0.02 below", [undivided] * 3, ours[arm], lambda base, mine: mine >= base - 0.02,
                 NARROW if arm == "10" else "a part for five devices has 16 channels and one head of 16")
        for arm in ("2", "5", "10")
    ]  # fmt: skip
    ratios = [nbytes / max(row["nbytes"]) for row in found["10"]]
    others = (
        ("10", "10 even", 0.005, "units of most divergence stay: better than units at even distances",
         "importance by divergence (method); no such comparison was at hand",
         "after four epochs of training the start counts for little"),
        ("5", "5 random", 0.005, "like classes together: better than classes at random",
         "classes are dealt out evenly; no such comparison was at hand",
         "the fusion tells like classes of different parts apart as well"),
        ("10", "one", 0.02, "ten parts fused: better than one net of a part's size for all classes",
         "no such comparison was at hand", LEARNT),
    )  # fmt: skip
    return [
        *findings,
        compared("a part for ten devices is smaller than the net", "28.9 and 34.1 times", "times", "at least 20",
                 [1.0] * 3, ratios, lambda _, mine: mine >= 20),
        *(compared(claim, paper, "test accuracy", f"at least {room} above", ours[other], ours[arm],
                   lambda base, mine, room=room: mine >= base + room, reason)
          for arm, other, room, claim, paper, reason in others),
    ]  # fmt: skip


def latency_findings(found: dict[str, Any], whole: dict[str, float]) -> list[Finding]:
    """Time on the slowest device, then of the whole request; one value each, for the programs do not differ by seed."""
    base = whole["latency (ms)"]
    findings = []
    for arm in ("2", "5", "10"):
        row = found[arm][0]
        slowest = max(part["latency (ms)"] for part in row["cost"]["parts"])
        findings.append(
            compared(f"time on the slowest of {arm} devices, Raspberry Pi 4", "latency falls", "ms, estimated",
                     "at most half of the undivided net's", [base], [slowest], lambda base, mine: mine <= base / 2,
                     "half of the channels leave a third of the work, and as many ops")
        )  # fmt: skip
    findings += [
        compared(f"request to {arm} devices over Wi-Fi, against one device", "inference latency falls", "ms, estimated",
                 "at most half of the undivided net's", [base], [end_to_end(found[arm][0], PICTURE_BYTES)],
                 lambda base, mine: mine <= base / 2, FAST_NET)
        for arm in ("2", "5", "10")
    ]  # fmt: skip
    return findings


def loss_findings(found: dict[str, Any]) -> list[Finding]:
    """What the loss of one device does."""
    findings = []
    for arm in ("5", "10"):
        lost = [row["lost"] for row in found[arm]]
        findings.append(
            compared(f"one of {arm} devices lost: the classes of the others", "not in the paper", "test accuracy",
                     "at most 0.03 below no loss", [row["classes left, no loss"] for row in lost],
                     [row["classes left"] for row in lost], lambda base, mine: mine >= base - 0.03)
        )  # fmt: skip
        served = [row["served"] for row in found[arm]]
        longest = [row["longest_ms"] if row["same"] else float("inf") for row in served]
        findings.append(
            compared(f"{arm} processes, one killed, one stopped: longest wait for an answer, each equal to the plan's",
                     "not in the paper", "ms", f"at most {DEADLINE_S * 1e3 + 500:g}", [DEADLINE_S * 1e3] * 3, longest,
                     lambda base, mine: mine <= base + 500)
        )  # fmt: skip
    return findings


def request_table(found: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Median milliseconds of a request over Wi-Fi, the picture sent to every device, or seen by each."""
    return {
        arm: {
            "picture sent": end_to_end(found[arm][0], PICTURE_BYTES),
            "picture there": end_to_end(found[arm][0], 0),
            "all parts one after another on one board": sum(
                part["latency (ms)"] for part in found[arm][0]["cost"]["parts"]
            ),
        }
        for arm in ("2", "5", "10")
    }


if __name__ == "__main__":
    main()
