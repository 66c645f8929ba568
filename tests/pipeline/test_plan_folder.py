"""A plan that was written is run: device, wire and server give what the plan's own program gives."""

import json

import numpy as np
import pytest

from edgesmith import zoo
from edgesmith.collaborate.links import link as links
from edgesmith.collaborate.serve.wire import Request, decode_request, encode_request
from edgesmith.core.errors import BadInput, Missing
from edgesmith.pipeline.plan_folder import Alone, Head, Tail, load_plan, real
from edgesmith.pipeline.programs import Numbers, programs
from edgesmith.pipeline.split_document import Plan, write
from edgesmith.pipeline.splitting import Wish, options, setting
from edgesmith.targets import load


@pytest.fixture(scope="module")
def made():
    bed = zoo.load("digits-cnn")
    graph = programs(bed.module, bed.example_inputs, bed.task, "digits", Numbers("int8")).compiled
    return setting(graph, bed.task, load("nucleo-l4r5zi"), load("x86-64"))


@pytest.fixture(scope="module")
def folders(made, tmp_path_factory):
    """A folder for every option that needs a server, by its words."""
    link, out = links.load("wifi"), tmp_path_factory.mktemp("plans")
    found = {}
    for index, option in enumerate(options(made, link, Wish())):
        if option.place != "device":
            chosen = type(option)(**{**vars(option), "chosen": True})
            write(Plan(made, Wish(), [link], [chosen]), out / str(index))
            found[option.how] = out / str(index)
    return found


def test_every_kind_of_plan_gives_its_answers_over_the_wire(made, folders):
    assert any("coded" in how for how in folders) and any("cut" in how for how in folders)
    for how, folder in folders.items():
        plan = load_plan(folder)
        head, tail, alone = Head(plan), Tail(plan), Alone(plan.fallback)
        same = 0
        for sample in made.task.test.inputs[:40]:
            message = encode_request(Request(1, plan.model, head({"": sample})))
            outputs = tail(decode_request(message, plan.model).tensors)
            assert {name: array.shape for name, array in outputs.items()} == plan.outputs
            seen = plan.picture.decode(plan.picture.encode(sample), 1) if plan.picture else sample
            same += real(plan.server.graph, outputs).argmax() == real(alone.graph, alone({"": seen})).argmax()
        assert same >= (36 if "bits" in how else 40), how


def test_another_plan_is_another_model(folders):
    models = [load_plan(folder).model for folder in folders.values()]
    assert len(set(models)) == len(models)


def test_a_tail_refuses_what_its_head_never_made(folders):
    for folder in folders.values():
        tail = Tail(load_plan(folder))
        for arrays in (
            {},
            {"x": np.zeros(3, np.uint8)},
            {one.tensor.name: np.zeros((2, 2), np.float32) for one in tail.plan.carried},
        ):
            with pytest.raises(BadInput):
                tail(arrays)


def test_a_damaged_plan_is_refused(folders, tmp_path):
    with pytest.raises(Missing, match="edgesmith split"):
        load_plan(tmp_path)
    folder = next(iter(folders.values()))
    kept = (folder / "plan.json").read_text()
    sound = json.loads(kept)
    empty = {**sound, "parts": {**sound["parts"], "payload": []}}
    try:
        for damaged in ([], {}, {"parts": {"payload": 3}}, {"parts": {"payload": []}}, empty):
            (folder / "plan.json").write_text(json.dumps(damaged))
            with pytest.raises(BadInput, match="plan"):
                load_plan(folder)
    finally:
        (folder / "plan.json").write_text(kept)
