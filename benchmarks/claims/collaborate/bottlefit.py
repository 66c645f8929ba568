"""BottleFit's claims (arXiv:2201.02693) on Fashion-MNIST: few bytes, little loss, a small head, less time and energy.

The shipped fashion-cnn is the teacher. Its layers up to `features.4` give way to an encoder of 1 -> 16 -> 4 channels
(payload 4x7x7) and a decoder; 5 epochs of stage 1, 5 of stage 2 (half labels, half teacher), seeds 0, 1, 2. Beside it:
- labels alone: the same parts from the same first weights, the tail the teacher's, 10 epochs end to end;
- SPINN-style (arXiv:2008.06402): the teacher cut at the same layer, its features in 8, 4 or 2 bits, and an exit there
  (a convolution and a linear layer, 3 epochs, the rest frozen) that answers on the device when it is sure enough; bits
  and threshold are those of the best validation accuracy whose mean bytes do not exceed BottleFit's payload;
- JPEG: the whole file, at the lowest quality that costs the teacher at most half a point on the validation split.
Accuracy is that of the float nets with the payload's integers between them, on the 10,000 test images; the head is
also compiled to int8 C and run. Bytes are exact. Device times and energies are estimates from counts on emulated cores
(head, whole net), server times were measured on this machine; the links are those that ship. JPEG's coding counts as
free.
What a net costs depends on shapes alone: the table has fashion-resnet20, cut after `stages.5`, with it.

Criteria, fixed before the run, on medians: loss to the teacher at most 1 point; payload at least 75% below the raw
picture, and below its JPEG file; labels alone no better; SPINN-style no better at no more bytes; head at least 10 times
smaller, in parameters and as a linked int8 program; the compiled head within half a point; on each link and device,
time and the device's energy below the better of computing there and sending the JPEG.
"""

import copy
import io
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from edgesmith import targets, zoo
from edgesmith.collaborate.links import link as links
from edgesmith.collaborate.split.bottlefit import Stages, tuned
from edgesmith.collaborate.split.bottleneck import Bottleneck, assemble, matched, sealed
from edgesmith.collaborate.split.cut import after, before, traced
from edgesmith.collaborate.split.model import Payload, SplitModel, payload_format
from edgesmith.core.task import Split, Task
from edgesmith.pipeline.build import native
from edgesmith.pipeline.compiling import profile_model
from edgesmith.pipeline.profile import Profile
from edgesmith.pipeline.programs import Numbers, programs
from edgesmith.pipeline.realize import outputs_of
from edgesmith.training.accelerator import fast_bfloat16
from edgesmith.training.distillation import Still
from edgesmith.training.evaluate import evaluate, predict
from edgesmith.training.loop import train_module
from edgesmith.training.recipe import Recipe
from edgesmith.zoo.models.digits import ConvNorm

sys.path.insert(0, str(Path(__file__).parents[1]))
from record import Finding, compared, record
from testbeds import kept

SEEDS = (0, 1, 2)
NET, LAYERS = "fashion-cnn", ("features.4", "features.6", "features.8")
LARGER, LARGER_LAYERS = "fashion-resnet20", ("stages.5", "stages.8")
SHAPE = Bottleneck(channels=4, width=16, halvings=2)
MATCH = Recipe(epochs=5, batch=128, learning_rate=4e-3, bfloat16=fast_bfloat16())
TUNE = replace(MATCH, learning_rate=2e-3)
LABELS = replace(MATCH, epochs=MATCH.epochs + TUNE.epochs)
EXIT = replace(MATCH, epochs=3)
FEW_BITS = 4
QUALITIES = (5, 10, 20, 30, 40, 50, 60, 75, 85, 95)
DEVICES = ("raspberry-pi-4", "nucleo-l4r5zi")
LINKS = ("wifi", "wifi-bad", "lora")
ANSWER_BYTES = 1
PAPER = {
    "loss": "77.1% compression with up to 0.6% accuracy loss on ImageNet (abstract)",
    "spinn": "SPINN loses up to 6% in accuracy (abstract)",
    "head": "the head is 83 times smaller (abstract)",
    "latency": "up to 89% below local computing, 55% below edge offloading (abstract)",
    "energy": "power up to 49% below local computing, 37% below edge offloading (abstract)",
    "labels": "a novel training strategy for high accuracy at strong compression (abstract)",
}
Row = dict[str, Any]


def trained(task: Task, teacher: nn.Module, seed: int) -> dict[str, SplitModel]:
    """The split nets of one seed, by how they were trained."""
    parts = assemble(teacher, task, LAYERS, SHAPE, seed)
    alone = assemble(teacher, task, LAYERS, SHAPE, seed)
    matched(parts, task, MATCH, seed)
    few = replace(copy.deepcopy(parts), bits=FEW_BITS)
    stages = Stages(MATCH, TUNE)
    train_module(nn.Sequential(alone.encoder, alone.decoder, alone.tail), task, LABELS, seed)
    return {
        "bottlefit": tuned(parts, task, stages, seed),
        "few": tuned(few, task, stages, seed),
        "labels": sealed(alone, payload_format(alone.encoder, task, SHAPE.bits)),
    }


def requantized(model: SplitModel, task: Task, bits: int) -> nn.Module:
    """Joined, with fewer bits that nothing was trained for."""
    return replace(model, format=payload_format(model.head, task, bits)).joined()


def compiled_accuracy(model: SplitModel, task: Task) -> float:
    """Test accuracy with the head as int8 C on this machine; what it gives is the payload."""
    example = torch.from_numpy(task.normalize(task.calibration.inputs[:1]))
    graph = programs(model.head, (example,), task, "head", Numbers()).compiled
    sent = outputs_of(native(graph), graph, task.test.inputs).reshape(-1, *model.shape)
    received = replace(task, normalize=type(task.normalize)())
    return evaluate(model.tail, received, Split(sent, task.test.labels))


class Exit(nn.Module):
    """A convolution, the mean over the picture, a linear layer."""

    def __init__(self, inside: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(ConvNorm(inside, inside), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.classify = nn.Linear(inside, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classify(self.conv(x).flatten(1))


def spinn(task: Task, teacher: nn.Module, seed: int, budget: float) -> Row:
    """The best early-exit net whose mean bytes stay within the budget."""
    whole = traced(copy.deepcopy(teacher).eval(), LAYERS[:1])
    head, tail = before(whole, LAYERS[0]), after(whole, LAYERS[0])
    channels, *size = (int(n) for n in predict(head, first(task.calibration), task.normalize).shape[1:])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        leaving = Exit(channels, len(task.classes) or 10)
    early = train_module(nn.Sequential(Still(head), leaving), task, EXIT, seed)
    cuts = []
    for bits in (8, 4, 2):
        late = nn.Sequential(head, Payload(payload_format(head, task, bits)), tail)
        nbytes = channels * size[0] * size[1] * bits / 8
        parts = {name: answers(early, late, task, getattr(task, name)) for name in ("validation", "test")}
        share = min(1.0, budget / nbytes)
        # The surest answer that may still be doubted: as many samples are sent as the budget allows.
        threshold = float(np.quantile(parts["validation"]["sure"], share))
        scores = {name: mixed(part, threshold, nbytes) for name, part in parts.items()}
        plain = float((parts["test"]["late"] == parts["test"]["labels"]).mean())
        cuts.append({"bits": bits, "cut_bytes": nbytes, "no_exit": plain, **scores})
    best = max(cuts, key=lambda cut: cut["validation"]["accuracy"])
    return {"best": best, "cuts": cuts, "exit_parameters": count(leaving) + count(head)}


def first(split: Split) -> Split:
    """One sample."""
    return Split(split.inputs[:1], split.labels[:1])


def answers(early: nn.Module, late: nn.Module, task: Task, split: Split) -> dict[str, np.ndarray]:
    """Both exits' answers, and how sure the early one is, a sample each."""
    scores = torch.from_numpy(predict(early, split, task.normalize)).softmax(-1).numpy()
    whole = predict(late, split, task.normalize).argmax(-1)
    return {"early": scores.argmax(-1), "sure": scores.max(-1), "late": whole, "labels": split.labels}


def mixed(part: Mapping[str, np.ndarray], threshold: float, nbytes: float) -> dict[str, float]:
    """Accuracy and mean bytes when samples below a threshold are sent."""
    sent = part["sure"] < threshold
    right = np.where(sent, part["late"], part["early"]) == part["labels"]
    return {"accuracy": float(right.mean()), "bytes": float(sent.mean() * nbytes), "sent": float(sent.mean())}


def jpeg(task: Task, teacher: nn.Module) -> Row:
    """The lowest quality that costs the teacher half a point at most: accuracy, mean bytes of file and scan."""
    plain = evaluate(teacher, task, task.validation)
    for quality in QUALITIES:
        pictures, files, scans = recoded(task.validation.inputs, quality)
        score = evaluate(teacher, task, Split(pictures, task.validation.labels))
        if score >= plain - 0.005 or quality == QUALITIES[-1]:
            break
    pictures, files, scans = recoded(task.test.inputs, quality)
    score = evaluate(teacher, task, Split(pictures, task.test.labels))
    return {"quality": quality, "accuracy": score, "bytes": files, "scan_bytes": scans}


def recoded(pictures: np.ndarray, quality: int) -> tuple[np.ndarray, float, float]:
    """Grey pictures (n, 1, h, w) through JPEG; mean bytes of a file, and of its scan without tables and headers."""
    found, files, scans = np.empty_like(pictures), 0, 0
    for index, picture in enumerate(pictures):
        buffer = io.BytesIO()
        Image.fromarray(picture[0]).save(buffer, "JPEG", quality=quality, optimize=True)
        data = buffer.getvalue()
        scan = data.index(b"\xff\xda")  # its header takes 10 bytes here, the file's end 2
        files, scans = files + len(data), scans + len(data) - scan - 12
        found[index, 0] = np.asarray(Image.open(io.BytesIO(data)))
    return found, files / len(pictures), scans / len(pictures)


def count(module: nn.Module) -> int:
    """Trainable numbers."""
    return sum(parameter.numel() for parameter in module.parameters())


def of_seed(seed: int) -> Row:
    """Everything that depends on a seed, and the processor's seconds it took."""
    begin = time.process_time()
    torch.set_num_threads(1)
    bed = zoo.load(NET)
    task, teacher = bed.task, bed.module
    assert task is not None
    nets = trained(task, teacher, seed)
    row: Row = {name: evaluate(net.joined(), task, task.test) for name, net in nets.items()}
    ours = nets["bottlefit"]
    row["bytes"], row["few_bytes"] = ours.payload_bytes, nets["few"].payload_bytes
    row["compiled"] = compiled_accuracy(ours, task)
    row["sweep"] = {bits: evaluate(requantized(ours, task, bits), task, task.test) for bits in range(2, 9)}
    row["head_parameters"] = count(ours.head)
    row["spinn"] = spinn(task, teacher, seed, ours.payload_bytes)
    row["seconds"] = time.process_time() - begin
    print(seed, {name: value for name, value in row.items() if name != "spinn"}, flush=True)
    return row


def whole() -> Row:
    """The teacher and its JPEG pictures."""
    torch.set_num_threads(1)
    bed = zoo.load(NET)
    assert bed.task is not None
    accuracy = evaluate(bed.module, bed.task, bed.task.test)
    raw_bytes = int(np.prod(bed.task.test.inputs.shape[1:]))
    return {
        "teacher": accuracy,
        "raw_bytes": raw_bytes,
        "parameters": count(bed.module),
        "jpeg": jpeg(bed.task, bed.module),
    }


def costs(net: str, layers: Sequence[str]) -> Row:
    """Head, tail and whole net on devices and the server; untrained, which changes no cost."""
    bed = zoo.load(net)
    assert bed.task is not None
    parts = assemble(bed.module, bed.task, tuple(layers), SHAPE, seed=0)
    split = sealed(parts, payload_format(parts.encoder, bed.task, SHAPE.bits))
    sent = split.decode(split.encode(split.head(bed.example_inputs[0])))
    found: Row = {"payload_bytes": split.payload_bytes, "parameters": [count(split.head), count(bed.module)]}
    for name in (*DEVICES, "x86-64"):
        target = targets.load(name)
        found[name] = {
            "head": figures(profile_model(split.head, bed.example_inputs, bed.task, target)),
            "whole": figures(profile_model(bed.module, bed.example_inputs, bed.task, target)),
        }
        if name == "x86-64":
            found[name]["tail"] = figures(profile_model(split.tail, (sent,), None, target))
    return found


def figures(profile: Profile) -> dict[str, float]:
    """Time, energy (0 where the target has none), linked bytes."""
    return {
        "ms": float(profile.latency.value),
        "uj": float(profile.energy.value) if profile.energy.value else 0.0,
        "flash": float(profile.flash.value),
        "ram": float(profile.ram.value),
    }


def journeys(cost: Row, device: str, link: links.Link, jpeg_bytes: float) -> dict[str, dict[str, float]]:
    """Mean time and device energy of one request: split, all here, or the picture sent."""
    own, server = cost[device], cost["x86-64"]
    ways = {"local": (own["whole"], 0.0, None), "offload": (None, jpeg_bytes, server["whole"])}
    ways["split"] = (own["head"], cost["payload_bytes"], server["tail"])
    found = {}
    for name, (here, nbytes, there) in ways.items():
        nbytes = int(round(nbytes))
        back = ANSWER_BYTES if there else 0
        wire_ms = link.expected_ms(nbytes) + link.expected_ms(back, down=True)
        radio_uj = link.radio_uj(nbytes) + link.radio_uj(back, down=True)
        ms = (here["ms"] if here else 0.0) + wire_ms + (there["ms"] if there else 0.0)
        found[name] = {"ms": ms, "uj": (here["uj"] if here else 0.0) + radio_uj}
    return found


def travel_findings(cost: Row, jpeg_bytes: float) -> list[Finding]:
    """Time and energy on each device and link, beside the better of the other two ways."""
    found = []
    for device in DEVICES:
        for name in LINKS:
            ways = journeys(cost, device, links.load(name), jpeg_bytes)
            for key, paper, unit in (("ms", "latency", "ms"), ("uj", "energy", "uJ")):
                rival = min(("local", "offload"), key=lambda way: ways[way][key])
                reason = explained(rival, key, ways, cost[device]["head"][key])
                found.append(
                    compared(
                        f"{paper} on {device} over {name}, beside {rival}",
                        PAPER[paper],
                        unit,
                        "below the better of local and JPEG offload",
                        [ways[rival][key]],
                        [ways["split"][key]],
                        lambda other, ours: ours < other,
                        reason,
                    )
                )
    return found


def explained(rival: str, key: str, ways: Mapping[str, Mapping[str, float]], here: float) -> str:
    """Why a way other than the split one wins.

    Args:
        here: what the head takes on the device, in the unit of `key`.
    """
    ours, other = ways["split"][key], ways[rival][key]
    what = {"ms": "ms", "uj": "uJ"}[key]
    if rival == "local":
        return f"the whole net takes {other:,.4g} {what} on the device, link and server alone {ours - here:,.4g}"
    return f"the head takes {here:,.4g} {what}, and the JPEG's more bytes only {other - ours + here:,.4g} more"


def findings(rows: Sequence[Row], base: Row, cost: Row) -> list[Finding]:
    """All claims."""
    ones = [1.0] * len(rows)

    def each(key: str) -> list[float]:
        return [float(row[key]) for row in rows]

    teacher = [base["teacher"]] * len(rows)
    rival = [row["spinn"]["best"]["test"]["accuracy"] for row in rows]
    saved = [1 - n / base["raw_bytes"] for n in each("bytes")]
    against = [1 - n / base["jpeg"]["bytes"] for n in each("bytes")]
    few = [1 - n / base["jpeg"]["bytes"] for n in each("few_bytes")]
    small, large = (cost[DEVICES[1]][part]["flash"] for part in ("head", "whole"))
    point = lambda other, ours: ours >= other - 0.01  # noqa: E731
    quarter = lambda _, ours: ours >= 0.75  # noqa: E731
    picture = base["jpeg"]
    tables = (
        f"a picture of 28x28 is small: its JPEG of quality {picture['quality']} is {picture['bytes']:.0f} bytes, "
        f"{picture['bytes'] - picture['scan_bytes']:.0f} of them headers and tables"
    )
    code = "the kernels' code is in both programs and weighs more than the head's weights"
    return [
        compared("accuracy at 8 bits beside the whole net", PAPER["loss"], "test accuracy", "at most 1 point below",
                 teacher, each("bottlefit"), point, "ten epochs, and an encoder of 432 parameters"),
        compared("accuracy at 4 bits beside the whole net", PAPER["loss"], "test accuracy", "at most 1 point below",
                 teacher, each("few"), point, "fifteen steps a value are too coarse for a range over all channels"),
        compared("payload at 8 bits below the raw picture", PAPER["loss"], "share of 784 bytes", "at least 0.75",
                 ones, saved, quarter),
        compared("payload at 8 bits below its JPEG file", PAPER["loss"], "share of the file's bytes", "at least 0.75",
                 ones, against, quarter, tables),
        compared("payload at 4 bits below its JPEG file", PAPER["loss"], "share of the file's bytes", "at least 0.75",
                 ones, few, quarter, tables),
        compared("two stages beside labels alone, same bottleneck, same epochs", PAPER["labels"], "test accuracy",
                 "no worse", each("labels"), each("bottlefit"), lambda other, ours: ours >= other,
                 "ten classes of small pictures are learned end to end as well; the encoder serves the teacher's "
                 "features, not the labels"),
        compared("beside SPINN-style early exits at no more mean bytes", PAPER["spinn"], "test accuracy", "no worse",
                 rival, each("bottlefit"), lambda other, ours: ours >= other,
                 "the early exit is right and sure about most clothes, so that few are sent; it runs more layers here"),
        compared("head beside the whole net, parameters", PAPER["head"], "times smaller", "at least 10", ones,
                 [base["parameters"] / n for n in each("head_parameters")], lambda _, ours: ours >= 10),
        compared(f"head beside the whole net, linked int8 program on {DEVICES[1]}", PAPER["head"], "times smaller",
                 "at least 10", [1.0], [large / small], lambda _, ours: ours >= 10, code),
        compared("head as compiled int8 C", "not reported", "test accuracy", "at most half a point below",
                 each("bottlefit"), each("compiled"), lambda other, ours: ours >= other - 0.005),
    ]  # fmt: skip


def main() -> None:
    """Measure and record."""
    base = kept("bottlefit", "whole", whole)
    rows = [kept("bottlefit", f"seed{seed}", lambda s=seed: of_seed(s)) for seed in SEEDS]
    cost = {net: kept("bottlefit", net, lambda n=net, at=at: costs(n, at)) for net, at in
            ((NET, LAYERS), (LARGER, LARGER_LAYERS))}  # fmt: skip
    jpeg_bytes = base["jpeg"]["bytes"]
    travels = {
        net: {d: {name: journeys(cost[net], d, links.load(name), jpeg_bytes) for name in LINKS} for d in DEVICES}
        for net in cost
    }
    middle = {key: statistics.median(row["sweep"][key] for row in rows) for key in rows[0]["sweep"]}
    tables = {"whole": base, "seeds": rows, "costs": cost, "travels": travels, "accuracy by bits, untuned": middle}
    found = findings(rows, base, cost[NET]) + travel_findings(cost[NET], jpeg_bytes)
    omits = [
        "ImageNet, ResNet-152 and DenseNets",
        "a real board and radio",
        "SPINN's joint training and scheduler",
        "energy while waiting for the answer",
        "a teacher trained on for as long: the split nets learn ten epochs more than it, and their tails are larger",
    ]
    begin = time.monotonic() - sum(row["seconds"] for row in rows)  # rows may have been kept from before
    record("bottlefit", 81, found, omits, begin, tables)


if __name__ == "__main__":
    main()
