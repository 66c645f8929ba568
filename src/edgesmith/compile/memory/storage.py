"""Which tensors share one buffer: reshapes are the same bytes, and some ops may write over their input."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from edgesmith.core.graph import Graph, Op

# Ops whose kernel reads each element of the input before it writes that element of the output, and nothing after.
UNARY = (
    "clamp leaky_relu hardswish hardsigmoid sigmoid tanh gelu silu sqrt rsqrt exp log abs neg affine rescale_s8 lookup"
)
BINARY = "add sub mul div add_s8 mul_s8 div_s8"
OVERWRITES: Mapping[str, int] = {**dict.fromkeys(UNARY.split(), 1), **dict.fromkeys(BINARY.split(), 2)}


@dataclass(frozen=True)
class Buffer:
    """Bytes in the arena and when they are in use.

    Attributes:
        name: of the first tensor in it, or "<op>:scratch".
        tensors: all tensors that live in it, at offset 0.
        first, last: indices of the first and last op that use it; inputs start at 0, kept tensors end at len(ops).
    """

    name: str
    tensors: tuple[str, ...]
    nbytes: int
    first: int
    last: int


def buffers(graph: Graph, scratch_bytes: Mapping[int, int], in_place: Collection[int] = ()) -> tuple[Buffer, ...]:
    """All buffers of a graph: results and inputs, merged where they can be, and each op's scratch.

    Args:
        scratch_bytes: op index to the bytes its kernel needs beside its tensors.
        in_place: indices of ops whose kernel may write over its first input, besides those of OVERWRITES.
    """
    owner = _owners(graph, in_place)
    groups: dict[str, list[str]] = {}
    for name in graph.tensors:
        if name in owner:
            groups.setdefault(owner[name], []).append(name)
    lifetimes = _lifetimes(graph)
    merged = [
        Buffer(
            root,
            tuple(names),
            max(graph.tensors[name].nbytes for name in names),
            min(lifetimes[name][0] for name in names),
            max(lifetimes[name][1] for name in names),
        )
        for root, names in groups.items()
    ]
    scratch = [Buffer(f"{i}:scratch", (), size, i, i) for i, size in scratch_bytes.items() if size > 0]
    return tuple(merged + scratch)


def _lifetimes(graph: Graph) -> dict[str, tuple[int, int]]:
    """Tensor name to (first, last) op index at which it must hold its value."""
    producer, consumers, kept = graph.producer(), graph.consumers(), graph.kept()
    spans = {}
    for name in graph.tensors:
        first = producer.get(name, 0)
        last = len(graph.ops) if name in kept else max(consumers[name], default=first)
        spans[name] = (first, last)
    return spans


def _owners(graph: Graph, in_place: Collection[int]) -> dict[str, str]:
    """Tensor name to the name of the buffer it lives in; constants, states and their reshapes live elsewhere."""
    elsewhere = {*graph.constants, *(state.tensor for state in graph.states)}
    lifetimes = _lifetimes(graph)
    owner = {name: name for name in graph.inputs}
    last_use = {name: lifetimes[name][1] for name in graph.inputs}
    for index, op in enumerate(graph.ops):
        if op.kind == "reshape" and op.inputs[0] in elsewhere:
            elsewhere.add(op.outputs[0])
            continue
        for output in op.outputs:
            candidates = _overwritten(op, index in in_place)
            reused = _reusable(graph, candidates, output, index, owner, last_use)
            source = op.inputs[0] if op.kind == "reshape" else reused
            root = owner[source] if source else output
            owner[output] = root
            last_use[root] = max(last_use.get(root, 0), lifetimes[output][1])
    return owner


def _overwritten(op: Op, in_place: bool) -> list[str]:
    """The inputs that an op may write over, as far as its kernel is concerned."""
    names = op.inputs[: OVERWRITES.get(op.kind, int(in_place))]
    return [name for name in names if op.inputs.count(name) == 1]


def _reusable(
    graph: Graph,
    candidates: Sequence[str],
    output: str,
    index: int,
    owner: Mapping[str, str],
    last_use: Mapping[str, int],
) -> str | None:
    """The first of the inputs that op `index` may write over whose buffer `output` can live in, if any."""
    result = graph.tensors[output]
    for name in candidates:
        tensor = graph.tensors[name]
        same = tensor.shape == result.shape and tensor.nbytes == result.nbytes
        if same and name in owner and last_use[owner[name]] <= index:
            return name
    return None


def overlaps(graph: Graph, items: Sequence[Buffer], lead_bytes: Mapping[int, int]) -> dict[tuple[str, str], int]:
    """Pairs of buffers that may overlap: an op's first input that dies there, and its first result made there.

    Args:
        lead_bytes: op index to the bytes that the result must begin before the input.

    Returns:
        (input's buffer, result's buffer) to that lead.
    """
    home = {name: buffer for buffer in items for name in buffer.tensors}
    found = {}
    for index, lead in lead_bytes.items():
        op = graph.ops[index]
        x, y = home.get(op.inputs[0]), home.get(op.outputs[0])
        if x and y and x is not y and x.last == index == y.first and op.inputs[0] not in op.inputs[1:]:
            found[x.name, y.name] = lead
    return found
