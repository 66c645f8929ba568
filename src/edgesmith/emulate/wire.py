"""The worker process that holds an emulator, and the messages to and from it: a JSON head and raw bytes."""

import json
import os
import struct
import subprocess
import sys
from typing import Any, BinaryIO

HEAD = struct.Struct("<QQ")  # bytes of JSON, bytes that follow


def start(module: str) -> "subprocess.Popen[bytes]":
    """A worker: a module run in a fresh interpreter with this one's module path; messages over stdin and stdout."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.Popen(
        [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )


def send(stream: BinaryIO, message: dict[str, Any], payload: bytes = b"") -> None:
    """Write one message."""
    text = json.dumps(message).encode()
    stream.write(HEAD.pack(len(text), len(payload)) + text + payload)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """Read one message.

    Raises:
        EOFError: the other side is gone.
    """
    head = _exactly(stream, HEAD.size)
    text_bytes, payload_bytes = HEAD.unpack(head)
    return json.loads(_exactly(stream, text_bytes)), _exactly(stream, payload_bytes)


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if data is None or len(data) < count:
        raise EOFError("the other side closed")
    return data
