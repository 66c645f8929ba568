"""A net in two parts: the head on the device, the tail on a server, a few integers between them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.collaborate.coding import Code
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerTensor, affine
from edgesmith.core.formats.packing import packed_bytes
from edgesmith.core.task import Task
from edgesmith.lower.fake_quantize import fake_quantize
from edgesmith.training.evaluate import predict

BITS = (2, 8)


class Payload(nn.Module):
    """Float to float through the payload's integers, as the server sees it; straight-through gradients."""

    def __init__(self, format_: PerTensor) -> None:
        super().__init__()
        self.format = format_
        self.register_buffer("scale", torch.tensor([format_.scale], dtype=torch.float64), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        limits = (self.format.zero_point, self.format.low, self.format.high)
        # In float64, as core/formats rounds: the bytes that travel mean exactly these values.
        return fake_quantize(x.double(), self.scale, *limits).float()


@dataclass(frozen=True)
class SplitModel:
    """Two halves and what travels between them.

    Attributes:
        head: (n, ...) model input to (n, *shape) float; runs on the device.
        tail: (n, *shape) float to the model's outputs; runs on the server.
        format: how a payload's values become integers; both sides know it beforehand, so that it is not sent.
        shape: of one payload, without the batch.
        code: tables for int8 payloads (channels, h, w), known to both sides; None packs the integers instead.
    """

    head: nn.Module
    tail: nn.Module
    format: PerTensor
    shape: tuple[int, ...]
    code: Code | None = None

    @property
    def bits(self) -> int:
        """Of each value of the payload."""
        return self.format.bits

    @property
    def payload_bytes(self) -> int:
        """Of one message, its integers packed; a code makes of it what `encode` gives, fewer on average."""
        return packed_bytes(self.shape, self.bits)

    def encode(self, values: Tensor) -> bytes:
        """The head's output for one sample, (*shape) or (1, *shape), as what is sent.

        Raises:
            BadInput: another shape.
        """
        if tuple(values.shape) not in (self.shape, (1, *self.shape)):
            raise BadInput(f"split: a payload has shape {self.shape}; found {tuple(values.shape)}. Send one sample.")
        stored = self.format.quantize(values.detach().numpy()).reshape(self.shape)
        if self.code:
            return self.code.encode(np.moveaxis(stored, 0, -1))
        return self.format.pack(stored).tobytes()

    def decode(self, payload: bytes) -> Tensor:
        """What the tail reads, (1, *shape), from what was sent.

        Raises:
            BadInput: not as many bytes as a payload has, or no stream that its code's encoder gives.
        """
        stored = self._decoded(self.code, payload) if self.code else self._unpacked(payload)
        return torch.from_numpy(self.format.dequantize(stored))

    def _unpacked(self, payload: bytes) -> np.ndarray:
        return self.format.unpack(np.frombuffer(payload, np.uint8), (1, *self.shape))

    def _decoded(self, code: Code, payload: bytes) -> np.ndarray:
        """(1, *shape) of a stream; of all streams that decode to a payload only the shortest is taken."""
        last = code.decode(payload, (*self.shape[1:], self.shape[0]))
        if code.encode(last) != payload:
            raise BadInput(f"split: {len(payload)} bytes are no stream of this code; need what `encode` gives.")
        return np.ascontiguousarray(np.moveaxis(last, -1, 0)[None])  # as packed ones: sums keep one order

    def joined(self) -> nn.Module:
        """Both halves as one net, the payload's rounding between them; they are held, not copied."""
        return nn.Sequential(self.head, Payload(self.format), self.tail)


Split = Callable[[nn.Module, Task], SplitModel]  # the module that comes in stays as it was


def payload_format(head: nn.Module, task: Task, bits: int) -> PerTensor:
    """The format that holds everything the head gives on the calibration split.

    Raises:
        BadInput: bits outside 2 to 8, or a head that gives no numbers.
    """
    check_bits(bits)
    values = predict(head, task.calibration, task.normalize)
    if not np.isfinite(values).all():
        raise BadInput("split: the head gives values that are no numbers; need finite ones. Train with a lower rate.")
    return affine(float(values.min()), float(values.max()), bits)


def check_bits(bits: int) -> None:
    """Refuse, before anything is trained, bits that no payload has.

    Raises:
        BadInput: outside 2 to 8.
    """
    if not BITS[0] <= bits <= BITS[1]:
        raise BadInput(f"split: a payload of {bits} bits; need {BITS[0]} to {BITS[1]}.")
