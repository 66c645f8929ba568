"""A payload's C gives the bytes that Python gives: here and on a board."""

import ctypes
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesmith.collaborate.crossing.carry import Carried, carry
from edgesmith.collaborate.crossing.carry_source import FILES, byte_steps, files, thresholds
from edgesmith.collaborate.crossing.payload import Steps
from edgesmith.collaborate.plan.costs import FORMS, Form
from edgesmith.core.errors import Unsupported
from edgesmith.core.graph import Tensor
from edgesmith.emulate import Emulator
from edgesmith.targets import load
from edgesmith.toolchain import compile_firmware, compile_library

SHAPE = (1, 6, 5, 4)
SIZE = 120


def seen(dtype, count=20, seed=0):
    real = np.maximum(np.random.default_rng(seed).normal(size=(count, *SHAPE)) * 20, 0)
    return real.astype(dtype)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("payload")


def written(carried, folder):
    for name, text in files(carried, "net").items():
        (folder / name).write_text(text)
    return [folder / "net_payload.c", *(folder / name for name in FILES)]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_c_here_gives_the_same_bytes(folder, form, dtype):
    tensor = Tensor("t", SHAPE, dtype)
    if not form.carries(tensor):
        return
    own = folder / f"{form.name.replace(', ', '_').replace(' ', '_')}_{dtype}"
    own.mkdir()
    carried, fresh = carry(tensor, form, seen(dtype)), seen(dtype, seed=1)
    library = ctypes.CDLL(str(compile_library(written([carried], own), [own])))
    for values in fresh:
        out = (ctypes.c_uint8 * 1000)()
        scratch = (ctypes.c_int8 * SIZE)()
        count = library.net_payload_0(values.ctypes.data_as(ctypes.c_void_p), scratch, out, 1000)
        assert bytes(out[:count]) == carried.pack(values)
        assert library.net_payload_0(values.ctypes.data_as(ctypes.c_void_p), scratch, out, 3) < 0


MAIN = """
#include <stdint.h>
#include "net_payload.h"
static float values[120];
static int8_t scratch[120];
static uint8_t out[500];
void *values_at(void);
uint8_t *out_at(void);
int32_t pack(void);
int main(void);
void *values_at(void) { return values; }
uint8_t *out_at(void) { return out; }
int32_t pack(void) { return net_payload_0(values, scratch, out, sizeof out); }
int main(void) { return 0; }
"""


@pytest.mark.parametrize("board", ["stm32f103", "nucleo-l4r5zi"])
@pytest.mark.parametrize("form", [Form(4), Form(4, coded=True)], ids=lambda form: form.name)
def test_a_board_gives_the_same_bytes(tmp_path, board, form):
    """Floats on a core without a float unit too: comparing them is all there is."""
    tensor, target = Tensor("t", SHAPE), load(board)
    carried, values = carry(tensor, form, seen("float32")), seen("float32", seed=2)[0]
    (tmp_path / "main.c").write_text(MAIN)
    sources = [tmp_path / "main.c", *written([carried], tmp_path)]
    exports = ("values_at", "out_at", "pack")
    linked = compile_firmware(sources, [tmp_path], target, tmp_path / "a.elf", exports=exports)
    with Emulator(linked, target) as emulator:
        at = {name: emulator.call(name).result & 0xFFFFFFFF for name in ("values_at", "out_at")}
        emulator.write(at["values_at"], values.tobytes())
        call = emulator.call("pack")
        assert emulator.read(at["out_at"], call.result) == carried.pack(values)


@settings(max_examples=60)
@given(st.integers(1, 8), st.floats(-1e6, 1e6, width=32), st.floats(2.0**-10, 1e6, width=32))
def test_thresholds_are_the_least_floats_of_their_steps(bits, low, span):
    steps = Steps(bits, low, low + span)
    for code, value in enumerate(thresholds(steps)[:40], 1):
        assert steps.codes(np.array(value))[()] >= code
        assert steps.codes(np.array(np.nextafter(value, np.float32(-np.inf))))[()] < code


@cache
def every_byte(dtype):
    return np.arange(256, dtype=np.uint8).view(dtype)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_bytes_have_a_table(dtype):
    steps = Steps(3, float(every_byte(dtype).min()), float(every_byte(dtype).max()))
    assert (byte_steps(steps, dtype) == steps.codes(every_byte(dtype))).all()


def test_wider_integers_are_refused():
    with pytest.raises(Unsupported, match="boards narrow bytes and floats"):
        files([Carried(Tensor("t", SHAPE, "int32"), Steps(4, 0, 9))], "net")
