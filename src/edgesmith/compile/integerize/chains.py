"""Runs of element-wise ops between two stored tensors become one table, or one quantize.

Such a run is an input's normalization, or a function written as several ops. Its inner tensors carry no format, so
nothing is rounded between its ends.
"""

from dataclasses import dataclass

import numpy as np

from edgesmith.compile.integerize.builder import Builder
from edgesmith.core import ops
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Op
from edgesmith.core.ops.elementwise import BINARY, FUNCTIONS

MOVES = ("reshape", "permute", "slice", "expand", "upsample_nearest")
AFFINE = ("add", "sub", "mul", "div", "affine")


@dataclass(frozen=True)
class Chain:
    """Ops of one variable input each, from the source tensor `root` on."""

    root: str
    steps: tuple[Op, ...] = ()

    @property
    def computes(self) -> bool:
        """Whether any step changes values."""
        return any(step.kind not in MOVES for step in self.steps)


class Chains:
    """The runs that are open: each ends in a tensor without a format that nothing has needed yet."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._open: dict[str, Chain] = {}

    def take(self, op: Op) -> bool:
        """Put the op on a run, or close the run with it; False leaves the op to its own rule."""
        chain = self._extended(op)
        if chain is None:
            return False
        output = op.outputs[0]
        if self._builder.format(output) is None:
            self._open[output] = chain
            return True
        alone = len(chain.steps) == 1 and op.kind in FUNCTIONS  # its own rule makes the same table sooner
        return chain.computes and not alone and self._close(chain, output)

    def realize(self, names: tuple[str, ...]) -> None:
        """Carry out in float the runs that end in one of these tensors."""
        for name in names:
            for step in self._open[name].steps if name in self._open else ():
                if not self._builder.is_real(step.outputs[0]):
                    self._builder.float_result(step)

    def _extended(self, op: Op) -> Chain | None:
        variable = [name for name in op.inputs if name not in self._builder.source.constants]
        known = op.kind in MOVES or op.kind in BINARY or op.kind in FUNCTIONS or op.kind == "affine"
        if not known or len(variable) != 1:
            return None
        before = self._open.get(variable[0]) or self._rooted(variable[0])
        return before and Chain(before.root, (*before.steps, op))

    def _rooted(self, name: str) -> Chain | None:
        """An empty run: from an 8-bit tensor, or from a float input of the graph."""
        format_ = self._builder.format(name)
        small = isinstance(format_, PerTensor) and format_.dtype in ("int8", "uint8")
        raw = format_ is None and name in self._builder.source.inputs
        return Chain(name) if raw or (small and self._builder.is_stored(name)) else None

    def _close(self, chain: Chain, output: str) -> bool:
        if self._builder.format(chain.root) is None:
            return self._close_quantize(chain, output)
        table = self._table(chain, output)
        raw = self._builder.affine(chain.root).dtype == "uint8"
        if table is None or not (table.ndim == 1 or raw or len(chain.steps) > 1):
            return False
        moved = self._moved(chain, self._builder.stored(chain.root))
        names = (moved, self._builder.constant(f"{output}.table", table))
        self._builder.result(chain.steps[-1], "lookup", names)
        return True

    def _close_quantize(self, chain: Chain, output: str) -> bool:
        kinds = {step.kind for step in chain.steps} - {*MOVES, "clamp"}  # one with bounds is seen below
        bounded = any(np.isfinite(_limits(step)).any() for step in chain.steps)
        constants = self._builder.source.constants
        divides_by_x = any(step.kind == "div" and step.inputs[0] in constants for step in chain.steps)
        if not kinds <= {*AFFINE} or bounded or divides_by_x:
            return False
        offset, one = (_per_channel(self._run(chain, value)) for value in (0.0, 1.0))
        if offset is None or one is None:
            return False
        slope, offset = _shortened(np.stack((one - offset, offset), axis=1)).T
        if len(slope) > 1:
            self._builder.quantize(output, self._moved(chain, self._builder.real(chain.root)), slope, offset)
            return True
        format_, root = self._builder.affine(output), self._builder.real(chain.root)
        moves = any(step.kind in MOVES for step in chain.steps)
        first = self._builder.free(f"{output}.raw") if moves else output
        made = self._builder.quantized(first, root, format_, slope, offset)
        self._builder.store(output, self._moved(chain, made, last=output))
        return True

    def _table(self, chain: Chain, output: str) -> np.ndarray | None:
        """(256,) int8, or (C, 256) when channels differ; None when cells of one channel differ."""
        x, y = self._builder.affine(chain.root), self._builder.affine(output)
        columns = []
        for stored in np.arange(256, dtype=np.uint8).view(x.dtype):
            row = _per_channel(self._run(chain, x.scale * (int(stored) - x.zero_point)))
            if row is None:
                return None
            columns.append(y.quantize(np.nan_to_num(row, nan=0.0, posinf=np.inf, neginf=-np.inf)))
        table = _shortened(np.stack(columns, axis=1))
        return table[0] if len(table) == 1 else table

    def _run(self, chain: Chain, value: float) -> np.ndarray:
        """The run's result, in float64, when every cell of its root holds `value`."""
        constants = self._builder.source.constants
        y = np.full(self._builder.source.tensors[chain.root].shape, value, np.float64)
        for step in chain.steps:
            arrays = [constants.get(name, y) for name in step.inputs]
            y = ops.spec_of(step).run(arrays, ops.attrs_of(step))[0]
        return y

    def _moved(self, chain: Chain, name: str, last: str | None = None) -> str:
        """The stored root after the run's data movement alone.

        Args:
            last: name of the final result; by default a free one.
        """
        format_ = self._builder.tensors[name].format
        moves = [step for step in chain.steps if step.kind in MOVES]
        for step in moves:
            output = last if last and step is moves[-1] else self._builder.free(f"{step.outputs[0]}.raw")
            name = self._builder.emit(step.kind, (name,), output, format_, step.attrs, origin=step)
        return name


def _limits(step: Op) -> list[float]:
    attrs = ops.attrs_of(step)
    return [float(attrs.get("low", -np.inf)), float(attrs.get("high", np.inf))]  # type: ignore[arg-type]


def _per_channel(values: np.ndarray) -> np.ndarray | None:
    """One value per entry of the last axis; None when other axes matter."""
    rows = values.reshape(-1, values.shape[-1])
    return rows[0] if (rows == rows[:1]).all() else None


def _shortened(rows: np.ndarray) -> np.ndarray:
    """One row for all channels where they agree."""
    return rows[:1] if (rows == rows[:1]).all() else rows
