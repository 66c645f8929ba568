"""Which tensors of a float graph are stored as integers, and which of them share one format."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from edgesmith.compress.quantize.normalization import TABLE_MOVES, has_scalar, normalization
from edgesmith.compress.quantize.raw_input import lossless_format
from edgesmith.core import formats
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import Format, PerChannel, PerTensor, Signs
from edgesmith.core.graph import Graph, Op
from edgesmith.core.ops import attrs_of, spec_of
from edgesmith.core.ops.elementwise import BINARY

MOVES = (*TABLE_MOVES, "max_pool2d", "reduce_max", "pad")
FLOAT_ONLY = ("rfft",)
# Formats that the op's integer form fixes, by kind and output (docs/numbers.md).
FIXED: Mapping[tuple[str, str], PerTensor] = {
    ("softmax", "y"): PerTensor(1 / 256, -128),
    ("shiftmax", "y"): PerTensor(1 / 256, -128),
    ("sigmoid", "y"): PerTensor(1 / 256, -128),
    ("tanh", "y"): PerTensor(1 / 128, 0),
    ("gru", "h"): PerTensor(2.0**-15, 0, "int16"),
}
# Weight, bias, and the tensor that the weight multiplies.
Weighted = tuple[tuple[str, str, str], ...]
WEIGHTED: Mapping[str, Weighted] = {
    **dict.fromkeys(("conv2d", "conv_transpose2d", "linear"), (("w", "b", "x"),)),
    "lstm": (("w_ih", "b_ih", "x"), ("w_hh", "b_hh", "h0")),
    "gru": (("w_ih", "b_ih", "x"), ("w_hh", "b_hh", "y")),
}
# Inputs that are no activations: the integer op stores them in its own way.
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    **{kind: tuple(name for triple in triples for name in triple[:2]) for kind, triples in WEIGHTED.items()},
    "affine": ("scale", "shift"),
    "layer_norm": ("gamma", "beta"),
    "rms_norm": ("gamma",),
    "log_mel": ("window", "mel"),
}
CELL_ROOM = 4.0
CELL_BITS = 15  # of an LSTM's cell: int16 at 2^-15 holds magnitudes below 1

Range = tuple[float, float]


@dataclass(frozen=True)
class Widths:
    """Bits, 2 to 8, of weights and activations; inputs, outputs, biases and formats that ops fix keep theirs.

    Attributes:
        weights: of weights.
        activations: of activations.
        own: tensor name to bits, where a tensor has its own; of one member for the whole of a group.
    """

    weights: int = 8
    activations: int = 8
    own: Mapping[str, int] = field(default_factory=dict)

    def of_weight(self, name: str) -> int:
        """Bits of a weight."""
        return self.own.get(name, self.weights)

    def of_group(self, graph: Graph, group: "Group") -> int:
        """Bits of the tensors of a group."""
        given = [self.own[name] for name in group.members if name in self.own]
        ends = {*graph.inputs, *graph.outputs}
        return max(given, default=8 if ends.intersection(group.members) else self.activations)


INT8 = Widths()


def check_bits(method: str, *bits: int) -> None:
    """Raise BadInput for bits that an integer program has no form for."""
    for count in bits:
        if not 2 <= count <= 8:
            raise BadInput(f"{method}: {count} bits; need 2 to 8.")


@dataclass(frozen=True)
class Group:
    """Tensors stored in one format.

    Attributes:
        members: tensor names, in the graph's order.
        sources: the members whose values the format must hold: the others only repeat them.
        fixed: the format, where it does not depend on values.
        cell: an LSTM's cell: int16 at a power of two.
    """

    members: tuple[str, ...]
    sources: tuple[str, ...]
    fixed: PerTensor | None = None
    cell: bool = False


def named_inputs(op: Op) -> dict[str, str]:
    """Input name in the op's spec to tensor name; a variadic input is left out."""
    names = spec_of(op).inputs
    return {} if names[-1].endswith("*") else dict(zip(names, op.inputs, strict=True))


def named_outputs(op: Op) -> dict[str, str]:
    """Output name in the op's spec to tensor name."""
    return dict(zip(spec_of(op).outputs, op.outputs, strict=True))


def place(graph: Graph, raw: Mapping[str, PerTensor] | None = None) -> tuple[Group, ...]:
    """Decide what is stored as integers in the integer form of a float graph.

    Every result that an integer op reads or makes has a format. Results of data movement share their source's,
    parts of a concatenation share the whole's where nothing else reads them. Between a raw input and the last
    element-wise op of its normalization nothing is stored.

    Args:
        graph: canonical, as `lower` makes it.
        raw: formats of the inputs that arrive as the sensor's integers; other float inputs stay float.
    """
    raw = raw or {}
    links = _Links(graph)
    stored = _stored(graph, raw)
    for op in graph.ops:
        _link(graph, op, links, stored)
    for state in graph.states:
        links.join(state.tensor, state.update)
    fixed = {**_lossless(graph, raw), **raw, **_fixed(graph)}
    cells = {op.outputs[2] for op in graph.ops if op.kind == "lstm"}
    sources = _sources(graph, stored)
    groups = []
    for members in links.groups(stored):
        given = [fixed[name] for name in members if name in fixed]
        groups.append(
            Group(
                members,
                tuple(name for name in members if name in sources),
                given[0] if given else None,
                bool(cells.intersection(members)),
            )
        )
    return tuple(groups)


class _Links:
    """Sets of tensors that must share a format."""

    def __init__(self, graph: Graph) -> None:
        self._order = tuple(graph.tensors)
        self._root = {name: name for name in self._order}

    def find(self, name: str) -> str:
        """The representative of a tensor's set."""
        while self._root[name] != name:
            name = self._root[name]
        return name

    def join(self, a: str, b: str) -> None:
        """Merge two sets."""
        self._root[self.find(b)] = self.find(a)

    def groups(self, stored: set[str]) -> list[tuple[str, ...]]:
        """The sets, of stored tensors alone."""
        found: dict[str, list[str]] = {}
        for name in self._order:
            if name in stored:
                found.setdefault(self.find(name), []).append(name)
        return [tuple(members) for members in found.values()]


def _link(graph: Graph, op: Op, links: _Links, stored: set[str]) -> None:
    if op.kind in MOVES and {op.inputs[0], op.outputs[0]} <= stored:
        links.join(op.inputs[0], op.outputs[0])
    elif op.kind == "embedding":
        links.join(op.inputs[1], op.outputs[0])
    elif op.kind == "concat":
        for name in op.inputs:
            if _only_for_concat(graph, name):
                links.join(op.outputs[0], name)
    elif op.kind == "lstm":
        y, h, c = op.outputs
        for a, b in ((y, h), (y, op.inputs[1]), (c, op.inputs[2])):
            links.join(a, b)
    elif op.kind == "gru":
        links.join(op.outputs[1], op.inputs[1])


def _only_for_concat(graph: Graph, name: str) -> bool:
    """Whether an op with a free output format makes the tensor, or it is a constant, and nothing else reads it."""
    maker = graph.producer().get(name)
    if name in graph.constants:
        return len(graph.consumers()[name]) == 1
    if maker is None or name in graph.kept() or len(graph.consumers()[name]) > 1:
        return False
    kind = graph.ops[maker].kind
    if kind in MOVES:
        return _only_for_concat(graph, graph.ops[maker].inputs[0])
    return kind not in ("softmax", "shiftmax", "sigmoid", "tanh", "embedding")


def _fixed(graph: Graph) -> dict[str, PerTensor]:
    return {
        name: FIXED[op.kind, key]
        for op in graph.ops
        for key, name in named_outputs(op).items()
        if (op.kind, key) in FIXED
    }


def _lossless(graph: Graph, raw: Mapping[str, PerTensor]) -> dict[str, PerTensor]:
    """Normalized bytes that can be stored as the bytes they were."""
    begin = normalization(graph, raw)
    found = {name: lossless_format(graph, name, raw) for name in begin.results - begin.loose}
    return {name: format_ for name, format_ in found.items() if format_ is not None and name not in raw}


def _sources(graph: Graph, stored: set[str]) -> set[str]:
    """Stored tensors that do not merely repeat the values of others."""
    repeats: set[str] = set()
    for op in graph.ops:
        moves = op.kind in MOVES and op.inputs[0] in stored and not _pads_with_a_value(op)
        if moves or op.kind in ("concat", "embedding"):
            repeats.update(op.outputs)
    return stored - repeats


def _pads_with_a_value(op: Op) -> bool:
    """Whether a pad writes something else than zero, which every format holds, or the least value."""
    value = attrs_of(op).get("value", 0.0)
    return isinstance(value, float) and value != 0 and np.isfinite(value)


def _stored(graph: Graph, raw: Mapping[str, PerTensor]) -> set[str]:
    """The tensors that get a per-tensor format."""
    begin = normalization(graph, raw)
    stored = set(raw)
    for op in graph.ops:
        if op.kind not in FLOAT_ONLY:
            stored.update(name for name in op.outputs if graph.tensors[name].dtype == "float32")
            if op.outputs[0] not in begin.results:
                stored.update(_stored_operands(graph, op))
    signs = {name for name, tensor in graph.tensors.items() if isinstance(tensor.format, Signs)}
    return stored - begin.loose - signs


def _stored_operands(graph: Graph, op: Op) -> Iterator[str]:
    """Inputs that this op reads as integers: activations, states, and constant operands of its arithmetic."""
    tabled = op.kind in BINARY and has_scalar(graph, op)
    for name in _operands(op):
        if graph.tensors[name].dtype == "float32" and not (tabled and name in graph.constants):
            yield name


def _operands(op: Op) -> tuple[str, ...]:
    """The op's inputs without its weights, biases and tables."""
    names = spec_of(op).inputs
    if names[-1].endswith("*"):
        return op.inputs
    return tuple(name for key, name in zip(names, op.inputs, strict=True) if key not in PARAMETERS.get(op.kind, ()))


def annotate(graph: Graph, groups: Iterable[Group], ranges: Mapping[str, Range], widths: Widths = INT8) -> Graph:
    """Give every stored tensor its format.

    Args:
        groups: as `place` makes them.
        ranges: least and greatest real value to hold, of every source without a fixed format that is no constant.
        widths: bits of each.
    """
    chosen: dict[str, Format] = {}
    for group in groups:
        format_ = _format_of(graph, group, ranges, widths)
        chosen.update(dict.fromkeys(group.members, format_))
    for op in graph.ops:
        chosen.update(_weight_formats(graph, op, chosen, _symmetric(widths)))
    signs = {name: t.format for name, t in graph.tensors.items() if isinstance(t.format, Signs)}  # stay as they are
    tensors = {name: replace(t, format=signs.get(name) or chosen.get(name)) for name, t in graph.tensors.items()}
    return replace(graph, tensors=tensors)


def _format_of(graph: Graph, group: Group, ranges: Mapping[str, Range], widths: Widths) -> PerTensor:
    if group.fixed is not None:
        return group.fixed
    spans = [_span(graph, name, ranges) for name in group.sources]
    low, high = min((low for low, _ in spans), default=0.0), max((high for _, high in spans), default=0.0)
    if group.cell:
        return cell_format(max(abs(low), abs(high)))
    return formats.affine(low, high, widths.of_group(graph, group))


def _span(graph: Graph, name: str, ranges: Mapping[str, Range]) -> Range:
    if name in graph.constants:
        array = graph.constants[name]
        return float(array.min()), float(array.max())
    initial = [state.initial for state in graph.states if state.tensor == name]
    if initial and name not in ranges:
        return float(initial[0].min()), float(initial[0].max())
    return ranges[name]


def cell_format(peak: float) -> PerTensor:
    """int16 at the finest power of two whose range holds four times the peak.

    The peak is that of the last step; a cell may be larger on the way. Below 2^-12 more bits hardly help: there the
    gates end.
    """
    bits = CELL_BITS
    while bits > 0 and CELL_ROOM * peak > 32767 * 2.0**-bits:
        bits -= 1
    return PerTensor(2.0**-bits, 0, "int16")


def with_biases(graph: Graph) -> Graph:
    """Biases in the formats that follow from the others, weights with scales that leave their biases room.

    Args:
        graph: annotated; the formats of weights and activations may have changed since.
    """
    found: dict[str, Format] = {}
    given = {name: tensor.format for name, tensor in graph.tensors.items() if tensor.format is not None}

    def as_given(name: str, weight: np.ndarray) -> PerChannel | None:
        format_ = given.get(name)
        return format_ if isinstance(format_, PerChannel) else None

    for op in graph.ops:
        found.update(_weight_formats(graph, op, given, as_given))
    tensors = {name: replace(t, format=found.get(name, t.format)) for name, t in graph.tensors.items()}
    return replace(graph, tensors=tensors)


def first_and_last(graph: Graph) -> dict[str, int]:
    """8 bits for the weights of the first and the last layer, and for what the last one reads (arXiv:1902.08153, 3)."""
    layers = [op for op in graph.ops if op.kind in WEIGHTED and op.inputs[1] in graph.constants]
    if not layers:
        return {}
    return {layers[0].inputs[1]: 8, layers[-1].inputs[1]: 8, layers[-1].inputs[0]: 8}


WeightFormat = Callable[[str, np.ndarray], PerChannel | None]


def _symmetric(widths: Widths) -> WeightFormat:
    return lambda name, weight: formats.symmetric(weight, bits=widths.of_weight(name))


def _weight_formats(graph: Graph, op: Op, chosen: Mapping[str, Format], format_of: WeightFormat) -> dict[str, Format]:
    """Weights per output channel, symmetric, with room for the bias; biases in the unit of the sum they start."""
    names = {**named_inputs(op), **named_outputs(op)}
    found: dict[str, Format] = {}
    for weight, bias, reads in WEIGHTED.get(op.kind, ()):
        x, w, b = chosen.get(names[reads]), graph.constants.get(names[weight]), graph.constants.get(names[bias])
        own = format_of(names[weight], w) if w is not None else None
        if isinstance(x, PerTensor) and own is not None and b is not None:
            format_ = formats.with_bias_room(own, b, x.scale)
            found[names[weight]] = format_
            found[names[bias]] = PerChannel(tuple(x.scale * scale for scale in format_.scales), 0, "int32")
    return found


def sources_to_observe(graph: Graph, groups: Iterable[Group]) -> tuple[str, ...]:
    """The tensors whose range must be measured."""
    return tuple(
        name
        for group in groups
        if group.fixed is None
        for name in group.sources
        if name not in graph.constants and not any(state.tensor == name for state in graph.states)
    )
