"""The page of `edgesmith compare`: quality against bytes for every method and width, and the table."""

from pathlib import Path
from typing import Any

from edgesmith.core.errors import Missing
from edgesmith.report.numbers import digits, duration, percent, size
from edgesmith.report.page import replace

Row = dict[str, Any]
COSTS = (
    ("bytes", "Weights, KB", 1024),
    ("flash_bytes", "Flash, KB", 1024),
    ("latency_ms", "Latency, ms", 1),
    ("seconds", "Time taken, s", 1),
)


def write_comparison(data: dict[str, Any], path: Path) -> Path:
    """Write the page, whole or not at all.

    Args:
        data: model, task, metric, direction, target ("" for none), and rows as `compare_methods` gives them.

    Raises:
        Missing: jinja2 or plotly is not installed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, comparison_page(data).encode())
    return path


def comparison_page(data: dict[str, Any]) -> str:
    """The page as HTML text."""
    try:
        from edgesmith.report.template import asset, environment, plotly
    except ModuleNotFoundError as error:
        raise Missing(
            f'report: {error.name} is not installed; the HTML page needs it. Run: pip install "edgesmith[report]".'
        ) from error
    context = {"data": data, "lines": [line(row, data["metric"]) for row in data["rows"]], "chart": chart(data)}
    files = {"css": asset("report.css"), "script": asset("compare.js"), "plotly": plotly()}
    return environment().get_template("compare.html.j2").render(context | files)


def line(row: Row, metric: str) -> Row:
    """One row of the table as text."""
    quality = row["quality"]
    said = "" if quality is None else percent(quality) if metric == "accuracy" else digits(quality)
    sizes = {key: "" if row[key] is None else size(row[key]) for key in ("bytes", "flash_bytes", "ram_bytes")}
    latency = "" if row["latency_ms"] is None else duration(row["latency_ms"])
    taken = duration(1000 * row["seconds"]) if row["seconds"] else ""
    return {**row, **sizes, "quality": said, "latency_ms": latency, "seconds": taken}


def chart(data: dict[str, Any]) -> dict[str, Any]:
    """What the plot draws: one series a method, its points in the order of their bits."""
    done = [row for row in data["rows"] if row["quality"] is not None]
    scale = 100 if data["metric"] == "accuracy" else 1
    series = {
        name: sorted((row for row in done if row["method"] == name), key=lambda row: row["bits"])
        for name in dict.fromkeys(row["method"] for row in done if row["method"] != "float")
    }
    axes = [
        {"key": key, "title": title, "scale": unit}
        for key, title, unit in COSTS
        if any(row[key] is not None for row in done)
    ]
    return {
        "metric": f"{data['metric'].capitalize()}{', %' if scale == 100 else ''}",
        "axes": axes,
        "float": [scale * row["quality"] for row in done if row["method"] == "float"],
        "series": [
            {
                "name": name,
                "quality": [scale * row["quality"] for row in rows],
                "bits": [row["bits"] for row in rows],
                "costs": {axis["key"]: [row[axis["key"]] for row in rows] for axis in axes},
            }
            for name, rows in series.items()
        ],
    }
