"""A conversation with a board that runs the serial harness."""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, TypeVar

import numpy as np

from edgesmith.board.frames import MAX_PAYLOAD, Frame, Receiver, encode
from edgesmith.board.wire import Hello, kind_of, read_hello
from edgesmith.core import interface as interfaces
from edgesmith.core.errors import BadInput, Missing, Unsupported, VerificationFailed
from edgesmith.core.graph import Graph
from edgesmith.core.reading import Kind
from edgesmith.core.target import Target

T = TypeVar("T")
HELLO, RESET, WRITE, RUN, READ, TICKS = range(1, 7)
ANSWER, FAILED = 0x80, 0xFF
TRIES = 3
ANSWER_S = 1.0  # an answer of 250 bytes takes 22 ms at 115,200 baud
RUN_S = 60.0  # of one inference
QUIET_S = 0.02  # how long one read waits
FAULTS = {
    1: "does not know the request",
    2: "finds the request malformed",
    3: "finds the request outside the model's inputs, outputs or ops",
    4: "says that the model refused its arguments",
    5: "has not run yet",
}


class Port(Protocol):
    """The part of pyserial's Serial that is used."""

    @property
    def in_waiting(self) -> int:
        """Bytes that have arrived."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes, after at most QUIET_S."""

    def write(self, data: bytes) -> int | None:
        """Send all."""

    def close(self) -> None:
        """Give the port back."""


@dataclass(frozen=True)
class Run:
    """One inference on the board.

    Attributes:
        outputs: name to stored values.
        cycles: of the core while the model ran.
        stack_bytes: high water from the top of RAM, the harness's frames included.
    """

    outputs: dict[str, np.ndarray]
    cycles: int
    stack_bytes: int


class Board:
    """A board on a serial port that runs one compiled graph; a context manager.

    Args:
        sha256: of the program that must be on it.
        name: of the port, for messages.

    Attributes:
        hello: what the board says of itself.
        kind: "measured" from silicon, "emulated" from an emulated core.
        last: the latest inference.

    Raises:
        Missing: nothing answers, or the port is gone.
        BadInput: another program or core is there.
    """

    def __init__(self, port: Port, graph: Graph, target: Target, sha256: str, name: str = "the port") -> None:
        self.graph, self.target, self.name = graph, target, name
        self.last: Run | None = None
        self._port, self._receiver = port, Receiver()
        self._sequence = time.monotonic_ns() & 0xFF  # unlike that of a conversation that was cut off
        self.hello = self._greet()
        self.kind: Kind = kind_of(self.hello, target)
        self._check(sha256)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the port back."""
        with contextlib.suppress(OSError):
            self._port.close()

    def reset(self) -> None:
        """Put the states back to their initial values."""
        self._ask(RESET)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference; as `run.native.Native.run`. Its cycles are in `last`."""
        for index, name in enumerate(self.graph.inputs):
            if name not in inputs:
                raise BadInput(f"run: input {name!r} is missing; need {self.graph.tensors[name].shape}.")
            stored = interfaces.encode(self.graph.tensors[name], inputs[name])
            self._write(index, np.ascontiguousarray(stored).tobytes())
        facts = self._ask(RUN)
        if len(facts) != 12:
            raise self._malformed("run", facts)
        outputs = {name: self._output(index, name) for index, name in enumerate(self.graph.outputs)}
        self.last = Run(outputs, int.from_bytes(facts[:8], "little"), int.from_bytes(facts[8:], "little"))
        return outputs

    def op_cycles(self) -> list[int]:
        """Cycles of each op of the last run, in the graph's order; 0 for one that moves nothing."""
        found: list[int] = []
        while len(found) < self.hello.ops:
            payload = self._ask(TICKS, len(found).to_bytes(2, "little"))
            if not payload or len(payload) % 4 or len(found) + len(payload) // 4 > self.hello.ops:
                raise self._malformed("cycles by op", payload)
            found += np.frombuffer(payload, "<u4").tolist()
        return found

    def _write(self, index: int, data: bytes) -> None:
        room = MAX_PAYLOAD - 5
        for offset in range(0, len(data), room):
            head = bytes([index]) + offset.to_bytes(4, "little")
            self._ask(WRITE, head + data[offset : offset + room])

    def _output(self, index: int, name: str) -> np.ndarray:
        tensor, data = self.graph.tensors[name], b""
        while len(data) < tensor.nbytes:
            count = min(MAX_PAYLOAD, tensor.nbytes - len(data))
            part = self._ask(READ, bytes([index]) + len(data).to_bytes(4, "little") + bytes([count]))
            if len(part) != count:
                raise self._malformed("output", part)
            data += part
        return np.frombuffer(data, tensor.dtype).reshape(tensor.shape).copy()

    def _greet(self) -> Hello:
        return read_hello(self._ask(HELLO))

    def _check(self, sha256: str) -> None:
        hello, graph = self.hello, self.graph
        if hello.sha256 != sha256:
            raise BadInput(
                f"serial: the board at {self.name} runs {hello.name!r} (sha256 {hello.sha256[:12]}...); need "
                f"{graph.name!r} ({sha256[:12]}...). Put it there with edgesmith flash."
            )
        if (hello.inputs, hello.outputs) != (len(graph.inputs), len(graph.outputs)):
            raise self._malformed("greeting", b"")
        if hello.clock_hz != self.target.clock_hz:
            raise BadInput(
                f"serial: the board at {self.name} says {hello.clock_hz:,} Hz; {self.target.name} has "
                f"{self.target.clock_hz:,}. Flash it again for this target."
            )

    def _ask(self, command: int, payload: bytes = b"") -> bytes:
        """Send a request until its answer comes; the board carries a repeated one out only once."""
        timeout_s = RUN_S if command == RUN else ANSWER_S
        self._sequence = (self._sequence + 1) & 0xFF
        sent = encode(Frame(command, self._sequence, payload))
        for _ in range(TRIES):
            self._touch(lambda: self._port.write(sent))
            answer = self._answer(command, time.monotonic() + timeout_s)
            if answer is not None:
                return answer
        raise Missing(self._silence(TRIES * timeout_s))

    def _answer(self, command: int, until: float) -> bytes | None:
        while time.monotonic() < until:
            arrived = self._touch(lambda: self._port.read(1) + self._port.read(self._port.in_waiting))
            for frame in self._receiver.feed(arrived):
                if frame.sequence != self._sequence:
                    continue  # of a request that was given up
                if frame.command == FAILED and frame.payload[:1] == bytes([command]):
                    raise self._refusal(frame.payload)
                if frame.command == command | ANSWER:
                    return frame.payload
        return None

    def _touch(self, act: Callable[[], T]) -> T:
        """Use the port; an error of it says that the board is gone."""
        try:
            return act()
        except OSError as error:  # pyserial's own errors are OSErrors
            raise Missing(
                f"serial: the board at {self.name} is gone ({error}); need it connected until the end. "
                "Plug it in and run the same command again; nothing was written."
            ) from error

    def _refusal(self, payload: bytes) -> Exception:
        code = payload[1] if len(payload) == 2 else 0
        text = f"serial: the board at {self.name} {FAULTS.get(code, f'answers with error {code}')}"
        if code == 4:
            return VerificationFailed(f"{text}; please report this graph.")
        return Unsupported(f"{text}; need firmware of this edgesmith. Flash it again with edgesmith flash.")

    def _malformed(self, what: str, payload: bytes) -> Exception:
        return BadInput(
            f"serial: the board's answer ({what}, {len(payload)} bytes) does not fit {self.graph.name}. "
            "Flash it again with edgesmith flash."
        )

    def _silence(self, seconds: float) -> str:
        noise = f" but {self._receiver.dropped} damaged frames came" if self._receiver.dropped else ""
        serial = self.target.serial
        wires = f" ({serial.tx} to the adapter's RX, {serial.rx} to its TX, GND to GND)" if serial else ""
        return (
            f"serial: no answer at {self.name} within {seconds:g} s{noise}; need a board that runs this program. "
            f"Check that it is flashed (edgesmith flash), wired{wires}, powered, and not open in another program."
        )
