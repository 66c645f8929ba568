"""What a kernel's work is counted in: outputs, windows, rows. The cost tables are linear in these numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from edgesmith.core.graph import Op, Tensor
from edgesmith.core.ops import attrs_of, spec_of
from edgesmith.kernels.kernel import Kernel

Features = dict[str, float]


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
        return "flat" if sum(n > 1 for n in values["size"]) <= 1 else "strided"
    return ""


def _window_form(p: Mapping[str, int]) -> str:
    kernel = (p["kernel_h"], p["kernel_w"])
    if kernel == (1, 1):
        return "1x1"
    if kernel == (3, 3) and p["dilation_h"] == p["dilation_w"] == 1:
        return f"3x3 stride {min(p['stride_w'], 3)}"
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
    if "size" in values:
        found |= _walk(values)
    if op.kind in ("concat", "embedding"):
        found["pieces"] = _rows(op, inputs, outputs) * len(inputs)
    if op.kind.startswith(("lstm", "gru")):
        found |= _recurrent(inputs)
    return found


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
    """pixels of the output; runs: rows of windows; gathered: elements of all windows; inside: those within the input."""
    pixels, cells = p["out_h"] * p["out_w"], p["kernel_h"] * p["kernel_w"]
    in_per, out_per = p["in_c"] // p["groups"], max(p["out_c"] // p["groups"], 1)
    count = _inside_transposed if transposed else _inside
    inside = count(p, "h") * count(p, "w")
    return {
        "channels": p["out_c"],
        "channel_rows": p["out_c"] * p["out_h"],
        "odd_inputs": p["in_h"] * p["in_w"] * (p["in_c"] % 4),
        "output_runs": pixels * p["out_c"] * p["kernel_h"],
        "loose": pixels * p["out_c"] * cells * (in_per % 4),
        "long_macs": pixels * p["out_c"] * cells * in_per if cells * in_per > 384 else 0,
        "pixels": pixels,
        "groups": pixels * p["groups"],
        "runs": pixels * p["kernel_h"] * p["groups"],
        "cells": pixels * cells * p["groups"],
        "gathered": pixels * cells * p["in_c"],
        "outside": (pixels * cells - inside) * p["in_c"],
        "taps": pixels * p["out_c"] * cells,
        "taps_inside": inside * p["out_c"],
        "macs_inside": inside * p["out_c"] * in_per,
        "pairs": math.ceil(pixels / 2) * math.ceil(out_per / 2) * p["groups"],
        "pair_macs": math.ceil(pixels / 2) * 2 * math.ceil(out_per / 2) * 2 * p["groups"] * cells * in_per,
    }


def _pool(p: Mapping[str, int]) -> Features:
    """cells: kernel cells inside the input over all outputs, without and with the channels."""
    pixels, inside = p["out_h"] * p["out_w"], _inside(p, "h") * _inside(p, "w")
    return {
        "pixels": pixels,
        "runs": pixels * p["kernel_h"],
        "output_runs": pixels * p["kernel_h"] * p["channels"],
        "cells": pixels * p["kernel_h"] * p["kernel_w"],
        "inside": inside,
        "taps": pixels * p["kernel_h"] * p["kernel_w"] * p["channels"],
        "taps_inside": inside * p["channels"],
    }


def _walk(values: Mapping[str, Any]) -> Features:
    """units a strided walk visits, its rows and planes; kept: cells of the outer walk of a reduction."""
    sizes = [int(n) for n in values["size"]]
    kept = math.prod(int(n) for n in values.get("kept_size", ()) if n)
    return {
        "units": kept * math.prod(sizes),
        "unit_rows": kept * math.prod(sizes[:-1]),
        "unit_planes": kept * math.prod(sizes[:-2]),
        "kept": kept,
    }
