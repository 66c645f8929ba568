"""What goes over the wire: requests and replies in a framing of our own, believed only after every check.

A message, little endian: a head of 48 bytes, the body, and the CRC-32 of all before it.

    4 magic | 1 version | 1 kind | 2 flags, 0 | 8 request id | 16 first of the model's sha256 | 4 + 4 times in us
    | 1 status | 1 number of tensors | 2 zero | 4 bytes of the body

The times are, in a request, how long the client will wait, and 0; in a reply, the server's queue and its work. The body
of a reply that is not `ok` is a text; else it holds the tensors, each of its fields filled up with zeros to 8 bytes:

    1 dtype | 1 rank | 2 bytes of the name | 4 bytes of the data | name | rank x 4 shape | data

There is one encoding of each message, so what decodes is, byte for byte, what encoding it again gives.

Values pass bit for bit: NaN and infinities too. What they mean is for the model to say; one with integer inputs refuses
NaN, which comes back as an error and never as an answer.
"""

import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.graph import MAX_RANK, NAME

Arrays = Mapping[str, np.ndarray]
# late: the client had stopped waiting before it was its turn. closing: the server is about to end.
Status = Literal["ok", "error", "busy", "late", "closing"]

MAGIC = b"ESsc"
VERSION = 1
REQUEST, REPLY = 1, 2
STATUSES: tuple[Status, ...] = ("ok", "error", "busy", "late", "closing")
DTYPES = ("float32", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "bool", "float16")
STORED = tuple(np.dtype(name).newbyteorder("<") for name in DTYPES)
CODES = {np.dtype(name): code for code, name in enumerate(DTYPES)}

HEAD = struct.Struct("<4sBBHQ16sIIBBHI")
TENSOR = struct.Struct("<BBHI")
CRC = struct.Struct("<I")
ID_AT = struct.Struct("<8xQ")
ALIGN = 8
MODEL_BYTES = 16
MAX_TENSORS = 64
MAX_TEXT_BYTES = 1000
MAX_US = (1 << 32) - 1
MAX_ID = (1 << 64) - 1
MAX_BYTES = 4 << 20  # of a message unless told otherwise; gRPC's own default, 26 times a 224 x 224 picture in bytes
NO_ID = 0  # in a reply to what had no readable id; no client asks with it


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks.

    Attributes:
        id: 1 to 2^64 - 1, the client's own.
        model: sha256 of the model that is to answer, or its first 16 bytes.
        tensors: its inputs by name.
        patience_us: after which the client no longer waits; 0 for no end.
    """

    id: int
    model: bytes
    tensors: Arrays
    patience_us: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answers.

    Attributes:
        id, model: those of the request.
        tensors: the outputs by name, if `status` is ok.
        text: what was wrong, if it is not.
        queue_us, compute_us: from the request's arrival until the model began, and until it ended.
    """

    id: int
    model: bytes
    status: Status
    tensors: Arrays = field(default_factory=dict)
    text: str = ""
    queue_us: int = 0
    compute_us: int = 0


@dataclass(frozen=True, slots=True)
class _Head:
    id: int
    model: bytes
    times_us: tuple[int, int]
    status: int
    tensors: int


def encode_request(request: Request, max_bytes: int = MAX_BYTES) -> bytes:
    """A request as bytes.

    Raises:
        BadInput: an id out of range, too many tensors, one that cannot be carried, or more than `max_bytes` in all.
    """
    if not 0 < request.id <= MAX_ID:
        raise BadInput(f"wire: request id {request.id}; need 1 to {MAX_ID}.")
    head = _Head(request.id, request.model, (request.patience_us, 0), 0, len(request.tensors))
    return _message(REQUEST, head, _tensor_parts(request.tensors), max_bytes)


def encode_reply(reply: Reply, max_bytes: int = MAX_BYTES) -> bytes:
    """A reply as bytes; its text is cut to MAX_TEXT_BYTES.

    Raises:
        BadInput: as `encode_request`, or tensors in a reply that is not ok.
    """
    ok = reply.status == "ok"
    if reply.tensors and not ok:
        raise BadInput(f"wire: a reply that is {reply.status} carries tensors; need a text alone.")
    text = reply.text.encode("utf-8", "replace")[:MAX_TEXT_BYTES]
    times = (reply.queue_us, reply.compute_us)
    head = _Head(reply.id, reply.model, times, STATUSES.index(reply.status), len(reply.tensors))
    return _message(REPLY, head, _tensor_parts(reply.tensors) if ok else [text], max_bytes)


def decode_request(data: bytes, model: bytes, max_bytes: int = MAX_BYTES) -> Request:
    """A request from bytes of anybody.

    Args:
        model: sha256 of the one that is here.

    Returns:
        It, its arrays reading `data` in place.

    Raises:
        BadInput: not a request of this version, damaged, larger than `max_bytes`, or for another model.
    """
    head, body = _opened(data, REQUEST, max_bytes)
    _same_model(head.model, model)
    if not head.id or head.status or head.times_us[1]:
        raise BadInput("wire: a request without an id, or with what only a reply has; need a request.")
    return Request(head.id, head.model, _tensors(body, head.tensors), head.times_us[0])


def decode_reply(data: bytes, request: Request, max_bytes: int = MAX_BYTES) -> Reply:
    """The reply to `request`, from bytes of anybody.

    Raises:
        BadInput: not a reply of this version, damaged, larger than `max_bytes`, or to another request or of another
            model. An error's reply may lack the id, for the server may not have been able to read it.
    """
    head, body = _opened(data, REPLY, max_bytes)
    if head.status >= len(STATUSES):
        raise BadInput(f"wire: a reply of status {head.status}; need at most {len(STATUSES) - 1}.")
    status = STATUSES[head.status]
    if head.id != request.id and (status == "ok" or head.id != NO_ID):
        raise BadInput(f"wire: a reply to request {head.id}; need one to {request.id}.")
    if status == "ok":
        _same_model(head.model, request.model)
        return Reply(head.id, head.model, status, _tensors(body, head.tensors), "", *head.times_us)
    return Reply(head.id, head.model, status, {}, _text(body, head.tensors), *head.times_us)


def request_id(data: bytes) -> int:
    """The id in a message that may be damaged; NO_ID where it is too short or not ours."""
    if len(data) < HEAD.size or data[:4] != MAGIC:
        return NO_ID
    return int(ID_AT.unpack_from(data)[0])


def microseconds(seconds: float) -> int:
    """A time as the head holds it: whole, from 0 to MAX_US.

    >>> microseconds(0.0015), microseconds(-1.0), microseconds(float("inf")) == MAX_US
    (1500, 0, True)
    """
    return int(min(max(seconds * 1e6, 0.0), MAX_US))


def _message(kind: int, head: _Head, parts: list[bytes], max_bytes: int) -> bytes:
    body_bytes = sum(map(len, parts))
    if HEAD.size + body_bytes + CRC.size > max_bytes:
        raise BadInput(f"wire: a message of {HEAD.size + body_bytes + CRC.size:,} bytes; need at most {max_bytes:,}.")
    if head.tensors > MAX_TENSORS:
        raise BadInput(f"wire: {head.tensors} tensors; need at most {MAX_TENSORS}.")
    first_us, second_us = head.times_us
    model = head.model[:MODEL_BYTES]
    fields = (head.id, model, first_us, second_us, head.status, head.tensors, 0, body_bytes)
    message = b"".join((HEAD.pack(MAGIC, VERSION, kind, 0, *fields), *parts))
    return message + CRC.pack(zlib.crc32(message))


def message_bytes(tensors: Mapping[str, tuple[int, int]]) -> int:
    """Of a message with these tensors: name to rank and bytes of data."""
    each = (
        TENSOR.size + sum(size + -size % ALIGN for size in (len(name), 4 * rank, nbytes))
        for name, (rank, nbytes) in tensors.items()
    )
    return HEAD.size + CRC.size + sum(each)


def _tensor_parts(tensors: Arrays) -> list[bytes]:
    parts: list[bytes] = []
    for name, array in tensors.items():
        parts += _tensor_part(name, array)
    return parts


def _tensor_part(name: str, array: np.ndarray) -> tuple[bytes, ...]:
    code = CODES.get(array.dtype)
    if code is None or not NAME.fullmatch(name) or array.ndim > MAX_RANK or not array.size:
        raise BadInput(
            f"wire: tensor {name[:60]!r} is {array.dtype} {array.shape}; need one of {', '.join(DTYPES)}, 1 to "
            f"{MAX_RANK} sizes of at least 1, and a plain name."
        )
    text, data = name.encode(), array.astype(STORED[code], "C", copy=False).tobytes()
    shape = struct.pack(f"<{array.ndim}I", *array.shape)
    return TENSOR.pack(code, array.ndim, len(text), len(data)), *map(_padded, (text, shape, data))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGN)


def _opened(data: bytes, kind: int, max_bytes: int) -> tuple[_Head, memoryview]:
    """Head and body of a whole message."""
    if not HEAD.size + CRC.size <= len(data) <= max_bytes:
        raise BadInput(f"wire: {len(data):,} bytes; need {HEAD.size + CRC.size} to {max_bytes:,}.")
    magic, version, found, flags, id_, model, first_us, second_us, status, tensors, zero, nbytes = HEAD.unpack_from(
        data
    )
    if magic != MAGIC:
        raise BadInput("wire: this is no message of edgesmith; need one that begins with its magic.")
    if version != VERSION:
        raise BadInput(f"wire: version {version}; need {VERSION}. Use the same edgesmith on both sides.")
    if nbytes != len(data) - HEAD.size - CRC.size:
        raise BadInput(f"wire: the head says {nbytes:,} bytes, {len(data):,} came; the message is damaged.")
    view = memoryview(data)
    if zlib.crc32(view[: -CRC.size]) != CRC.unpack_from(data, len(data) - CRC.size)[0]:
        raise BadInput("wire: the message does not have its checksum; it is damaged.")
    if found != kind or flags or zero or tensors > MAX_TENSORS:
        raise BadInput(f"wire: kind {found}, flags {flags}, {tensors} tensors; need kind {kind} and no flags.")
    return _Head(id_, model, (first_us, second_us), status, tensors), view[HEAD.size : -CRC.size]


def _same_model(found: bytes, wanted: bytes) -> None:
    if found != wanted[:MODEL_BYTES]:
        raise BadInput(
            f"wire: for the model {found.hex()[:12]}, here is {wanted.hex()[:12]}; need the same artifact on both "
            "sides."
        )


class _Cursor:
    """Takes a body apart from front to back, never past its end."""

    def __init__(self, body: memoryview) -> None:
        self.body, self.at = body, 0

    def take(self, nbytes: int) -> memoryview:
        """The next bytes."""
        if nbytes > len(self.body) - self.at:
            raise BadInput(
                f"wire: {nbytes:,} bytes at byte {self.at:,} of a body of {len(self.body):,}; the message is damaged."
            )
        self.at += nbytes
        return self.body[self.at - nbytes : self.at]

    def padded(self, nbytes: int) -> memoryview:
        """The next bytes and the zeros behind them."""
        found = self.take(nbytes)
        if any(self.take(-nbytes % ALIGN)):
            raise BadInput("wire: what fills up a field is not zero; the message is damaged.")
        return found


def _tensors(body: memoryview, count: int) -> dict[str, np.ndarray]:
    cursor, found = _Cursor(body), {}
    for _ in range(count):
        name, array = _tensor(cursor)
        found[name] = array
    if len(found) < count or cursor.at < len(body):
        raise BadInput("wire: a tensor comes twice, or bytes are left over; the message is damaged.")
    return found


def _tensor(cursor: _Cursor) -> tuple[str, np.ndarray]:
    code, rank, name_bytes, nbytes = TENSOR.unpack(cursor.take(TENSOR.size))
    if code >= len(STORED) or rank > MAX_RANK:
        raise BadInput(f"wire: a tensor of type {code} and {rank} sizes; the message is damaged.")
    name = str(cursor.padded(name_bytes), "latin-1")  # what is not ASCII fails the pattern
    shape = struct.unpack(f"<{rank}I", cursor.padded(4 * rank))
    if not NAME.fullmatch(name) or math.prod(shape) * STORED[code].itemsize != nbytes or not nbytes:
        raise BadInput(
            f"wire: tensor {name[:60]!r} has {nbytes:,} bytes and the shape {shape}; the message is damaged."
        )
    data = cursor.padded(nbytes)
    if DTYPES[code] == "bool" and np.frombuffer(data, np.uint8).max() > 1:
        raise BadInput(f"wire: tensor {name!r} is bool and holds other bytes than 0 and 1; the message is damaged.")
    array = np.frombuffer(data, STORED[code]).reshape(shape)
    # C reads what lies at a multiple of its size; the body does where the message itself does.
    return name, array if array.flags.aligned else array.copy()


def _text(body: memoryview, tensors: int) -> str:
    if tensors or len(body) > MAX_TEXT_BYTES:
        raise BadInput("wire: an error with tensors or a long text; the message is damaged.")
    said = str(body, "utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in said)
