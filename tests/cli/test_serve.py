"""serve and offload on the command line: two processes, a server that is killed."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

PORT_LINE = "127.0.0.1:"


@contextmanager
def serving(folder, *words):
    """A server as a user starts it, and its port."""
    command = [sys.executable, "-m", "edgesmith", "serve", str(folder), "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert PORT_LINE in line, process.stderr.read()
            yield process, line.split(PORT_LINE)[1].split(",")[0].strip()
        finally:
            process.kill()


@pytest.fixture
def plan(edgesmith, tmp_path):
    words = ("--device", "nucleo-l4r5zi", "--link", "ethernet", "--out", tmp_path / "plan")
    ended = edgesmith("split", "digits-cnn", *words)
    assert ended.code == 0, ended.err
    return tmp_path / "plan"


def asked(edgesmith, plan, port, *words):
    server = ("--server", f"127.0.0.1:{port}", "--data", "digits", "--requests", "40", "--json")
    ended = edgesmith("offload", plan, *server, *words)
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


@pytest.mark.enable_socket
def test_a_server_answers_and_when_it_is_killed_the_device_does(edgesmith, plan):
    with serving(plan) as (process, port):
        there = asked(edgesmith, plan, port, "--deadline", "2s")
        assert there["places"] == {"server": 40} and there["in_time"] == 40
        process.kill()
        process.wait()
        gone = asked(edgesmith, plan, port, "--deadline", "300ms")
    assert gone["places"] == {"fallback": 40} and gone["in_time"] == 40
    assert gone["columns"]["peak_bytes"]["p50"] > 1000 > there["columns"]["peak_bytes"]["p50"]
    assert there["quality"]["server"] == gone["quality"]["fallback"] > 0.9


@pytest.mark.enable_socket
def test_a_server_ends_in_order(plan):
    with serving(plan, "--metrics-port", "0") as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.enable_socket
def test_a_link_slows_what_crosses_it(edgesmith, plan):
    with serving(plan) as (_, port):
        near = asked(edgesmith, plan, port, "--deadline", "3s")
        far = asked(edgesmith, plan, port, "--deadline", "3s", "--link", "lte")
    assert far["columns"]["total_ms"]["p50"] > 50 > near["columns"]["total_ms"]["p50"]


def test_off_loopback_needs_a_certificate_and_a_token(edgesmith, plan):
    ended = edgesmith("serve", plan, "--host", "0.0.0.0")
    assert (ended.code, "token" in ended.err) == (3, True), ended.err


@pytest.mark.parametrize(
    ("words", "said"), [(("--server", "here"), "need HOST:PORT"), (("--deadline", "soon"), "not a quantity")]
)
def test_refusals(edgesmith, plan, words, said):
    ended = edgesmith("offload", plan, "--data", "digits", *words)
    assert (ended.code, said in ended.err) == (3, True), ended.err


def test_what_is_no_plan_is_refused(edgesmith, tmp_path):
    for verb in (("serve", tmp_path), ("offload", tmp_path, "--data", "digits")):
        ended = edgesmith(*verb)
        assert ended.code in (3, 7) and os.linesep.join(ended.err.split()[:1]), ended.err
