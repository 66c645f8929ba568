"""Random binary convolutions: signs, weights, trees, thresholds, for the tests of ops and of kernels."""

import numpy as np

Made = tuple[str, list[np.ndarray], dict[str, object]]


def words(bits: np.ndarray) -> np.ndarray:
    """Bit by bit: channel c is bit c % 32 of word c // 32."""
    packed = np.zeros((*bits.shape[:-1], (bits.shape[-1] + 31) // 32), np.uint32)
    for channel in range(bits.shape[-1]):
        packed[..., channel // 32] |= bits[..., channel].astype(np.uint32) << np.uint32(channel % 32)
    return packed


def random_tree(rng: np.random.Generator, out: int, cells: int, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (out, cells) bool, first the root, and the tree's entries; channels are numbered at random."""
    names, rows = rng.permutation(out), np.zeros((out, cells), bool)
    rows[names[0]] = rng.random(cells) < 0.5
    path, entries = [rows[names[0]]], [int(names[0])]
    for name in names[1:]:
        level = int(rng.integers(1, min(len(path), depth) + 1))
        changed = rng.random(cells) < rng.choice([0.0, 0.02, 0.2, 1.0])
        rows[name] = path[level - 1] ^ changed
        path = [*path[:level], rows[name]]
        at = np.flatnonzero(changed)
        entries += [int(name), level, len(at), *(2 * at + rows[name][at]).tolist()]
    return rows, np.array(entries, np.uint16)


def binarize(rng: np.random.Generator) -> Made:
    """Any axis before the last; int8 or uint8."""
    shape = (*rng.integers(1, 5, rng.integers(0, 3)), rng.integers(1, 80))
    if rng.random() < 0.5:
        return "binarize", [rng.integers(-128, 128, shape).astype(np.int8)], {"zero": int(rng.integers(-128, 128))}
    return "binarize", [rng.integers(0, 256, shape).astype(np.uint8)], {"zero": int(rng.integers(0, 256))}


def binary_conv2d(rng: np.random.Generator) -> Made:
    """Weights packed plainly, sums compared."""
    return _made(rng, "binary_conv2d")


def binary_conv2d_s8(rng: np.random.Generator) -> Made:
    """Weights packed plainly, sums requantized."""
    return _made(rng, "binary_conv2d_s8")


def mst_conv2d(rng: np.random.Generator) -> Made:
    """Weights as a tree, sums compared."""
    return _made(rng, "mst_conv2d")


def mst_conv2d_s8(rng: np.random.Generator) -> Made:
    """Weights as a tree, sums requantized."""
    return _made(rng, "mst_conv2d_s8")


def _made(rng: np.random.Generator, kind: str) -> Made:
    channels, out, kernel = int(rng.integers(1, 71)), int(rng.integers(1, 40)), tuple(rng.integers(1, 4, 2).tolist())
    x = words(rng.random((1, *rng.integers(5, 12, 2), channels)) < 0.5)
    attrs: dict[str, object] = {
        "channels": channels,
        "stride": tuple(rng.integers(1, 3, 2).tolist()),
        "dilation": tuple(rng.integers(1, 3, 2).tolist()),
        "padding": tuple(rng.integers(0, 3, 4).tolist()),
    }
    depth, cells = int(rng.integers(1, 5)), kernel[0] * kernel[1] * channels
    rows, tree = random_tree(rng, out, cells, depth)
    packed = words(rows.reshape(out, *kernel, channels))
    weights = [packed]
    if kind.startswith("mst"):
        weights, attrs["depth"] = [packed[tree[0]], tree], depth
    if not kind.endswith("s8"):
        spread = 2 * int(cells**0.5) + 2
        threshold = rng.integers(-spread, spread + 1, out).astype(np.int32)
        odd = rng.random(out) < 0.1
        threshold[odd] = rng.choice([-(1 << 31), (1 << 31) - 1, cells, cells + 1, -cells], int(odd.sum()))
        return kind, [x, *weights, threshold], attrs
    multiplier = rng.integers(1 << 30, 1 << 31, out).astype(np.int32)
    shift = np.clip(rng.integers(-2, 3, out) + 33 + round(np.log2(cells**0.5 + 1)), 1, 62).astype(np.uint8)
    multiplier[rng.random(out) < 0.05] = 0
    b = rng.integers(-(1 << 13), 1 << 13, out).astype(np.int32)
    low, high = sorted(rng.integers(-128, 128, 2).tolist()) if rng.random() < 0.3 else (-128, 127)
    attrs |= {"y_zero": int(rng.integers(-128, 128)), "low": low, "high": high}
    return kind, [x, *weights, b, multiplier, shift], attrs


INTEGER = {make.__name__: make for make in (binarize, binary_conv2d, binary_conv2d_s8, mst_conv2d, mst_conv2d_s8)}
