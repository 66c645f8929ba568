"""The server and its clients under load and faults: every answer is held against the truth, every request timed.

    python benchmarks/serve_load.py [--seconds 300]

The server is a process of its own that gives 2x + 1 for x, so that no answer to another request is right by chance;
the fallback is marked by its sign. Writes benchmarks/results/serve_load.json.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from stamp import commit, machine

from edgesmith.collaborate.links.ledger import Ledger
from edgesmith.collaborate.links.link import Link, Outage
from edgesmith.collaborate.serve import wire
from edgesmith.collaborate.serve.access import Access
from edgesmith.collaborate.serve.background import Background
from edgesmith.collaborate.serve.batches import one_by_one
from edgesmith.collaborate.serve.breaker import Policy
from edgesmith.collaborate.serve.calls import ASK
from edgesmith.collaborate.serve.client import Client, Device, Tail
from edgesmith.collaborate.serve.limits import Limits
from edgesmith.collaborate.serve.server import Address, Server, serve
from edgesmith.collaborate.serve.shaper import Shaper
from edgesmith.collaborate.serve.transport import Remote, Stream, Unary

RESULT = Path(__file__).parent / "results" / "serve_load.json"
MODEL, TOKEN = bytes(range(32)), "0123456789abcdef" * 2
VALUES = 2500  # float32: 10 KB
LATE_MS = 25.0  # beyond a deadline: what a busy machine of two cores wakes a thread late
CLIENTS, IDLE = 64, 1000
DEADLINE_MS = 2000.0  # where a server that answers is what is looked for
LOAD_DEADLINE_MS = 150.0  # of 64 clients at once: what does not come in time the device answers, never later
NEAR_S = 0.3  # a request that a pause makes late ends so soon after it
PAUSE_MS = 50.0  # from which on a process that only ticks says that it did not run
TICKS = f"""
import time
last = time.monotonic()
while True:
    time.sleep(0.005)
    now = time.monotonic()
    if now - last > {PAUSE_MS / 1000}:
        print(now, 1000 * (now - last), flush=True)
    last = now
"""
Check = dict[str, Any]


def truth(x: np.ndarray) -> np.ndarray:
    """What the server is to answer."""
    return 2 * x + 1


def run_server(port: int, identity: bool, token: str) -> None:
    """The process that answers."""
    infer = (lambda arrays: {"y": arrays["x"]}) if identity else (lambda arrays: {"y": truth(arrays["x"])})
    limits = Limits(max_queue=256, max_in_flight=256, max_connections=2048)
    server = Server(MODEL, one_by_one(infer), Access(port=port, token=token), limits)

    def ready(address: Address) -> None:
        print(address.port, flush=True)

    asyncio.run(serve(server, None, ready))


def run_bare(port: int) -> None:
    """gRPC alone: bytes back as they came."""

    async def main() -> None:
        async def same(message: bytes, _: Any) -> bytes:
            return message

        server = grpc.aio.server()
        handlers = {"Ask": grpc.unary_unary_rpc_method_handler(same)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("edgesmith.Split", handlers),))
        print(server.add_insecure_port(f"127.0.0.1:{port}"), flush=True)
        await server.start()
        await server.wait_for_termination()

    asyncio.run(main())


@contextlib.contextmanager
def process(kind: str, port: int = 0, token: str = "") -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server as a process, and its port."""
    words = [sys.executable, __file__, "--as", kind, "--port", str(port), "--token", token]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout is not None
            yield started, int(started.stdout.readline())
        finally:
            started.kill()


def memory_kb(pid: int) -> int:
    """Resident, of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def client(port: int, transport: type = Stream, token: str = "", ledger: Ledger | None = None) -> Client:
    """One that marks what the device answered by its sign."""
    device = Device(lambda inputs: inputs, lambda inputs, features: {"y": -truth(inputs["x"])}, 0.1)
    tail = Tail(MODEL, {"y": (VALUES,)}, "server")
    remote = Remote("127.0.0.1", port, token=token)
    return Client(tail, device, transport(remote), ledger, Policy(first_s=0.1, most_s=1.0, probe_s=1.0))


class Tally:
    """Answers held against the truth."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.wrong = self.late = 0
        self.worst_ms = 0.0
        self.places: dict[str, int] = {}
        self.times_ms: list[float] = []
        self.late_at_s: list[float] = []

    def ask(self, one: Client, value: float, deadline_ms: float) -> str:
        """One request."""
        x = np.full(VALUES, value, np.float32)
        answer = one.request({"x": x}, deadline_ms)
        sign = -1 if answer.entry.place == "fallback" else 1
        with self.lock:
            self.wrong += not np.array_equal(answer.outputs["y"], sign * truth(x))
            if answer.entry.total_ms > deadline_ms + LATE_MS:
                self.late += 1
                self.late_at_s.append(time.monotonic())
            self.worst_ms = max(self.worst_ms, answer.entry.total_ms - deadline_ms)
            self.places[answer.entry.place] = self.places.get(answer.entry.place, 0) + 1
            self.times_ms.append(answer.entry.total_ms)
        return str(answer.entry.place)

    def facts(self) -> Check:
        """For the file."""
        low, high = (float(np.percentile(self.times_ms, q)) for q in (50, 99))
        own = {"wrong": self.wrong, "late": self.late, "beyond_deadline_ms": round(self.worst_ms, 2)}
        return {**own, "places": self.places, "p50_ms": round(low, 2), "p99_ms": round(high, 2)}


@contextlib.contextmanager
def bystander() -> Iterator[list[tuple[float, float]]]:
    """Fills a list with (moment s, ms) of every pause of this machine: when a process that only ticks did not run."""
    pauses: list[tuple[float, float]] = []
    with subprocess.Popen([sys.executable, "-c", TICKS], stdout=subprocess.PIPE, text=True) as ticking:
        try:
            yield pauses
        finally:
            ticking.terminate()
            rows = ticking.stdout.read().split("\n") if ticking.stdout else []
            pauses += [(float(at), float(ms)) for at, ms in (row.split() for row in rows if row)]


def overhead() -> Check:
    """10 KB there and back, no model: medians of interleaved rounds, beside gRPC alone."""
    x = np.zeros(VALUES, np.float32)
    with process("identity") as (_, ours), process("bare") as (_, bare):
        channel = grpc.insecure_channel(f"127.0.0.1:{bare}")
        raw, body = channel.unary_unary(ASK), bytes(4 * VALUES)
        stream, unary = client(ours, Stream), client(ours, Unary)
        ways: dict[str, Callable[[], Any]] = {
            "bare": lambda: raw(body),
            "stream": lambda: stream.request({"x": x}, 1e4),
            "unary": lambda: unary.request({"x": x}, 1e4),
        }
        rounds: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(12):
            for name, way in ways.items():
                spent = timed(way)
                if turn:  # the first warms up
                    rounds[name].append(spent)
        for one in (stream, unary):
            one.close()
        channel.close()
    medians = {name: statistics.median(values) for name, values in rounds.items()}
    ratios = {name: round(medians[name] / medians["bare"], 2) for name in ("stream", "unary")}
    return {
        "median_us": {n: round(v, 1) for n, v in medians.items()},
        "ratio": ratios,
        "holds": min(ratios.values()) <= 2,
    }


def timed(way: Callable[[], Any], times: int = 300) -> float:
    """Median microseconds of one call."""
    spans = []
    for _ in range(times):
        begin = time.perf_counter_ns()
        way()
        spans.append((time.perf_counter_ns() - begin) * 1e-3)
    return statistics.median(spans)


def load(seconds: float) -> Check:
    """64 clients at once."""
    tally, until_s, memory = Tally(), time.monotonic() + seconds, []
    with process("server") as (started, port), bystander() as pauses:

        def work(index: int) -> None:
            one, turn = client(port), 0
            while time.monotonic() < until_s:
                tally.ask(one, index + turn * 0.001, LOAD_DEADLINE_MS)
                turn += 1
            one.close()

        threads = [threading.Thread(target=work, args=(index,)) for index in range(CLIENTS)]
        for thread in threads:
            thread.start()
        while time.monotonic() < until_s:
            memory.append(memory_kb(started.pid))
            time.sleep(min(1.0, seconds / 10))
        for thread in threads:
            thread.join()
    third = max(1, len(memory) // 3)
    grown = statistics.mean(memory[-third:]) / statistics.mean(memory[third : 2 * third] or memory)
    facts = {"clients": CLIENTS, "seconds": seconds, "deadline_ms": LOAD_DEADLINE_MS}
    facts |= {"per_second": round(len(tally.times_ms) / seconds)}
    near = [any(abs(late - at) < NEAR_S for at, _ in pauses) for late in tally.late_at_s]
    facts |= {"machine_pauses_ms": [round(ms) for _, ms in pauses], "late_within_a_pause": sum(near)}
    own = {"memory_kb": max(memory), "last_third_over_middle": round(grown, 3), **tally.facts()}
    return {**facts, **own, "holds": tally.wrong == 0 == tally.late and grown < 1.1}


def idle() -> Check:
    """A thousand connections that say nothing."""
    tally = Tally()
    with process("server") as (started, port), contextlib.ExitStack() as stack:
        one = client(port)
        tally.ask(one, 1.0, DEADLINE_MS)
        before = memory_kb(started.pid)
        for _ in range(IDLE):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
        time.sleep(1)
        for turn in range(300):
            tally.ask(one, float(turn), DEADLINE_MS)
        grown = memory_kb(started.pid) - before
        one.close()
    served = tally.places.get("server", 0)
    return {"connections": IDLE, "memory_grown_kb": grown, **tally.facts(), "holds": served == 301 and grown < 100_000}


def garbage() -> Check:
    """What no client sends: refused every time, and the server goes on."""
    rng, refused, accepted = np.random.default_rng(0), 0, 0
    good = wire.encode_request(wire.Request(7, MODEL, {"x": np.zeros(VALUES, np.float32)}))
    other = wire.encode_request(wire.Request(7, MODEL[::-1], {"x": np.zeros(VALUES, np.float32)}))
    with process("server") as (_, port):
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.max_send_message_length", 64 << 20)])
        call, tally = channel.unary_unary(ASK), Tally()

        def attempt(message: bytes) -> None:
            nonlocal refused, accepted
            try:
                accepted += call(message, timeout=10)[40] == 0  # the status of a reply: 0 is ok
                refused += 1
            except grpc.RpcError:
                refused += 1

        for _ in range(500):
            attempt(rng.integers(0, 256, int(rng.integers(0, 4000)), np.uint8).tobytes())
            flipped = bytearray(good)
            flipped[int(rng.integers(0, len(good)))] ^= 1 << int(rng.integers(0, 8))
            attempt(bytes(flipped))
            attempt(good[: int(rng.integers(0, len(good)))])
        attempt(other)
        attempt(good[:4] + b"\xff" + good[5:])  # another version
        attempt(bytes(16 << 20))
        one = client(port)
        tally.ask(one, 3.0, DEADLINE_MS)
        one.close()
        channel.close()
    held = accepted == 0 and tally.places == {"server": 1} and tally.wrong == 0
    return {"messages": refused, "taken_as_right": accepted, "answers_after": tally.places, "holds": held}


def token() -> Check:
    """A wrong token and none: the device answers, the server never."""
    tally = Tally()
    with process("server", token=TOKEN) as (_, port):
        for given in ("", "f" * 32):
            one = client(port, token=given)
            for turn in range(5):
                tally.ask(one, float(turn), 300.0)
            one.close()
        right = client(port, token=TOKEN)
        tally.ask(right, 1.0, DEADLINE_MS)
        right.close()
    return {**tally.facts(), "holds": tally.places == {"fallback": 10, "server": 1} and tally.wrong == 0}


def killed() -> Check:
    """SIGKILL in the middle of a stream, and the server back three seconds later."""
    tally, back_s, deadline_ms = Tally(), None, 150.0
    with process("server") as (first, port):
        one, begin = client(port), time.monotonic()
        while (now := time.monotonic() - begin) < 3:
            tally.ask(one, now, deadline_ms)
        first.send_signal(signal.SIGKILL)
        while (now := time.monotonic() - begin) < 6:
            tally.ask(one, now, deadline_ms)
            time.sleep(0.002)
        with process("server", port):
            up_s = time.monotonic()
            while (now := time.monotonic() - begin) < 14:
                if tally.ask(one, now, deadline_ms) == "server" and back_s is None:
                    back_s = time.monotonic() - up_s
                time.sleep(0.002)
        one.close()
    again = {"back_after_s": back_s and round(back_s, 2)}
    return {
        "deadline_ms": deadline_ms,
        **again,
        **tally.facts(),
        "holds": bool(back_s) and tally.wrong == 0 == tally.late,
    }


def shaped(link: Link, seconds: float, deadline_ms: float) -> Tally:
    """Requests one after another over a described link."""
    tally = Tally()
    with process("server") as (_, port), Background() as background:

        async def start() -> tuple[Shaper, int]:
            shaper = Shaper(link, port)
            return shaper, await shaper.start()

        shaper, near = background.run(start())
        one, until_s = client(near), time.monotonic() + seconds
        while time.monotonic() < until_s:
            tally.ask(one, time.monotonic() % 1000, deadline_ms)
            time.sleep(0.002)
        one.close()
        background.run(shaper.stop())
    return tally


def cut() -> Check:
    """A link that is gone for three seconds."""
    tally = shaped(Link("cut", mbps=50.0, delay_ms=3.0, outages=(Outage(3.0, 3.0),)), 12.0, 150.0)
    held = tally.wrong == 0 == tally.late and min(tally.places.get(p, 0) for p in ("server", "fallback")) > 0
    return {"deadline_ms": 150.0, **tally.facts(), "holds": held}


def lossy() -> Check:
    """Three packets of ten lost."""
    link = Link("lossy", mbps=20.0, delay_ms=5.0, jitter_ms=2.0, loss=0.3)
    tally = shaped(link, 15.0, 400.0)
    held = tally.wrong == 0 == tally.late and tally.places.get("server", 0) > 0
    return {"deadline_ms": 400.0, "loss": link.loss, **tally.facts(), "holds": held}


def main() -> None:
    """Measure everything and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--as", dest="kind", default="")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", default="")
    given = parser.parse_args()
    if given.kind == "bare":
        return run_bare(given.port)
    if given.kind:
        return run_server(given.port, given.kind == "identity", given.token)
    checks = {"overhead": overhead, "idle": idle, "garbage": garbage, "token": token, "killed": killed, "cut": cut}
    results: dict[str, Check] = {}
    for name, check in {**checks, "lossy": lossy, "load": lambda: load(given.seconds)}.items():
        results[name] = check()
        print(name, results[name], file=sys.stderr, flush=True)
    run = {"command": "python benchmarks/serve_load.py", "machine": machine(), "commit": commit()}
    facts = {**run, "late_after_ms": LATE_MS, "payload_bytes": 4 * VALUES}
    RESULT.write_text(json.dumps({**facts, "checks": results}, indent=1) + "\n")
    return None


if __name__ == "__main__":
    main()
