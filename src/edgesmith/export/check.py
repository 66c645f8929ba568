"""Whether another runtime computes what we do, within stated tolerances."""

from collections.abc import Mapping, Sequence

import numpy as np

from edgesmith.core.formats import PerTensor
from edgesmith.export.source import Source
from edgesmith.pipeline.verify import FLOAT_TOLERANCE, Interpreted, Relation

MEAN_STEPS = 1.0  # of an output's format, that int8 outputs may differ on the average
MIXED_TOLERANCE = 0.05  # of the largest output, for floats that come out of int8 layers
Outputs = Sequence[Sequence[np.ndarray]]  # of each sample


def our_floats(source: Source) -> Outputs:
    """The float graph in numpy, states carried on from sample to sample."""
    runner = Interpreted(source.floats())
    return [list(runner.run(source.real(sample)).values()) for sample in source.samples]


def our_integers(source: Source) -> Outputs:
    """The integer program in numpy, states carried on."""
    runner = Interpreted(source.program)
    return [list(runner.run(sample).values()) for sample in source.samples]


def floats_agree(runtime: str, ours: Outputs, theirs: Outputs, origin: str) -> Relation:
    """Every output within FLOAT_TOLERANCE of the largest of them, or of 1."""
    worst, count = _worst(ours, theirs)
    said = f"differ by at most {worst:.2g} of the largest output, or of 1 (limit {FLOAT_TOLERANCE:g}), over {origin}"
    return Relation(f"exported = ours, in {runtime}", worst <= FLOAT_TOLERANCE, count, said)


def integers_agree(runtime: str, source: Source, ours: Outputs, theirs: Outputs) -> Relation:
    """Outputs within MEAN_STEPS of their formats on the average: runtimes round a layer in their own ways."""
    formats: Mapping[str, PerTensor | None] = {
        name: f if isinstance(f := source.program.tensors[name].format, PerTensor) else None
        for name in source.program.outputs
    }
    name = f"exported = ours, in {runtime}"
    if None in formats.values():
        worst, count = _worst(ours, theirs)
        said = f"differ by at most {worst:.2g} of the largest output, or of 1 (limit {MIXED_TOLERANCE:g})"
        return Relation(name, worst <= MIXED_TOLERANCE, count, f"{said}, over {source.origin}")
    parts = [np.zeros(0)]
    for mine, other in zip(ours, theirs, strict=True):
        for got, want, format_ in zip(mine, other, formats.values(), strict=True):
            stored = format_.quantize(want) if want.dtype.kind == "f" and format_ else want
            parts.append(np.abs(stored.astype(np.int64).ravel() - got.astype(np.int64).ravel()))
    steps = np.concatenate(parts)
    said = f"{(steps > 0).mean():.2%} of {steps.size:,} values differ, by {steps.mean():.2g} steps on the average "
    said += f"(limit {MEAN_STEPS:g}) and at most {steps.max():.0f}, over {source.origin}"
    return Relation(name, bool(steps.mean() <= MEAN_STEPS), steps.size, said)


def _worst(ours: Outputs, theirs: Outputs) -> tuple[float, int]:
    """The largest difference as a share of the largest output, or of 1, and how many values there are."""
    worst, count = 0.0, 0
    for mine, other in zip(ours, theirs, strict=True):
        for got, want in zip(mine, other, strict=True):
            scale = max(1.0, float(np.abs(got).max(initial=0)))
            difference = np.abs(got.ravel().astype(np.float64) - want.ravel()).max(initial=0)
            worst, count = max(worst, float(difference) / scale), count + got.size
    return worst, count
