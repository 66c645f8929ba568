"""A decoder's input is whatever the network brings: it ends, stays in bounds, and all ways judge alike."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collaborate.coding.drawing import WAYS, codes, payloads
from edgesmith.collaborate.coding import Code, Table
from edgesmith.collaborate.coding.native import Native
from edgesmith.core.errors import BadInput


def judged(code: Code, stream: bytes, size: int, dtype: str) -> list[list[int] | None]:
    """What each way makes of a stream; None where it refuses."""
    found: list[list[int] | None] = []
    for way in WAYS:
        try:
            found.append(code.decode(stream, (size, code.channels), dtype, way).tolist())
        except BadInput:
            found.append(None)
    return found


@given(st.data(), st.binary(max_size=60), st.integers(0, 30), st.sampled_from(["int8", "int32"]))
def test_all_ways_judge_any_bytes_alike(data, stream, size, dtype):
    found = judged(data.draw(codes()), stream, size, dtype)
    assert found[0] == found[1] == found[2]


@given(st.data(), st.sampled_from(["int8", "int32"]))
def test_all_ways_judge_damaged_streams_alike(data, dtype):
    code = data.draw(codes())
    payload = data.draw(payloads(code))
    stream = bytearray(code.encode(payload))
    for _ in range(data.draw(st.integers(0, 3)) if stream else 0):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(stream[: data.draw(st.integers(0, len(stream)))])
    found = judged(code, cut, len(payload), dtype)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("way", WAYS)
def test_a_number_beyond_every_share_is_refused(way):
    """2^64 - 1 in units of 2^-64 lies behind 2^24 shares of 2^40 - 1."""
    code = Code(4, (0,), (Table(0, (8, 8)),))
    with pytest.raises(BadInput, match="no stream of this code"):
        code.decode(b"\xff" * 8, (3,), "int8", way)


def test_a_stream_of_values_outside_the_tables_alone_ends(nprng):
    """The worst for a decoder, and cut, so that most numbers come from the zeros behind the end."""
    code = Code(4, (0,), (Table(0, (1, 15)),))
    stream = code.encode(nprng.integers(-(1 << 20), 0, 2000))[:100]
    found = judged(code, stream, 2000, "int32")
    assert found[0] == found[1] == found[2]


def test_an_escape_that_no_int8_needs_is_refused():
    """Where the window holds all of int8, nothing is left for an escape to mean."""
    code = Code(15, (0,), (Table(-128, (1,) * 256 + ((1 << 15) - 256,)),))
    found = judged(code, b"\xff\x80", 4, "int8")
    assert found == [None] * 3


@given(st.data(), st.binary(max_size=40))
def test_the_decoder_writes_its_values_and_nothing_else(data, stream):
    code = data.draw(codes())
    native = Native(code.bits, code.which, code.tables)
    size = code.channels * data.draw(st.integers(0, 20))
    for name, dtype in (("s8", np.int8), ("s32", np.int32)):
        block = np.full(size + 64, 0x5A, dtype)
        given_bytes = np.frombuffer(stream, np.uint8)
        decode = getattr(native.library, f"es_code_decode_{name}")
        decode(ctypes.byref(native.code), given_bytes.ctypes.data, len(stream), block.ctypes.data, size)
        assert (block[size:] == 0x5A).all()


@pytest.mark.skipif(shutil.which("gcc") is None or sys.platform != "linux", reason="needs gcc's AddressSanitizer")
@pytest.mark.parametrize("define", ["-", "ES_CODE_MULTIPLIES"])
@pytest.mark.soak
def test_no_sanitizer_objects(define, repeats):
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    environment = {**os.environ, "LD_PRELOAD": runtime.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    rounds = repeats(2000, 200_000)
    script = Path(__file__).with_name("under_asan.py")
    words = [sys.executable, str(script), str(rounds), define]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    coded, refused = done.stdout.split()
    assert int(coded) == rounds and int(refused) > rounds // 10
