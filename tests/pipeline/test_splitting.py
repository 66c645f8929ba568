"""Plans of a real net: what is promised of a cut holds of the compiled programs."""

from dataclasses import replace

import numpy as np
import pytest

from edgesmith import zoo
from edgesmith.collaborate.links import link as links
from edgesmith.collaborate.plan.costs import INT4, STORED, Form
from edgesmith.collaborate.plan.cuts import prefixes
from edgesmith.collaborate.plan.planner import Limits
from edgesmith.core.errors import DoesNotFit, Unsupported
from edgesmith.core.task import Split
from edgesmith.pipeline.build import native
from edgesmith.pipeline.joined import join
from edgesmith.pipeline.programs import Numbers, programs
from edgesmith.pipeline.realize import arranged
from edgesmith.pipeline.splitting import Wish, need_choice, op_times, options, plan, setting
from edgesmith.targets import load

WIFI, LORA = links.load("wifi"), links.load("lora")


@pytest.fixture(scope="module")
def made():
    bed = zoo.load("digits-resnet")
    graph = programs(bed.module, bed.example_inputs, bed.task, "digits", Numbers("int8")).compiled
    few = Split(bed.task.validation.inputs[:60], bed.task.validation.labels[:60])
    task = replace(bed.task, validation=few)
    return setting(graph, task, load("nucleo-l4r5zi"), load("x86-64"))


def test_times_of_ops_add_up_to_the_whole(made):
    for profile, target, times in zip(
        made.profiles, (made.device, made.server), (made.costs.device_ms, made.costs.server_ms), strict=True
    ):
        assert sum(times) == pytest.approx(profile.latency.value)
        assert op_times(made.graph, profile, target) == times


def test_every_cut_that_loses_nothing_gives_the_same_bytes(made):
    graph, whole = made.graph, native(made.graph)
    samples = [{graph.inputs[0]: arranged(graph, one)} for one in made.task.test.inputs[:3]]
    for cut in list(prefixes(graph))[1:-1:3]:
        joined = join(graph, cut, STORED, made.task.calibration)
        for sample in samples:
            np.testing.assert_array_equal(
                joined.run(sample)[graph.outputs[0]], whole.run(sample)[graph.outputs[0]], err_msg=str(cut)
            )


def test_a_narrowed_payload_takes_the_bytes_it_was_planned_with(made):
    cut = list(prefixes(made.graph))[4]
    joined = join(made.graph, cut, INT4, made.task.calibration)
    payload = joined.run_head({made.graph.inputs[0]: arranged(made.graph, made.task.test.inputs[0])})
    for one in joined.carried:
        assert len(one.pack(payload[one.tensor.name])) == INT4.nbytes(one.tensor)


def test_a_coded_payload_takes_about_the_bytes_it_was_planned_with(made):
    cut, form = list(prefixes(made.graph))[4], Form(4, coded=True)
    joined = join(made.graph, cut, form, made.task.calibration)
    inputs = [{made.graph.inputs[0]: arranged(made.graph, one)} for one in made.task.test.inputs[:40]]
    sizes = [
        [len(one.pack(made_by[one.tensor.name])) for one in joined.carried] for made_by in map(joined.run_head, inputs)
    ]
    planned = sum(made.costs.coded_bytes[form, name] for name in cut.payload)
    assert np.mean([sum(each) for each in sizes]) == pytest.approx(planned, rel=0.1)


def test_staying_and_sending_are_always_among_the_options(made):
    found = options(made, WIFI, Wish())
    assert {"all on the device", "all on the server, input as it is"} <= {option.how for option in found}
    assert sum(option.chosen for option in found) == 1
    best = next(option for option in found if option.chosen)
    assert best.figures.latency_ms == min(option.figures.latency_ms for option in found)


def test_a_limit_on_quality_is_kept(made):
    every = options(made, LORA, Wish())
    worst = min(every, key=lambda option: option.quality)
    strict = Wish(quality=worst.quality + 1e-6)
    found = options(made, LORA, strict)
    assert all(option.quality >= strict.quality for option in found if option.chosen)
    assert all("quality" in option.broken for option in found if option.quality < strict.quality)


def test_what_cannot_be_met_says_what_is_nearest(made):
    wish = Wish(limits=Limits(latency_ms=1e-3))
    found = plan(made, [WIFI], wish)
    assert not any(option.chosen for option in found)
    with pytest.raises(DoesNotFit, match=r"over wifi nothing keeps to the limits\. Nearest: .* latency .* times"):
        need_choice(found, WIFI)


def test_a_goal_moves_the_choice(made):
    energy = next(o for o in options(made, LORA, Wish("energy")) if o.chosen)
    least = next(o for o in options(made, LORA, Wish("bytes")) if o.chosen)
    assert (energy.place, least.figures.up_bytes) == ("device", 0)


def test_a_program_with_states_is_refused():
    bed = zoo.load("occupancy-lstm", with_data=False)
    graph = programs(bed.module, bed.example_inputs, None, "lstm", Numbers("int8")).compiled
    if not graph.states:
        graph = replace(graph, outputs=(*graph.outputs, graph.ops[0].outputs[0]))
    with pytest.raises(Unsupported, match="several inputs or outputs, or keeps states"):
        setting(graph, None, load("nucleo-l4r5zi"), load("x86-64"))
