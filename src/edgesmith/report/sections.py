"""What the page shows beyond the figures themselves: shares, deltas, totals."""

from typing import Any

from edgesmith.report.numbers import count, figure, origin, percent, plain, points, size

STATIONS = (("float", "float32"), ("int8", "int8, here"), ("compiled", "compiled, here"), ("board", "on the board"))
TRUST = ("accuracy", "ece", "noise", "blur")
MOST_SHOWN = 12  # tensors in the table of sensitivities
SHADE_FULL = 0.10  # a change of ten points is drawn in the strongest shade


def accuracies(data: dict[str, Any]) -> list[dict[str, str]]:
    """The metric of the float model, of the int8 model here, and of the same on the board."""
    readings = data.get("accuracy") or {}
    shown = [(name, readings[key]) for key, name in STATIONS if readings.get(key)]
    first = shown[0][1] if shown else None
    return [
        {
            "name": name,
            "figure": figure(reading["value"], reading["unit"]),
            "origin": origin(reading),
            "how": reading["how"],
            "delta": delta(reading, first) if first is not reading else "",
        }
        for name, reading in shown
    ]


def delta(reading: dict[str, Any], first: dict[str, Any] | None) -> str:
    """The difference to the first reading, in points where both are fractions."""
    if first is None or reading["unit"] != first["unit"]:
        return ""
    difference = reading["value"] - first["value"]
    return points(difference) if reading["unit"] == "fraction" else f"{difference:+.3g}"


def confusion(data: dict[str, Any]) -> dict[str, Any] | None:
    """Rows of counts with their share of the true class, and the recall of each class."""
    matrix = data.get("confusion")
    if not matrix:
        return None
    table = []
    for true, (name, counts) in enumerate(zip(matrix["classes"], matrix["counts"], strict=True)):
        total = sum(counts)
        cells = [
            {"count": n, "share": n / total if total else 0, "right": true == guess} for guess, n in enumerate(counts)
        ]
        table.append({"name": name, "cells": cells, "recall": percent(counts[true] / total) if total else "none"})
    return {"of": matrix["of"], "classes": matrix["classes"], "rows": table}


def trust(data: dict[str, Any]) -> dict[str, Any] | None:
    """Each step's figures, each with its difference to the first step; `shade` is 0 to 1 of a change for the worse."""
    given = data.get("trust")
    if not given or not given["steps"]:
        return None
    figures = [key for key in TRUST if any(step.get(key) is not None for step in given["steps"])]
    first = given["steps"][0]
    steps = [trust_step(step, None if step is first else first, figures) for step in given["steps"]]
    return {"figures": figures, "classes": given["classes"], "steps": steps, "how": given.get("how")}


def trust_step(step: dict[str, Any], first: dict[str, Any] | None, figures: list[str]) -> dict[str, Any]:
    """One step beside the first; None for the first itself."""
    then = first or {"per_class": [None] * len(step["per_class"])}
    return {
        "name": step["name"],
        "figures": [compared(step.get(key), then.get(key), rising_is_bad=key == "ece") for key in figures],
        "per_class": [class_cell(*pair) for pair in zip(step["per_class"], then["per_class"], strict=True)],
    }


def compared(now: float | None, then: float | None, rising_is_bad: bool = False) -> dict[str, Any]:
    """A fraction, and how it moved; the shade grows with a change for the worse."""
    if now is None:
        return {"figure": "", "delta": "", "shade": 0}
    moved = None if then is None else now - then
    worse = (moved or 0) if rising_is_bad else -(moved or 0)
    shade = min(max(worse / SHADE_FULL, 0), 1)
    return {"figure": percent(now), "delta": "" if moved is None else points(moved), "shade": round(shade, 2)}


def class_cell(now: float | None, then: float | None) -> dict[str, Any]:
    """A class's accuracy, coarser than the whole's: a class has few samples; no word where nothing moved."""
    cell = compared(now, then)
    return cell | {"figure": "" if now is None else f"{100 * now:.1f}%", "delta": "" if now == then else cell["delta"]}


def layers(data: dict[str, Any]) -> dict[str, Any] | None:
    """The layer table with shares of cycles (of MACs where no cycles are known) and totals."""
    given = data.get("layers")
    if not given or not given["rows"]:
        return None
    by = "cycles" if any(row.get("cycles") for row in given["rows"]) else "macs"
    total = {key: sum(row.get(key) or 0 for row in given["rows"]) for key in ("macs", "weight_bytes", "cycles")}
    largest = max(row.get(by) or 0 for row in given["rows"])
    rows = [
        {
            "name": row["name"],
            "op": row["op"],
            "shape": "×".join(map(str, row.get("shape") or ())),
            "macs": count(row["macs"]) if row["macs"] else "",
            "weights": size(row["weight_bytes"]) if row["weight_bytes"] else "",
            "cycles": count(row["cycles"]) if row.get("cycles") else "",
            "bits": str(row["bits"]) if row.get("bits") else "",
            "share": (row.get(by) or 0) / max(total[by], 1),
            "bar": (row.get(by) or 0) / max(largest, 1),
        }
        for row in given["rows"]
    ]
    totals = {"macs": count(total["macs"]), "weights": size(total["weight_bytes"]), "cycles": count(total["cycles"])}
    facts = {"by": by, "kind": given["kind"], "how": given["how"], "bits": any(row["bits"] for row in rows)}
    return {"rows": rows, "total": totals, **facts}


def sensitivity(data: dict[str, Any]) -> dict[str, Any] | None:
    """Tensors that suffer most from few bits: all that are too sensitive, and the next MOST_SHOWN at most."""
    given = data.get("sensitivity")
    if not given or not given["rows"]:
        return None
    named = [row for row in given["rows"] if row["sensitive"]]
    rest = [row for row in given["rows"] if not row["sensitive"]][: max(MOST_SHOWN - len(named), 0)]
    rows = [
        {
            "tensor": row["tensor"],
            "kind": row["kind"],
            "layer": row["layer"],
            "share": percent(row["share"]),
            "bits": str(row["stored_bits"]) if row.get("stored_bits") else "",
            "sensitive": row["sensitive"],
            "why": "; ".join(row["reasons"]),
        }
        for row in [*named, *rest]
    ]
    return {"rows": rows, "how": given["how"], "bits": given["bits"], "named": len(named), "all": len(given["rows"])}


def trials(data: dict[str, Any]) -> dict[str, Any] | None:
    """Every candidate as a line: its settings in one column each, then its figures."""
    given = data.get("candidates")
    if not given:
        return None
    names = list(dict.fromkeys(name for candidate in given for name in candidate["settings"]))
    # The best first, then what fits, then the rest; the most accurate first within each.
    order = sorted(given, key=lambda c: (not c.get("best"), not c["fits"], -(c.get("accuracy") or 0)))
    return {"names": names, "rows": [trial(candidate, names, data) for candidate in order]}


def trial(candidate: dict[str, Any], names: list[str], data: dict[str, Any]) -> dict[str, Any]:
    """One line of what was tried."""
    unit = "fraction" if (data.get("task") or {}).get("metric", "accuracy") == "accuracy" else ""
    shown = (("accuracy", unit), ("flash_bytes", "B"), ("ram_bytes", "B"), ("latency_ms", "ms"), ("energy_uj", "uJ"))
    outcome = "best" if candidate.get("best") else "fits" if candidate["fits"] else "breaks a limit"
    return {
        "id": candidate["id"],
        "settings": [plain(candidate["settings"].get(name)) for name in names],
        "figures": ["" if candidate.get(key) is None else figure(candidate[key], u) for key, u in shown],
        "outcome": outcome if candidate["state"] == "evaluated" else candidate["state"],
        "note": candidate.get("note") or "",
    }
