"""Following a link: the widest message that comes in time, learned from those that came."""

import pytest

from edgesmith.collaborate.links.channel import Channel
from edgesmith.collaborate.links.link import Link
from edgesmith.collaborate.split.following import MARGIN, REMEMBERED, Choice, Follower

CHOICES = [Choice(100, 1.0, 0.7), Choice(300, 2.0, 0.8), Choice(900, 4.0, 0.9)]
PLAIN = Link("plain", mbps=0.01, header_bytes=0, delay_ms=5.0)


def widths(link: Link, deadline_ms: float, requests: int, period_s: float = 1.0) -> list[int]:
    """What is chosen, request by request."""
    channel, follower, found = Channel(link, 0), Follower(CHOICES, link, deadline_ms), []
    for index in range(requests):
        now_s = index * period_s
        found.append(follower.choose(now_s))
        choice = CHOICES[found[-1]]
        follower.sent(channel.send(now_s + choice.device_ms * 1e-3, choice.nbytes))
    return found


@pytest.mark.parametrize("deadline_ms", [50, 90, 150, 300, 400, 700, 1000])
def test_on_a_steady_link_it_is_the_best_that_fits(deadline_ms):
    """By brute force: bits over rate, delay, and the device's time, within the margin."""
    fits = [i for i, c in enumerate(CHOICES) if c.device_ms + 5 + c.nbytes * 8 / 10 <= MARGIN * deadline_ms]
    assert set(widths(PLAIN, deadline_ms, 10)) == {max(fits, default=0)}


def test_a_fall_is_followed_by_the_next_message_and_a_rise_soon_after():
    link = Link("steps", mbps=0.02, header_bytes=0, delay_ms=5.0, steps=((10.0, 0.02), (10.0, 0.002)))
    found = widths(link, 600.0, 40)
    assert set(found[3:10]) == {2}, "360 ms at 20 kbps"
    assert set(found[12:20]) == {0}, "400 ms at 2 kbps, where 300 bytes take 1.2 s"
    assert set(found[20 + REMEMBERED + 1 : 30]) == {2}


def test_a_message_on_its_way_for_long_is_a_sign_by_itself():
    """Nothing has arrived since the rate fell: the wait alone bounds the rate."""
    follower = Follower(CHOICES, PLAIN, 1000.0)
    assert follower.choose(0.0) == 2
    follower.sent(Channel(Link("dead", mbps=0.0001, header_bytes=0, delay_ms=5.0), 0).send(0.0, 100))
    assert follower.choose(3.0) == 0
