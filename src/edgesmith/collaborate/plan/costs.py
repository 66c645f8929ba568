"""What a cut costs: time, energy and bytes of one request, from the costs of ops on either side and a link."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from edgesmith.collaborate.links.ledger import Place
from edgesmith.collaborate.links.link import Link
from edgesmith.collaborate.plan.cuts import Cut, prefixes
from edgesmith.collaborate.serve.wire import message_bytes
from edgesmith.core.graph import Graph, Tensor

FRAME_BYTES = message_bytes({})  # of a message around its tensors
# Instructions for each number on a scalar core, as an emulated Cortex-M4 counts them for bytes: tests/pipeline/
# test_board_head.py; floats take more.
COPYING, PACKING, CODING = 2, 24, 67


@dataclass(frozen=True)
class Form:
    """How a payload's numbers are carried.

    Attributes:
        bits: of each number; 0 leaves them as the program stores them.
        coded: entropy coded, so that what is frequent takes less.
    """

    bits: int = 0
    coded: bool = False

    @property
    def name(self) -> str:
        """In words."""
        return (f"{self.bits} bits" if self.bits else "as stored") + (", coded" if self.coded else "")

    @property
    def lossless(self) -> bool:
        """Whether the tail gets exactly what the head made."""
        return self.bits == 0

    @property
    def instructions(self) -> int:
        """For each number, on either side."""
        if self.coded:
            return CODING
        return PACKING if self.bits else COPYING

    def nbytes(self, tensor: Tensor) -> int:
        """Of a tensor on the wire, without headers and before coding."""
        return -(-tensor.size * self.bits // 8) if self.bits else tensor.nbytes

    def carries(self, tensor: Tensor) -> bool:
        """Whether it takes fewer bits than the program's own numbers, or is those; only bytes are coded as they are."""
        if self.lossless:
            return not self.coded or tensor.dtype in ("int8", "uint8")
        return self.nbytes(tensor) < tensor.nbytes


STORED, INT8, INT4 = Form(), Form(8), Form(4)
FORMS = (STORED, INT8, INT4, Form(coded=True), Form(8, True), Form(4, True))


@dataclass(frozen=True)
class Costs:
    """One inference of a program, op by op.

    Attributes:
        device_ms, server_ms: of each op.
        constant_bytes: of each op, in the device's flash.
        device_mw: what the device draws while it computes; while it waits counts as idle, and as nothing.
        coded_bytes: of each tensor in each form that is coded, over calibration samples.
        instruction_ms: of one instruction on the device and on the server, for narrowing and coding.
    """

    graph: Graph
    device_ms: Sequence[float]
    server_ms: Sequence[float]
    constant_bytes: Sequence[int]
    device_mw: float
    coded_bytes: Mapping[tuple[Form, str], int] = field(default_factory=dict)
    instruction_ms: tuple[float, float] = (0.0, 0.0)

    @cached_property
    def cuts(self) -> tuple[Cut, ...]:
        """Along the program's order."""
        return tuple(prefixes(self.graph))

    @cached_property
    def answer_bytes(self) -> int:
        """Of a whole answer on its way back, with its frame."""
        return self.message_bytes(self.graph.outputs, STORED)

    def carries(self, form: Form, name: str) -> bool:
        """Whether a form carries a tensor."""
        return form.carries(self.graph.tensors[name]) and (not form.coded or (form, name) in self.coded_bytes)

    def tensor_bytes(self, name: str, form: Form) -> int:
        """Of one tensor of a message; what is narrowed or coded crosses as a row of bytes."""
        tensor = self.graph.tensors[name]
        own = self.coded_bytes[form, name] if form.coded else form.nbytes(tensor)
        rank = len(tensor.shape) if form == STORED else 1
        return message_bytes({name: (rank, own)}) - FRAME_BYTES

    def message_bytes(self, names: Sequence[str], form: Form) -> int:
        """Of a message with these tensors; none for none."""
        return FRAME_BYTES + sum(self.tensor_bytes(name, form) for name in names) if names else 0

    def carry_ms(self, name: str, form: Form) -> tuple[float, float]:
        """Narrowing and coding one tensor on the device, and back on the server."""
        count = form.instructions * self.graph.tensors[name].size
        return count * self.instruction_ms[0], count * self.instruction_ms[1]


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


def place_of(graph: Graph, cut: Cut) -> Place:
    """Where a request runs."""
    if not cut.head:
        return "server"
    return "device" if cut.after == len(graph.ops) else "split"


def figures_of(costs: Costs, cut: Cut, form: Form, link: Link) -> Figures:
    """What one request costs with this cut."""
    inside = set(cut.head)
    carrying = [costs.carry_ms(name, form) for name in cut.payload]
    device_ms = sum(costs.device_ms[index] for index in cut.head) + sum(ms for ms, _ in carrying)
    server_ms = sum(ms for index, ms in enumerate(costs.server_ms) if index not in inside)
    up_bytes = costs.message_bytes(cut.payload, form)
    flash_bytes = sum(costs.constant_bytes[index] for index in cut.head)
    return sent(costs, link, device_ms, up_bytes, server_ms + sum(ms for _, ms in carrying), flash_bytes)


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
