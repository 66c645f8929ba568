"""Which cells of an op's input its result is made from, along height and width: receptive fields, backwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgesmith.compile.memory.sharing import BINARY, UNARY
from edgesmith.core.graph import Graph, Op, Tensor
from edgesmith.core.ops import attrs_of

Span = tuple[int, int]  # cells [first, end) along one axis
AXES = (1, 2)  # height and width of (1, H, W, C)

WINDOWS = frozenset(("conv2d", "conv2d_s8", "max_pool2d", "avg_pool2d", "avg_pool2d_s8"))
ELEMENTS = frozenset((*UNARY.split(), "quantize", "dequantize"))  # of one cell and one channel; else read whole
PAIRS = frozenset(BINARY.split())


@dataclass(frozen=True)
class Reach:
    """Along one axis, cell o of the result reads cells [o // repeat * stride - before, .. + extent) of the input.

    A tensor that is repeated along the axis has stride 0.
    """

    stride: int = 1
    before: int = 0
    extent: int = 1
    repeat: int = 1

    def back(self, span: Span) -> Span:
        """The cells that the result's cells `span` read; may lie outside the input, where padding is.

        >>> Reach(stride=2, before=1, extent=3).back((0, 4))
        (-1, 8)
        """
        first, end = span
        begin = first // self.repeat * self.stride - self.before
        return begin, (end - 1) // self.repeat * self.stride - self.before + self.extent


Reaches = tuple[Reach, Reach]


def reaches(graph: Graph, op: Op) -> tuple[Reaches | None, ...] | None:
    """For each input of an op how its cells are reached, None for one that every cell of the result may read.

    Returns:
        None for an op whose result cannot be made piece by piece.
    """
    inputs, outputs = graph.types(op.inputs), graph.types(op.outputs)
    if len(outputs) != 1 or not _image(outputs[0]):
        return None
    found = _reaches(op, inputs, outputs[0])
    split = [tensor for tensor, reach in zip(inputs, found or (), strict=False) if reach]
    return found if split and all(map(_image, split)) else None


def _image(tensor: Tensor) -> bool:
    return len(tensor.shape) == 4 and tensor.shape[0] == 1


def _reaches(op: Op, inputs: Sequence[Tensor], result: Tensor) -> tuple[Reaches | None, ...] | None:
    attrs = attrs_of(op)
    others = (None,) * (len(inputs) - 1)
    if op.kind in WINDOWS:
        window = _window(attrs.get("kernel") or inputs[1].shape[1:3], attrs)  # type: ignore[arg-type]
        return (window, *others) if window else None
    if op.kind in ELEMENTS:
        return ((Reach(), Reach()), *others)
    if op.kind in PAIRS:
        return _broadcast(inputs, result)
    if op.kind == "concat" and attrs["axis"] == 3:
        return ((Reach(), Reach()),) * len(inputs)
    if op.kind == "slice":
        cuts = zip(attrs["starts"], attrs["steps"], strict=True)  # type: ignore[call-overload]
        steps = [Reach(stride=step, before=-start) for start, step in cuts]
        return ((steps[1], steps[2]),)
    if op.kind == "pad":
        before: Sequence[int] = attrs["before"]  # type: ignore[assignment]
        along = attrs["before"][0] == attrs["after"][0] == 0  # type: ignore[index]
        return ((Reach(before=before[1]), Reach(before=before[2])),) if along else None
    if op.kind == "upsample_nearest":
        factor: Sequence[int] = attrs["factor"]  # type: ignore[assignment]
        return ((Reach(repeat=factor[0]), Reach(repeat=factor[1])),)
    return None


def _window(kernel: Sequence[int], attrs: Mapping[str, object]) -> Reaches | None:
    """None where a window may lie in the padding altogether."""
    stride: Sequence[int] = attrs["stride"]  # type: ignore[assignment]
    dilation: Sequence[int] = attrs["dilation"]  # type: ignore[assignment]
    padding: Sequence[int] = attrs["padding"]  # type: ignore[assignment]
    tall, wide = (Reach(stride[i], padding[2 * i], dilation[i] * (kernel[i] - 1) + 1) for i in (0, 1))
    most = (max(padding[:2]), max(padding[2:]))
    return (tall, wide) if most[0] < tall.extent and most[1] < wide.extent else None


def _broadcast(inputs: Sequence[Tensor], result: Tensor) -> tuple[Reaches | None, ...] | None:
    """An operand of the result's height and width is split; one without these axes is read whole."""
    found: list[Reaches | None] = []
    for tensor in inputs:
        shape = (1,) * (4 - len(tensor.shape)) + tensor.shape
        if any(shape[axis] not in (1, result.shape[axis]) for axis in AXES):
            return None
        if len(tensor.shape) < 4:
            if any(shape[axis] != 1 for axis in AXES):
                return None
            found.append(None)
            continue
        tall, wide = (Reach() if shape[axis] == result.shape[axis] else Reach(stride=0) for axis in AXES)
        found.append((tall, wide))
    return tuple(found)


def length(span: Span) -> int:
    """Cells of a span."""
    return span[1] - span[0]


def clipped(span: Span, size: int) -> Span:
    """The cells of `span` that an axis of `size` cells has; empty when first >= end."""
    return max(span[0], 0), min(span[1], size)


def hull(a: Span | None, b: Span) -> Span:
    """The smallest span that holds both."""
    return b if a is None else (min(a[0], b[0]), max(a[1], b[1]))


def widened(reach: Reach, span: Span, size: int, result_size: int) -> Span:
    """`span` of a result, grown until it is whole cells of the input and holds at least one of them.

    A piece of padding alone could not be made from any piece of the input.

    Args:
        size: of the input along the axis.
        result_size: of the result.
    """
    first = span[0] // reach.repeat * reach.repeat
    end = min(-(-span[1] // reach.repeat) * reach.repeat, result_size)
    while not _touches(reach, (first, end), size):
        inwards = reach.back((first, end))[1] <= 0  # all of it lies before the input
        first, end = (first, end + 1) if inwards else (first - 1, end)
    return first, end


def _touches(reach: Reach, span: Span, size: int) -> bool:
    begin, end = clipped(reach.back(span), size)
    return begin < end
