"""Lowerings of the real FFT, complex views, the log-mel front end, and of rounding in place."""

from functools import partial

from edgesmith.core.errors import Unsupported
from edgesmith.core.formats import Signs
from edgesmith.lower.builder import Builder
from edgesmith.lower.call import Call, Lowering, axis_of
from edgesmith.lower.elementwise import same
from edgesmith.lower.fake_quantize import format_of
from edgesmith.lower.shape import cut
from edgesmith.lower.snap import read


def rfft(b: Builder, call: Call) -> str:
    """Along the last axis; cut or padded to n."""
    x = call.tensor("self")
    rank, size = len(b.shape(x)), b.shape(x)[-1]
    n = call["n"] if call["n"] is not None else size
    if axis_of(call["dim"], rank) != rank - 1 or call["norm"] not in (None, "backward"):
        raise Unsupported(f"transforms axis {call['dim']} with norm {call['norm']!r}; need the last, not scaled.")
    if n > size:
        x = b.op("pad", x, before=(0,) * rank, after=(*(0,) * (rank - 1), n - size))
    return b.op("rfft", cut(b, x, rank - 1, 0, n), n=n)


def _part(index: int, b: Builder, call: Call) -> str:
    x = call.tensor("self")
    shape = b.shape(x)
    return b.op("reshape", cut(b, x, len(shape) - 1, index, index + 1), shape=shape[:-1])


def log_mel(b: Builder, call: Call) -> str:
    """The front end as one op."""
    x, window, mel = (call.tensor(name) for name in ("x", "window", "mel"))
    return b.op("log_mel", x, window, mel, n_fft=call["n_fft"], hop=call["hop"])


def fake_quantize(b: Builder, call: Call) -> str:
    """No op of its own: the tensor gets the format."""
    x, scale = call.tensor("x"), call.tensor("scale")
    if scale not in b.constants:
        raise Unsupported("has a scale that is computed; need a constant.")
    numbers = [call[name] for name in ("zero_point", "low", "high", "axis")]
    b.set_format(x, format_of(b.exact[scale], *numbers))
    return x


def snap(b: Builder, call: Call) -> str:
    """No op of its own either."""
    x = call.tensor("x")
    b.set_format(x, read(call["format"]))
    return x


def fake_sign(b: Builder, call: Call) -> str:
    """A clamp without bounds whose result is stored as signs; a constant becomes its signs."""
    x, scale = call.tensor("x"), call.tensor("scale")
    if scale not in b.constants:
        raise Unsupported("has a scale that is computed; need a constant.")
    format_ = Signs(tuple(map(float, b.constants[scale].ravel())), call["axis"])
    if x in b.constants:
        return b.constant(b.stem, format_.dequantize(format_.quantize(b.constants[x])))
    y = b.op("clamp", x)
    b.set_format(y, format_)
    return y


LOWERINGS: dict[str, Lowering] = {
    "aten.fft_rfft.default": rfft,
    "aten.view_as_real.default": same,
    "aten.real.default": partial(_part, 0),
    "aten.imag.default": partial(_part, 1),
    "edgesmith.log_mel.default": log_mel,
    "edgesmith.fake_quantize.default": fake_quantize,
    "edgesmith.snap.default": snap,
    "edgesmith.fake_sign.default": fake_sign,
}
