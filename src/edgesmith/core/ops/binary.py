"""Binary convolutions: tensors of signs, one bit each, 32 channels to a word (docs/numbers.md, Signs)."""

from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.conv import INT8, WINDOW, check_padded, window_sizes, windows
from edgesmith.core.ops.fixed import clamp, requant
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need

WORD = 32  # channels of one word
FRACTION_BITS = 8  # by which a sum is shifted before its bias is added
MOST_CELLS = 1 << 15  # of one window, over all channels: twice as many fit an entry of a tree
MOST_CHANNELS = 1 << 15
MOST_WEIGHTS = 1 << 26  # of a layer: what a tree takes in memory, a byte each, while it is read
MOST_DEPTH = 64
RECORD = 3  # entries before the differences of a channel in a tree: channel, level, how many
CHANNELS = {"channels": Attribute(int, low=1, high=MOST_CHANNELS)}
DEPTH = {"depth": Attribute(int, low=0, high=MOST_DEPTH)}
STORED = {"y_zero": Attribute(int, 0, -128, 127), **INT8}


def words_of(channels: int) -> int:
    """Words that so many signs take."""
    return -(-channels // WORD)


def pack(bits: np.ndarray) -> np.ndarray:
    """(..., C) true or false to (..., words) uint32: channel c is bit c % 32 of word c // 32, bits beyond C are 0.

    >>> pack(np.array([True, False, True])).tolist()
    [5]
    """
    room = np.zeros((*bits.shape[:-1], words_of(bits.shape[-1]) * WORD), bool)
    room[..., : bits.shape[-1]] = bits
    return np.packbits(room, axis=-1, bitorder="little").view("<u4").astype(np.uint32)


def unpack(words: np.ndarray, channels: int) -> np.ndarray:
    """Inverse of `pack`."""
    octets = np.ascontiguousarray(words.astype("<u4")).view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=channels, bitorder="little").astype(bool)


def tree_bits(root: np.ndarray, tree: np.ndarray, out: int, channels: int, depth: int) -> np.ndarray:
    """The weights that a tree stands for (docs/numbers.md, Signs).

    Args:
        root: (kh, kw, words) uint32 of the channel that the tree begins with.
        tree: (entries,) uint16.
        out: output channels.

    Returns:
        (out, kh, kw, channels) bool.

    Raises:
        BadInput: the entries are no tree of `out` channels within `depth`, or a difference is none.
    """
    first = unpack(root, channels)
    flat = np.zeros((out, first.size), bool)
    path = [np.zeros(0, bool)] * (depth + 1)
    entries = tree.astype(np.int64).tolist()
    need(bool(entries) and entries[0] < out, "the tree does not begin with a channel.")
    flat[entries[0]] = path[0] = first.ravel()
    seen, last, at = {entries[0]}, 0, 1
    while at < len(entries):
        need(at + RECORD <= len(entries), "the tree ends within a channel.")
        channel, level, count = entries[at : at + RECORD]
        new = channel < out and channel not in seen and 1 <= level <= min(last + 1, depth)
        need(new, f"entry {at} of the tree is no further channel at levels 1 to {min(last + 1, depth)}.")
        codes = np.array(entries[at + RECORD : at + RECORD + count], np.int64)
        need(len(codes) == count, "the tree ends within a channel.")
        cells, bits = codes >> 1, (codes & 1).astype(bool)
        inside = bool((np.diff(cells) > 0).all()) and bool((cells < first.size).all())
        need(inside, f"differences of channel {channel} are not in order, or outside the window.")
        row = path[level - 1].copy()
        need(bool((row[cells] != bits).all()), f"a difference of channel {channel} is none.")
        row[cells] = bits
        flat[channel] = path[level] = row
        seen.add(channel)
        last, at = level, at + RECORD + count
    need(len(seen) == out, f"the tree has {len(seen)} channels; need {out}.")
    return flat.reshape(out, *first.shape)


def tree_of(bits: np.ndarray, parents: Sequence[int]) -> tuple[np.ndarray, np.ndarray, int]:
    """Inverse of `tree_bits`: each channel's differences from its parent.

    Args:
        bits: (O, kh, kw, C) bool.
        parents: of every channel; -1 for the root.

    Returns:
        root, tree, and the greatest level.

    Raises:
        BadInput: not one root, or a channel that it does not reach.
    """
    roots = [channel for channel, parent in enumerate(parents) if parent < 0]
    need(len(parents) == len(bits) and len(roots) == 1, f"tree: {len(roots)} roots of {len(bits)} channels; need one.")
    children: dict[int, list[int]] = {}
    for channel, parent in enumerate(parents):
        children.setdefault(parent, []).append(channel)
    rows = bits.reshape(len(bits), -1)
    entries, depth, reached = [roots[0]], 0, 1
    open_ = [(child, 1) for child in reversed(children.get(roots[0], []))]
    while open_:
        channel, level = open_.pop()
        cells = np.flatnonzero(rows[channel] != rows[parents[channel]])
        entries += [channel, level, len(cells), *(2 * cells + rows[channel][cells]).tolist()]
        open_ += [(child, level + 1) for child in reversed(children.get(channel, []))]
        depth, reached = max(depth, level), reached + 1
    need(reached == len(bits), f"tree: its root reaches {reached} of {len(bits)} channels; need all.")
    need(depth <= MOST_DEPTH, f"tree: {depth} levels; need at most {MOST_DEPTH}.")
    return pack(bits[roots[0]]), np.array(entries, np.uint16), depth


def _infer_binarize(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    shape = inputs[0].shape
    need(len(shape) >= 1 and shape[-1] >= 1, f"binarize: x is {shape}; need (..., C).")
    return [((*shape[:-1], words_of(shape[-1])), "uint32")]


def _run_binarize(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    return [pack(arrays[0].astype(np.int32) >= attrs["zero"])]


def _window(kind: str, x: Tensor, kernel: tuple[int, ...], out: int, attrs: Attrs) -> tuple[int, int]:
    """Output height and width, everything checked that all forms share."""
    words = words_of(attrs["channels"])
    need(len(x.shape) == 4 and x.shape[0] == 1, f"{kind}: x is {x.shape}; need (1, H, W, words).")
    need(len(kernel) == 3, f"{kind}: a channel's weights are {kernel}; need (kh, kw, words).")
    need(
        x.shape[3] == words == kernel[2],
        f"{kind}: {attrs['channels']} channels take {words} words; x is {x.shape}, a channel's weights {kernel}.",
    )
    cells = kernel[0] * kernel[1] * attrs["channels"]
    need(1 <= cells <= MOST_CELLS, f"{kind}: a window has {cells} cells; need 1 to {MOST_CELLS}.")
    need(1 <= out <= MOST_CHANNELS, f"{kind}: {out} output channels; need 1 to {MOST_CHANNELS}.")
    need(out * cells <= MOST_WEIGHTS, f"{kind}: {out * cells} weights; need at most {MOST_WEIGHTS}.")
    top, bottom, left, right = attrs["padding"]
    check_padded(kind, (x.shape[1] + top + bottom, x.shape[2] + left + right, attrs["channels"]))
    return window_sizes(x.shape[1], x.shape[2], (kernel[0], kernel[1]), attrs)


def _vectors(kind: str, tensors: Sequence[Tensor]) -> int:
    """The length of the inputs with one entry per output channel."""
    shapes = {tensor.shape for tensor in tensors}
    need(len(shapes) == 1 and len(tensors[0].shape) == 1, f"{kind}: {sorted(shapes)}; need one entry a channel.")
    return tensors[0].shape[0]


def _infer(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, w, threshold = inputs
    out = _vectors("binary_conv2d", [threshold])
    need(len(w.shape) == 4 and w.shape[0] == out, f"binary_conv2d: w is {w.shape}; need ({out}, kh, kw, words).")
    return [((1, *_window("binary_conv2d", x, w.shape[1:], out, attrs), words_of(out)), "uint32")]


def _infer_s8(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, w, *rest = inputs
    out = _vectors("binary_conv2d_s8", rest)
    need(len(w.shape) == 4 and w.shape[0] == out, f"binary_conv2d_s8: w is {w.shape}; need ({out}, kh, kw, words).")
    return [((1, *_window("binary_conv2d_s8", x, w.shape[1:], out, attrs), out), "int8")]


def _infer_mst(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, root, tree, threshold = inputs
    out = _vectors("mst_conv2d", [threshold])
    need(len(tree.shape) == 1, f"mst_conv2d: tree is {tree.shape}; need (entries,).")
    return [((1, *_window("mst_conv2d", x, root.shape, out, attrs), words_of(out)), "uint32")]


def _infer_mst_s8(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, root, tree, *rest = inputs
    out = _vectors("mst_conv2d_s8", rest)
    need(len(tree.shape) == 1, f"mst_conv2d_s8: tree is {tree.shape}; need (entries,).")
    return [((1, *_window("mst_conv2d_s8", x, root.shape, out, attrs), out), "int8")]


def _sums(x: np.ndarray, w: np.ndarray, attrs: Attrs) -> np.ndarray:
    """Sums of products of signs: (H', W', O) int64.

    Args:
        w: (O, kh, kw, C) bool.
    """
    signs = np.where(unpack(x, attrs["channels"]), 1.0, -1.0)
    view = windows(signs, w.shape[1:3], attrs, -1.0)
    rows = np.where(w, 1.0, -1.0).reshape(len(w), -1)
    return (view.reshape(*view.shape[:2], -1) @ rows.T).astype(np.int64)  # float64 holds these integers exactly


def _compared(sums: np.ndarray, threshold: np.ndarray) -> list[np.ndarray]:
    return [pack(sums >= threshold)[None]]


def _requantized(sums: np.ndarray, arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    b, multiplier, shift = arrays
    acc = (sums << FRACTION_BITS) + b
    return [clamp(requant(acc, multiplier, shift) + attrs["y_zero"], attrs["low"], attrs["high"])[None]]


def _plain_sums(arrays: Sequence[np.ndarray], attrs: Attrs) -> np.ndarray:
    return _sums(arrays[0], unpack(arrays[1], attrs["channels"]), attrs)


def _tree_sums(arrays: Sequence[np.ndarray], attrs: Attrs) -> np.ndarray:
    x, root, tree, vector = arrays[:4]
    return _sums(x, tree_bits(root, tree, len(vector), attrs["channels"], attrs["depth"]), attrs)


def _run(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    return _compared(_plain_sums(arrays, attrs), arrays[2])


def _run_s8(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    return _requantized(_plain_sums(arrays, attrs), arrays[2:], attrs)


def _run_mst(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    return _compared(_tree_sums(arrays, attrs), arrays[3])


def _run_mst_s8(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    return _requantized(_tree_sums(arrays, attrs), arrays[3:], attrs)


def _word_products(inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: Attrs) -> int:
    """Words of products, not single ones: what a machine works on at a time. A tree's are those of the plain form."""
    _, height, width, _ = outputs[0].shape
    *_, kh, kw, words = inputs[1].shape
    return height * width * inputs[-1].size * kh * kw * words


OPS = (
    OpSpec(
        kind="binarize",
        does="signs of 8-bit values, packed along the last axis: bit 1 where x >= zero",
        inputs=("x",),
        outputs=("y",),
        infer=_infer_binarize,
        run=_run_binarize,
        dtypes=("int8|uint8",),
        attrs={"zero": Attribute(int, 0, -128, 255)},
    ),
    OpSpec(
        kind="binary_conv2d",
        does="convolution of signs by signs; a cell outside x is -1; the sign of each sum less its channel's threshold",
        inputs=("x", "w", "threshold"),
        outputs=("y",),
        infer=_infer,
        run=_run,
        dtypes=("uint32", "uint32", "int32"),
        attrs={**CHANNELS, **WINDOW},
        macs=_word_products,
    ),
    OpSpec(
        kind="binary_conv2d_s8",
        does="binary_conv2d whose sums are requantized to int8",
        inputs=("x", "w", "b", "multiplier", "shift"),
        outputs=("y",),
        infer=_infer_s8,
        run=_run_s8,
        dtypes=("uint32", "uint32", "int32", "int32", "uint8"),
        attrs={**CHANNELS, **WINDOW, **STORED},
        macs=_word_products,
    ),
    OpSpec(
        kind="mst_conv2d",
        does="binary_conv2d with its weights stored as a spanning tree of the output channels",
        inputs=("x", "root", "tree", "threshold"),
        outputs=("y",),
        infer=_infer_mst,
        run=_run_mst,
        dtypes=("uint32", "uint32", "uint16", "int32"),
        attrs={**CHANNELS, **DEPTH, **WINDOW},
        macs=_word_products,
    ),
    OpSpec(
        kind="mst_conv2d_s8",
        does="mst_conv2d whose sums are requantized to int8",
        inputs=("x", "root", "tree", "b", "multiplier", "shift"),
        outputs=("y",),
        infer=_infer_mst_s8,
        run=_run_mst_s8,
        dtypes=("uint32", "uint32", "uint16", "int32", "int32", "uint8"),
        attrs={**CHANNELS, **DEPTH, **WINDOW, **STORED},
        macs=_word_products,
    ),
)
