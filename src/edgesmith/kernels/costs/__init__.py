"""What each kernel costs on each core: tables measured on emulated boards by benchmarks/kernel_costs.py.

A table is <core>.json here. Per kernel it gives, for every class of instruction, a linear model on the features of
`features.features`, the stack, and the error found on shapes that were kept out of the fit.
"""

import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from edgesmith.kernels.abi import FOLDER
from edgesmith.kernels.kernel import Kernel

COSTS = Path(__file__).parent
FEATURES = COSTS / "features.py"
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


@dataclass(frozen=True)
class KernelCost:
    """The cost of one kernel function on one core.

    Attributes:
        source: the kernel's file, from the folder of kernels.
        classes: instruction class to (feature to count per unit of the feature).
        stack_bytes: most that a short program with only this kernel used, its caller included, lists left out.
        samples: shapes measured.
        median, nine_in_ten, worst: relative error of the instructions over shapes kept out of the fit.
        stamp: `stamp` of the kernel that was measured.
    """

    source: str
    classes: Mapping[str, Mapping[str, float]]
    stack_bytes: int
    samples: int
    median: float
    nine_in_ten: float
    worst: float
    stamp: str

    def counts(self, features: Mapping[str, float]) -> dict[str, float]:
        """Instruction class to expected count."""
        return {
            name: sum(each * features.get(feature, 0.0) for feature, each in model.items())
            for name, model in self.classes.items()
        }

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class CostTable:
    """All kernels of one core.

    Attributes:
        has_fpu: whether the board that was measured computes floats in hardware.
        kernels: `key` to cost.
        call_bytes: code of the program around the kernels: "program" once, "call" per op, "argument" for each beyond
            four, "entry" for each input of a concatenation.
    """

    core: str
    has_fpu: bool
    kernels: Mapping[str, KernelCost] = field(default_factory=dict)
    call_bytes: Mapping[str, float] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The file that `read` reads: JSON with one line a kernel, without spaces; packed, it takes a seventh."""
        dense = partial(json.dumps, separators=(",", ":"))
        head = {"core": self.core, "has_fpu": self.has_fpu, "call_bytes": dict(self.call_bytes)}
        lines = [f"{dense(name)}:{dense(self.kernels[name].to_json())}" for name in sorted(self.kernels)]
        text = dense(head)[:-1] + ',"kernels":{\n' + ",\n".join(lines) + "\n}}\n"
        return gzip.compress(text.encode(), mtime=0)


def key(kernel: Kernel, form: str) -> str:
    """A line's name in the tables: the kernel's folder and function, and which of its ways the call takes."""
    return f"{kernel.source.parent.name}/{kernel.function} {form}".rstrip()


@cache
def table(core: str) -> CostTable | None:
    """The table of a core; None when nobody measured it."""
    path = COSTS / f"{core}.json.gz"
    return read(path) if path.is_file() else None


def read(path: Path) -> CostTable:
    """A table from its file."""
    data = json.loads(gzip.decompress(path.read_bytes()))
    kernels = {name: KernelCost(**entry) for name, entry in data["kernels"].items()}
    return CostTable(data["core"], data["has_fpu"], kernels, data["call_bytes"])


def stamp(source: Path) -> str:
    """Hash of what a line of a table depends on: the kernel's sources and the features it is counted in."""
    features = " ".join(FEATURES.read_text("utf-8").split())
    return hashlib.sha256(f"{features} {digest(source)}".encode()).hexdigest()[:16]


def digest(source: Path) -> str:
    """Hash of a kernel file and of every header it includes, directly or not; comments and spaces do not count."""
    found: dict[str, str] = {}
    waiting = [source]
    while waiting:
        path = waiting.pop()
        if path.name not in found:
            text = path.read_text("utf-8")
            found[path.name] = " ".join(COMMENT.sub(" ", text).split())
            names = INCLUDE.findall(text)
            waiting += [p for name in names for p in (path.parent / name, FOLDER / "include" / name) if p.is_file()]
    state = hashlib.sha256()
    for name in sorted(found):
        state.update(f"{name} {len(found[name])} {found[name]}".encode())
    return state.hexdigest()[:16]
