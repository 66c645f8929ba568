"""The ops of classical models equal docs/numbers.md read literally, and mean what their float forms mean."""

from dataclasses import replace

import numpy as np
import pytest

import classical_arrays
from core.ops.cases import Case
from edgesmith.core.errors import BadInput
from edgesmith.core.ops import SPECS, check
from edgesmith.core.ops.fixed import multiplier_of
from edgesmith.core.ops.instances import EXP_REACH, classes_of, exp_table, pairs_of
from edgesmith.core.ops.trees import ordered


def wrap32(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def rshift(value: int, bits: int) -> int:
    return value if bits == 0 else (value + (1 << (bits - 1))) >> bits


def within(value: int, limit: int) -> int:
    return min(limit, max(-limit, value))


def plain(arrays):
    return [array.tolist() for array in arrays]


def walked(x, nodes, threshold, roots):
    """Each tree by the float comparison itself, NaN aside."""
    found = []
    for start, at in roots.tolist():
        while at >= 0:
            feature, low, high = nodes[start + at].tolist()
            at = low if float(x[0, feature]) <= float(threshold[start + at]) else high
        found.append(~at)
    return found


def tree_ensemble_s16(arrays, attrs):
    x, nodes, threshold, roots, first, classes, values, base = arrays
    y = base.tolist()
    for leaf in walked(np.nan_to_num(x, nan=np.inf) if x.dtype.kind == "f" else x, nodes, threshold, roots):
        for entry in range(first[leaf], first[leaf + 1]):
            y[classes[entry]] += int(values[entry])
    return [y]


def distances_s16(arrays, attrs):
    (x,), c = plain(arrays)
    return [[wrap32(sum((a - b) ** 2 for a, b in zip(x, row, strict=True))) for row in c]]


def neighbours(arrays, attrs):
    (d,), labels = plain(arrays)
    nearest = sorted(range(len(d)), key=lambda row: (d[row], row))[: attrs["k"]]
    return [[sum(labels[row] == k for row in nearest) for k in range(attrs["classes"])]]


def rbf_s16(arrays, attrs):
    (d,), table = plain(arrays)
    t = [min(65535, max(0, rshift(v * attrs["multiplier"], attrs["shift"]))) for v in d]
    return [[table[v >> 8] + (((table[(v >> 8) + 1] - table[v >> 8]) * (v & 255) + 128) >> 8) for v in t]]


def svm_pairs_s16(arrays, attrs):
    (k,), dual, starts, b = plain(arrays)
    found = []
    for i, j in pairs_of(len(starts) - 1):
        first = sum(dual[j - 1][v] * k[v] for v in range(starts[i], starts[i + 1]))
        second = sum(dual[i][v] * k[v] for v in range(starts[j], starts[j + 1]))
        found.append(wrap32(b[len(found)] + first + second))
    return [found]


def pair_votes(arrays, attrs):
    (d,) = plain(arrays)[0]
    pairs = pairs_of(classes_of(len(d)))
    return [
        [sum((i if v > 0 else j) == k for v, (i, j) in zip(d, pairs, strict=True)) for k in range(pairs[-1][1] + 1)]
    ]


def gaussian_scores_s16(arrays, attrs):
    x, c, w, b, right = plain(arrays)
    found = []
    for k, offset in enumerate(b):
        rows = [part[k if len(part) > 1 else 0] for part in (x, c, w, right)]
        z = [within(rshift(within(p - q, 32767) * f, r), attrs["limit"]) for p, q, f, r in zip(*rows, strict=True)]
        found.append(wrap32(offset - sum(v * v for v in z)))
    return [found]


def affine_s16(arrays, attrs):
    x, m, b, right = plain(arrays)
    return [[within(rshift(v * m[i] + b[i], right[i]), attrs["limit"]) for i, v in enumerate(row)] for row in x]


def requantize_s16(arrays, attrs):
    x, m, s = plain(arrays)
    return [[within(rshift(v * m[i], s[i]), attrs["limit"]) for i, v in enumerate(row)] for row in x]


def linear_s16(arrays, attrs):
    x, w, b = plain(arrays)
    return [[wrap32(b[o] + sum(p * q for p, q in zip(row, w[o], strict=True))) for o in range(len(w))] for row in x]


def opposites(arrays, attrs):
    x = arrays[0].tolist()
    return [[-max(v, 1 - (1 << 31)), max(v, 1 - (1 << 31))] for (v,) in x]


BRUTE = (
    *(tree_ensemble_s16, distances_s16, neighbours, rbf_s16, svm_pairs_s16, pair_votes, gaussian_scores_s16),
    *(affine_s16, requantize_s16, linear_s16, opposites),
)


@pytest.mark.parametrize("brute", BRUTE, ids=lambda brute: brute.__name__)
def test_an_op_equals_its_formula_in_plain_integers(brute, nprng):
    for _ in range(30):
        kind, arrays, attrs = classical_arrays.INTEGER[brute.__name__](nprng)
        if kind == "tree_ensemble_s16" and arrays[0].dtype.kind == "f":
            arrays[0] = np.where(np.isnan(arrays[0]), np.float32(np.inf), arrays[0])
        found = SPECS[kind].run(arrays, SPECS[kind].complete(attrs))[0]
        np.testing.assert_array_equal(found, np.array(brute(arrays, attrs)))


def test_quantizing_rounds_half_up_and_saturates():
    x = np.float32([[-3e38, -1.5, -0.5, 0.49, 0.5, 2.5, 1e9, np.nan]])
    one = np.ones(8, np.float32)
    y = Case("quantize_s16", (x, one, 0 * one), {"limit": 100}).run()[0]
    assert y.tolist() == [[-100, -1, 0, 0, 1, 3, 100, -100]]


def test_floats_keep_their_order_as_integers(nprng):
    bits = nprng.integers(0, 1 << 32, 4000, np.uint32).view(np.float32)
    values = np.concatenate([bits[~np.isnan(bits)], np.float32([0.0, -0.0, np.inf, -np.inf, 1e-45, -1e-45])])
    keys = ordered(values)
    nprng.shuffle(values)
    keys = ordered(values)
    for a, b, p, q in zip(values, values[::-1], keys, keys[::-1], strict=True):
        assert (a < b, a == b) == (p < q, p == q)


def test_the_tabled_exponential_is_near_the_function():
    """docs/numbers.md: within 13 of 32767 everywhere."""
    scale = 1e-6
    d = np.arange(0, 14_000_000, 997, dtype=np.int64).astype(np.int32)[None]
    m, s = multiplier_of(scale * 65536 / EXP_REACH)
    y = Case("rbf_s16", (d, exp_table()), {"multiplier": m, "shift": s}).run()[0]
    assert np.abs(y - 32767 * np.exp(-scale * d)).max() < 13


def put(index: int, place: tuple[int, ...], value: int):
    def change(arrays):
        arrays[index][place] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(1, (0, 0), 99), "a feature that is not there"),
        (put(1, (0, 0), -1), "a feature that is not there"),
        (put(1, (0, 1), 0), "not after its parent"),
        (put(1, (0, 1), 32000), "not after its parent"),
        (put(1, (0, 2), -32000), "not after its parent"),
        (put(3, (0, 0), 5), "do not follow one another"),
        (put(3, (0, 1), 7), "neither at its first node nor at a leaf"),
        (put(4, (-1,), 60000), "share out the entries"),
        (put(5, (0,), 250), "an output that is not there"),
        (put(7, (0,), 2**31 - 1), "can leave int32"),
    ],
)
def test_trees_that_would_not_end_or_read_outside_are_refused(change, message):
    nodes = np.int16([[0, 1, -1], [1, -2, -3]])
    roots, spans = np.int32([[0, 0]]), np.uint16([0, 1, 2, 3])
    leaves = np.uint8([0, 1, 0]), np.int16([5, 6, -7]), np.int32([0, 0])
    arrays = (np.zeros((1, 2), np.uint8), nodes, np.int16([3, 4]), roots, spans, *leaves)
    good = Case("tree_ensemble_s16", arrays).graph()
    check(good)
    changed = [array.copy() for array in arrays]
    change(changed)
    constants = {f"i{i}": array for i, array in enumerate(changed) if i}
    with pytest.raises(BadInput, match=message):
        check(replace(good, constants=constants))


def test_support_vectors_and_labels_that_are_not_there_are_refused():
    rng = np.random.default_rng(3)
    kind, arrays, attrs = classical_arrays.INTEGER["svm_pairs_s16"](rng)
    good = Case(kind, tuple(arrays), attrs).graph()
    with pytest.raises(BadInput, match="share out the support vectors"):
        check(replace(good, constants={**good.constants, "i2": arrays[2] + 1}))
    votes = Case("neighbours", (np.int32([[4, 2]]), np.uint8([0, 2])), {"k": 1, "classes": 3}).graph()
    with pytest.raises(BadInput, match="beyond the classes"):
        check(replace(votes, constants={"i1": np.uint8([0, 9])}))
    (op,) = votes.ops
    with pytest.raises(BadInput, match="need as many rows"):
        check(replace(votes, ops=(replace(op, attrs={"k": 3, "classes": 3}),)))


def test_shifts_and_factors_that_would_overflow_are_refused():
    x, b = np.int16([[1, 2]]), np.int32([0, 0])
    for m, right, message in (([1, 2], [0, 31], "a shift is above 30"), ([-32768, 2], [0, 0], "m is too large")):
        offset = b if message[0] == "a" else b + np.int32((1 << 29) + 1)
        good = Case("affine_s16", (x, np.int16([1, 1]), b, np.uint8([0, 0]))).graph()
        changed = {"i1": np.int16(m), "i2": offset, "i3": np.uint8(right)}
        with pytest.raises(BadInput, match=message):
            check(replace(good, constants=changed))
