"""The log-mel front end as one integer op."""

from edgesmith.compile.integerize.builder import Builder
from edgesmith.compile.integerize.scaling import bounds, kept, requantize
from edgesmith.core.graph import Op
from edgesmith.core.ops import attrs_of
from edgesmith.core.ops.tables import log2_table, sparse_mel, twiddles, window_q15

LOG_SCALE = 2.0**-12  # log2 is in Q12


def log_mel(builder: Builder, op: Op) -> None:
    """Window in Q15, mel weights in Q12; x stays the microphone's int16."""
    x, window, mel = op.inputs
    constants, y = builder.source.constants, builder.affine(op.outputs[0])
    n_fft = int(attrs_of(op)["n_fft"])  # type: ignore[call-overload]
    arrays = (window_q15(constants[window]), twiddles(n_fft), *sparse_mel(constants[mel]), log2_table())
    parts = ("window", "twiddle", "first", "count", "weights", "log_table")
    names = [builder.constant(f"{op.outputs[0]}.{part}", array) for part, array in zip(parts, arrays, strict=True)]
    attrs = {**kept(op, "n_fft", "hop"), **requantize(op, LOG_SCALE / y.scale), **bounds(op, y)}
    builder.result(op, "log_mel_s8", (builder.stored(x), *names), attrs)
