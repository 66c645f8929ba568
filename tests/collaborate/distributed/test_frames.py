"""Messages come back as they went, and nothing else passes for one."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from edgesmith.collaborate.distributed.frames import (
    FEATURES,
    HEADER,
    INPUTS,
    MAGIC,
    MOST_BYTES,
    Frame,
    Incoming,
    packed,
)
from edgesmith.core.errors import BadInput

VALUES = st.sampled_from(["u1", "i2", "f4"]).flatmap(
    lambda dtype: arrays(dtype, array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.sampled_from([INPUTS, FEATURES]), VALUES), max_size=4), st.data()
)
def test_messages_come_whole_however_they_are_cut(sent, data):
    stream = b"".join(packed(Frame(*message)) for message in sent)
    incoming, found, at = Incoming(), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream) - at))
        found += incoming.feed(stream[at : at + size])
        at += size
    assert len(found) == len(sent)
    for frame, (request, kind, values) in zip(found, sent, strict=True):
        assert (frame.request, frame.kind, frame.values.shape) == (request, kind, values.shape)
        assert frame.values.tobytes() == values.tobytes()


@given(st.binary(max_size=200))
def test_bytes_of_no_message_are_refused_or_waited_for(data):
    with contextlib.suppress(BadInput):
        assert Incoming().feed(MAGIC + data) == []


@pytest.mark.parametrize(
    "header",
    [
        (b"EDSX", 0, 1, 0, 0, 0, 0),
        (MAGIC, 0, 9, 0, 0, 0, 0),
        (MAGIC, 0, 1, 9, 0, 0, 0),
        (MAGIC, 0, 1, 0, 5, 0, 0),
        (MAGIC, 0, 1, 0, 0, 1, 0),
        (MAGIC, 0, 1, 0, 1, 0, MOST_BYTES + 1),
    ],
)
def test_a_header_out_of_bounds_is_refused_before_anything_is_read(header):
    with pytest.raises(BadInput, match="none of ours"):
        Incoming().feed(HEADER.pack(*header))


def test_a_shape_that_does_not_hold_its_bytes_is_refused():
    message = HEADER.pack(MAGIC, 0, INPUTS, 2, 1, 0, 8) + (3).to_bytes(4, "little")
    with pytest.raises(BadInput, match="they differ"):
        Incoming().feed(message)


def test_what_no_message_holds_is_not_sent():
    for values in (np.zeros(3), np.zeros((1,) * 5, np.float32), np.zeros(MOST_BYTES + 1, np.uint8)):
        with pytest.raises(BadInput, match="need uint8"):
            packed(Frame(0, INPUTS, values))
