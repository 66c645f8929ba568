"""What the constants of integer ops must satisfy, so that no implementation overflows or reads outside a table."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph, Op
from edgesmith.core.ops.binary import WORD, tree_bits
from edgesmith.core.ops.coded import FORMATS, check_coded, check_outliers
from edgesmith.core.ops.shift_add import decode
from edgesmith.core.ops.spec import Attrs, OpSpec, need
from edgesmith.core.ops.tables import twiddles
from edgesmith.core.ops.trees import check_trees

Arrays = Mapping[str, np.ndarray]
INT32 = np.iinfo(np.int32)
MULTIPLIER, SHIFT = (0, INT32.max), (1, 62)
# Inputs of integer ops that must be constants, with the bounds of each entry (docs/numbers.md).
RANGES: Mapping[str, tuple[int, int]] = {
    "multiplier": MULTIPLIER,
    "shift": SHIFT,
    "ih_multiplier": MULTIPLIER,
    "ih_shift": SHIFT,
    "hh_multiplier": MULTIPLIER,
    "hh_shift": SHIFT,
    "gamma": (-4095, 4095),
    "beta": (1 - (1 << 30), (1 << 30) - 1),
    "sigmoid": (0, 32767),
    "tanh": (-32768, 32767),
    "table": (0, 1 << 22),
    "window": (-32768, 32767),
    "twiddle": (-(1 << 30), 1 << 30),
    "first": (0, 512),
    "count": (0, 513),
    "weights": (0, 4096),  # so that a filter's energy stays within 63 bits
    "log_table": (0, 4096),
}


def check_values(graph: Graph, op: Op, spec: OpSpec, attrs: Attrs) -> None:
    """Check the constants that an integer op reads.

    Raises:
        BadInput: a table or multiplier is no constant or out of range, or a sum could leave int32.
    """
    if not op.kind.endswith(("_s8", "_s16")) and op.kind not in RELATIONS:
        return
    named = dict(zip(spec.inputs, op.inputs, strict=True))
    arrays = {key: graph.constants[name] for key, name in named.items() if name in graph.constants}
    for key, (low, high) in RANGES.items():
        if key in named:
            need(key in arrays, f"{op.kind} ({op.name}): input {key} is computed; need a constant.")
            good = bool(((arrays[key] >= low) & (arrays[key] <= high)).all())
            need(good, f"{op.kind} ({op.name}): an entry of {key} is outside {low} to {high}.")
    if op.kind in RELATIONS:
        try:
            RELATIONS[op.kind](arrays, graph.tensors[op.inputs[0]].shape, attrs)
        except BadInput as error:
            raise BadInput(f"{op.kind} ({op.name}): {error}") from None


def accumulators_fit(w: np.ndarray, b: np.ndarray, low: int = -128, high: int = 127) -> None:
    """Check that b + sum(x * w) stays within int32 for every x in [low, high].

    Args:
        w: (O, ...) integers.
        b: (O,) integers.

    Raises:
        BadInput: some channel can leave int32.
    """
    rows = w.reshape(len(w), -1).astype(np.int64)
    most = b + np.maximum(rows * low, rows * high).sum(axis=1)
    least = b + np.minimum(rows * low, rows * high).sum(axis=1)
    wide = np.flatnonzero((most > INT32.max) | (least < INT32.min))
    need(len(wide) == 0, f"channel {wide[:1]} can leave int32; need a smaller bias or weights.")


def _constant(arrays: Arrays, *names: str) -> None:
    for name in names:
        need(name in arrays, f"input {name} is computed; need a constant, whose sums can be bounded.")


def _dot(arrays: Arrays, shape: tuple[int, ...], attrs: Attrs) -> None:
    _constant(arrays, "w", "b")
    accumulators_fit(arrays["w"], arrays["b"])


def _coded_dot(arrays: Arrays, shape: tuple[int, ...], attrs: Attrs) -> None:
    _constant(arrays, "codes", "b")
    accumulators_fit(decode(arrays["codes"]), arrays["b"])


def _transposed_dot(arrays: Arrays, shape: tuple[int, ...], attrs: Attrs) -> None:
    _constant(arrays, "w", "b")
    low, high = (end - attrs["x_zero"] for end in (-128, 127))
    # A cell may be reached by any part of the taps: each adds its worst or nothing.
    accumulators_fit(arrays["w"], arrays["b"], min(low, 0), max(high, 0))


def _recurrent(arrays: Arrays, shape: tuple[int, ...], attrs: Attrs) -> None:
    for part in ("ih", "hh"):
        _constant(arrays, f"w_{part}", f"b_{part}")
        accumulators_fit(arrays[f"w_{part}"], arrays[f"b_{part}"])


def _softmax(arrays: Arrays, shape: tuple[int, ...], attrs: Attrs) -> None:
    table = arrays["table"].astype(np.int64)
    need(bool(table[0] >= 1), "entry 0 of the table is 0; need exp(0) at its scale.")
    need(
        shape[-1] * int(table.max()) < 1 << 31, f"a row of {shape[-1]} entries can leave uint32; need a smaller table."
    )


def _single_pass(arrays: Arrays, shape: tuple[int, ...], attrs: Attrs) -> None:
    _softmax(arrays, shape, attrs)
    unit = 1 << attrs["unit_bits"]
    good = int(arrays["table"][0]) == unit == int(arrays["table"].max())
    need(good, f"the table's first and largest entry must be {unit}, exp(0) at its scale.")


def _log_mel(arrays: Arrays, shape: tuple[int, ...], attrs: Attrs) -> None:
    # Any other factors could grow past int32 in the transform.
    exact = twiddles(attrs["n_fft"]).astype(np.int64)
    need(bool((np.abs(arrays["twiddle"] - exact) <= 1).all()), "twiddle is not cos and -sin in Q30.")
    first, count, weights = (arrays[key].astype(np.int64) for key in ("first", "count", "weights"))
    need(bool((first + count <= attrs["n_fft"] // 2 + 1).all()), "a mel filter ends beyond the last bin.")
    need(int(count.sum()) == len(weights), f"counts add up to {int(count.sum())}, there are {len(weights)} weights.")


def _neighbours(arrays: Arrays, shape: tuple[int, ...], attrs: Attrs) -> None:
    _constant(arrays, "labels")
    need(int(arrays["labels"].max()) < attrs["classes"], "a label is beyond the classes.")


def _svm_pairs(arrays: Arrays, shape: tuple[int, ...], attrs: Attrs) -> None:
    _constant(arrays, "dual", "starts", "b")
    starts = arrays["starts"].astype(np.int64)
    ordered = starts[0] == 0 and starts[-1] == shape[-1] and bool((np.diff(starts) >= 0).all())
    need(ordered, "the classes do not share out the support vectors in order.")


def _rbf(arrays: Arrays, shape: tuple[int, ...], attrs: Attrs) -> None:
    _constant(arrays, "exp_table")
    need(bool((arrays["exp_table"] >= 0).all()), "an entry of exp_table is below 0.")


def _shifted(name: str, most: int) -> Callable[[Arrays, tuple[int, ...], Attrs], None]:
    """Check that what is shifted stays within int32, and by how much it is shifted."""

    def check(arrays: Arrays, shape: tuple[int, ...], attrs: Attrs) -> None:
        _constant(arrays, name, "b", "right")
        need(bool((arrays["right"] <= 30).all()), "a shift is above 30.")
        factors, offsets = (np.abs(arrays[key].astype(np.int64)).max() for key in (name, "b"))
        reach = most * factors + (offsets if name == "m" else 0) + (1 << 29)
        need(int(reach) <= INT32.max, f"an entry of {name} is too large.")

    return check


def _binary(arrays: Arrays, shape: tuple[int, ...], attrs: Attrs) -> None:
    """Bits beyond the channels are 0, a bias leaves room for the sum."""
    weight = "root" if "depth" in attrs else "w"
    _constant(arrays, weight, *(("b",) if "y_zero" in attrs else ()))
    beyond = attrs["channels"] % WORD
    last = arrays[weight][..., -1] >> np.uint32(beyond) if beyond else np.zeros(1, np.uint32)
    need(not last.any(), f"a bit of {weight} beyond {attrs['channels']} channels is set.")
    if "b" in arrays:
        need(int(np.abs(arrays["b"].astype(np.int64)).max()) < 1 << 30, "a bias is 2^30 or more.")


def _binary_tree(arrays: Arrays, shape: tuple[int, ...], attrs: Attrs) -> None:
    _constant(arrays, "tree", "threshold" if "y_zero" not in attrs else "b")
    _binary(arrays, shape, attrs)
    out = len(arrays["b" if "b" in arrays else "threshold"])
    tree_bits(arrays["root"], arrays["tree"], out, attrs["channels"], attrs["depth"])


RELATIONS: Mapping[str, Callable[[Arrays, tuple[int, ...], Attrs], None]] = {
    **{kind: partial(check_coded, kind) for kind in FORMATS},
    "outliers": check_outliers,
    "tree_ensemble": check_trees,
    "tree_ensemble_s16": check_trees,
    "neighbours": _neighbours,
    "svm_pairs": _svm_pairs,
    "svm_pairs_s16": _svm_pairs,
    "rbf_s16": _rbf,
    "affine_s16": _shifted("m", 1 << 15),
    "gaussian_scores_s16": _shifted("w", 1 << 15),
    "binary_conv2d": _binary,
    "binary_conv2d_s8": _binary,
    "mst_conv2d": _binary_tree,
    "mst_conv2d_s8": _binary_tree,
    "conv2d_s8": _dot,
    "shift_add_conv2d_s8": _coded_dot,
    "conv_transpose2d_s8": _transposed_dot,
    "linear_s8": _dot,
    "lstm_s8": _recurrent,
    "gru_s8": _recurrent,
    "softmax_s8": _softmax,
    "single_pass_softmax_s8": _single_pass,
    "log_mel_s8": _log_mel,
}
