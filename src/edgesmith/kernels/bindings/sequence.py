"""Recurrent layers and spectra, float and integer."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgesmith.core.graph import Op, Tensor
from edgesmith.kernels.bindings.convolution import bounds
from edgesmith.kernels.bindings.integer import scale
from edgesmith.kernels.kernel import SUFFIX, Binding, Call, Field, numbers

Attrs = Mapping[str, Any]
Tensors = Sequence[Tensor]


def _cell_fields(inputs: Tensors, outputs: Tensors) -> tuple[Field, ...]:
    steps, _, hidden = outputs[0].shape
    return numbers(steps=steps, width=inputs[0].shape[2], hidden=hidden)


def _recurrent(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    return (Call(op.kind, f"es_{op.kind}", "es_recurrent_params", _cell_fields(inputs, outputs)),)


def _recurrent_s8(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    fields = (
        *_cell_fields(inputs, outputs),
        *numbers(cell_bits=attrs.get("cell_bits", 0), h_zero=attrs["h_zero"]),
        *scale(attrs),
        *numbers(low=attrs["low"], high=attrs["high"]),
    )
    return (Call(op.kind, f"es_{op.kind}", "es_recurrent_s8_params", fields),)


def _rfft(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    n = attrs["n"]
    return (Call("rfft", "es_rfft", "es_rfft_params", numbers(rows=inputs[0].size // n, n=n)),)


def _frame_fields(inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Field, ...]:
    _, frames, mels = outputs[0].shape
    length = inputs[1].shape[0]
    return numbers(frames=frames, length=length, hop=attrs["hop"], n_fft=attrs["n_fft"], mels=mels)


def _log_mel(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    function = f"es_log_mel_{SUFFIX[inputs[0].dtype]}"
    return (Call("log_mel", function, "es_log_mel_params", _frame_fields(inputs, outputs, attrs)),)


def _log_mel_s8(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    fields = (*_frame_fields(inputs, outputs, attrs), *scale(attrs), *bounds(attrs))
    return (Call("log_mel_s8", "es_log_mel_s8", "es_log_mel_s8_params", fields),)


BINDINGS: Mapping[str, Binding] = {
    "lstm": _recurrent,
    "gru": _recurrent,
    "lstm_s8": _recurrent_s8,
    "gru_s8": _recurrent_s8,
    "rfft": _rfft,
    "log_mel": _log_mel,
    "log_mel_s8": _log_mel_s8,
}
