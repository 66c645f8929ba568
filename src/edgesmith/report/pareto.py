"""The candidates as points: which of them no other beats, and what each shows when pointed at."""

from html import escape
from typing import Any

from edgesmith.report.numbers import figure, plain

# figure, its title, its unit, the plot's unit in that unit, the plot's unit
AXES = (
    ("flash_bytes", "Flash", "B", 1024, "KB"),
    ("ram_bytes", "RAM", "B", 1024, "KB"),
    ("latency_ms", "Latency", "ms", 1, "ms"),
    ("energy_uj", "Energy", "uJ", 1, "µJ"),
)
LOG_FROM = 30  # a wider range of values than this is drawn on a logarithmic axis

Candidate = dict[str, Any]


def front(candidates: list[Candidate], cost: str, upwards: bool = True) -> list[Candidate]:
    """Those that no other candidate equals or beats in both cost and accuracy, cheapest first.

    Args:
        candidates: each with a number under `cost` and under "accuracy".
        upwards: more accuracy is better.
    """
    sign = -1 if upwards else 1
    found: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (c[cost], sign * c["accuracy"])):
        if not found or sign * candidate["accuracy"] < sign * found[-1]["accuracy"]:
            found.append(candidate)
    return found


def setting(name: str, value: Any) -> str:
    """One line of the text shown when a candidate is pointed at."""
    return f"{escape(name[:40])}: {escape(plain(value)[:80]) or 'none'}"


def hover(candidate: Candidate, unit: str) -> str:
    """What a candidate is, in the small markup that plotly draws; names from outside are escaped."""
    lines = [f"<b>candidate {escape(str(candidate['id'])[:40])}</b>", f"{figure(candidate['accuracy'], unit)}"]
    for key, title, base, _, _ in AXES:
        if candidate.get(key) is not None:
            lines.append(f"{title} {figure(candidate[key], base)}")
    lines += ["", *(setting(*pair) for pair in list(candidate["settings"].items())[:20])]
    return "<br>".join(lines)


def group(candidate: Candidate) -> str:
    """Which mark a candidate gets."""
    if candidate.get("best"):
        return "best"
    return "fits" if candidate["fits"] else "infeasible"


def axis(points: list[Candidate], choice: tuple[str, str, str, float, str], data: dict[str, Any]) -> dict[str, Any]:
    """One choice of the plot's x axis: values in its unit, its limit, the points on the front."""
    key, title, _, scale, unit = choice
    known = [p for p in points if p.get(key) is not None]
    feasible = [p for p in known if p["fits"]]
    upwards = (data.get("task") or {}).get("direction", "max") == "max"
    values = [p[key] for p in known]
    limit = (data.get("budget") or {}).get(key)
    return {
        "key": key,
        "name": title,
        "title": f"{title}, {unit}",
        "values": [None if p.get(key) is None else p[key] / scale for p in points],
        "limit": None if limit is None else limit / scale,
        "log": min(values) > 0 and max(values) / min(values) > LOG_FROM,
        "front": [points.index(p) for p in front(feasible or known, key, upwards)],
    }


def pareto(data: dict[str, Any]) -> dict[str, Any] | None:
    """All that the page's plot draws, or None when no candidate was evaluated."""
    points = [c for c in data.get("candidates") or () if c["state"] == "evaluated" and c.get("accuracy") is not None]
    chosen = [choice for choice in AXES if any(p.get(choice[0]) is not None for p in points)]
    if not chosen:
        return None
    metric = (data.get("task") or {}).get("metric", "accuracy")
    unit = "fraction" if metric == "accuracy" else ""
    scale = 100 if unit else 1
    limit = (data.get("budget") or {}).get("accuracy")
    return {
        "metric": f"{escape(metric.capitalize())}{', %' if unit else ''}",
        "accuracy": [scale * p["accuracy"] for p in points],
        "least": None if limit is None else scale * limit,
        "group": [group(p) for p in points],
        "hover": [hover(p, unit) for p in points],
        "axes": [axis(points, choice, data) for choice in chosen],
    }
