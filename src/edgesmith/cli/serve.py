"""Commands of a running pair: serve answers devices, offload asks a server."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli.options import Json, Trust
from edgesmith.cli.output import as_json, say, stderr, table
from edgesmith.core.budget import parse_quantity
from edgesmith.core.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

    from edgesmith.collaborate.links.ledger import Ledger

DEFAULT_PORT = 7070
BAR = 30  # columns of a share
UNITS = {"ms": "ms", "bytes": "B", "uj": "µJ"}
LABELS = {"up_ms": "link", "up_bytes": "sent", "down_bytes": "received", "peak_bytes": "memory"}
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="Its text, else EDGESMITH_TOKEN, is the token.")
]
Plan = Annotated[Path, typer.Argument(help="A folder of edgesmith split --out.")]
Served = Annotated[Path, typer.Argument(help="A folder of edgesmith split --out, or an artifact.")]


def serve(
    tail: Served,
    host: Annotated[str, typer.Option(help="Off loopback a certificate and a token are needed.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = DEFAULT_PORT,
    metrics_port: Annotated[
        int | None, typer.Option("--metrics-port", min=0, max=65535, help="For Prometheus, on loopback.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", metavar="FILE", help="PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="PEM.")] = None,
    token_file: TokenFile = None,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Requests that go to the model together.")] = 8,
    max_queue: Annotated[int, typer.Option("--max-queue", min=1, metavar="N", help="More are told: busy.")] = 64,
    max_in_flight: Annotated[
        int, typer.Option("--max-in-flight", min=1, metavar="N", help="Taken and not yet answered.")
    ] = 128,
) -> None:
    """Answer devices: run the server's part of a plan, until told to end."""
    import asyncio

    from edgesmith.collaborate.serve.access import Access, read_small, read_token
    from edgesmith.collaborate.serve.batches import one_by_one
    from edgesmith.collaborate.serve.limits import Limits
    from edgesmith.collaborate.serve.server import Address, Server
    from edgesmith.collaborate.serve.server import serve as listen
    from edgesmith.pipeline.serving import load_served

    cert, key = (read_small(path) if path else b"" for path in (tls_cert, tls_key))
    access = Access(host, port, cert, key, read_token(token_file, os.environ))
    limits = Limits(batch=batch, max_queue=max_queue, max_in_flight=max_in_flight)
    served = load_served(tail)

    def ready(address: Address) -> None:
        metrics = f", metrics http://127.0.0.1:{address.metrics_port}/metrics" if address.metrics_port else ""
        say(f"{served.name} at {address.host}:{address.port}{metrics}", now=True)

    asyncio.run(listen(Server(served.model, one_by_one(served.infer), access, limits), metrics_port, ready))


def offload(
    plan: Plan,
    data: Annotated[str, typer.Option("--data", metavar="DATA", help="Whose test samples are asked for.")],
    server: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where edgesmith serve listens.")] = (
        f"127.0.0.1:{DEFAULT_PORT}"
    ),
    deadline: Annotated[str, typer.Option(metavar="TIME", help="Of each request; then the device answers.")] = "200ms",
    requests: Annotated[int, typer.Option(min=1, metavar="N", help="How many.")] = 200,
    rate: Annotated[float, typer.Option(min=0, metavar="N", help="A second; 0: as soon as the last is answered.")] = 0,
    link: Annotated[
        str | None, typer.Option(metavar="LINK", help="Shape the connection: a built-in link or a .toml file.")
    ] = None,
    root: Annotated[Path | None, typer.Option("--tls-root", metavar="FILE", help="The server's certificate.")] = None,
    token_file: TokenFile = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Ask a server for a plan's answers, as its device would; watch where requests run."""
    from edgesmith.collaborate.links import link as links
    from edgesmith.collaborate.serve.access import read_small, read_token
    from edgesmith.collaborate.serve.transport import Remote
    from edgesmith.data import load_task
    from edgesmith.pipeline.offloading import Traffic
    from edgesmith.pipeline.offloading import offload as ask

    host, number = address(server)
    remote = Remote(host, number, read_small(root) if root else b"", read_token(token_file, os.environ))
    traffic = Traffic(parse_quantity(deadline, "ms"), requests, rate)
    shape = links.load(link) if link else None
    with Watch(f"{plan}, {server}{f', {shape.title}' if shape else ''}, {requests} requests") as watch:
        asked = ask(plan, load_task(data, trust), remote, traffic, shape, watch.seen)
    summary = asked.ledger.summary() | {"quality": asked.quality}
    if json:
        return as_json(summary)
    return show(summary)


def address(text: str) -> tuple[str, int]:
    """Host and port.

    >>> address("[::1]:7070"), address("pi.local:80")
    (('::1', 7070), ('pi.local', 80))
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise BadInput(f"offload: --server {text!r}; need HOST:PORT.")
    return host.strip("[]"), int(port)


def show(summary: dict[str, Any]) -> None:
    """Where requests ran, then what they took."""
    places = [
        [place, f"{count}", f"{summary['quality'][place]:.4f}" if place in summary["quality"] else ""]
        for place, count in summary["places"].items()
    ]
    table(["answered by", "requests", "quality"], places, numbers=(1, 2))
    say(f"\nin time: {summary['in_time']} of {summary['requests']}\n")
    table(["", "mean", "p50", "p95", "p99", "", "how"], figures(summary), numbers=(1, 2, 3, 4))


def figures(summary: dict[str, Any]) -> list[list[str]]:
    """Each column of a ledger as text."""
    keys = ("mean", "p50", "p95", "p99")
    return [
        [
            LABELS.get(name, name.rsplit("_", 1)[0]),
            *("" if row[key] is None else f"{row[key]:,.1f}" for key in keys),
            UNITS[name.rsplit("_", 1)[1]],
            f"{row['kind']}: {row['how']}",
        ]
        for name, row in summary["columns"].items()
    ]


class Watch:
    """A live view on stderr, when someone is watching."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.live: Any = None

    def __enter__(self) -> "Watch":
        console = stderr()
        if console.is_terminal:
            from rich.live import Live

            self.live = Live(console=console, refresh_per_second=8)
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def seen(self, answer: Any, ledger: "Ledger") -> None:
        """After every answer; drawn eight times a second."""
        if self.live and (len(ledger) % 5 == 0 or len(ledger) < 5):
            self.live.update(drawn(self.title, ledger, answer))


def drawn(title: str, ledger: "Ledger", answer: Any) -> "Group":
    """Where requests ran, their figures so far, and why the last was not answered by the server."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    summary = ledger.summary()
    view = Table(header_style="dim", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in ("", "mean", "p50", "p95", "p99"):
        view.add_column(name, justify="right" if name else "left")
    for name, row in summary["columns"].items():
        label, unit = LABELS.get(name, name.rsplit("_", 1)[0]), name.rsplit("_", 1)[1]
        values = [row[key] for key in ("mean", "p50", "p95", "p99")]
        view.add_row(label, *("" if value is None else f"{value:,.1f} {UNITS[unit]}" for value in values))
    bars = [bar(place, count, summary["requests"]) for place, count in summary["places"].items()]
    told = f"in time {summary['in_time']} of {summary['requests']}" + (f"; last: {answer.why}" if answer.why else "")
    return Group(Text(title, style="bold"), *bars, Text(told, style="dim"), Text(), view)


def bar(place: str, count: int, requests: int) -> "Text":
    """One place's share of the requests.

    >>> bar("split", 3, 4).plain
    'split     ██████████████████████░░░░░░░░  3'
    """
    from rich.text import Text

    filled = round(BAR * count / max(requests, 1))
    return Text(f"{place:9} {'█' * filled}{'░' * (BAR - filled)}  {count}")
