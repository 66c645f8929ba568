"""When nothing fits, the reason named is the one that holds, and the advice would help."""

import re

import pytest

from edgesmith import Budget, targets, zoo
from edgesmith.core.budget import LIMITS
from edgesmith.core.task import ACCURACY, Metric
from edgesmith.fit.explain import Miss, figure, heaviest, quantity, relax, smallest, why_nothing_fits
from edgesmith.fit.predict import Predictor

BOARD = targets.load("stm32f103")
ERROR = Metric("mean squared error", "min", ACCURACY.compute)


@pytest.fixture(scope="module")
def bed():
    return zoo.load("digits-cnn")


def explained(bed, budget, results=(), over=(), metric=ACCURACY):
    from dataclasses import replace

    task = replace(bed.task, metric=metric)
    return why_nothing_fits(Predictor(BOARD, task, budget, "cnn"), bed.module, task, results, over)


def done(validation: float, **ratios: float) -> dict:
    return {"state": "done", "validation": validation, "ratios": ratios, "words": f"net at {validation}"}


def test_a_limit_below_the_smallest_net_is_named_with_what_would_fit(bed):
    budget = Budget(flash_bytes=3000)
    message, advice = explained(bed, budget)
    floor = smallest(Predictor(BOARD, bed.task, budget, "cnn"), bed.module, bed.task)
    assert "even with every layer at 4 channels" in message and "flash is" in message
    advised = re.search(r"--max-flash ([0-9.]+)KB", advice[0])
    assert advised and floor.flash.value <= float(advised[1]) * 1024 <= 1.1 * floor.flash.value
    weights = sum(op.constant_bytes for op in floor.ops)
    assert advice[1].startswith(f"{quantity('flash_bytes', floor.flash.value - weights)} of it is code")
    assert len(advice) == 2 + len(heaviest(floor, "flash_bytes"))


def test_the_layers_blamed_are_those_that_weigh_most(bed):
    whole = Predictor(BOARD, bed.task, Budget(), "cnn").predict(bed.module, "int8")
    for limit, weight in (("flash_bytes", "constant_bytes"), ("latency_ms", "cycles")):
        most = max(whole.ops, key=lambda op: getattr(op, weight))
        assert heaviest(whole, limit)[0].startswith(most.layer)


def test_a_layer_that_weighs_little_is_not_blamed(bed):
    """At the smallest shape nearly all of the flash is code."""
    floor = smallest(Predictor(BOARD, bed.task, Budget(flash_bytes=3000), "cnn"), bed.module, bed.task)
    assert max(op.constant_bytes for op in floor.ops) < 0.1 * floor.flash.value
    assert heaviest(floor, "flash_bytes") == []


def test_too_inaccurate_says_how_far_and_what_would_reach_it(bed):
    results = [done(0.95, flash_bytes=0.9), done(0.96, flash_bytes=0.8), done(0.985, flash_bytes=1.5)]
    message, advice = explained(bed, Budget(flash_bytes=40 * 1024, accuracy=0.98), results)
    assert message == "the most accurate net within the limits reaches 96.00%, below 98.00%"
    assert advice[0] == "relax --min-accuracy to 96.00%: net at 0.96 reaches it"
    assert advice[1] == "relax --max-flash 61.2KB: net at 0.985 then fits at 98.50%"


def test_of_an_error_the_least_is_the_best(bed):
    results = [done(0.5, flash_bytes=0.9), done(0.4, flash_bytes=0.8), done(0.1, flash_bytes=1.5)]
    message, advice = explained(bed, Budget(flash_bytes=40 * 1024, accuracy=0.2), results, metric=ERROR)
    assert message == "the most accurate net within the limits reaches 0.4, above 0.2"
    assert "net at 0.4" in advice[0] and "net at 0.1" in advice[1]


def test_a_prediction_that_did_not_hold_is_called_that(bed):
    over = [Miss("one", {"flash_bytes": 1.5, "ram_bytes": 0.5}), Miss("two", {"flash_bytes": 1.1})]
    message, advice = explained(bed, Budget(flash_bytes=40 * 1024), [done(0.9, flash_bytes=0.9)], over)
    assert message == "two was predicted to fit, but as linked its flash is 44KB, above 40KB"
    assert advice[0] == "relax --max-flash 44.9KB: it then fits"


def test_without_a_finished_candidate_no_accuracy_is_blamed(bed):
    failed = {"state": "failed", "why": "the training diverged", "ratios": {}, "words": "x"}
    message, advice = explained(bed, Budget(flash_bytes=40 * 1024), [failed])
    assert "no candidate" in message and "the training diverged" in message and "accuracy" not in message
    assert "--time" in advice[0]


def test_beyond_the_boards_own_memory_only_another_board_helps():
    budget = Budget(flash_bytes=BOARD.flash_bytes, latency_ms=10.0)
    said = relax({"flash_bytes": 2.0, "latency_ms": 3.0, "ram_bytes": 0.5}, budget, BOARD)
    assert said == "relax --max-latency 30.6ms and take a board with 130.6KB of flash", "1.02 x 2 x 64 KB"
    assert set(LIMITS) == {"flash_bytes", "ram_bytes", "latency_ms", "energy_uj"}


@pytest.mark.parametrize("value", [0.57, 0.989949, 0.1, 1.0, 0.0])
def test_an_advised_accuracy_is_reached(value):
    assert float(figure(value, ACCURACY).rstrip("%")) / 100 <= value + 1e-9
    assert float(figure(value, ACCURACY).rstrip("%")) / 100 > value - 1e-4


@pytest.mark.parametrize("value", [0.0012345, 12.345, 98765.4])
def test_an_advised_error_is_reached(value):
    assert value <= float(figure(value, ERROR)) <= 1.001 * value
