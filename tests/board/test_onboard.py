"""What a board gives ends in the artifact only if the board is real, and a wrong value breaks the certificate."""

from pathlib import Path

import numpy as np
import pytest

from board.stub import model
from edgesmith.board import Board
from edgesmith.core import artifact as artifacts
from edgesmith.core.interface import random_input
from edgesmith.pipeline import onboard

CORTEX_M3 = 0x411FC231  # CPUID of revision r1p1 (DDI 0337): the emulated board says that it is one of silicon


@pytest.fixture
def artifact(tmp_path) -> Path:
    artifacts.save(tmp_path / "artifact", model(), {"target": "stm32f103", "readings": {}}, {})
    return tmp_path / "artifact"


def given() -> dict[str, np.ndarray]:
    return {name: random_input(model(), name, np.random.default_rng(0)) for name in model().inputs}


def test_measured_readings_are_kept_in_the_manifest(plug, artifact):
    found = onboard.run_on_board(artifact, given(), plug("stm32f103", CORTEX_M3).port, 3)
    kept = artifacts.load(artifact).manifest["readings"]
    assert set(kept) == {"board latency", "board cycles", "board stack"}
    assert {reading["kind"] for reading in kept.values()} == {"measured"}
    assert kept["board cycles"] == found.readings["cycles"].to_json()
    assert found.readings["latency"].value == pytest.approx(found.readings["cycles"].value / 72_000)
    assert found.readings["cycles"].spread == 0, "an emulated core repeats itself exactly"


def test_emulated_readings_are_not(plug, artifact):
    found = onboard.run_on_board(artifact, given(), plug("stm32f103").port, 2)
    assert artifacts.load(artifact).manifest["readings"] == {}
    assert {reading.kind for reading in found.readings.values()} == {"emulated"} and "latency" not in found.readings


def test_a_wrong_value_breaks_the_relation_and_keeps_no_reading(plug, artifact, monkeypatch):
    right = Board.run

    def wrong(self: Board, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        outputs = right(self, inputs)
        outputs["sum"][0, 3] ^= 1
        return outputs

    monkeypatch.setattr(Board, "run", wrong)
    port = plug("stm32f103", CORTEX_M3).port
    relations, readings = onboard.certify_on_board(artifact, port, None, 2, False)
    assert relations[-1].name == "numpy = C on a real stm32f103, over its serial port"
    assert relations[-1].holds is False and "sample 0, output 'sum' at (0, 3) differs" in relations[-1].detail
    assert readings == {} and artifacts.load(artifact).manifest["readings"] == {}
