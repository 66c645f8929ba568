"""The page of `edgesmith split`: the plan over the graph, options over links, one request in time."""

from pathlib import Path
from typing import Any

from edgesmith.core.errors import Missing
from edgesmith.report.numbers import duration, energy, percent, size
from edgesmith.report.page import replace

PARTS = (("device", "device"), ("up", "to the server"), ("server", "server"), ("down", "back"))
GOALS = {"latency": "latency_ms", "energy": "energy_uj", "bytes": "up_bytes"}


def write_plan(facts: dict[str, Any], path: Path) -> Path:
    """Write the page, whole or not at all.

    Args:
        facts: as `edgesmith split --json` prints them.

    Raises:
        Missing: jinja2 or plotly is not installed.
    """
    replace(path, plan_page(facts).encode())
    return path


def plan_page(facts: dict[str, Any]) -> str:
    """The page as HTML text."""
    try:
        from edgesmith.report.template import asset, environment, plotly
    except ModuleNotFoundError as error:
        raise Missing(
            f'report: {error.name} is not installed; the HTML page needs it. Run: pip install "edgesmith[report]".'
        ) from error
    own = [option for option in facts["options"] if option["link"] == facts["links"][0]["name"]]
    own.sort(key=lambda option: option[GOALS[facts["goal"]]])
    chosen = next((option for option in own if option["chosen"]), None)
    context = {
        "data": facts,
        "lines": [said(option, facts["metric"]) for option in own],
        "links": [over(facts, link) for link in facts["links"]],
        "verdict": verdict(facts, chosen),
        "linked": linked(facts),
        "request": request(chosen or own[0]),
        "strip": strip(facts, chosen),
        "chart": chart(facts, chosen),
        "css": asset("report.css"),
        "script": asset("split.js"),
        "plotly": plotly(),
    }
    return environment().get_template("split.html.j2").render(context)


def linked(facts: dict[str, Any]) -> str | None:
    """What head and packing take as one program of a board; None where they were not linked."""
    found = facts.get("parts", {}).get("together")
    if not found:
        return None
    flash, ram, latency = (found[name] for name in ("flash", "ram", "latency"))
    return (
        f"head and packing as one program: {size(flash['value'])} flash, {size(ram['value'])} RAM ({ram['kind']}), "
        f"{duration(latency['value'])} ({latency['kind']}), the same bytes as here in {found['samples']} samples"
    )


def said(option: dict[str, Any], metric: str) -> dict[str, Any]:
    """One option as text."""
    times = {f"{part}_ms": duration(option[f"{part}_ms"]) if option[f"{part}_ms"] else "" for part, _ in PARTS}
    over = [f"{name.rsplit('_', 1)[0]} {ratio:.2f} times its limit" for name, ratio in option["broken"].items()]
    return {
        **option,
        **times,
        "latency": duration(option["latency_ms"]),
        "sent": size(option["up_bytes"]) if option["up_bytes"] else "",
        "energy": energy(option["energy_uj"]),
        "quality": percent(option["quality"]) if metric == "accuracy" else f"{option['quality']:.4g}",
        "broken": ", ".join(over),
    }


def over(facts: dict[str, Any], link: dict[str, Any]) -> dict[str, Any]:
    """The choice over one link, and what stays on the device or goes to the server would take there."""
    own = [option for option in facts["options"] if option["link"] == link["name"]]
    best = next((option for option in own if option["chosen"]), None)
    whole = {option["how"]: duration(option["latency_ms"]) for option in own}
    found = said(best, facts["metric"]) if best else {"how": "nothing keeps to the limits"}
    device, server = whole["all on the device"], whole["all on the server, input as it is"]
    return {**link, "best": found, "device": device, "server": server}


def verdict(facts: dict[str, Any], chosen: dict[str, Any] | None) -> dict[str, Any]:
    """The first sentence."""
    if chosen is None:
        return {"fits": False, "text": f"Over {facts['links'][0]['title']} nothing keeps to the limits"}
    own = [option for option in facts["options"] if option["link"] == chosen["link"]]
    local = next(option for option in own if option["place"] == "device")
    ratio = local["latency_ms"] / chosen["latency_ms"]
    beside = "" if chosen is local else f", {ratio:.2g} times as fast as all on the device" if ratio > 1 else ""
    return {"fits": True, "text": f"{chosen['how'].capitalize()}: {duration(chosen['latency_ms'])}{beside}"}


def request(option: dict[str, Any]) -> list[dict[str, Any]]:
    """One request in time: parts with their start and width as shares of the whole."""
    total, at, found = max(option["latency_ms"], 1e-12), 0.0, []
    for part, title in PARTS:
        spent = option[f"{part}_ms"]
        if spent:
            share = {"start": 100 * at / total, "width": 100 * spent / total}
            found.append({"title": title, "part": part, "text": duration(spent), **share})
        at += spent
    return found


def strip(facts: dict[str, Any], chosen: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The layers in order, each with its side and what its result would take on the wire."""
    head = set(chosen["cut"]["head"]) if chosen and chosen["cut"] else set()
    most = max((layer["result_bytes"] for layer in facts["layers"]), default=1)
    return [
        {
            **layer,
            "side": "device" if index in head else "server",
            "bytes": size(layer["result_bytes"]),
            "share": 100 * layer["result_bytes"] / most,
            "device": duration(layer["device_ms"]),
            "server": duration(layer["server_ms"]),
        }
        for index, layer in enumerate(facts["layers"])
    ]


def chart(facts: dict[str, Any], chosen: dict[str, Any] | None) -> dict[str, Any]:
    """What the plots draw: latency by cut and form, and by rate."""
    forms = dict.fromkeys(row["form"] for row in facts["along"])
    cuts = [
        {
            "name": form,
            "after": [row["after"] for row in facts["along"] if row["form"] == form],
            "latency_ms": [row["latency_ms"] for row in facts["along"] if row["form"] == form],
        }
        for form in forms
    ]
    at = len(chosen["cut"]["head"]) if chosen and chosen["cut"] else None
    limit = facts["limits"].get("latency_ms")
    own = {"mbps": facts["links"][0]["mbps"], "limit_ms": limit, "chosen_after": at}
    return {"cuts": cuts, "layers": [layer["name"] for layer in facts["layers"]], "sweep": facts["sweep"], **own}
