"""What a kernel's work is counted in: outputs, windows, rows. The cost tables are linear in these numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from edgesmith.core.graph import Op, Tensor
from edgesmith.core.ops import attrs_of, spec_of
from edgesmith.kernels.kernel import Kernel

Features = dict[str, float]
PRODUCT_BYTES = 2048  # of widened columns in cortex_m/matmul_s8.c
LONG_WINDOW = 384  # elements; beyond it cortex_m/conv2d_s8.c keeps two columns instead of four


def form(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], kernel: Kernel) -> str:
    """Which of a kernel's ways a call takes; each has a line of its own in the tables. "" where there is one way."""
    values: dict[str, Any] = {f.name: f.value for f in kernel.fields}
    if "groups" in values:
        return _window_form(values)
    if op.kind in ("concat", "embedding"):
        rows = [
            tensor.nbytes // max(_rows(op, inputs, outputs), 1)
            for tensor in (inputs if op.kind == "concat" else outputs)
        ]
        return "words" if all(row % 4 == 0 for row in rows) else "bytes"
    if "unit_bytes" in values:
        unit = values["unit_bytes"]
        return f"unit {unit}" if unit in (1, 2, 4) else "words" if unit % 4 == 0 else "bytes"
    if "size" in values and "kept_size" not in values and op.kind not in ("matmul", "matmul_s8"):
        flat = "flat" if sum(n > 1 for n in values["size"]) <= 1 else "strided"
        return flat if _side_by_side(values) else f"{flat} repeated"
    if "table_stride" in values:
        return "table each" if values["table_stride"] else "one table"
    return ""


def _side_by_side(values: Mapping[str, Any]) -> bool:
    """Whether neighbours on the last axis of a walk lie side by side in every operand."""
    last = values["rank"] - 1
    return all(values[name][last] == 1 for name in ("a_stride", "b_stride") if name in values)


def _window_form(p: Mapping[str, int]) -> str:
    kernel = (p["kernel_h"], p["kernel_w"])
    if 1 < p["groups"] < p["in_c"]:
        return "grouped"
    if kernel == (1, 1):
        return "1x1"
    if kernel == (3, 3) and p["dilation_h"] == p["dilation_w"] == 1:
        return f"3x3 stride {min(p['stride_w'], 3)}"
    if p["kernel_w"] in (5, 7) and p["stride_w"] == p["dilation_h"] == p["dilation_w"] == 1:
        return "wide stride 1"
    return "any"


def _rows(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> int:
    """Pieces of each input that a concatenation or an embedding moves."""
    if op.kind == "embedding":
        return inputs[0].size
    axis = op.attrs["axis"]
    return math.prod(outputs[0].shape[: axis if isinstance(axis, int) else 0])


def features(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], kernel: Kernel) -> Features:
    """The numbers that the instructions of one call are linear in; which ones depends on the kernel's parameters."""
    values: dict[str, Any] = {f.name: f.value for f in kernel.fields}
    found: Features = {
        "one": 1,
        "inputs": inputs[0].size,
        "outputs": sum(t.size for t in outputs),
        "output_bytes": sum(t.nbytes for t in outputs),
        "macs": spec_of(op).macs(inputs, outputs, attrs_of(op)),
        "rows": outputs[0].size // outputs[0].shape[-1] if outputs[0].shape else 1,
    }
    if "groups" in values:
        found |= _convolution(values, op.kind.startswith("conv_transpose"))
    elif "kernel_h" in values:
        found |= _pool(values)
    elif "in_features" in values:
        found |= _convolution(_as_pixels(values), False)
        found |= _lone_rows(values)
    if "b_row" in values:
        found |= _product(values, outputs[0].size)
    if "size" in values:
        found |= _walk(values)
    if op.kind in ("concat", "embedding"):
        found["pieces"] = _rows(op, inputs, outputs) * len(inputs)
    if op.kind.startswith(("lstm", "gru")):
        found |= _recurrent(inputs)
    return found


def _product(values: Mapping[str, Any], outputs: int) -> Features:
    """Tiles of two rows by two columns, their words of two products, and the values widened for them by blocks."""
    rows, columns, inner = (int(values[name]) for name in ("rows", "columns", "inner"))
    batch, words = outputs // (rows * columns), (inner + 1) // 2
    block = max(2, PRODUCT_BYTES // (4 * words) // 2 * 2)
    tiles = batch * math.ceil(rows / 2) * math.ceil(columns / 2)
    return {
        "products": batch,
        "tiles": tiles,
        "tile_words": tiles * words,
        "row_pairs": batch * math.ceil(rows / 2) * math.ceil(columns / block),
        "widened_rows": batch * rows * inner * math.ceil(columns / block),
        "widened_columns": batch * columns * inner,
    }


def _lone_rows(values: Mapping[str, int]) -> Features:
    """A row of a linear layer that shares its weights with none: channels four at a time, activations beyond steps."""
    rows, inside = values["rows"], values["in_features"]
    lone = rows if inside > 2 * LONG_WINDOW else rows % 2
    fours = lone * math.ceil(values["out_features"] / 4)
    return {
        "lone_inputs": lone * inside,
        "channel_fours": fours,
        "four_steps": fours * (inside // 4),
        "rest_of_four": fours * (inside % 4),
        "rest_of_eight": fours * (inside % 8),
    }


def _recurrent(inputs: Sequence[Tensor]) -> Features:
    """sums: dot products of a recurrent layer, loose: what is left of them beside multiples of four."""
    steps, width, hidden = inputs[0].shape[0], inputs[0].shape[-1], inputs[1].size
    return {"steps": steps, "sums": steps * hidden, "loose": steps * hidden * (width % 4 + hidden % 4)}


def _as_pixels(values: Mapping[str, int]) -> dict[str, int]:
    """A linear layer as the convolution of one row of pixels with a kernel of one cell."""
    ones = ("in_h", "out_h", "kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h", "dilation_w", "groups")
    sizes = {"in_w": values["rows"], "out_w": values["rows"], "in_c": values["in_features"]}
    return {**dict.fromkeys(ones, 1), **sizes, "out_c": values["out_features"], "pad_top": 0, "pad_left": 0}


def _inside(p: Mapping[str, int], axis: str) -> int:
    """Kernel cells that lie inside the input, summed over the outputs of one axis."""
    size, steps = p[f"in_{axis}"], range(p[f"out_{axis}"])
    first = p["pad_top"] if axis == "h" else p["pad_left"]
    starts = [o * p[f"stride_{axis}"] - first for o in steps]
    cells = [k * p[f"dilation_{axis}"] for k in range(p[f"kernel_{axis}"])]
    return sum(0 <= start + cell < size for start in starts for cell in cells)


def _inside_transposed(p: Mapping[str, int], axis: str) -> int:
    """Taps of a transposed convolution that fall on an input cell, summed over the outputs of one axis."""
    pad, stride = p["pad_top"] if axis == "h" else p["pad_left"], p[f"stride_{axis}"]
    places = [o + pad - k * p[f"dilation_{axis}"] for o in range(p[f"out_{axis}"]) for k in range(p[f"kernel_{axis}"])]
    return sum(place >= 0 and place % stride == 0 and place // stride < p[f"in_{axis}"] for place in places)


def _convolution(p: Mapping[str, int], transposed: bool) -> Features:
    """What a window costs to collect, and to multiply one by one, in pairs of channels or in tiles of four pixels."""
    pixels, cells = p["out_h"] * p["out_w"], p["kernel_h"] * p["kernel_w"]
    in_per = p["in_c"] // p["groups"]
    count = _inside_transposed if transposed else _inside
    inside = count(p, "h") * count(p, "w")
    taps = pixels * p["out_c"] * cells
    return {
        "pixels": pixels,
        "channels": p["out_c"],
        "channel_rows": p["out_c"] * p["out_h"],
        "runs": pixels * p["kernel_h"] * p["groups"],
        "gathered": pixels * cells * p["in_c"],
        "outside": (pixels * cells - inside) * p["in_c"],
        "odd_inputs": p["in_h"] * p["in_w"] * (p["in_c"] % 4),
        "output_runs": pixels * p["out_c"] * p["kernel_h"],
        "taps": taps,
        "taps_inside": inside * p["out_c"],
        "macs_inside": inside * p["out_c"] * in_per,
        "loose": taps * (in_per % 4),
        **_staged(p),
        **_tiles(p),
    }


def _staged(p: Mapping[str, int]) -> Features:
    """Rows of windows that do not lie side by side within the input, which some kernels copy cell by cell."""
    starts = [o * p["stride_w"] - p["pad_left"] for o in range(p["out_w"])]
    side_by_side = p["kernel_w"] == 1 or (p["dilation_w"] == 1 and p["groups"] == 1)
    direct = sum(start >= 0 and start + p["kernel_w"] <= p["in_w"] for start in starts) if side_by_side else 0
    runs = (p["out_h"] * p["out_w"] * p["kernel_h"] - direct * _inside(p, "h")) * p["groups"]
    in_per = p["in_c"] // p["groups"]
    staged = runs * p["kernel_w"] * in_per
    loose = in_per % 4 or p["in_c"] % 4
    return {
        "staged_runs": runs,
        "staged_cells": runs * p["kernel_w"],
        "staged_words": 0 if loose else staged,
        "staged_bytes": staged if loose else 0,
    }


def _tiles(p: Mapping[str, int]) -> Features:
    """Tiles of four, two or one pixels by pairs of channels; long: windows that only go two pixels at a time."""
    pixels, window = p["out_h"] * p["out_w"], p["kernel_h"] * p["kernel_w"] * (p["in_c"] // p["groups"])
    pairs = math.ceil(p["out_c"] // p["groups"] / 2) * p["groups"]
    four = 0 if window > LONG_WINDOW else pixels // 4
    two, one = (pixels - 4 * four) // 2, pixels % 2
    return {
        "tiles": (four + two + one) * p["groups"],
        "pairs": (four + two + one) * pairs,
        "four_macs": four * pairs * window,
        "two_macs": two * pairs * window,
        "one_macs": one * pairs * window,
        "tile_runs": (four + two + one) * pairs * p["kernel_h"],
    }


def _pool(p: Mapping[str, int]) -> Features:
    """taps: kernel cells of all outputs; inside: those within the input; fours: channels that go four at a time."""
    pixels, inside = p["out_h"] * p["out_w"], _inside(p, "h") * _inside(p, "w")
    rows_inside = _inside(p, "h") * p["out_w"]
    fours, loose = p["channels"] // 4, p["channels"] % 4
    return {
        "pixels": pixels,
        "kernel_sides": pixels * (p["kernel_h"] + p["kernel_w"]),
        "runs": pixels * p["kernel_h"],
        "output_runs": pixels * p["kernel_h"] * p["channels"],
        "cells": pixels * p["kernel_h"] * p["kernel_w"],
        "inside": inside,
        "taps": pixels * p["kernel_h"] * p["kernel_w"] * p["channels"],
        "taps_inside": inside * p["channels"],
        "fours": pixels * fours,
        "four_runs": rows_inside * fours,
        "four_taps": inside * fours,
        "loose": pixels * (loose > 0),
        "loose_runs": rows_inside * (loose > 0),
        "loose_cells": inside * (loose > 0),
        "loose_taps": inside * loose,
    }


def _walk(values: Mapping[str, Any]) -> Features:
    """units a strided walk visits, its rows and planes, axes counted for each row; kept: cells of the outer walk."""
    sizes = [int(n) for n in values["size"]]
    kept = math.prod(int(n) for n in values.get("kept_size", ()) if n)
    return {
        "units": kept * math.prod(sizes),
        "unit_rows": kept * math.prod(sizes[:-1]),
        "row_axes": kept * math.prod(sizes[:-1]) * sum(n > 1 for n in sizes),
        "unit_planes": kept * math.prod(sizes[:-2]),
        "kept": kept,
    }
