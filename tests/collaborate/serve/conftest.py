"""A loop for servers and shapers, a model that is easily checked, and certificates for this machine alone."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from edgesmith.collaborate.serve import wire
from edgesmith.collaborate.serve.access import Access
from edgesmith.collaborate.serve.background import Background
from edgesmith.collaborate.serve.batches import one_by_one
from edgesmith.collaborate.serve.calls import ASK
from edgesmith.collaborate.serve.limits import Limits
from edgesmith.collaborate.serve.server import Server

MODEL = bytes(range(32))
TOKEN = "0123456789abcdef" * 2


def tail(inputs):
    """2x + 1: wrong for any other x."""
    return {"y": inputs["x"] * 2 + 1}


def sleepy(seconds):
    def infer(inputs):
        time.sleep(seconds)
        return tail(inputs)

    return infer


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    with Background() as running:
        yield running


@pytest.fixture
def start(background):
    """Start servers: start(infer, access, **limits) gives one and its address."""
    running = []

    def begin(infer=tail, access=None, metrics_port=None, many=None, **limits):
        server = Server(MODEL, many or one_by_one(infer), access or Access(), Limits(**{"grace_s": 0.5, **limits}))
        address = background.run(server.start(metrics_port))
        running.append(server)
        return server, address

    yield begin
    for server in running:
        background.run(server.stop(0))


class Caller:
    """The bare protocol: what any program with gRPC can do."""

    def __init__(self, port, credentials=None, token="", host="127.0.0.1"):
        options = [("grpc.use_local_subchannel_pool", 1)]
        target = f"{host}:{port}"
        self.channel = (
            grpc.secure_channel(target, credentials, options) if credentials else grpc.insecure_channel(target, options)
        )
        self.metadata = (("authorization", f"Bearer {token}"),) if token else ()

    def raw(self, message, method=ASK, timeout=5.0):
        return self.channel.unary_unary(method)(message, timeout=timeout, metadata=self.metadata)

    def later(self, message):
        return self.channel.unary_unary(ASK).future(message, timeout=10.0, metadata=self.metadata)

    def ask(self, value, id_=1, patience_us=0):
        request = wire.Request(id_, MODEL, {"x": np.full(4, value, np.float32)}, patience_us)
        return wire.decode_reply(self.raw(wire.encode_request(request)), request)


def message(value, id_=1, patience_us=0):
    request = wire.Request(id_, MODEL, {"x": np.full(4, value, np.float32)}, patience_us)
    return request, wire.encode_request(request)


@pytest.fixture
def call():
    """Open callers; all are closed in the end."""
    opened = []

    def connect(port, *words, **named):
        opened.append(Caller(port, *words, **named))
        return opened[-1]

    yield connect
    for caller in opened:
        caller.channel.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> tuple[bytes, bytes]:
    """A self-signed certificate of localhost and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    folder: Path = tmp_path_factory.mktemp("tls")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    files = ("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"))
    subprocess.run(["openssl", *words.split(), "-addext", names, *files], check=True, capture_output=True)
    return (folder / "cert.pem").read_bytes(), (folder / "key.pem").read_bytes()
