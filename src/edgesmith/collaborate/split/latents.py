"""Latents: payloads whose integers mean themselves, looked at for many samples at once."""

from collections.abc import Sequence

import numpy as np
from torch import nn

from edgesmith.collaborate.split.model import SplitModel
from edgesmith.core.formats import PerTensor
from edgesmith.core.task import Normalize, Split
from edgesmith.training.evaluate import predict

UNIT = PerTensor(scale=1.0)  # int8, a step of 1: what a head gives is rounded, halves to even


def sent_by(head: nn.Module, split: Split, normalize: Normalize) -> np.ndarray:
    """(n, h, w, channels) int8: what a head with `UNIT` sends for each sample."""
    return np.moveaxis(UNIT.quantize(predict(head, split, normalize)), 1, -1)


def coded_bytes(model: SplitModel, sent: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """(n,) bytes that each sample's (h, w, channels) integers take, coded on their own; `model` has a code."""
    assert model.code is not None
    return np.array([len(model.code.encode(one)) for one in sent])


def answers_to(tail: nn.Module, sent: np.ndarray) -> np.ndarray:
    """(n, h, w, channels) integers to the (n, ...) outputs of the tail that reads them."""
    received = np.ascontiguousarray(np.moveaxis(sent, -1, 1))
    return predict(tail, Split(received, np.zeros(len(received))), Normalize())
