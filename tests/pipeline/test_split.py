"""`edgesmith.split`: the plan of the command line, from Python."""

import json

import pytest

import edgesmith
from edgesmith import Budget, zoo
from edgesmith.collaborate.links.link import Link
from edgesmith.core.errors import BadInput
from edgesmith.pipeline.split import Narrowing, limits
from edgesmith.targets import load


@pytest.fixture(scope="module")
def bed():
    return zoo.load("digits-cnn")


@pytest.fixture(scope="module")
def plan(bed):
    fast = Link("fast", mbps=1000.0, delay_ms=0.01)
    return edgesmith.split(bed.module, bed.task, device="stm32f103", links=[fast, "lora"], name="digits")


def test_a_fast_link_takes_the_input_to_the_server_and_a_slow_one_leaves_it(plan):
    """A Cortex-M3 needs milliseconds, this machine microseconds; LoRa needs a second for a picture."""
    places = {option.link: option.place for option in plan.options if option.chosen}
    assert places == {"fast": "server", "lora": "device"}
    assert plan.chosen.link == "fast"


def test_a_saved_plan_has_its_page_and_programs(plan, tmp_path):
    facts = plan.save(tmp_path)
    assert json.loads((tmp_path / "plan.json").read_text())["options"] == facts["options"]
    assert (tmp_path / "plan.html").is_file() and (tmp_path / "server").is_dir()


def test_nothing_is_chosen_where_nothing_keeps_to_the_budget(bed):
    found = edgesmith.split(bed.module, bed.task, device="stm32f103", budget=Budget.parse(latency="1us"))
    assert found.chosen is None
    assert all(option.broken for option in found.options)


def test_a_boards_own_flash_is_a_limit_too():
    board, hosted = load("stm32f103"), load("raspberry-pi-4")
    assert limits(Budget(), None, board).flash_bytes == board.flash_bytes
    assert limits(Budget(flash_bytes=1000), None, board).flash_bytes == 1000
    assert limits(Budget(flash_bytes=1 << 40), None, board).flash_bytes == board.flash_bytes
    assert limits(Budget(), None, hosted).flash_bytes is None
    assert limits(Budget(latency_ms=5.0, energy_uj=7.0), 9, hosted).up_bytes == 9


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"links": []}, "with at least one"),
        ({"links": "wifi"}, "need a sequence"),
        ({"links": ["wifi", "wifi"]}, "need different names"),
        ({"max_bytes": 0}, "need 1 or more"),
        ({"narrowing": Narrowing("elsewhere")}, "no layer 'elsewhere'"),
        ({"links": ["telepathy"]}, "no link 'telepathy'"),
        ({"goal": "beauty"}, "need one of latency, energy, bytes"),
        ({"budget": Budget(ram_bytes=1000)}, "a limit on RAM"),
    ],
)
def test_what_cannot_be_planned_is_refused_at_once(bed, more, said):
    with pytest.raises(BadInput, match=said):
        edgesmith.split(bed.module, bed.task, device="stm32f103", **more)


def test_a_bottleneck_that_learns_nothing_is_refused():
    with pytest.raises(BadInput, match="need at least 1"):
        Narrowing("features.3", epochs=0)
