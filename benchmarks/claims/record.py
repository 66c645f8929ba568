"""What every experiment writes: benchmarks/results/<method>.json, the claim beside what was found."""

import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgesmith.core.atomic import write_file

sys.path.insert(0, str(Path(__file__).parents[1]))
from stamp import commit, machine

RESULTS = Path(__file__).parents[1] / "results"


@dataclass(frozen=True)
class Finding:
    """One claim measured.

    Attributes:
        paper: what the paper reports, in words.
        baseline, ours: medians over seeds, in `unit`; infinite where something was not reached, null in the file.
        spread: half the range over seeds of ours.
        criterion: fixed before the run; `holds` is whether it was met.
    """

    claim: str
    paper: str
    baseline: float
    ours: float
    unit: str
    spread: float
    criterion: str
    holds: bool
    reason: str = ""  # found for a claim that does not hold


def compared(
    claim: str,
    paper: str,
    unit: str,
    criterion: str,
    baseline: Sequence[float],
    ours: Sequence[float],
    met: Callable[[float, float], bool],
    reason: str = "",
) -> Finding:
    """A finding from one value a seed on either side."""
    spread = (max(ours) - min(ours)) / 2 if max(ours) > min(ours) else 0.0  # also where all are infinite
    middle, other = statistics.median(ours), statistics.median(baseline)
    holds = met(other, middle)
    return Finding(claim, paper, other, middle, unit, spread, criterion, holds, "" if holds else reason)


def plain(finding: Finding) -> dict[str, Any]:
    """As JSON has it: null for what is not finite."""
    fields = asdict(finding)
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in fields.items()
    }


def record(
    method: str,
    system: int | None,
    findings: Sequence[Finding],
    omits: Sequence[str],
    begin: float,
    tables: Mapping[str, Any] | None = None,
) -> None:
    """Write the results of one method, and print them.

    Args:
        tables: what else was measured, by name; kept in the file as it is.
    """
    data = {
        "method": method,
        "system": system,
        "claims": [plain(finding) for finding in findings],
        "omits": list(omits),
        "command": f"edgesmith reproduce {method}",
        "machine": machine(),
        "commit": commit(),
        "seconds": round(time.monotonic() - begin, 1),
    } | ({"tables": dict(tables)} if tables else {})
    write_file(RESULTS / f"{method}.json", json.dumps(data, indent=1) + "\n")
    for finding in findings:
        verdict = "holds" if finding.holds else "DOES NOT HOLD"
        print(f"{verdict}: {finding.claim}: {finding.ours:.4g} against {finding.baseline:.4g} {finding.unit}")
