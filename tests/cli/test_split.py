"""split on the command line."""

import json

import pytest


def test_a_plan_is_printed_and_both_programs_are_artifacts(edgesmith, tmp_path):
    words = ("--device", "nucleo-l4r5zi", "--link", "wifi", "--link", "lora", "--out", tmp_path, "--json")
    ended = edgesmith("split", "digits-resnet", *words)
    assert ended.code == 0, ended.err
    facts = json.loads(ended.out)
    assert [link["name"] for link in facts["links"]] == ["wifi", "lora"]
    assert all(sum(o["chosen"] for o in facts["options"] if o["link"] == name) == 1 for name in ("wifi", "lora"))
    assert "Where it can be cut" in (tmp_path / "plan.html").read_text()
    assert json.loads((tmp_path / "plan.json").read_text())["options"] == facts["options"]
    sides = [side for side in ("device", "server") if side in facts["parts"]]
    assert sides
    for side in sides:
        verified = edgesmith("verify", tmp_path / side)
        assert verified.code == 0, verified.err


def test_a_bottleneck_is_trained_and_cut(edgesmith, tmp_path):
    words = ("--device", "stm32f103", "--link", "lora", "--goal", "bytes", "--max-latency", "45ms", "--json")
    trained = ("--bottleneck", "features.3", "--epochs", "1", "--out", tmp_path)
    ended = edgesmith("split", "digits-cnn", *words, *trained)
    assert ended.code in (0, 5), ended.err
    narrow = [option for option in json.loads(ended.out)["options"] if option["narrow"]]
    assert narrow and all(option["how"].startswith("bottleneck, cut after") for option in narrow)


def test_a_table_marks_the_choice(edgesmith):
    ended = edgesmith("split", "digits-cnn", "--device", "stm32f103", "--link", "ble", "--goal", "bytes")
    assert ended.code == 0, ended.err
    marked = [line for line in ended.out.splitlines() if line.startswith("→")]
    assert len(marked) == 1 and "all on the device" in marked[0]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--max-latency", "1us"), 5, "nothing keeps to the limits"),
        (("--goal", "beauty"), 3, "need one of latency, energy, bytes"),
        (("--link", "telepathy"), 3, "no link 'telepathy'"),
        (("--max-latency", "soon"), 3, "not a quantity"),
    ],
)
def test_refusals(edgesmith, words, code, said):
    ended = edgesmith("split", "digits-cnn", "--device", "stm32f103", *words)
    assert (ended.code, said in ended.err) == (code, True), ended.err
