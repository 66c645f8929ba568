"""Flashing: the exact command of every tool, what is said when none is there, and that the right one is run."""

import json
import os
import sys
from pathlib import Path

import pytest

from board.stub import model
from edgesmith.board import tools
from edgesmith.board.tools import Images, choose, plans
from edgesmith.core import artifact as artifacts
from edgesmith.core.errors import BadInput, Missing, Unsupported
from edgesmith.pipeline import onboard
from edgesmith.targets import load, names

HERE = Path("/x")
IMAGES = Images(HERE / "m.elf", HERE / "m.bin", HERE / "m.hex", HERE / "m.uf2", 0x08000000)
# From each tool's own help or manual; openocd's on `program`.
OPENOCD = "openocd -f interface/{}.cfg -f target/{}.cfg -c program {{/x/m.elf}} verify reset exit"
PROBE_RS = "probe-rs download --chip {0} --verify /x/m.elf; probe-rs reset --chip {0}"
COMMANDS = {
    ("stm32f103", "openocd"): OPENOCD.format("stlink", "stm32f1x"),
    ("stm32f103", "probe-rs"): PROBE_RS.format("STM32F103C8"),
    ("stm32f103", "st-flash"): "st-flash --reset write /x/m.bin 0x08000000",
    ("rp2040", "openocd"): OPENOCD.format("cmsis-dap", "rp2040"),
    ("rp2040", "picotool"): "picotool load -v -x /x/m.uf2",
    ("rp2040", "uf2"): "cp /x/m.uf2 RPI-RP2",
    ("nrf5340", "nrfjprog"): "nrfjprog -f NRF53 --program /x/m.hex --sectorerase --verify --reset",
}


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """A machine with no tool and no drive."""
    monkeypatch.setattr(tools.shutil, "which", lambda name, path=None: None)
    monkeypatch.setattr(tools, "drives", list)


def install(monkeypatch, name: str, found: str = "") -> None:
    monkeypatch.setattr(tools.shutil, "which", lambda tool, path=None: (found or tool) if tool == name else None)


@pytest.mark.parametrize(("board", "tool"), COMMANDS, ids="-".join)
def test_the_command_of_a_tool_is_as_its_manual_says(board, tool):
    (plan,) = [plan for plan in plans(load(board), IMAGES) if plan.tool == tool]
    assert "; ".join(" ".join(words) for words in plan.commands) == COMMANDS[board, tool]


def test_the_serial_boot_loader_is_asked_over_the_port():
    (plan,) = plans(load("stm32f103"), IMAGES, port="COM3")
    assert plan.commands == (("stm32loader", "-p", "COM3", "-f", "F1", "-e", "-w", "-v", "/x/m.bin"),)
    with pytest.raises(Unsupported, match="nrf5340 names no tool that flashes it over a serial port"):
        plans(load("nrf5340"), IMAGES, port="COM3")


def test_a_probe_may_be_named():
    plan = next(p for p in plans(load("stm32f103"), IMAGES, probe="jlink") if p.tool == "openocd")
    assert "interface/jlink.cfg" in plan.commands[0]
    with pytest.raises(BadInput, match="no probe 'wand'; need one of stlink"):
        plans(load("stm32f103"), IMAGES, probe="wand")


@pytest.mark.parametrize("name", [n for n in names() if load(n).serial])
def test_without_tools_every_way_is_named(name):
    target = load(name)
    with pytest.raises(Missing) as caught:
        choose(target, plans(target, IMAGES))
    assert all(tool in str(caught.value) for tool in target.chips)
    assert "install" in str(caught.value)


def test_a_board_that_names_no_tool_is_refused():
    with pytest.raises(Unsupported, match="esp32c3 names no tool"):
        plans(load("esp32c3"), IMAGES)


def test_an_installed_tool_comes_first_and_others_can_be_asked_for(monkeypatch):
    install(monkeypatch, "st-flash")
    found = plans(load("stm32f103"), IMAGES)
    assert choose(load("stm32f103"), found).tool == "st-flash"
    with pytest.raises(Missing, match="openocd: not installed"):
        choose(load("stm32f103"), found, "openocd")
    with pytest.raises(BadInput, match="'picotool' is no tool for stm32f103"):
        choose(load("stm32f103"), found, "picotool")


@pytest.fixture
def artifact(tmp_path) -> Path:
    artifacts.save(tmp_path / "artifact", model(), {"target": "stm32f103"}, {})
    return tmp_path / "artifact"


def tool_that_says(folder: Path, code: int) -> Path:
    """A program that keeps its arguments and ends with `code`."""
    path = folder / "tool"
    keep = f"import json, pathlib, sys; pathlib.Path({str(folder / 'said')!r}).write_text(json.dumps(sys.argv[1:]))"
    path.write_text(f"#!{sys.executable}\n{keep}; sys.exit({code})\n")
    path.chmod(0o755)
    return path


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for a tool is a script")
def test_the_tool_is_run_with_the_images_there(artifact, tmp_path, monkeypatch):
    install(monkeypatch, "st-flash", str(tool_that_says(tmp_path, 0)))
    said: list[str] = []
    done = onboard.flash_artifact(artifact, out=tmp_path / "out", say=said.append)
    given = json.loads((tmp_path / "said").read_text())
    assert given == ["--reset", "write", str(tmp_path / "out" / "summing.bin"), "0x08000000"]
    assert done.plan.tool == "st-flash" and said == [" ".join(done.plan.commands[0])]
    kept = {path.name for path in (tmp_path / "out").iterdir()}
    assert kept == {"summing.bin", "summing.elf", "summing.hex", "source"}
    assert {"harness.c", "main.c", "summing.c"} <= {path.name for path in (tmp_path / "out" / "source").iterdir()}


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for a tool is a script")
def test_a_tool_that_fails_is_said(artifact, tmp_path, monkeypatch):
    install(monkeypatch, "st-flash", str(tool_that_says(tmp_path, 3)))
    with pytest.raises(Unsupported, match="st-flash ended with code 3"):
        onboard.flash_artifact(artifact)


def test_a_dry_run_runs_nothing(artifact, monkeypatch):
    monkeypatch.setattr(onboard.subprocess, "run", lambda *_, **__: pytest.fail("something ran"))
    monkeypatch.setattr(onboard, "build_images", lambda graph, target, folder: (IMAGES, {}))
    done = onboard.flash_artifact(artifact, dry_run=True)
    assert [plan.tool for plan in done.plans] == ["openocd", "probe-rs", "st-flash", "stm32loader"]


def test_a_uf2_is_copied_onto_the_boards_drive(tmp_path, monkeypatch):
    drive = tmp_path / "RPI-RP2"
    drive.mkdir()
    monkeypatch.setattr(tools, "drives", lambda: [drive])
    artifacts.save(tmp_path / "artifact", model(), {"target": "rp2040"}, {})
    assert onboard.flash_artifact(tmp_path / "artifact").plan.tool == "uf2"
    assert (drive / "summing.uf2").read_bytes()[:8] == bytes.fromhex("5546320a57515d9e")
