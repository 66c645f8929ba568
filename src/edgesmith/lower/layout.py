"""Permutes move down the graph until they cancel: every op works on the layout its input already has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgesmith.core import ops
from edgesmith.core.graph import Graph, Op, State
from edgesmith.core.ops.elementwise import BINARY, FUNCTIONS
from edgesmith.lower.axes import compose, identity, inverse, is_identity, only_moves_ones, regroup
from edgesmith.lower.builder import Builder

LAST_AXIS = ("affine", "layer_norm", "rms_norm", "softmax", "linear")


@dataclass(frozen=True)
class View:
    """A value that is not there yet: `base`, permuted by `axes`, then reshaped to `flat` where that is given."""

    base: str
    axes: tuple[int, ...]
    flat: tuple[int, ...] | None = None


def settle_layout(graph: Graph) -> Graph:
    """Remove permutes that cancel, merge reshapes, and fold both into constants.

    A permute before a flattening and a linear layer goes into the layer's weight columns.
    """
    return Layout(graph).run()


class Layout:
    """One forward walk; permutes are kept pending as `View`s and carried out only where an op needs them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.kept = graph.kept()
        self.b = Builder(graph.name)
        self.views: dict[str, View] = {}
        self.done: dict[tuple[str, tuple[int, ...]], str] = {}  # permutes already carried out
        self.roots: dict[str, str] = {}  # result of a reshape to what it reshapes
        for name in (*graph.inputs, *(s.tensor for s in graph.states), *graph.constants):
            self.b.tensors[name] = graph.tensors[name]
            self.views[name] = View(name, identity(len(graph.tensors[name].shape)))
        self.b.constants.update(graph.constants)

    def run(self) -> Graph:
        """The graph with its permutes settled."""
        for op in self.graph.ops:
            self.b.at(op.outputs[0], op.name, op.source)
            RULES.get(op.kind, Layout.plain)(self, op)
        outputs = [self.written(name, exact=True) for name in self.graph.outputs]
        self.b.states = [
            State(state.tensor, self.written(state.update, exact=True), state.initial) for state in self.graph.states
        ]
        return self.b.finish(self.graph.inputs, outputs)

    def shape(self, view: View) -> tuple[int, ...]:
        """The shape of the value, before any flattening."""
        base = self.b.shape(view.base)
        return tuple(base[axis] for axis in view.axes)

    def written(self, name: str, exact: bool = False) -> str:
        """A tensor that holds the value in its own layout.

        Args:
            exact: it leaves the graph, so its name should stay.
        """
        view = self.views[name]
        if is_identity(view.axes) and view.flat is None:
            return view.base
        stem = name if exact else f"{name}.permuted"
        moved = self.permuted(view.base, view.axes, stem)
        return moved if view.flat is None else self.reshaped(moved, view.flat, stem)

    def permuted(self, base: str, axes: tuple[int, ...], stem: str) -> str:
        """base with its axes permuted: an earlier result, a reshape where only sizes of 1 move, or a new op."""
        if is_identity(axes):
            return base
        if (base, axes) not in self.done:
            shape = self.b.shape(base)
            if only_moves_ones(shape, axes):
                moved = self.reshaped(base, tuple(shape[axis] for axis in axes), stem)
            else:
                moved = self.emit("permute", (base,), {"axes": axes}, stem, like=base)
            self.done[base, axes] = moved
            self.done[moved, inverse(axes)] = base
        return self.done[base, axes]

    def reshaped(self, base: str, shape: tuple[int, ...], stem: str) -> str:
        """base under another shape, straight from what base itself may reshape."""
        root = self.roots.get(base, base)
        if self.b.shape(root) == shape:
            return root
        if self.b.shape(base) == shape:
            return base
        result = self.emit("reshape", (root,), {"shape": shape}, stem, like=base)
        if result not in self.b.constants:
            self.roots[result] = root
        return result

    def emit(self, kind: str, inputs: Sequence[str], attrs: Mapping[str, Any], stem: str, like: str = "") -> str:
        """Append an op with one output; a movement's result has the format of `like`."""
        self.b.stem = stem
        result = self.b.op(kind, *inputs, **attrs)
        if like and result not in self.b.constants:
            self.b.tensors[result] = replace(self.b.tensors[result], format=self.b.tensors[like].format)
        return result

    def settle(
        self,
        op: Op,
        inputs: Sequence[str],
        axes: tuple[int, ...],
        attrs: Mapping[str, Any],
        flat: tuple[int, ...] | None = None,
    ) -> None:
        """Append the op on other layouts; its result is the new base, permuted by `axes`."""
        name = op.outputs[0]
        stem = f"{name}.inner" if name in self.kept and not is_identity(axes) else name
        base = self.emit(op.kind, inputs, attrs, stem)
        if base not in self.b.constants:
            format_ = self.graph.tensors[name].format
            self.b.tensors[base] = replace(self.b.tensors[base], format=format_)
        self.views[name] = View(base, axes, flat)

    def plain(self, op: Op) -> None:
        """The op as it is, on inputs in their own layouts."""
        inputs = [self.written(name) for name in op.inputs]
        self.b.stem = op.outputs[0]
        made = self.b.op_many(op.kind, *inputs, **dict(op.attrs))
        for name, result in zip(op.outputs, made, strict=True):
            if result not in self.b.constants:
                self.b.tensors[result] = replace(self.b.tensors[result], format=self.graph.tensors[name].format)
            self.views[name] = View(result, identity(len(self.b.shape(result))))

    def changes_format(self, op: Op) -> bool:
        """Whether a movement's result is stored otherwise than its input, so that the op must stay."""
        before, after = self.graph.tensors[op.inputs[0]].format, self.graph.tensors[op.outputs[0]].format
        return after is not None and after != before

    def permute(self, op: Op) -> None:
        """Only noted."""
        view = self.views[op.inputs[0]]
        if self.changes_format(op) or view.flat is not None:
            self.plain(op)
            return
        self.views[op.outputs[0]] = View(view.base, compose(view.axes, tuple(op.attrs["axes"])))  # type: ignore[arg-type]

    def reshape(self, op: Op) -> None:
        """Done on the base where groups of axes stay together; else a flattening is noted, all others carried out."""
        view, name = self.views[op.inputs[0]], op.outputs[0]
        shape: tuple[int, ...] = tuple(op.attrs["shape"])  # type: ignore[arg-type]
        if self.changes_format(op):
            self.plain(op)
            return
        if view.flat is not None:
            self.views[name] = replace(view, flat=shape)
            return
        groups = regroup(self.b.shape(view.base), view.axes, shape)
        if groups is not None:
            base_shape, axes = groups
            self.views[name] = View(self.reshaped(view.base, base_shape, name), axes)
        elif shape and shape[-1] == np.prod(shape):
            self.views[name] = replace(view, flat=shape)
        else:
            base = self.reshaped(self.written(op.inputs[0]), shape, name)
            self.views[name] = View(base, identity(len(shape)))

    def unary(self, op: Op) -> None:
        """Values change alone, so any layout does."""
        view = self.views[op.inputs[0]]
        self.settle(op, (view.base,), view.axes, op.attrs, view.flat)

    def joint(self, op: Op) -> None:
        """Arithmetic on two values: in the layout of either, if the other can be had in it."""
        rank = len(self.graph.tensors[op.outputs[0]].shape)
        for axes in self._candidates(op, rank):
            inputs = [self.in_layout(name, axes, rank) for name in op.inputs]
            if all(inputs):
                self.settle(op, [name for name in inputs if name], axes, op.attrs)
                return
        self.plain(op)

    def concat(self, op: Op) -> None:
        """In the layout of any part, if the others can be had in it."""
        rank = len(self.graph.tensors[op.outputs[0]].shape)
        for axes in self._candidates(op, rank):
            inputs = [self.in_layout(name, axes, rank) for name in op.inputs]
            if all(inputs):
                axis = axes[op.attrs["axis"]]  # type: ignore[index]
                self.settle(op, [name for name in inputs if name], axes, {"axis": axis})
                return
        self.plain(op)

    def _candidates(self, op: Op, rank: int) -> list[tuple[int, ...]]:
        views = [self.views[name] for name in op.inputs if name not in self.graph.constants]
        found = dict.fromkeys(view.axes for view in views if view.flat is None and len(view.axes) == rank)
        return sorted(found, key=is_identity)

    def in_layout(self, name: str, axes: tuple[int, ...], rank: int) -> str | None:
        """The value of `rank` axes so that permuting by `axes` gives it; None where that would cost a permute."""
        view = self.views[name]
        if view.flat is not None:
            return None
        if self.b.tensors[view.base].size == 1 and name in self.graph.constants:
            return view.base
        if view.axes == axes:
            return view.base
        if is_identity(axes) and is_identity(view.axes):
            return view.base  # shorter, which broadcasting allows
        base, own = view.base, view.axes
        if len(own) < rank:
            base, own = self.written(name), identity(rank)
            base = self.reshaped(base, (1,) * (rank - len(self.b.shape(base))) + self.b.shape(base), f"{name}.wide")
        change = compose(own, inverse(axes))
        free = base in self.b.constants or only_moves_ones(self.b.shape(base), change) or (base, change) in self.done
        return self.permuted(base, change, f"{name}.permuted") if free else None

    def last_axis(self, op: Op) -> None:
        """Along the last axis, which must be the base's last too; a linear layer absorbs a flattened permute."""
        view = self.views[op.inputs[0]]
        if view.flat is not None:
            self.flattened(op, view)
        elif view.axes and view.axes[-1] == len(view.axes) - 1:
            constants = [self.written(name) for name in op.inputs[1:]]
            self.settle(op, (view.base, *constants), view.axes, op.attrs)
        else:
            self.plain(op)

    def flattened(self, op: Op, view: View) -> None:
        """linear(flatten(permute(base))): the columns of the weight take the base's order."""
        weight = op.inputs[1] if len(op.inputs) > 1 else ""
        if op.kind != "linear" or weight not in self.graph.constants or view.flat is None:
            self.plain(op)
            return
        rows = self.graph.constants[weight].shape[0]
        split = self.emit("reshape", (weight,), {"shape": (rows, *self.shape(view))}, weight)
        order = (0, *(axis + 1 for axis in inverse(view.axes)))
        moved = self.emit("permute", (split,), {"axes": order}, weight)
        columns = self.emit("reshape", (moved,), {"shape": self.graph.constants[weight].shape}, weight)
        x = self.reshaped(view.base, view.flat, f"{op.inputs[0]}.flat")
        shape = self.graph.tensors[op.outputs[0]].shape
        self.settle(op, (x, columns, self.written(op.inputs[2])), identity(len(shape)), op.attrs)

    def sized(self, op: Op) -> None:
        """pad, slice, expand: one entry of each attribute per axis."""
        view = self.views[op.inputs[0]]
        back = inverse(view.axes)
        lists = {key: value for key, value in op.attrs.items() if isinstance(value, tuple)}
        if view.flat is not None or any(len(value) != len(back) for value in lists.values()):
            self.plain(op)
            return
        moved = {key: tuple(value[axis] for axis in back) for key, value in lists.items()}
        self.settle(op, (view.base,), view.axes, {**op.attrs, **moved})

    def reduce(self, op: Op) -> None:
        """Over the axes where the base has them; those that remain keep their order."""
        view = self.views[op.inputs[0]]
        if view.flat is not None:
            self.plain(op)
            return
        attrs = ops.attrs_of(op)
        axes = tuple(sorted(view.axes[axis] for axis in attrs["axes"]))  # type: ignore[attr-defined]
        order = view.axes
        if not attrs["keepdims"]:
            left = [axis for axis in view.axes if axis not in axes]
            order = tuple(sorted(left).index(axis) for axis in left)
        self.settle(op, (view.base,), order, {"axes": axes, "keepdims": attrs["keepdims"]})

    def matmul(self, op: Op) -> None:
        """A swap of the last two axes of b is the op's own attribute: the cheaper way to have b is taken."""
        view = self.views[op.inputs[1]]
        if view.flat is not None or len(view.axes) < 2:
            self.plain(op)
            return
        swapped = (*view.axes[:-2], view.axes[-1], view.axes[-2])
        turned = bool(ops.attrs_of(op)["transpose_b"])
        if self.cost(view.base, swapped) < self.cost(view.base, view.axes):
            b, turned = self.permuted(view.base, swapped, f"{op.inputs[1]}.permuted"), not turned
        else:
            b = self.written(op.inputs[1])
        shape = self.graph.tensors[op.outputs[0]].shape
        self.settle(op, (self.written(op.inputs[0]), b), identity(len(shape)), {"transpose_b": turned})

    def cost(self, base: str, axes: tuple[int, ...]) -> int:
        """Of carrying out a permute: none, whole rows copied, or single elements."""
        if only_moves_ones(self.b.shape(base), axes):
            return 0
        return 1 if axes[-1] == len(axes) - 1 else 2


RULES: Mapping[str, Callable[[Layout, Op], None]] = {
    "permute": Layout.permute,
    "reshape": Layout.reshape,
    **dict.fromkeys(FUNCTIONS, Layout.unary),
    **dict.fromkeys(BINARY, Layout.joint),
    "concat": Layout.concat,
    **dict.fromkeys(LAST_AXIS, Layout.last_axis),
    **dict.fromkeys(("pad", "slice", "expand"), Layout.sized),
    **dict.fromkeys(("reduce_sum", "reduce_mean", "reduce_max"), Layout.reduce),
    "matmul": Layout.matmul,
}
