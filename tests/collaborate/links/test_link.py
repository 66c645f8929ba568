"""A link's arithmetic against sums done by hand and against what its channel does."""

import math
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesmith.collaborate.links import link as links
from edgesmith.collaborate.links.channel import Channel
from edgesmith.collaborate.links.link import Link, Outage, Rate, expected_rounds
from edgesmith.core.errors import BadInput


@pytest.mark.parametrize("name", links.names())
def test_every_built_in_link_loads_and_says_where_its_figures_come_from(name):
    link = links.load(name)
    assert link.mbps > 0 and link.source and link.title != name


def test_a_message_takes_its_time_on_air_and_the_delay():
    """3,000 bytes are 3 packets of 1,460: 3,120 bytes at 1 Mbit/s are 24.96 ms."""
    link = Link("l", mbps=1.0, delay_ms=5.0)
    passage = Channel(link, seed=0).send(2.0, 3000)
    assert passage.arrive_s == pytest.approx(2.0 + 0.02496 + 0.005)
    assert (passage.wire_bytes, passage.rounds) == (3120, 1)
    assert link.expected_ms(3000) == pytest.approx(29.96)


def test_messages_wait_for_those_before_them():
    channel = Channel(Link("l", mbps=1.0, header_bytes=0), seed=0)
    first, second = channel.send(0.0, 12500), channel.send(0.01, 12500)
    assert first.arrive_s == pytest.approx(0.1) and second.start_s == pytest.approx(0.1)
    assert second.arrive_s == pytest.approx(0.2)


def test_an_outage_holds_a_message_up_and_a_lasting_one_keeps_it():
    link = Link("l", mbps=1.0, header_bytes=0, outages=(Outage(0.05, 2.0),))
    assert Channel(link, 0).send(0.0, 12500).arrive_s == pytest.approx(2.1)
    gone = Link("l", mbps=1.0, outages=(Outage(0.0, math.inf),))
    assert Channel(gone, 0).send(0.0, 1).arrive_s == math.inf


def test_a_trace_repeats():
    """1 s at 1 Mbit/s, 1 s at nothing: of 1.5 Mbit from 0.5 s half a Mbit has left at 1 s, the rest at 3 s."""
    rate = Rate(Link("l", mbps=1.0, steps=((1.0, 1.0), (1.0, 0.0))))
    assert rate.sent_by(0.5, 1.5e6) == pytest.approx(3.0)


@given(
    steps=st.lists(st.tuples(st.floats(0.01, 5), st.floats(0.0, 100)), min_size=1, max_size=5),
    start=st.floats(0, 1000),
    bits=st.floats(1, 1e8),
)
def test_what_was_sent_by_then_is_the_integral_of_the_rate(steps, start, bits):
    if not any(rate > 0.01 for _, rate in steps):
        steps = [*steps, (1.0, 1.0)]
    rate = Rate(Link("l", mbps=1.0, steps=tuple(steps)))
    end = rate.sent_by(start, bits)
    at, total = start, 0.0
    while at < end:
        now, until = rate.now(at)
        total += now * (min(until, end) - at)
        at = until
    assert total == pytest.approx(bits, rel=1e-5, abs=1.0)


@pytest.mark.parametrize(("packets", "loss"), [(1, 0.3), (7, 0.1), (40, 0.5)])
def test_expected_rounds_are_the_mean_of_many(packets, loss):
    link = Link("l", mbps=1.0, loss=loss)
    channel = Channel(link, seed=1)
    seen = fmean(channel.send(float(i), packets * link.payload_bytes).rounds for i in range(4000))
    assert seen == pytest.approx(expected_rounds(packets, loss), rel=0.03)


def test_the_expected_time_is_the_mean_of_many():
    """On an idle link: each message is sent a minute after the last."""
    link = Link("l", mbps=2.0, delay_ms=8.0, jitter_ms=6.0, loss=0.05)
    channel = Channel(link, seed=2)
    times = [1e3 * (channel.send(60.0 * i, 20_000).arrive_s - 60.0 * i) for i in range(4000)]
    assert fmean(times) == pytest.approx(link.expected_ms(20_000), rel=0.02)


def test_the_same_seed_gives_the_same_passages():
    link = Link("l", mbps=2.0, jitter_ms=6.0, loss=0.3)
    runs = [[Channel(link, seed).send(0.1 * i, 5000) for i in range(50)] for seed in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]


@given(st.lists(st.tuples(st.floats(0, 0.2), st.integers(0, 20_000)), max_size=30), st.integers(0, 5))
def test_messages_never_overtake(messages, seed):
    channel, now, last = Channel(Link("l", mbps=1.0, delay_ms=3, jitter_ms=9, loss=0.2), seed), 0.0, 0.0
    for gap, nbytes in messages:
        now += gap
        passage = channel.send(now, nbytes)
        assert passage.start_s >= now and passage.arrive_s >= max(last, passage.start_s)
        last = passage.arrive_s


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "mbps is missing"),
        ("mbps = -1.0", "mbps is -1.0"),
        ("mbps = 1.0\nloss = 1.0", "loss is 1.0"),
        ("mbps = 1.0\nspeed = 2", "speed is not a known key"),
        ("mbps = 1.0\nmtu_bytes = 40\nheader_bytes = 40", "header_bytes is 40"),
        ("[[trace]]\nseconds = 1.0\nmbps = 0.0", "trace never passes anything"),
        ("mbps = 1.0\ntrace = 3", "trace is 3"),
        ("mbps = 1.0\ntrace = [3]", "trace holds something else"),
        (
            "mbps = 1.0\n[[outages]]\nstart_s = 5.0\nseconds = 2.0\n[[outages]]\nstart_s = 6.0\nseconds = 1.0",
            "outages[1].start_s is 6;",
        ),
        ("mbps = ", "not TOML"),
    ],
)
def test_a_bad_file_is_refused_with_its_key(text, said):
    with pytest.raises(BadInput, match="link mine: ") as caught:
        links.parse("mine", text)
    assert said in str(caught.value)


def test_a_file_of_a_trace_loads(tmp_path):
    path = tmp_path / "drone.toml"
    path.write_text("delay_ms = 10.0\n[[trace]]\nseconds = 1.0\nmbps = 4\n[[trace]]\nseconds = 3.0\nmbps = 1\n")
    link = links.load(path)
    assert (link.name, link.mean_mbps()) == ("drone", 1.75)
    with pytest.raises(BadInput, match="no link 'nowhere'"):
        links.load("nowhere")
    with pytest.raises(BadInput, match="cannot read"):
        links.load(tmp_path / "none.toml")
