"""What a cut costs: time, energy and bytes of one request, from the costs of ops on either side and a link."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from edgesmith.collaborate.cuts import Cut
from edgesmith.collaborate.ledger import Place
from edgesmith.collaborate.link import Link
from edgesmith.core.graph import Graph, Tensor

FRAME_BYTES = 48  # of a message around its tensors (serve/wire.py)
TENSOR_BYTES = 24  # for each tensor: its type, shape and range


@dataclass(frozen=True)
class Form:
    """How a payload's numbers are carried.

    Attributes:
        bits: of each number; 0 leaves them as the program stores them.
    """

    name: str
    bits: int = 0

    @property
    def lossless(self) -> bool:
        """Whether the tail gets exactly what the head made."""
        return self.bits == 0

    def nbytes(self, tensor: Tensor) -> int:
        """Of a tensor on the wire, without headers."""
        return -(-tensor.size * self.bits // 8) if self.bits else tensor.nbytes

    def narrows(self, tensor: Tensor) -> bool:
        """Whether it takes fewer bytes than the program's own numbers."""
        return self.lossless or self.nbytes(tensor) < tensor.nbytes


STORED, INT8, INT4 = Form("as stored"), Form("8 bits", 8), Form("4 bits", 4)
FORMS = (STORED, INT8, INT4)


@dataclass(frozen=True)
class Costs:
    """One inference of a program, op by op.

    Attributes:
        device_ms, server_ms: of each op.
        constant_bytes: of each op, in the device's flash.
        device_mw: what the device draws while it computes; while it waits counts as idle, and as nothing.
    """

    graph: Graph
    device_ms: Sequence[float]
    server_ms: Sequence[float]
    constant_bytes: Sequence[int]
    device_mw: float

    @cached_property
    def answer_bytes(self) -> int:
        """Of a whole answer on its way back, with its headers."""
        return message_bytes(self.graph, self.graph.outputs, STORED)


@dataclass(frozen=True)
class Figures:
    """One request on an idle link and an idle server, on average.

    Attributes:
        device_ms, up_ms, server_ms, down_ms: parts of `latency_ms`.
        up_bytes: of the message to the server, frame included, the link's own headers not.
        energy_uj: of the device: computing and radio.
        flash_bytes: weights on the device.
    """

    device_ms: float
    up_ms: float
    server_ms: float
    down_ms: float
    up_bytes: int
    down_bytes: int
    energy_uj: float
    flash_bytes: int

    @property
    def latency_ms(self) -> float:
        """From the input to the answer on the device."""
        return self.device_ms + self.up_ms + self.server_ms + self.down_ms


def message_bytes(graph: Graph, names: Sequence[str], form: Form) -> int:
    """Of a message with these tensors; none for none."""
    if not names:
        return 0
    return FRAME_BYTES + sum(TENSOR_BYTES + form.nbytes(graph.tensors[name]) for name in names)


def place_of(graph: Graph, cut: Cut) -> Place:
    """Where a request runs."""
    if not cut.head:
        return "server"
    return "device" if cut.after == len(graph.ops) else "split"


def figures_of(costs: Costs, cut: Cut, form: Form, link: Link) -> Figures:
    """What one request costs with this cut."""
    inside = set(cut.head)
    device_ms = sum(costs.device_ms[index] for index in cut.head)
    server_ms = sum(ms for index, ms in enumerate(costs.server_ms) if index not in inside)
    up_bytes = message_bytes(costs.graph, cut.payload, form)
    flash_bytes = sum(costs.constant_bytes[index] for index in cut.head)
    return sent(costs, link, device_ms, up_bytes, server_ms, flash_bytes)


def sent(costs: Costs, link: Link, device_ms: float, up_bytes: int, server_ms: float, flash_bytes: int = 0) -> Figures:
    """What a request costs that sends so many bytes; with none it stays on the device."""
    down_bytes = costs.answer_bytes if up_bytes else 0
    radio_uj = link.radio_uj(up_bytes) + link.radio_uj(down_bytes, down=True)
    return Figures(
        device_ms,
        link.expected_ms(up_bytes),
        server_ms,
        link.expected_ms(down_bytes, down=True),
        up_bytes,
        down_bytes,
        device_ms * costs.device_mw + radio_uj,
        flash_bytes,
    )
