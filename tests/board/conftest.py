"""Emulated boards that run a small model behind a serial port."""

from collections.abc import Callable, Iterator

import pytest

from board.stub import model
from edgesmith.board.wire import EMULATED_IDENTITY
from edgesmith.emulate.serial import SerialBoard
from edgesmith.pipeline.build import bind_for, serial_firmware
from edgesmith.pipeline.onboard import program_sha256
from edgesmith.targets import load
from edgesmith.toolchain import Firmware


@pytest.fixture(scope="session")
def programs(tmp_path_factory) -> dict[str, Firmware]:
    """Target to the model's serial firmware, as far as it was built."""
    return {}


@pytest.fixture
def plug(programs, tmp_path_factory) -> Iterator[Callable[..., SerialBoard]]:
    """Plug an emulated board in; it is taken away after the test."""
    plugged: list[SerialBoard] = []

    def start(name: str, identity: int = EMULATED_IDENTITY) -> SerialBoard:
        target = load(name)
        if name not in programs:
            folder = tmp_path_factory.mktemp(name)
            programs[name] = serial_firmware(bind_for(model(), target), folder, program_sha256(model()))
        plugged.append(SerialBoard(programs[name], target, identity))
        return plugged[-1]

    yield start
    for board in plugged:
        board.close()
