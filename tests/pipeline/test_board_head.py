"""Head and packing linked as one program of a board give the bytes, and take about the time, that a plan says."""

from dataclasses import replace

import numpy as np
import pytest

from edgesmith import zoo
from edgesmith.cli.split import show
from edgesmith.collaborate.links import link as links
from edgesmith.collaborate.plan.costs import INT4, STORED, Form, figures_of
from edgesmith.collaborate.plan.cuts import prefixes
from edgesmith.core.errors import DoesNotFit, VerificationFailed
from edgesmith.core.task import Split
from edgesmith.pipeline.board_head import on_board
from edgesmith.pipeline.joined import join
from edgesmith.pipeline.programs import Numbers, programs
from edgesmith.pipeline.realize import arranged
from edgesmith.pipeline.split_document import Plan, write
from edgesmith.pipeline.splitting import Wish, options, setting
from edgesmith.report.split import plan_page
from edgesmith.targets import load

WIFI = links.load("wifi")


@pytest.fixture(scope="module")
def made():
    bed = zoo.load("digits-resnet")
    graph = programs(bed.module, bed.example_inputs, bed.task, "digits", Numbers("int8")).compiled
    few = Split(bed.task.validation.inputs[:40], bed.task.validation.labels[:40])
    return setting(graph, replace(bed.task, validation=few), load("nucleo-l4r5zi"), load("x86-64"))


def samples(made, count=2):
    return [{made.graph.inputs[0]: arranged(made.graph, one)} for one in made.task.test.inputs[:count]]


@pytest.mark.parametrize("form", [STORED, INT4, Form(coded=True), Form(4, coded=True)], ids=lambda form: form.name)
@pytest.mark.parametrize("after", [4, 6])
def test_a_board_takes_the_planned_time_within_a_twentieth(made, form, after):
    """A cut where packing is a fifth to a half of the device's time, and one where it is little."""
    cut = list(prefixes(made.graph))[after]
    found = on_board(join(made.graph, cut, form, made.task.calibration), made.device, samples(made))
    assert found.latency.value == pytest.approx(figures_of(made.costs, cut, form, WIFI).device_ms, rel=0.05)
    assert found.samples == 2


def test_several_tensors_lie_one_behind_the_other(made):
    cut = next(cut for cut in prefixes(made.graph) if len(cut.payload) > 1)
    assert on_board(join(made.graph, cut, INT4, made.task.calibration), made.device, samples(made)).samples == 2


def test_other_bytes_are_found_out(made):
    joined = join(made.graph, list(prefixes(made.graph))[4], INT4, made.task.calibration)

    class Other(type(joined)):
        def run_head(self, inputs):
            return {name: values ^ np.int8(1 << 6) for name, values in super().run_head(inputs).items()}

    other = Other(joined.head, joined.tail, joined.carried, joined.runners)
    with pytest.raises(VerificationFailed, match="other ones than this machine"):
        on_board(other, made.device, samples(made))


def test_what_does_not_fit_with_its_packing_is_refused(made):
    joined = join(made.graph, list(prefixes(made.graph))[4], INT4, made.task.calibration)
    ram = replace(made.device.memory("ram"), size_bytes=12_000)
    with pytest.raises(DoesNotFit):
        on_board(joined, replace(made.device, memories=(made.device.memory("flash"), ram)), samples(made))


def test_a_written_plan_says_what_both_take_together(made, tmp_path, capsys):
    found = options(made, WIFI, Wish())
    chosen = [replace(option, chosen=option.place == "split" and option.form == INT4) for option in found]
    plan = Plan(made, Wish(), [WIFI], chosen)
    facts = write(plan, tmp_path)
    together = facts["parts"]["together"]
    assert together["samples"] == 3
    assert together["ram"]["value"] > 0
    assert {"head.c", "digits_head_payload.c"} <= {path.name for path in (tmp_path / "payload").iterdir()}
    show(facts, None)
    assert "head and packing as one program: " in capsys.readouterr().out
    assert "Head and packing as one program: " in plan_page(facts)
