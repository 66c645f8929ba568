"""How much smaller a net `fit` finds since it chooses bits: flash at an accuracy within 0.5 points of plain int8's.

Four testbeds on the nucleo-l4r5zi, the limit on flash lowered step by step to shares of what plain int8 needs. At each
limit the candidates that `fit` tries first are run as the search runs them: those of the search without bits (int8,
pruned by Taylor and by L1 norm, fine-tuned with distillation), and those with bits (mixed bits by GPTQ, pruned at 4
bits by GPTQ, mixed bits by LSQ). Each side goes down as long as one of its candidates is within 0.5 points of int8 on
the validation split; fine-tuning sees at most 4,000 training samples for 4 epochs, learned steps for 2. The smallest of
either side is then linked, and scored on at most 2,000 test samples. One seed.

    python benchmarks/fit_mixed.py [NET ...]

An earlier form, with candidates of rounding to the nearest in place of GPTQ, stopped at 40%, where neither side was at
its end; the limits go on below it since.
"""

import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from edgesmith import Budget, targets, zoo
from edgesmith.core.atomic import write_file
from edgesmith.core.task import Split
from edgesmith.fit.folder import Folder
from edgesmith.fit.predict import Predictor
from edgesmith.fit.space import Settings, first
from edgesmith.fit.trial import Job, compiled_graph, read_graph, run_trial, score
from edgesmith.pipeline.realize import realize

NETS = ("digits-resnet", "speech-dscnn", "fashion-cnn", "fashion-vit")
BOARD = "nucleo-l4r5zi"
SHARES = (0.8, 0.65, 0.55, 0.45, 0.4, 0.35, 0.3, 0.26, 0.22)
EPOCHS, LEARNED = 4, 2
TRAIN, TESTS = 4000, 2000
ROOM = 0.005
RESULTS = Path(__file__).parent / "results" / "fit_mixed.json"


def start(net: str, folder: Path) -> Job:
    """A fit of a net, with less data."""
    bed = zoo.load(net)
    task = bed.task
    train = Split(task.train.inputs[:TRAIN], task.train.labels[:TRAIN])
    test = Split(task.test.inputs[:TESTS], task.test.labels[:TESTS])
    check = Split(task.validation.inputs[:TESTS], task.validation.labels[:TESTS])
    task = replace(task, train=train, test=test, validation=check)
    board = targets.load(BOARD)
    return Job(bed.module, task, Predictor(board, task, Budget().within(board), net), Folder(folder), 0)


def within(job: Job, flash: float, folder: Path) -> Job:
    """The fit with a limit on flash."""
    budget = replace(job.predictor.budget, flash_bytes=int(flash))
    found = Predictor(job.predictor.target, job.task, budget, job.predictor.name)
    return replace(job, predictor=found, folder=Folder(folder))


def smallest(job: Job, candidates: list[Settings], int8: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Go down the limits; the figures of the smallest net that is accurate enough, int8 itself at first."""
    best = {**int8, "job": job}
    for share in SHARES:
        limited = within(job, share * int8["prediction"]["flash"]["value"], folder / f"{share}")
        for settings in candidates:
            result = run_trial(limited, settings)
            assert result is not None
            worst = max(result["ratios"].values(), default=0.0)
            print(f"  {share:.0%}: {result['words']}: {result['state']} {result.get('validation')}", flush=True)
            if result["state"] == "done" and worst <= 1 and result["validation"] >= int8["validation"] - ROOM:
                best = {**result, "job": limited}
                break
        else:
            break
    owner = best["job"]
    graph = read_graph(owner.folder, Settings(**best["settings"]))
    linked = realize(compiled_graph(graph), owner.predictor.target)
    return {
        "candidate": best["words"],
        "settings": best["settings"],
        "flash_bytes": linked.readings["flash"].value,
        "latency_ms": linked.readings["latency"].value,
        "validation": best["validation"],
        "test": score(graph, job.task, "test"),
    }


def of_net(net: str) -> dict[str, Any]:
    """Plain int8, and the smallest net of either search."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = start(net, folder / "int8")
        _, int8, taylor, rounded, learned, both, norm = first(EPOCHS)
        learned = replace(learned, learned=LEARNED)
        plain = run_trial(job, int8)
        assert plain is not None
        found = {"int8": smallest(job, [], plain, folder)}
        found["bits"] = smallest(job, [rounded, both, learned], plain, folder / "bits")
        found["int8 and pruning"] = smallest(job, [taylor, norm], plain, folder / "pruned")
    found["ratio"] = found["int8 and pruning"]["flash_bytes"] / min(
        found[key]["flash_bytes"] for key in ("bits", "int8 and pruning")
    )
    print(net, json.dumps(found), flush=True)
    return found


def main() -> None:
    """Measure and record."""
    begin = time.monotonic()
    torch.set_num_threads(1)
    done = json.loads(RESULTS.read_text())["nets"] if RESULTS.is_file() else {}
    for net in sys.argv[1:] or NETS:
        done[net] = of_net(net)
        data = {"board": BOARD, "room": ROOM, "nets": done, "seconds": round(time.monotonic() - begin, 1)}
        write_file(RESULTS, json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
