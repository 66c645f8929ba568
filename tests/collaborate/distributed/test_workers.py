"""Real processes behind loopback sockets: lost ones are left out, and nothing waits beyond its deadline."""

import multiprocessing
import os
import signal
import socket
import sys
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith.collaborate.distributed.frames import FEATURES, HELLO, INPUTS, Frame, Incoming, packed
from edgesmith.collaborate.distributed.plan import Fusion, Part, Plan
from edgesmith.collaborate.distributed.workers import MISSES, Cluster, Peer, after_hello, connected, lost_classes
from edgesmith.core.errors import BadInput, EdgesmithError
from edgesmith.core.task import Normalize


@pytest.fixture
def plan(rng) -> Plan:
    torch.manual_seed(3)
    parts = tuple(
        Part(f"part{index}", nn.Sequential(nn.Flatten(), nn.Linear(6, 2 + index)), "d", (index,), 12, 2 + index)
        for index in range(3)
    )
    return Plan(parts, Fusion([part.width for part in parts], 3, 1.0).eval(), {p.name: Normalize() for p in parts})


@pytest.fixture
def raw(nprng):
    return nprng.integers(0, 9, (4, 2, 3), dtype=np.uint8)


def test_a_missing_parts_features_count_as_zeros(plan, raw):
    features = plan.features(raw)
    zeros = {**features, "part1": np.zeros_like(features["part1"])}
    assert np.array_equal(plan.answer(raw, ["part1"]), plan.fused(zeros))
    assert not np.allclose(plan.answer(raw), plan.answer(raw, ["part1"]))
    assert lost_classes(plan, ("part0", "part2")) == (1,)


def test_features_that_are_none_of_the_plans_are_refused(plan, raw):
    features = plan.features(raw)
    for wrong, words in (
        ({}, "no part's features"),
        ({"other": features["part0"]}, "features of 'other'"),
        ({"part0": features["part1"]}, r"need \(4, 2\)"),
    ):
        with pytest.raises(BadInput, match=words):
            plan.fused(wrong)
    with pytest.raises(BadInput, match="no part 'x'"):
        plan.answer(raw, ["x"])


@pytest.mark.skipif(sys.platform == "win32", reason="a process is stopped by a signal of POSIX")
def test_devices_lost_one_after_the_other_are_left_out(plan, raw):
    with Cluster(plan, raw[:1], deadline_s=10.0) as cluster:
        answer = cluster.answer(raw)
        assert answer.came == plan.names and np.allclose(answer.scores, plan.answer(raw), atol=1e-6)
        cluster.peers["part1"].process.kill()
        answer = cluster.answer(raw)
        assert answer.came == ("part0", "part2")
        assert np.allclose(answer.scores, plan.answer(raw, ["part1"]), atol=1e-6)
        cluster.deadline_s = 0.5
        os.kill(cluster.peers["part0"].process.pid, signal.SIGSTOP)
        for _ in range(MISSES):  # it takes what is sent, and says nothing
            answer = cluster.answer(raw)
            assert answer.came == ("part2",) and answer.waited_ms < 2000
        assert list(cluster.peers) == ["part2"], "silent so often is lost"
        assert cluster.answer(raw).waited_ms < 500, "nobody waits for it again"
        cluster.peers["part2"].process.kill()
        with pytest.raises(EdgesmithError, match="none of 3 devices"):
            cluster.answer(raw)


class Ended:
    """A process that is not there."""

    def kill(self) -> None: ...

    def join(self, timeout: float) -> None: ...


@pytest.fixture
def heard(plan):
    """A cluster whose device is the other end of a pair of sockets."""
    here, there = socket.socketpair()
    cluster = Cluster(plan, np.zeros((1, 2, 3), np.uint8), deadline_s=0.3)
    cluster.peers["part0"] = Peer(plan.parts[0], Ended(), here)
    with here, there:
        yield cluster, there


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\n\r\n0123456789",
        packed(Frame(1, FEATURES, np.zeros((4, 3), np.float32))),
        packed(Frame(1, FEATURES, np.zeros((4, 2), np.float32)))[:-1],
        packed(Frame(7, FEATURES, np.zeros((4, 2), np.float32))),
        b"",
    ],
    ids=["another protocol", "another width", "cut short", "another request", "silence"],
)
def test_a_device_that_answers_wrongly_is_left_out_by_the_deadline(heard, raw, reply):
    cluster, there = heard
    there.sendall(reply)
    begin = time.monotonic()
    with pytest.raises(EdgesmithError, match="none of 3"):
        cluster.answer(raw)
    assert time.monotonic() - begin < 2.0


def test_a_late_answer_does_not_count_for_the_next_request(heard, raw):
    cluster, there = heard
    late = packed(Frame(1, FEATURES, np.full((4, 2), 9, np.float32)))
    right = packed(Frame(2, FEATURES, np.ones((4, 2), np.float32)))
    with pytest.raises(EdgesmithError):
        cluster.answer(raw)
    there.sendall(late + right)
    expected = cluster.plan.fused({"part0": np.ones((4, 2), np.float32)})
    assert np.array_equal(cluster.answer(raw).scores, expected)


def test_a_process_that_ends_before_it_begins_is_said_so():
    here, there = multiprocessing.get_context("spawn").Pipe(duplex=False)
    there.close()
    with pytest.raises(EdgesmithError, match="process of part0 ended before it began"):
        connected("part0", here, b"token")


def test_only_who_shows_the_token_is_heard():
    token = b"k" * 32
    inputs = Frame(5, INPUTS, np.zeros((1, 2), np.float32))
    for shown, expected in ((token, [5]), (b"x" * 32, None), (b"", None)):
        here, there = socket.socketpair()
        with here, there:
            hello = packed(Frame(0, HELLO, np.frombuffer(shown, np.uint8))) + packed(inputs)
            sender = threading.Thread(target=there.sendall, args=(hello,))
            sender.start()
            frames = after_hello(here, Incoming(), token)
            sender.join()
        assert (frames if frames is None else [frame.request for frame in frames]) == expected
