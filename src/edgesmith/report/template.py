"""The page's template, filled. Everything from the report is escaped; only our own markup passes as it is."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from edgesmith.report import numbers, sections
from edgesmith.report.comparison import rows
from edgesmith.report.pareto import pareto
from edgesmith.report.timeline import live_bytes, timeline


def environment() -> Environment:
    """Jinja with escaping on; an absent field is false and empty."""
    made = Environment(
        loader=PackageLoader("edgesmith.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(size=numbers.size, count=numbers.count, duration=numbers.duration, percent=numbers.percent)
    return made


def asset(name: str) -> Markup:
    """One of our own files, for embedding."""
    return Markup(files("edgesmith.report").joinpath("templates", name).read_text(encoding="utf-8"))


def plotly() -> Markup:
    """The plot library's text: once in the page, so that it works offline."""
    return Markup(files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8"))


def render(data: dict[str, Any]) -> str:
    """Fill the template with a validated report."""
    chart = pareto(data)
    memory = data.get("memory")
    optional = ("model", "task", "budget", "before", "after", "candidates_how", "parity", "reproduce")
    context = {name: data.get(name) for name in optional} | {
        "data": data,
        "rows": rows(data),
        "chart": chart,
        "accuracies": sections.accuracies(data),
        "confusion": sections.confusion(data),
        "trust": sections.trust(data),
        "layers": sections.layers(data),
        "sensitivity": sections.sensitivity(data),
        "trials": sections.trials(data),
        "memory": memory,
        "timeline": timeline(memory) if memory else None,
        "live": max(live_bytes(memory), default=0) if memory else 0,
        "css": asset("report.css"),
        "script": asset("report.js") if chart else "",
        "plotly": plotly() if chart else "",
    }
    return environment().get_template("report.html.j2").render(context)
