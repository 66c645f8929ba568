"""A builder for models from outside: sizes are checked before anything of that size is made."""

import math
import re
from dataclasses import replace

from edgesmith.core import ops
from edgesmith.core.errors import Unsupported
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import MAX_TENSOR_BYTES, Attr, Op
from edgesmith.lower.builder import Builder

MAX_MODEL_BYTES = 1 << 30
MAX_FOLDED = 1 << 26  # elements of a constant that is computed on the way
NAME_LENGTH = 100
FORBIDDEN = re.compile(r"[^A-Za-z0-9_.:/+\[\]()-]+")


class BoundedBuilder(Builder):
    """Refuses results that no small device has, before numpy allocates them."""

    def op_many(self, kind: str, *inputs: str, **attrs: Attr) -> list[str]:
        """As in `Builder`.

        Raises:
            Unsupported: a result would be larger than any graph may hold.
        """
        constant = all(name in self.constants for name in inputs)
        types = ops.infer(Op(kind, inputs, (), attrs), tuple(self.tensors[name] for name in inputs))
        for shape, _ in types:
            size = math.prod(shape)
            if size * 4 > MAX_TENSOR_BYTES or min(shape, default=1) < 1 or (constant and size > MAX_FOLDED):
                raise Unsupported(f"makes a tensor of shape {shape}; need one of at most {MAX_TENSOR_BYTES} bytes.")
        return super().op_many(kind, *inputs, **attrs)


def tidy(name: str, otherwise: str) -> str:
    """A tensor's name in a file as one that a graph may have.

    >>> tidy("serving_default_x:0;other", "t"), tidy("", "t7")
    ('serving_default_x:0', 't7')
    """
    return FORBIDDEN.sub("_", name.split(";")[0])[:NAME_LENGTH].strip("_") or otherwise


SOFTMAX = PerTensor(1 / 256, -128)  # the only format of an integer softmax (docs/numbers.md)


def stored(b: BoundedBuilder, name: str, format_: PerTensor) -> str:
    """The value in a format; where it has another already, or must, a clamp without bounds changes it."""
    known = b.tensors[name].format
    if known is None and format_ != SOFTMAX and _is_softmax(b, name):
        b.set_format(name, SOFTMAX)
        known = SOFTMAX
    if name in b.constants or known not in (None, format_):
        name = b.op("clamp", name)
        if name in b.constants:
            b.tensors[name] = replace(b.tensors[name], format=None)
    b.set_format(name, format_)
    return name


def _is_softmax(b: BoundedBuilder, name: str) -> bool:
    """Whether a softmax makes the value, shape and order of axes aside."""
    for op in reversed(b.ops):
        if name in op.outputs:
            if op.kind not in ("reshape", "permute"):
                return op.kind == "softmax"
            name = op.inputs[0]
    return False
