"""Measure what every kernel costs on every emulated core, and write the tables that predictions are made from.

    python benchmarks/kernel_costs.py            # kernels whose sources changed
    python benchmarks/kernel_costs.py --all
    python benchmarks/kernel_costs.py --core cortex-m4 --only conv2d_s8

Each kernel runs on random shapes in one marked firmware per core; per class of instruction a non-negative least-squares
fit, relative to the size of the run, gives the counts per feature. The error is that of five-fold cross-validation.
"""

import argparse
import hashlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import numpy as np
from cost_cases import CASES, Case
from scipy.optimize import nnls

from edgesmith import targets
from edgesmith.core import ops
from edgesmith.core.atomic import write_file
from edgesmith.core.cache import cache_folder
from edgesmith.core.formats import PerChannel
from edgesmith.core.graph import Graph, Op, Tensor
from edgesmith.core.target import Target
from edgesmith.cost import has_tables
from edgesmith.cost.code import code_size
from edgesmith.cost.memory import call_features, constant_bytes, list_bytes
from edgesmith.emulate import cost
from edgesmith.kernels.abi import BINDINGS, select
from edgesmith.kernels.costs import COSTS, CostTable, KernelCost, digest, key, read, stamp
from edgesmith.kernels.costs.features import features, form
from edgesmith.kernels.kernel import Kernel
from edgesmith.pipeline.build import Compiled, bind_for, firmware
from edgesmith.run.emulated import Emulated

SAMPLES = 36  # shapes of each form of a kernel and op
DRAWS = 8 * SAMPLES  # tried, since most kinds have one form and convolutions several
FEWEST = 10  # samples of a form that make a line
SHORT = 4  # samples of the program that shows the stack: a long one keeps addresses of its own there
FOLDS = 5
SMALLEST = 1e-4  # of all instructions: a coefficient that never reaches this share is left out


@dataclass(frozen=True)
class Sample:
    """A case bound to its kernel."""

    case: Case
    op: Op
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    kernel: Kernel

    @property
    def name(self) -> str:
        """The line of the table it counts for."""
        return key(self.kernel, form(self.op, self.inputs, self.outputs, self.kernel))

    @property
    def function(self) -> str:
        """Folder and function; all its forms are measured in one firmware."""
        return key(self.kernel, "")

    def features(self) -> dict[str, float]:
        """The numbers the fit is linear in."""
        return features(self.op, self.inputs, self.outputs, self.kernel)


def boards() -> list[Target]:
    """One emulated board for each core."""
    found: dict[str, Target] = {}
    for name in targets.names():
        target = targets.load(name)
        if target.emulated and has_tables(target):
            found.setdefault(target.core, target)
    return list(found.values())


def samples(target: Target) -> dict[str, list[Sample]]:
    """Kernel to what is run on it: up to SAMPLES of each of its forms and of each op that it serves."""
    found: dict[str, list[Sample]] = {}
    taken: Counter[tuple[str, str]] = Counter()
    for name, make in CASES.items():
        if name.split()[0] not in BINDINGS:
            continue
        rng = np.random.default_rng(crc32(name.encode()))
        for _ in range(DRAWS):
            sample = bound(make(rng), target)
            if sample and taken[sample.name, name] < SAMPLES:
                taken[sample.name, name] += 1
                group = found.setdefault(sample.function, [])
                group.append(renamed(sample, len(group)))
    return found


def bound(case: Case, target: Target) -> Sample | None:
    """A case with its tensors and kernel; None when the target has no kernel for it."""
    arrays = [*case.live, *case.constants]
    tensors = [Tensor(f"x{i}", a.shape, str(a.dtype)) for i, a in enumerate(arrays)]
    if case.bits < 8:
        weight = len(case.live)
        format_ = PerChannel((1.0,) * len(arrays[weight]), bits=case.bits)
        tensors[weight] = replace(tensors[weight], format=format_)
    inputs = tuple(tensors)
    op = Op(case.kind, tuple(t.name for t in inputs), (), dict(case.attrs))
    made = ops.infer(op, inputs)
    outputs = tuple(Tensor(f"y{i}", shape, dtype) for i, (shape, dtype) in enumerate(made))
    op = replace(op, outputs=tuple(t.name for t in outputs))
    kernel = select(op, inputs, outputs, target.kernels)
    return Sample(case, op, inputs, outputs, kernel) if kernel else None


def renamed(sample: Sample, index: int) -> Sample:
    """The sample with names that are its own in its group."""
    inputs = tuple(replace(t, name=f"x{index}_{i}") for i, t in enumerate(sample.inputs))
    outputs = tuple(replace(t, name=f"y{index}_{i}") for i, t in enumerate(sample.outputs))
    op = replace(
        sample.op, name=f"op{index}", inputs=tuple(t.name for t in inputs), outputs=tuple(t.name for t in outputs)
    )
    return replace(sample, op=op, inputs=inputs, outputs=outputs)


def graph_of(group: Sequence[Sample]) -> Graph:
    """All samples as the ops of one program, each on inputs of its own."""
    tensors = {t.name: t for s in group for t in (*s.inputs, *s.outputs)}
    arrays = {t.name: a for s in group for t, a in zip(s.inputs, [*s.case.live, *s.case.constants], strict=True)}
    live = tuple(t.name for s in group for t in s.inputs[: len(s.case.live)])
    constants = {name: a for name, a in arrays.items() if name not in live}
    return Graph("costs", tensors, tuple(s.op for s in group), live, group[-1].op.outputs, constants)


def measure(group: Sequence[Sample], target: Target) -> tuple[list[dict[str, int]], int]:
    """Class counts of each sample, and the stack of a short program without its lists."""
    counts, _ = counted(group, target)
    few = group[:: max(len(group) // SHORT, 1)][:SHORT]
    _, stack = counted(few, target)
    return counts, stack - list_bytes([sample.op for sample in few])


def counted(group: Sequence[Sample], target: Target) -> tuple[list[dict[str, int]], int]:
    """`run`, from the cache when the same was run before."""
    facts = [(s.op.kind, sorted(s.op.attrs.items()), [t.shape for t in s.inputs], s.inputs[0].dtype) for s in group]
    known = repr(["by name", facts, digest(group[0].kernel.source), target.core, target.compiler_flags])
    path = cache_folder() / "kernel-counts" / f"{hashlib.sha256(known.encode()).hexdigest()[:32]}.json"
    if path.is_file():
        counts, stack = json.loads(path.read_text())
        return counts, stack
    counts, stack = run(group, target)
    write_file(path, json.dumps([counts, stack]))
    return counts, stack


def run(group: Sequence[Sample], target: Target) -> tuple[list[dict[str, int]], int]:
    """Class counts and stack from one run on the emulated board."""
    compiled = bind_for(graph_of(group), target)
    inputs = {t.name: a for s in group for t, a in zip(s.inputs, s.case.live, strict=False)}
    with tempfile.TemporaryDirectory(prefix="edgesmith-costs-") as folder:
        built = firmware(compiled, Path(folder), roomy=True, mark=True)
        with Emulated(built, compiled.program.interface, target, layers=len(group)) as board:
            board.run(inputs)
            assert board.last is not None
            place = {op.name: i for i, op in enumerate(compiled.graph.ops)}  # the plan may have ordered them anew
            return [board.last.by_layer[place[s.op.name]] for s in group], board.last.stack_bytes


def fit(group: Sequence[Sample], counts: Sequence[dict[str, int]]) -> tuple[dict[str, dict[str, float]], list[float]]:
    """Coefficients by class and feature, and the relative errors of cross-validation."""
    rows = [sample.features() for sample in group]
    names = [name for name in rows[0] if any(row[name] != rows[0][name] or name == "one" for row in rows)]
    x = np.array([[row[name] for name in names] for row in rows], float)
    classes = sorted({name for count in counts for name, value in count.items() if value})
    y = np.array([[count.get(name, 0) for name in classes] for count in counts], float)
    total = np.array([cost.instructions(count) for count in counts])
    errors = []
    for fold in range(FOLDS):
        held = np.arange(len(rows)) % FOLDS == fold
        model = solve(x[~held], y[~held], total[~held])
        predicted = x[held] @ model
        found = [cost.instructions(dict(zip(classes, row, strict=True))) for row in predicted]
        errors += list(np.abs(np.array(found) / total[held] - 1))
    model = solve(x, y, total)
    shares = (x[:, :, None] * model[None] / total[:, None, None]).max(axis=0)
    kept = {
        name: {feature: float(f"{model[i, j]:.5g}") for i, feature in enumerate(names) if shares[i, j] > SMALLEST}
        for j, name in enumerate(classes)
    }
    return {name: model for name, model in kept.items() if model}, errors


def solve(x: np.ndarray, y: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Non-negative coefficients (features, classes), each run weighted by the inverse of its length."""
    weighted = x / total[:, None]
    scale = np.maximum(weighted.max(axis=0), 1e-12)
    return np.stack([nnls(weighted / scale, column / total)[0] / scale for column in y.T], axis=1)


def entries(group: Sequence[Sample], target: Target) -> dict[str, KernelCost]:
    """Measure one kernel and fit each of its forms."""
    counts, stack = measure(group, target)
    path = group[0].kernel.source
    source = f"{path.parent.name}/{path.name}"
    found = {}
    for name in dict.fromkeys(sample.name for sample in group):
        ran = [cost.instructions(count) > 0 for count in counts]  # what the plan made a view of its input ran nothing
        chosen = [i for i, sample in enumerate(group) if sample.name == name and ran[i]]
        if len(chosen) >= FEWEST:
            classes, errors = fit([group[i] for i in chosen], [counts[i] for i in chosen])
            quantiles = (float(f"{value:.3g}") for value in np.quantile(errors, (0.5, 0.9, 1.0)))
            found[name] = KernelCost(source, classes, stack, len(chosen), *quantiles, stamp(path))
    return found


CALL_FEATURES = ("program", "call", "argument", "entry")


def call_model(groups: dict[str, list[Sample]], target: Target) -> dict[str, float]:
    """Bytes of code per program, call, argument and list entry, from unmarked programs of four kernels."""
    rows, rest = [], []
    for name in (
        "reference/es_softmax_s8",
        "reference/es_conv_transpose2d_s8",
        "reference/es_mul_s8",
        "reference/es_concat",
    ):
        for length in (4, 16, 32):
            compiled = bind_for(graph_of(groups[name][:length]), target)
            rows.append((1, *call_features(compiled.program)))
            rest.append(around(compiled))
    found = nnls(np.array(rows, float), np.array(rest, float))[0]
    return {name: round(float(value), 1) for name, value in zip(CALL_FEATURES, found, strict=True)}


def around(compiled: Compiled) -> int:
    """Flash of a linked program that is neither constant nor kernel."""
    with tempfile.TemporaryDirectory(prefix="edgesmith-costs-") as folder:
        linked = firmware(compiled, Path(folder), roomy=True).flash_bytes
    kernels = code_size(compiled.program, compiled.target).flash_bytes
    return linked - kernels - constant_bytes(compiled.program)


def refresh(target: Target, everything: bool, only: str) -> CostTable:
    """The table of one core, with what is stale measured anew."""
    path = COSTS / f"{target.core}.json.gz"
    old = read(path) if path.is_file() else CostTable(target.core, target.has_fpu)
    groups = samples(target)
    stamps = {name.split()[0]: found.stamp for name, found in old.kernels.items()}
    fresh = {name for name, group in groups.items() if stamps.get(name) == stamp(group[0].kernel.source)}
    stale = [name for name in groups if only in name and (everything or name not in fresh)]
    kernels = {name: found for name, found in old.kernels.items() if name.split()[0] in groups.keys() - set(stale)}
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda name: attempt(name, groups[name], target), stale):
            kernels |= found
    calls = old.call_bytes or call_model(groups, target)
    table = CostTable(target.core, target.has_fpu, kernels, calls)
    write_file(path, table.to_bytes())
    return table


def attempt(name: str, group: Sequence[Sample], target: Target) -> dict[str, KernelCost]:
    """The lines of one kernel; one that does not build or run is named and left out."""
    start = time.monotonic()
    try:
        found = entries(group, target)
    except Exception as error:  # one broken kernel must not lose the table of all others
        print(f"{target.core} {name}: {type(error).__name__}: {error}", flush=True)
        return {}
    for line, e in found.items():
        print(f"{target.core} {line}: {e.samples} shapes, error {e.median:.1%}, nine in ten {e.nine_in_ten:.1%}")
    print(f"{target.core} {name}: {time.monotonic() - start:.1f} s", flush=True)
    return found


def main() -> None:
    """Refresh the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="measure every kernel, not only those that changed")
    parser.add_argument("--core", help="only this core")
    parser.add_argument("--only", default="", help="only kernels whose name contains this")
    given = parser.parse_args()
    for target in boards():
        if given.core in (None, target.core):
            refresh(target, given.all, given.only)


if __name__ == "__main__":
    main()
