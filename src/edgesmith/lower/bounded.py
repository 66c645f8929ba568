"""A builder for models from outside: sizes are checked before anything of that size is made."""

import math
import re

from edgesmith.core import ops
from edgesmith.core.errors import Unsupported
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
