"""Slimmable encoders' claims (arXiv:2306.12691): every width as good as its own net, switched at once, led by the link.

An ensemble of four small encoders in front of the last two blocks of fashion-resnet20 (cut after stage 7), at the
authors' four joint widths: 1 to 4 members, 2 to 8 of the latents' channels. 6,000 training pictures, 5 epochs, seeds
0, 1, 2; the baseline of each width is the same net trained at this width alone, with the same pictures and steps.
Accuracy on the first 5,000 test pictures, bytes on the first 2,000, each coded on its own.

Switching: the median of 1,000 calls of `switch` against reading another width's weights (safetensors, in the file
cache) into an encoder that is built for them, on this machine.

Following: LoRa's delays and headers with a rate that jumps between 1, 2 and 4 kbps every 10 to 30 seconds, drawn by the
seed, 300 s; two requests a second with test pictures from the microcontroller (times of the compiled heads, estimated
from counted instructions), each to arrive within 0.5 s. Beside the follower every width alone over the same trace.

Criteria, fixed before the run, after a pilot of one net with seed 9:
- every width at most 0.01 of accuracy below the net trained for it alone, with at most 5% more bytes;
- the device's weights of all widths together: at most half of those of four nets apart;
- the narrowest head takes at most a third of the widest head's time on the board;
- switching takes at most a hundredth of loading;
- following, at most a tenth as many answers are late as with the widest;
- following, more answers are right and in time than with each width alone.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from edgesmith import targets, zoo
from edgesmith.collaborate.links.channel import Channel
from edgesmith.collaborate.links.link import Link
from edgesmith.collaborate.links.link import load as link_named
from edgesmith.collaborate.split.following import Choice, Follower
from edgesmith.collaborate.split.latents import answers_to, coded_bytes, sent_by
from edgesmith.collaborate.split.model import SplitModel
from edgesmith.collaborate.split.slimmable import WIDTHS, Ensemble, Form, SlimSplit, alone, slimmable
from edgesmith.core.task import Split, Task
from edgesmith.pipeline.build import bind_for
from edgesmith.pipeline.latent_head import latent_head
from edgesmith.pipeline.profile import profile
from edgesmith.training.recipe import Recipe

sys.path.insert(0, str(Path(__file__).parents[1]))
from record import Finding, compared, record
from testbeds import kept

NAME, NET = "slimmable", "fashion-resnet20"
SEEDS = (0, 1, 2)
LAYERS, FORM = ("stages.7",), Form()
RECIPE = Recipe(5, learning_rate=4e-3, weight_decay=0.0, train_samples=6_000, channels_last=True)
TESTED, CODED = 5000, 2000
BOARD = "nucleo-l4r5zi"
SWITCHES, LOADS = 1000, 30
KBPS, HELD_S, TRACE_S = (1.0, 2.0, 4.0), (10.0, 30.0), 300.0
PERIOD_S = DEADLINE_S = 0.5


def first(split: Split, count: int) -> Split:
    """Its first samples."""
    return Split(split.inputs[:count], split.labels[:count])


def figures(way: SplitModel, task: Task) -> dict[str, Any]:
    """Accuracy and bytes of one width; and of each coded sample its bytes and whether its answer is right."""
    test = first(task.test, TESTED)
    sent = sent_by(way.head, test, task.normalize)
    answers = answers_to(way.tail, sent)
    sizes = coded_bytes(way, sent[:CODED])
    right = (answers.argmax(1) == test.labels)[:CODED]
    return {
        "accuracy": task.metric.compute(answers, test.labels),
        "bytes": float(np.mean(sizes)),
        "sizes": sizes.tolist(),
        "right": right.tolist(),
    }


def separate(seed: int, index: int) -> dict[str, Any]:
    """A net trained at one width alone."""
    bed = zoo.load(NET)
    made = slimmable(LAYERS, RECIPE, replace(FORM, widths=(WIDTHS[index],)), seed)(bed.module, bed.task)
    found = figures(made.ways[0], bed.task)
    print(f"seed {seed}, {WIDTHS[index]} alone: {found['accuracy']:.4f}, {found['bytes']:.1f} bytes", flush=True)
    own = {"parameters": parameters(made.net.encoder), "decoder": parameters(made.net.decoder)}
    return {"accuracy": found["accuracy"], "bytes": found["bytes"]} | own


def parameters(module: torch.nn.Module) -> int:
    """Numbers in its state."""
    return sum(value.numel() for value in module.state_dict().values())


def together(seed: int) -> dict[str, Any]:
    """All widths in one set of weights, with the boards' costs, switching, and following a link."""
    bed = zoo.load(NET)
    made = slimmable(LAYERS, RECIPE, FORM, seed)(bed.module, bed.task)
    widths = [figures(way, bed.task) for way in made.ways]
    for width, found in zip(WIDTHS, widths, strict=True):
        print(f"seed {seed}, {width} of all: {found['accuracy']:.4f}, {found['bytes']:.1f} bytes", flush=True)
    heads = [head_costs(made, index, bed.task) for index in range(len(WIDTHS))]
    return {
        "widths": [{key: found[key] for key in ("accuracy", "bytes")} for found in widths],
        "parameters": parameters(made.net.encoder),
        "decoder": parameters(made.net.decoder),
        "heads": heads,
        "switching": switching(made),
        "following": following(seed, widths, [head["ms"] for head in heads]),
    }


def head_costs(made: SlimSplit, index: int, task: Task) -> dict[str, float]:
    """One width's head in integers on the emulated board."""
    target, head = targets.load(BOARD), alone(made.net.encoder, index)
    found = profile(bind_for(latent_head(head, task), target).program, target)
    return {"ms": found.latency.value, "flash": found.flash.value, "instructions": found.instructions or 0.0}


def switching(made: SlimSplit) -> dict[str, float]:
    """Microseconds of a switch, and of loading another width's encoder instead."""
    spans = []
    for index in range(SWITCHES):
        start = time.perf_counter_ns()
        made.switch(index % len(WIDTHS))
        spans.append((time.perf_counter_ns() - start) * 1e-3)
    return {"switch_us": float(np.median(spans)), "load_us": float(np.median(loading()))}


def loading() -> list[float]:
    """Microseconds of building an encoder for one width and reading its weights."""
    spans = []
    with TemporaryDirectory() as folder:
        for index, width in enumerate(WIDTHS):
            form, path = replace(FORM, widths=(width,)), Path(folder) / f"{index}.safetensors"
            save_file({name: value.contiguous() for name, value in Ensemble(form, 1).state_dict().items()}, path)
            for _ in range(LOADS):
                start = time.perf_counter_ns()
                Ensemble(form, 1).load_state_dict(load_file(path))
                spans.append((time.perf_counter_ns() - start) * 1e-3)
    return spans


def trace(seed: int) -> Link:
    """A link whose rate jumps."""
    rng, steps = np.random.default_rng(seed), []
    while sum(seconds for seconds, _ in steps) < TRACE_S:
        others = [rate for rate in KBPS if not steps or rate * 1e-3 != steps[-1][1]]
        steps.append((float(rng.uniform(*HELD_S)), float(rng.choice(others)) * 1e-3))
    return replace(link_named("lora"), name="trace", mbps=max(KBPS) * 1e-3, down_mbps=0.0, steps=tuple(steps))


def following(seed: int, widths: list[dict[str, Any]], device_ms: list[float]) -> dict[str, Any]:
    """Shares of answers that are late, and right and in time: of the follower and of every width alone."""
    link = trace(seed)
    pairs = zip(widths, device_ms, strict=True)
    choices = [Choice(round(found["bytes"]), ms, found["accuracy"]) for found, ms in pairs]
    found = {str(index): requests(link, seed, widths, choices, index) for index in range(len(WIDTHS))}
    return found | {"follower": requests(link, seed, widths, choices, None)}


def requests(
    link: Link, seed: int, widths: list[dict[str, Any]], choices: list[Choice], fixed: int | None
) -> dict[str, Any]:
    """One run over the trace."""
    channel, follower = Channel(link, seed), Follower(choices, link, DEADLINE_S * 1e3)
    late, right, used = [], [], []
    for index in range(int(TRACE_S / PERIOD_S)):
        now_s, sample = index * PERIOD_S, index % CODED
        width = follower.choose(now_s) if fixed is None else fixed
        passage = channel.send(now_s + choices[width].device_ms * 1e-3, widths[width]["sizes"][sample])
        follower.sent(passage)
        late.append(passage.arrive_s > now_s + DEADLINE_S)
        right.append(widths[width]["right"][sample] and not late[-1])
        used.append(width)
    return {"late": float(np.mean(late)), "right_in_time": float(np.mean(right)),
            "used": np.bincount(used, minlength=len(WIDTHS)).tolist()}  # fmt: skip


PAPER = "one slimmable ensemble against separately trained and loaded models (abstract)"


def width_findings(all_: list[dict[str, Any]], apart: list[list[dict[str, Any]]]) -> list[Finding]:
    """Accuracy and bytes of each width."""
    findings = []
    for index, width in enumerate(WIDTHS):
        name = f"{width.members} of {WIDTHS[-1].members} members, {width.channels} of {WIDTHS[-1].channels} channels"
        ours, alone_ = [one["widths"][index] for one in all_], [one[index] for one in apart]
        findings += [
            compared(f"{name}, against a net trained so alone", PAPER, "test accuracy", "at most 0.01 below",
                     [one["accuracy"] for one in alone_], [one["accuracy"] for one in ours],
                     lambda base, mine: mine >= base - 0.01, "four widths share one set of weights and of steps"),
            compared(f"{name}, bytes against a net trained so alone", PAPER, "bytes a picture", "at most 5% more",
                     [one["bytes"] for one in alone_], [one["bytes"] for one in ours],
                     lambda base, mine: mine <= 1.05 * base),
        ]  # fmt: skip
    return findings


def cost_findings(all_: list[dict[str, Any]], apart: list[list[dict[str, Any]]]) -> list[Finding]:
    """Weights, time on the board, switching."""
    return [
        compared("the device's weights for all widths, against four nets", PAPER, "numbers", "at most half",
                 [sum(one["parameters"] for one in nets) for nets in apart], [one["parameters"] for one in all_],
                 lambda base, mine: mine <= base / 2),
        compared("the narrowest head, against the widest", "computing adapts with the width (abstract)",
                 f"ms on {BOARD}, estimated from counted instructions", "at most a third",
                 [one["heads"][-1]["ms"] for one in all_], [one["heads"][0]["ms"] for one in all_],
                 lambda base, mine: mine <= base / 3),
        compared("switching, against loading another net", "minimal overhead against context switching and loading "
                 "(abstract)", "us on this machine", "at most a hundredth",
                 [one["switching"]["load_us"] for one in all_], [one["switching"]["switch_us"] for one in all_],
                 lambda base, mine: mine <= base / 100),
    ]  # fmt: skip


def link_findings(all_: list[dict[str, Any]]) -> list[Finding]:
    """Late answers, and those that are right and in time."""
    runs = [one["following"] for one in all_]
    ours, widest = [run["follower"] for run in runs], str(len(WIDTHS) - 1)
    paper = "adapts to the bandwidth in real time (abstract)"
    late = compared(
        "late answers following the link, against the widest encoder", paper, "share of requests", "at most a tenth",
        [run[widest]["late"] for run in runs], [run["late"] for run in ours],
        lambda base, mine: mine <= base / 10, "a message on its way when the rate falls is late",
    )  # fmt: skip
    return [
        late,
        *(
            compared(f"right and in time following the link, against width {index + 1} alone", paper,
                     "share of requests", "more", [run[str(index)]["right_in_time"] for run in runs],
                     [run["right_in_time"] for run in ours], lambda base, mine: mine > base,
                     "what is late at each fall of the rate costs more than the wider widths bring")
            for index in range(len(WIDTHS))
        ),
    ]  # fmt: skip


def main() -> None:
    """Measure and record."""
    begin = time.monotonic()
    torch.set_num_threads(1)
    all_, apart = [], []
    for seed in SEEDS:
        all_.append(kept(NAME, f"{seed}", lambda s=seed: together(s)))
        apart.append([kept(NAME, f"{seed}-{i}", lambda s=seed, i=i: separate(s, i)) for i in range(len(WIDTHS))])
    findings = [*width_findings(all_, apart), *cost_findings(all_, apart), *link_findings(all_)]
    omits = ["detection with EfficientDet on COCO", "phones", "widths of members and channels apart from one another"]
    record(NAME, 66, findings, omits, begin, {"together": all_, "apart": apart})


if __name__ == "__main__":
    main()
