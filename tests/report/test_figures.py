"""The table's arithmetic, the Pareto front, and the memory picture, against brute force and figures by hand."""

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from edgesmith.report import build, summary
from edgesmith.report.comparison import rows
from edgesmith.report.pareto import front, pareto
from edgesmith.report.sections import confusion, layers, trust
from edgesmith.report.timeline import document, live_bytes, timeline

SVG = "{http://www.w3.org/2000/svg}"


def candidates(rng, count):
    """Coarse values, so that ties happen."""
    costs, accuracies = rng.integers(1, 12, count), rng.integers(80, 100, count) / 100
    return [
        {"id": i, "cost": int(c), "accuracy": float(a)} for i, (c, a) in enumerate(zip(costs, accuracies, strict=True))
    ]


@pytest.mark.parametrize("upwards", [True, False])
def test_the_front_is_what_no_other_candidate_beats(nprng, upwards):
    """By brute force over all pairs; of equals the front keeps one."""
    sign = 1 if upwards else -1
    for _ in range(200):
        tried = candidates(nprng, int(nprng.integers(1, 15)))

        def beaten(one, tried=tried):
            return any(
                other["cost"] <= one["cost"]
                and sign * other["accuracy"] >= sign * one["accuracy"]
                and (other["cost"], other["accuracy"]) != (one["cost"], one["accuracy"])
                for other in tried
            )

        found = {(c["cost"], c["accuracy"]) for c in front(tried, "cost", upwards)}
        assert found == {(c["cost"], c["accuracy"]) for c in tried if not beaten(c)}


def test_the_front_is_of_candidates_that_fit(sample):
    chart = pareto(sample)
    for axis in chart["axes"]:
        assert axis["front"] and all(chart["group"][index] != "infeasible" for index in axis["front"])


def test_refused_candidates_are_not_drawn(sample):
    evaluated = [c for c in sample["candidates"] if c["state"] == "evaluated"]
    assert len(pareto(sample)["accuracy"]) == len(evaluated) < len(sample["candidates"])


def test_limits_meet_and_miss_at_their_edge(sample):
    sample["budget"] = {"flash_bytes": 1000, "accuracy": 0.5}
    for flash, accuracy, met in ((1000, 0.5, True), (1001, 0.49, False)):
        sample["after"]["readings"]["flash"]["value"] = flash
        sample["after"]["readings"]["accuracy"]["value"] = accuracy
        lines = {line.name: line for line in rows(sample)}
        assert (lines["Flash"].met, lines["Accuracy"].met, lines["RAM"].met) == (met, met, None)
        assert lines["Flash"].share == flash / 1000


def test_a_metric_that_falls_has_its_limit_above(sample):
    sample["task"] |= {"metric": "mse", "direction": "min"}
    sample["budget"] = {"accuracy": 0.2}
    for side, value in (("before", 0.1), ("after", 0.3)):
        sample[side]["readings"]["accuracy"] |= {"value": value, "unit": "mse", "spread": None}
    line = rows(sample)[-1]
    assert (line.name, line.met, line.limit, line.change) == ("Mse", False, "at most 0.200 mse", "3.0× more")


def test_recall_is_the_share_of_the_true_class():
    table = confusion({"confusion": {"of": "", "classes": ["a", "b"], "counts": [[3, 1], [0, 0]]}})
    assert [row["recall"] for row in table["rows"]] == ["75.00%", "none"]
    assert [cell["share"] for cell in table["rows"][0]["cells"]] == [0.75, 0.25]


def test_shares_of_cycles_add_up_to_one(sample):
    shown = layers(sample)
    assert sum(row["share"] for row in shown["rows"]) == pytest.approx(1)
    assert max(row["bar"] for row in shown["rows"]) == 1


def test_macs_stand_in_where_no_cycles_are_known(sample):
    for row in sample["layers"]["rows"]:
        del row["cycles"]
    shown = layers(sample)
    assert shown["by"] == "macs" and sum(row["share"] for row in shown["rows"]) == pytest.approx(1)


def test_trust_shades_what_gets_worse_and_only_that():
    """Five points of ten are half the shade; a rising calibration error is worse, a rising accuracy is not."""
    steps = [
        {"name": "a", "accuracy": 0.9, "per_class": [0.9, 0.5], "ece": 0.1},
        {"name": "b", "accuracy": 0.85, "per_class": [0.8, None], "ece": 0.05},
        {"name": "c", "accuracy": 0.95, "per_class": [0.9, 0.5], "ece": 0.15},
    ]
    shown = trust({"trust": {"classes": ["x", "y"], "steps": steps}})
    assert shown["figures"] == ["accuracy", "ece"]
    assert [[cell["shade"] for cell in step["figures"]] for step in shown["steps"]] == [[0, 0], [0.5, 0], [0, 0.5]]
    assert [cell["delta"] for cell in shown["steps"][1]["per_class"]] == ["−10.00 pt", ""]
    assert [cell["delta"] for cell in shown["steps"][2]["per_class"]] == ["", ""]


def boxes(svg):
    pattern = r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"'
    return np.array([[float(number) for number in match] for match in re.findall(pattern, str(svg))])


def test_the_picture_draws_every_buffer_to_scale_and_apart(sample):
    """Areas are in proportion to bytes times ops, up to the gaps of 2 and 1 units that part the rectangles."""
    memory = sample["memory"]
    found = boxes(timeline(memory))
    assert len(found) == len(memory["buffers"])
    ops = np.array([b["last_op"] + 1 - b["first_op"] for b in memory["buffers"]])
    size = np.array([b["size_bytes"] for b in memory["buffers"]])
    wide, high = (found[:, 2] + 2) / ops, (found[:, 3] + 1) / size
    tall = size > 500  # below that the rounding to a tenth of a unit shows
    np.testing.assert_allclose(wide, wide[0], rtol=0.01)
    np.testing.assert_allclose(high[tall], high[tall][0], rtol=0.02)
    left, top, right, bottom = found[:, 0], found[:, 1], found[:, 0] + found[:, 2], found[:, 1] + found[:, 3]
    for i in range(len(found)):
        across = (left < right[i]) & (right > left[i]) & (top < bottom[i]) & (bottom > top[i])
        assert across.sum() == 1, "a buffer overlaps only itself"


def test_pictures_of_one_document_have_one_scale(sample):
    """Half the memory is half as high; the file stands for itself, and titles are text."""
    memory = sample["memory"]
    half = {**memory, "arena_bytes": memory["arena_bytes"] // 2, "buffers": []}
    root = ElementTree.fromstring(document([("before & <b>", memory), ("after", half)]))
    assert [text.text for text in root.iter(f"{SVG}text") if text.get("class") == "title"] == ["before & <b>", "after"]
    _, first, second = root.iter(f"{SVG}svg")
    tops = [float(next(e for e in part if e.get("class") == "peak").get("y1")) for part in (first, second)]
    bottom = float(next(e for e in first if e.get("class") == "grid").get("y1"))
    assert (bottom - tops[1]) * 2 == pytest.approx(bottom - tops[0], rel=0.01)


def test_live_bytes_count_what_each_op_needs():
    buffers = [
        {"name": "a", "offset_bytes": 0, "size_bytes": 5, "first_op": 0, "last_op": 1},
        {"name": "b", "offset_bytes": 5, "size_bytes": 7, "first_op": 1, "last_op": 2},
    ]
    assert live_bytes({"ops": ["p", "q", "r"], "buffers": buffers}) == [5, 12, 7]


def test_a_network_without_buffers_still_has_a_page(smallest):
    build(smallest | {"memory": {"arena_bytes": 0, "ops": [], "buffers": []}})


def shown(data, width=110):
    console = Console(width=width, file=io.StringIO())
    console.print(summary(data))
    return console.file.getvalue()


def test_the_terminal_table_says_figure_kind_and_verdict(sample):
    text = shown(sample)
    assert "702 KB" in text and "estimated ±14%" in text and "at most 64.0 KB" in text
    assert "fits: The model meets every limit" in text and "missed" not in text


def test_markup_in_a_name_is_not_markup_in_the_terminal(sample):
    sample["title"] = sample["before"]["label"] = "[red]x[/red]"
    sample["outcome"]["message"] = "[link=file:///etc/passwd]y[/link]"
    text = shown(sample)
    assert text.count("[red]x[/red]") == 2 and "[link=file:///etc/passwd]y[/link]" in text
