"""Write the section "Measured" of docs/quantization.md from benchmarks/results/compare_methods.json."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "quantization.md"
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "compare_methods.json"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
Rows = list[dict[str, Any]]


def page() -> str:
    """The page with its section as the results have it."""
    text = PAGE.read_text("utf-8")
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    return head + BEGIN + measured(json.loads(RESULTS.read_text("utf-8"))) + END + tail


def measured(results: Mapping[str, Any]) -> str:
    """A table a net, and which method is best at each width."""
    parts = [
        f"\n`python benchmarks/compare_methods.py` at {results['commit']}: the metric on the validation split, beside"
        f" it the kilobytes of the weights; activations in {results['activations']} bits where the method can round"
        f" them. Latency is predicted for the {results['target']}. One seed; a point on digits-resnet is two of its"
        " 199 samples.\n"
    ]
    for net, found in results["nets"].items():
        better = "more" if found["direction"] == "max" else "less"
        parts.append(f"\n**{net}**, {found['metric']} ({better} is better), float {said(found, found['rows'][0])}\n")
        parts.append(table(found, results["bits"]))
    return "".join(parts) + "\n"


def table(found: Mapping[str, Any], bits: list[int]) -> str:
    """Methods down, widths across; the best of a width is bold."""
    rows: Rows = [row for row in found["rows"] if row["method"] != "float"]
    best = {width: winner(found, [row for row in rows if row["bits"] == width]) for width in bits}
    widths = [f"{width} bits" for width in bits]
    heads = ["method", *widths, "a form of its own", "latency at 4 bits", "time taken at 4 bits"]
    lines = [heads, ["---"] * len(heads)]
    for name in dict.fromkeys(row["method"] for row in rows):
        own = {row["bits"]: row for row in rows if row["method"] == name}
        cells = [cell(found, own.get(width), best[width]) for width in bits]
        other = next((row for width, row in own.items() if width not in bits), None)
        form = cell(found, other, None) + (f", {other['bits']} bits" if other and other["bits"] else "")
        cells.append(form)
        four = own.get(4, other or {})
        latency = f"{four['latency_ms']:,.3g} ms" if four.get("latency_ms") else "-"
        lines.append([name, *cells, latency, f"{four['seconds']:,.0f} s" if four else "-"])
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def winner(found: Mapping[str, Any], rows: Rows) -> dict[str, Any] | None:
    """The row of the best quality."""
    done = [row for row in rows if row["quality"] is not None]
    sign = 1 if found["direction"] == "max" else -1
    return max(done, key=lambda row: sign * row["quality"], default=None)


def cell(found: Mapping[str, Any], row: dict[str, Any] | None, best: dict[str, Any] | None) -> str:
    """Quality and size, or why there is none."""
    if row is None:
        return "-"
    if row["quality"] is None:
        return "refused"
    text = said(found, row)
    return f"**{text}**" if row is best else text


def said(found: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """Quality, and kilobytes of weights."""
    quality = f"{row['quality']:.2%}" if found["metric"] == "accuracy" else f"{row['quality']:.4g}"
    return f"{quality} ({row['bytes'] / 1024:.3g} KB)"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
