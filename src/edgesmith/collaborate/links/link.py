"""A link between device and server: rate, delay, jitter, loss, outages, traces, and what a message costs on it."""

import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from edgesmith.core.errors import BadInput
from edgesmith.core.toml import Table, read

BUILT_IN = Path(__file__).parent
MAX_FILE_BYTES = 1 << 20
MAX_STEPS = 100_000  # of a trace: a day by the second

# Wide enough for any real link, narrow enough to catch a wrong unit.
MBPS = (1e-5, 1e6)
MILLISECONDS = (0.0, 600_000.0)
LOSS = (0.0, 0.9)
MTU_BYTES = (20, 65_535)
HEADER_BYTES = (0, 1000)
MILLIWATTS = (0.0, 1e5)
SECONDS = (0.0, 1e7)


@dataclass(frozen=True)
class Outage:
    """From `start_s`, for `seconds`, nothing passes."""

    start_s: float
    seconds: float

    @property
    def end_s(self) -> float:
        """When it passes again."""
        return self.start_s + self.seconds


@dataclass(frozen=True)
class Link:
    """What lies between a device and a server. The same object shapes virtual time and real sockets.

    Attributes:
        mbps: from device to server, in 10^6 bits a second, headers included.
        down_mbps: from server to device.
        delay_ms: one way, of an empty message.
        jitter_ms: each message is late by up to twice this, evenly; on average by this.
        loss: share of packets that do not arrive and are sent again a round trip later.
        mtu_bytes: of one packet with its header of `header_bytes`.
        tx_mw, rx_mw: what the device's radio draws while it sends or receives, beyond idle.
        steps: a trace, (seconds, mbps) each, repeated without end; it replaces `mbps`, and scales `down_mbps` alike.
        outages: in order, not overlapping.
        source: where the figures come from.
    """

    name: str
    mbps: float
    title: str = ""
    down_mbps: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    mtu_bytes: int = 1500
    header_bytes: int = 40
    tx_mw: float = 0.0
    rx_mw: float = 0.0
    steps: tuple[tuple[float, float], ...] = ()
    outages: tuple[Outage, ...] = ()
    source: str = ""

    @property
    def payload_bytes(self) -> int:
        """Of a message, in one packet."""
        return self.mtu_bytes - self.header_bytes

    def packets(self, nbytes: int) -> int:
        """That carry a message; an empty one takes one."""
        return max(1, -(-nbytes // self.payload_bytes))

    def wire_bytes(self, nbytes: int) -> int:
        """Of a message with the headers of its packets, before losses."""
        return nbytes + self.packets(nbytes) * self.header_bytes

    def mean_mbps(self, down: bool = False) -> float:
        """Over the trace, or the rate; outages are not in it."""
        up = self.mbps
        if self.steps:
            up = sum(seconds * rate for seconds, rate in self.steps) / sum(seconds for seconds, _ in self.steps)
        return up * self.down_ratio if down else up

    @property
    def down_ratio(self) -> float:
        """The rate to the device over the rate from it."""
        return self.down_mbps / self.mbps if self.down_mbps else 1.0

    def expected_ms(self, nbytes: int, down: bool = False) -> float:
        """Mean time of a message of `nbytes` on an idle link, from its first bit to its arrival; 0 bytes take none.

        Each round sends what was lost in the one before, a round trip later: with loss p, n packets take
        sum over r of 1 - (1 - p^r)^n rounds. Exact for a steady rate, up to the last packet's own size; a trace counts
        by its mean, outages do not.
        """
        if nbytes == 0:
            return 0.0
        air_ms = self.wire_bytes(nbytes) * 8e-3 / self.mean_mbps(down) / (1 - self.loss)
        again = expected_rounds(self.packets(nbytes), self.loss) - 1
        return air_ms + self.delay_ms + self.jitter_ms + again * self.round_trip_ms

    @property
    def round_trip_ms(self) -> float:
        """Mean time to learn that a packet was lost."""
        return 2 * (self.delay_ms + self.jitter_ms)

    def radio_uj(self, nbytes: int, down: bool = False) -> float:
        """Mean energy the device's radio takes for a message: power times time on air."""
        if nbytes == 0:
            return 0.0
        air_ms = self.wire_bytes(nbytes) * 8e-3 / self.mean_mbps(down) / (1 - self.loss)
        return air_ms * (self.rx_mw if down else self.tx_mw)


def expected_rounds(packets: int, loss: float) -> float:
    """Mean number of rounds until `packets` have arrived, each lost with probability `loss` in each round.

    >>> expected_rounds(7, 0.0), round(expected_rounds(1, 0.5), 6)
    (1.0, 2.0)
    """
    total, left = 1.0, loss
    while packets * left > 1e-9:
        total -= math.expm1(packets * math.log1p(-left))
        left *= loss
    return total


class Rate:
    """The rate of one direction of a link over time."""

    def __init__(self, link: Link, down: bool = False) -> None:
        scale = link.down_ratio * 1e6 if down else 1e6
        self.steady_bps = link.mbps * scale
        self.rates_bps = [rate * scale for _, rate in link.steps]
        self.ends_s = list(accumulate(seconds for seconds, _ in link.steps))
        self.outages = link.outages
        self.starts_s = [outage.start_s for outage in link.outages]

    def now(self, at_s: float) -> tuple[float, float]:
        """Bits a second at a moment, and until when that holds."""
        before = bisect_right(self.starts_s, at_s)
        if before and at_s < self.outages[before - 1].end_s:
            return 0.0, self.outages[before - 1].end_s
        until_s = self.starts_s[before] if before < len(self.starts_s) else math.inf
        if not self.rates_bps:
            return self.steady_bps, until_s
        period_s = self.ends_s[-1]
        turn, within_s = divmod(at_s, period_s)
        step = min(bisect_right(self.ends_s, within_s), len(self.ends_s) - 1)
        # The next moment must lie after this one, whatever rounding does to their difference.
        change_s = max(turn * period_s + self.ends_s[step], math.nextafter(at_s, math.inf))
        return self.rates_bps[step], min(until_s, change_s)

    def sent_by(self, start_s: float, bits: float) -> float:
        """When `bits` that begin at `start_s` have left; infinite where the link never comes back."""
        if not self.rates_bps and not self.outages:
            return start_s + bits / self.steady_bps
        while True:
            rate, until_s = self.now(start_s)
            room = rate * (until_s - start_s) if rate else 0.0
            if bits <= room:
                return start_s + bits / rate
            if until_s == math.inf:
                return math.inf
            bits, start_s = bits - room, until_s


def names() -> list[str]:
    """Names of the built-in links, sorted."""
    return sorted(path.stem for path in BUILT_IN.glob("*.toml"))


def load(name_or_path: str | Path) -> Link:
    """A built-in link by name, or a TOML file of the user's own.

    Raises:
        BadInput: no such link or file, or a file with unknown keys, wrong types or absurd figures.
    """
    text = str(name_or_path)
    if text in names():
        return parse(text, (BUILT_IN / f"{text}.toml").read_text())
    if not text.endswith(".toml"):
        raise BadInput(f"link: no link {text!r}; need one of {', '.join(names())}, or the path of a .toml file.")
    path = Path(text)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadInput(f"link: {path} has more than {MAX_FILE_BYTES:,} bytes; need a link's description.")
        return parse(path.stem, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"link: cannot read {path}: {error}; need a .toml file.") from error


def parse(name: str, text: str) -> Link:
    """A link from the text of a TOML file.

    Raises:
        BadInput: what is wrong, at which key, and what is needed.
    """
    top = read(f"link {name}", text)
    trace = _trace(top)
    mbps = top.number("mbps", float, MBPS, None if not trace else max(rate for _, rate in trace))
    link = Link(
        name=name,
        mbps=mbps,
        title=top.text("title", name),
        down_mbps=top.number("down_mbps", float, MBPS, mbps),
        delay_ms=top.number("delay_ms", float, MILLISECONDS, 0.0),
        jitter_ms=top.number("jitter_ms", float, MILLISECONDS, 0.0),
        loss=top.number("loss", float, LOSS, 0.0),
        mtu_bytes=top.number("mtu_bytes", int, MTU_BYTES, 1500),
        header_bytes=top.number("header_bytes", int, HEADER_BYTES, 40),
        tx_mw=top.number("tx_mw", float, MILLIWATTS, 0.0),
        rx_mw=top.number("rx_mw", float, MILLIWATTS, 0.0),
        steps=trace,
        outages=_outages(top),
        source=top.text("source", ""),
    )
    top.end()
    if link.payload_bytes < 1:
        raise top.fail("header_bytes", f"is {link.header_bytes}", f"less than mtu_bytes ({link.mtu_bytes})")
    return link


def _trace(top: Table) -> tuple[tuple[float, float], ...]:
    """The list `trace` of {seconds, mbps}; empty where there is none."""
    rows = top.tables("trace")
    if len(rows) > MAX_STEPS:
        raise top.fail("trace", f"has {len(rows):,} steps", f"at most {MAX_STEPS:,}")
    steps = []
    for row in rows:
        steps.append((row.number("seconds", float, (1e-3, SECONDS[1])), row.number("mbps", float, (0.0, MBPS[1]))))
        row.end()
    if steps and not any(rate for _, rate in steps):
        raise top.fail("trace", "never passes anything", "a step with mbps above 0")
    return tuple(steps)


def _outages(top: Table) -> tuple[Outage, ...]:
    found: list[Outage] = []
    for row in top.tables("outages"):
        start_s = row.number("start_s", float, SECONDS)
        if found and start_s < found[-1].end_s:
            raise row.fail("start_s", f"is {start_s:g}", f"at least {found[-1].end_s:g}: outages in order, apart")
        found.append(Outage(start_s, row.number("seconds", float, (1e-3, SECONDS[1]))))
        row.end()
    return tuple(found)


def at_rate(link: Link, mbps: float) -> Link:
    """The same link at another steady rate, as for a sweep."""
    return replace(link, name=f"{link.name}@{mbps:g}Mbps", mbps=mbps, down_mbps=mbps * link.down_ratio, steps=())
