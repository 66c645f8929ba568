"""The commands that talk to a board, against an emulated one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgesmith.core import artifact as artifacts
from edgesmith.pipeline.onboard import emulated_board

MISSING, BAD_INPUT, USAGE = 7, 3, 2


@pytest.fixture(scope="module")
def port(compiled) -> Iterator[str]:
    with emulated_board(compiled) as board:
        yield board.port


def test_run_gives_what_this_machine_gives_and_what_it_took(edgesmith, artifact, digit, port, tmp_path):
    here = json.loads(edgesmith("run", artifact, digit, "--json").out)
    there = json.loads(edgesmith("run", artifact, digit, "--port", port, "--repeats", "3", "--json").out)
    assert there["outputs"] == here
    assert {name: r["kind"] for name, r in there["readings"].items()} == dict.fromkeys(
        ("instructions", "stack"), "emulated"
    )
    plain = edgesmith("run", artifact, digit, "--port", port, "--out", tmp_path / "y.npz")
    assert plain.code == 0 and "emulated" in plain.out and "measured" not in plain.out
    assert np.load(tmp_path / "y.npz")["linear"].tolist() == here["linear"]


def test_profile_adds_up_over_the_wire(edgesmith, artifact, port):
    found = json.loads(edgesmith("profile", artifact, "--port", port, "--repeats", "2", "--json").out)
    assert sum(row["share"] for row in found["layers"]) == pytest.approx(1)
    total = sum(row["cycles"] for row in found["layers"])
    assert 0.99 * found["readings"]["instructions"]["value"] <= total <= found["readings"]["instructions"]["value"]
    assert sum(row["macs"] for row in found["layers"]) > 300_000
    assert "conv2d_s8" in edgesmith("profile", artifact, "--port", port, "--repeats", "1").out


def test_verify_adds_the_board_to_the_certificate_and_an_emulated_one_leaves_readings_alone(edgesmith, artifact, port):
    before = artifacts.load(artifact).manifest["readings"]
    ended = edgesmith("verify", artifact, "--samples", "2", "--port", port, "--json")
    relations = json.loads(ended.out)
    assert ended.code == 0 and all(relation["holds"] for relation in relations)
    assert relations[-1]["name"] == "numpy = C on the emulated stm32f103, over its serial port"
    manifest = artifacts.load(artifact).manifest
    assert manifest["certificate"] == relations and manifest["readings"] == before


@pytest.mark.parametrize("words", [("run", "{}", "{digit}"), ("verify", "{}"), ("profile", "{}")], ids=lambda w: w[0])
def test_an_absent_port_is_said_and_nothing_written(edgesmith, artifact, digit, words):
    before = {path: path.read_bytes() for path in artifact.rglob("*") if path.is_file()}
    given = [word.format(artifact, digit=digit) for word in words]
    ended = edgesmith(*given, "--port", "/dev/ttyNOTHING")
    assert ended.code == MISSING and "no port /dev/ttyNOTHING" in ended.err and ended.out == ""
    assert before == {path: path.read_bytes() for path in artifact.rglob("*") if path.is_file()}


def test_a_board_with_another_model_is_refused(edgesmith, nets, digit, port, tmp_path):
    words = ("--target", "stm32f103", "--data", f"{nets}:data", "--trust", "--out", tmp_path / "other")
    assert edgesmith("compile", f"{nets}:build", *words).code == 0
    ended = edgesmith("run", tmp_path / "other", digit, "--port", port)
    assert ended.code == BAD_INPUT and "runs 'digits" in ended.err and "edgesmith flash" in ended.err


def test_profile_of_a_model_still_needs_a_target(edgesmith):
    ended = edgesmith("profile", "digits-cnn")
    assert ended.code == USAGE and "Missing option '--target'" in ended.err


def test_flash_shows_the_commands_and_keeps_the_files(edgesmith, artifact, tmp_path):
    ended = edgesmith("flash", artifact, "--dry-run", "--out", tmp_path / "f", "--json")
    found = json.loads(ended.out)
    assert (ended.code, found["flashed"]) == (0, False)
    assert {plan["tool"] for plan in found["plans"]} == {"openocd", "probe-rs", "st-flash", "stm32loader"}
    assert all(Path(path).stat().st_size > 1000 for path in found["files"].values())
    assert "st-flash --reset write" in edgesmith("flash", artifact, "--dry-run").out


@pytest.mark.skipif(os.name != "posix", reason="a pseudo-terminal")
def test_an_emulated_board_is_started_by_a_command_and_ended_by_the_keyboard(compiled):
    words = [sys.executable, "-m", "edgesmith", "flash", str(compiled), "--emulated"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert Path(process.stdout.readline().strip()).exists()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    process.stdout.close()
