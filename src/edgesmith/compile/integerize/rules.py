"""Which rule turns which float op into its integer form, and which of its inputs must be constants."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgesmith.compile.integerize import elementwise, movement, normalization, products, recurrent, reductions, spectral
from edgesmith.compile.integerize.builder import Builder
from edgesmith.core import ops
from edgesmith.core.formats import PerChannel, PerTensor
from edgesmith.core.graph import Op
from edgesmith.core.ops.elementwise import FUNCTIONS

GATES = ("w_ih", "w_hh", "b_ih", "b_hh")
WEIGHTS = ("w", "w_ih", "w_hh")  # inputs stored per channel


@dataclass(frozen=True)
class Rule:
    """How one kind of op becomes integer.

    Attributes:
        emit: appends the integer form.
        parameters: inputs that must be constants of the graph.
        plain: inputs that are read as they are: indices.
        tables: inputs that may be constants of another format, which are stored in the output's.
        wide: inputs that are int16.
        counts: makes plain integers, which have no format.
    """

    emit: Callable[[Builder, Op], None]
    parameters: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    wide: tuple[str, ...] = ()
    counts: bool = False


MOVING = Rule(movement.move)
RULES: Mapping[str, Rule] = {
    "conv2d": Rule(products.conv2d, ("w", "b")),
    "conv_transpose2d": Rule(products.conv_transpose2d, ("w", "b")),
    "linear": Rule(products.linear, ("w", "b")),
    "matmul": Rule(products.matmul),
    "add": Rule(elementwise.add),
    "sub": Rule(elementwise.add),
    "mul": Rule(elementwise.mul),
    "div": Rule(elementwise.div),
    "affine": Rule(elementwise.affine, ("scale", "shift")),
    **dict.fromkeys(FUNCTIONS, Rule(elementwise.unary)),
    "gelu": Rule(elementwise.gelu),
    "avg_pool2d": Rule(reductions.avg_pool2d),
    "reduce_sum": Rule(reductions.reduce_sum),
    "reduce_mean": Rule(reductions.reduce_sum),
    "argmax": Rule(reductions.argmax, counts=True),
    "softmax": Rule(normalization.softmax),
    "shiftmax": Rule(normalization.shiftmax),
    "shift_gelu": Rule(normalization.shift_gelu),
    "layer_norm": Rule(normalization.normalize, ("gamma", "beta")),
    "rms_norm": Rule(normalization.normalize, ("gamma",)),
    "lstm": Rule(recurrent.lstm, GATES, wide=("c0",)),
    "gru": Rule(recurrent.gru, GATES, wide=("h0",)),
    "log_mel": Rule(spectral.log_mel, ("window", "mel"), wide=("x",)),
    "pad": Rule(movement.pad),
    "embedding": Rule(movement.embedding, plain=("indices",), tables=("table",)),
    **dict.fromkeys(
        ("reshape", "permute", "slice", "concat", "expand", "upsample_nearest", "max_pool2d", "reduce_max"), MOVING
    ),
}


def rule_for(builder: Builder, op: Op) -> Rule | None:
    """The op's rule when everything it reads and makes has a format; None leaves the op in float."""
    rule = RULES.get(op.kind)
    read = [name for name in op.outputs if builder.is_read(name)]
    if rule is None or not (rule.counts or all(isinstance(builder.format(name), PerTensor) for name in read)):
        return None
    names = ops.spec_of(op).inputs
    variadic = names[-1].endswith("*")
    for index, name in enumerate(op.inputs):
        role = names[0] if variadic else names[index]
        if not _readable(builder, rule, op, role, name):
            return None
    return rule


def _readable(builder: Builder, rule: Rule, op: Op, role: str, name: str) -> bool:
    if role in rule.plain:
        return True
    format_ = builder.format(name)
    if role in rule.tables and name in builder.source.constants and format_ is not None:
        return True
    if role in rule.parameters:
        weighted = role not in WEIGHTS or isinstance(format_, PerChannel)
        return name in builder.source.constants and weighted
    if not builder.is_stored(name) or not isinstance(format_, PerTensor):
        return False
    moved = rule is MOVING and format_ == builder.format(op.outputs[0])
    return moved or (format_.dtype == "int16" if role in rule.wide else format_.dtype in ("int8", "uint8"))
