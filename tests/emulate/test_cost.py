"""Cycles, latency and energy by hand."""

import dataclasses

import pytest

from edgesmith.core.errors import BadInput, Unsupported
from edgesmith.core.target import CycleModel, Power
from edgesmith.emulate import cycles, energy, latency, predict
from edgesmith.targets import load

MODEL = CycleModel({"alu": 1, "load": 2, "registers_moved": 1}, dual_issue=0.5, fetch_stall=0.25, error=0.1)


@pytest.fixture
def target():
    board = load("nucleo-l4r5zi")
    return dataclasses.replace(board, clock_hz=1_000_000, cycle_model=MODEL, power=Power(20.0, error=0.2))


def test_cycles_by_hand(target):
    """(30 * 1 + 15 * 2 + 6) / 1.5 + 0.25 * 45: the registers moved are no instructions."""
    assert cycles(target, {"alu": 30, "load": 15, "registers_moved": 6}) == pytest.approx(44 + 11.25)


def test_latency_and_energy_carry_their_error(target):
    """1,500 cycles at 1 MHz are 1.5 ms; 20 mW for 1.5 ms are 30 uJ, off by up to 1.1 * 1.2."""
    milliseconds = latency(target, {"alu": 1636.3636363636363})
    assert (milliseconds.value, milliseconds.unit, milliseconds.kind) == (pytest.approx(1.5), "ms", "estimated")
    assert milliseconds.spread == pytest.approx(0.15) and "within 10%" in milliseconds.how
    joules = energy(target, milliseconds)
    assert joules.value == pytest.approx(30.0) and joules.spread == pytest.approx(0.32 * 30)


def test_an_unknown_error_is_said(target):
    unknown = dataclasses.replace(target, power=Power(20.0))
    reading = energy(unknown, latency(target, {"alu": 10}))
    assert reading.spread is None and "error unknown" in reading.how


def test_a_class_without_a_price_is_refused(target):
    with pytest.raises(BadInput, match="lacks div"):
        cycles(target, {"div": 1})
    assert cycles(target, {"div": 0}) == 0


def test_a_target_without_a_table_is_refused():
    with pytest.raises(Unsupported, match="wasm"):
        cycles(load("wasm"), {"alu": 1})


def test_prediction_takes_the_kind_or_the_default(target):
    model = dataclasses.replace(MODEL, per_mac={"conv2d_s8": 2.0, "s8": 4.0, "f32": 8.0})
    board = dataclasses.replace(target, cycle_model=model)
    assert predict(board, {"conv2d_s8": 1000, "matmul_s8": 500}).value == pytest.approx(4.0)
    assert predict(board, {"conv2d": 1000}, integer=False).value == pytest.approx(8.0)
