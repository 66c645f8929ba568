"""A small compiled model and emulated boards that run it behind a serial port."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from board.stub import model
from edgesmith.board.wire import EMULATED_IDENTITY
from edgesmith.build import bind_for, serial_firmware
from edgesmith.emulate.serial import SerialBoard
from edgesmith.onboard import program_sha256
from edgesmith.targets import load


@pytest.fixture
def plug(tmp_path) -> Iterator[Callable[..., SerialBoard]]:
    """Plug an emulated board in; it is taken away after the test."""
    plugged: list[SerialBoard] = []

    def start(name: str, identity: int = EMULATED_IDENTITY) -> SerialBoard:
        target = load(name)
        firmware = serial_firmware(bind_for(model(), target), Path(tmp_path), program_sha256(model()))
        plugged.append(SerialBoard(firmware, target, identity))
        return plugged[-1]

    yield start
    for board in plugged:
        board.close()
