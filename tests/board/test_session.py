"""A conversation with the harness itself, over a line that loses, garbles, falls silent and is pulled out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from board.stub import GRAPH, SHA256, Stub, sample, target
from edgesmith.board import Board, session
from edgesmith.board.frames import Frame, Receiver, encode
from edgesmith.board.wire import EMULATED_IDENTITY
from edgesmith.core.errors import BadInput, Missing, Unsupported, VerificationFailed


@pytest.fixture
def stub(tmp_path, monkeypatch) -> Stub:
    monkeypatch.setattr(session, "ANSWER_S", 0.02)
    monkeypatch.setattr(session, "RUN_S", 0.05)
    return Stub(tmp_path)


def board(stub: Stub, sha256: str = SHA256) -> Board:
    return Board(stub, GRAPH, target(), sha256, "/dev/ttyTEST")


def test_inputs_longer_than_a_frame_come_back_and_cycles_are_those_of_the_ops(stub):
    """300 bytes take two frames each way; op i takes i + 1 of 70 * 71 / 2 = 2485 ticks."""
    with board(stub) as talk:
        assert np.array_equal(talk.run({"x": sample()})["y"], sample())
        assert (talk.last.cycles, talk.last.stack_bytes) == (2485, 123)
        assert talk.op_cycles() == list(range(1, 71))
        assert np.array_equal(talk.run({"x": sample(1)})["y"], sample(1) + 1)
    assert stub.gone


def test_the_greeting_says_what_the_program_is(stub):
    hello = board(stub).hello
    assert (hello.name, hello.ops, hello.input_bytes, hello.clock_hz) == ("stub", 70, 300, 1_000_000)


@pytest.mark.parametrize("each", [2, 3])
def test_a_lost_answer_is_asked_for_again_and_nothing_runs_twice(stub, each):
    """Every second or third answer is lost."""
    turn = iter(range(10_000))
    stub.answered = lambda data: b"" if data and next(turn) % each == each - 1 else data
    talk = board(stub)
    for run in range(3):
        assert np.array_equal(talk.run({"x": sample(run)})["y"], sample(run) + np.uint8(run))
    assert stub["runs"] == 3


def test_a_lost_or_damaged_request_is_sent_again(stub):
    turn = iter(range(10_000))
    damage = {0: lambda d: b"", 1: lambda d: d[:5], 2: lambda d: d}
    stub.sent = lambda data: damage[next(turn) % 3](data)
    assert np.array_equal(board(stub).run({"x": sample()})["y"], sample())
    assert stub["runs"] == 1


@given(noise=st.binary(max_size=300))
def test_noise_around_answers_does_no_harm(tmp_path_factory, noise):
    stub = Stub(tmp_path_factory.mktemp("stub"))
    stub.answered = lambda data: noise + data + noise
    stub.sent = lambda data: noise + data
    assert np.array_equal(board(stub).run({"x": sample()})["y"], sample())


@given(requests=st.lists(st.builds(Frame, st.integers(0, 8), st.integers(0, 3), st.binary(max_size=240)), max_size=8))
def test_any_request_is_answered_once_and_the_board_goes_on(tmp_path_factory, requests):
    """Whatever is asked: an answer or an error with the same sequence number, and no write outside the input."""
    stub = Stub(tmp_path_factory.mktemp("stub"))
    for request in requests:
        stub.write(encode(request))
        (answer,) = Receiver().feed(stub.read(10_000))
        assert answer.sequence == request.sequence
        failed = answer.command == 0xFF and answer.payload[:1] == bytes([request.command])
        assert answer.command == request.command | 0x80 or failed
    assert np.array_equal(board(stub).run({"x": sample()})["y"], sample() + np.uint8(stub["runs"] - 1))


def test_another_program_is_refused(stub):
    with pytest.raises(BadInput, match=r"runs 'stub' \(sha256 010203.*need 'stub'.*edgesmith flash"):
        board(stub, "ff" * 32)


def test_another_core_is_refused(stub):
    stub["identity"] = 0x411FC231
    with pytest.raises(BadInput, match=r"identifies itself as 0x411fc231; nucleo-l4r5zi has a cortex-m4, 0x4100c240"):
        board(stub)


@pytest.mark.parametrize(
    ("identity", "kind"), [(0x410FC241, "measured"), (0x412FC24F, "measured"), (EMULATED_IDENTITY, "emulated")]
)
def test_only_a_core_that_arm_made_gives_measurements(stub, identity, kind):
    """CPUID of the Cortex-M4 is 0x410FC241 (DDI 0439 4.1): revision and variant may differ, nothing else."""
    stub["identity"] = identity
    assert board(stub).kind == kind


@pytest.mark.parametrize("identity", [0, 0xFFFFFFFF, 0x450FC241, 0x410FC601])
def test_a_core_that_does_not_say_who_it_is_gives_nothing(stub, identity):
    stub["identity"] = identity
    with pytest.raises(BadInput, match="identifies itself"):
        board(stub)


def test_another_protocol_is_refused(stub):
    def older(data: bytes) -> bytes:
        (frame,) = Receiver().feed(data)
        return encode(Frame(frame.command, frame.sequence, b"\x09" + frame.payload[1:]))

    stub.answered = older
    with pytest.raises(BadInput, match="speaks protocol 9; this edgesmith speaks 1"):
        board(stub)


@given(payload=st.binary(max_size=240))
def test_any_greeting_is_read_or_refused(tmp_path_factory, payload):
    stub = Stub(tmp_path_factory.mktemp("stub"))
    stub.answered = lambda data: encode(Frame(0x81, Receiver().feed(data)[0].sequence, b"\x01" + payload[1:]))
    with pytest.raises(BadInput):
        board(stub)


def test_silence_names_the_wires(stub):
    stub.answered = lambda data: b""
    with pytest.raises(Missing, match=r"no answer at /dev/ttyTEST.*flashed.*PG7 to the adapter's RX, PG8 to its TX"):
        board(stub)


def test_a_wrong_baud_rate_is_told_from_silence(stub):
    stub.answered = lambda data: bytes([0xF8, 0x00] * 20)
    with pytest.raises(Missing, match="damaged frames came"):
        board(stub)


def test_a_board_pulled_out_is_said(stub):
    talk = board(stub)
    turn = iter(range(100))

    def pulled(data: bytes) -> bytes:
        stub.gone = next(turn) == 2
        return data

    stub.answered = pulled
    with pytest.raises(Missing, match="is gone .*device disconnected.*nothing was written"):
        talk.run({"x": sample()})


def test_a_model_that_refuses_is_said(stub):
    stub["refuse"] = 1
    with pytest.raises(VerificationFailed, match="the model refused"):
        board(stub).run({"x": sample()})


def test_cycles_before_a_run_are_refused(stub):
    with pytest.raises(Unsupported, match="has not run yet"):
        board(stub).op_cycles()


def test_a_missing_input_is_refused(stub):
    with pytest.raises(BadInput, match="input 'x' is missing"):
        board(stub).run({})
