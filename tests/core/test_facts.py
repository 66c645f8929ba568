"""Readings, cards, targets and errors say what they are."""

import pytest

from edgesmith.core import errors
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.reading import Reading
from edgesmith.core.target import CycleModel, Memory, Power, Target


def test_a_reading_shows_its_kind_unit_and_spread():
    assert str(Reading(1234.5, "ms", "estimated", "model", 12.25)) == "1,234.5 ±12.2 ms (estimated)"
    assert str(Reading(20480, "B", "emulated", "counted")) == "20,480 B (emulated)"


def test_a_reading_comes_back_from_json():
    reading = Reading(0.5, "uJ", "measured", "on the board", None)
    assert Reading.from_json(reading.to_json()) == reading


@pytest.mark.parametrize(
    "change", [{"kind": "guessed"}, {"value": "9"}, {"value": True}, {"spread": "wide"}, {"unit": None}, {"colour": 1}]
)
def test_a_damaged_reading_is_refused(change):
    with pytest.raises(BadInput, match="reading: "):
        Reading.from_json({**Reading(1.0, "B", "measured", "counted").to_json(), **change})


@pytest.mark.parametrize("data", [{}, [], None, "reading"])
def test_what_is_no_reading_is_refused(data):
    with pytest.raises(BadInput, match="need exactly the fields"):
        Reading.from_json(data)


def test_a_claim_is_verified_by_a_test_or_an_experiment_and_by_nothing_else():
    assert Claim("fast", test="test_fast").verified
    assert Claim("fast", experiment="benchmarks/claims/fast.py").verified
    assert not Claim("fast").verified


def test_a_card_is_attached_and_the_factory_stays_itself():
    card = Card("bwn", "weights become signs", Source("Rastegari et al.", 2016, "arXiv:1603.05279"), ())

    def factory() -> int:
        return 7

    marked = method(card)(factory)
    assert marked is factory and marked.card is card and marked() == 7


def board() -> Target:
    return Target(
        name="board",
        title="A board",
        core="cortex-m3",
        isa="thumb",
        clock_hz=72_000_000,
        memories=(Memory("flash", 0x0800_0000, 65536, 2), Memory("ram", 0x2000_0000, 20480)),
        has_fpu=False,
        compiler_flags=(),
        cycle_model=CycleModel({"alu": 1.0}),
        power=Power(100.0),
    )


def test_a_target_knows_its_memories():
    assert (board().flash_bytes, board().ram_bytes) == (65536, 20480)
    assert board().memory("flash").wait_states == 2 and board().memory("ram").origin == 0x2000_0000


def test_every_error_has_an_exit_code_of_its_own():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    codes = [kind.exit_code for kind in kinds]
    assert len(set(codes)) == len(codes) >= 7
    assert all(issubclass(kind, errors.EdgesmithError) for kind in kinds)
    assert not {0, 2} & set(codes), "0 is success, 2 the shell's own usage error"
