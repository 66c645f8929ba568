"""Which C kernel serves an op, and exactly how it is called. What a program prints, this decides."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgesmith.core.graph import Op, Tensor
from edgesmith.core.ops import attrs_of
from edgesmith.kernels.bindings import (
    binary,
    classical,
    coded,
    convolution,
    floating,
    integer,
    movement,
    sequence,
    shift_add,
    window,
)
from edgesmith.kernels.bindings.movement import item_bytes
from edgesmith.kernels.kernel import Arrange, ArrangeFor, Binding, Call, Field, Kernel, Value, Variant
from edgesmith.kernels.variants import VARIANTS

__all__ = ["BINDINGS", "FOLDER", "Field", "Kernel", "select"]

FOLDER = Path(__file__).parent  # holds include/, reference/ and one folder per instruction set
BINDINGS: Mapping[str, Binding] = {
    **convolution.BINDINGS,
    **integer.BINDINGS,
    **movement.BINDINGS,
    **window.BINDINGS,
    **floating.BINDINGS,
    **sequence.BINDINGS,
    **classical.BINDINGS,
    **coded.BINDINGS,
    **binary.BINDINGS,
    **shift_add.BINDINGS,
}


def select(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], folders: Sequence[str]) -> Kernel | None:
    """The kernel for an op: from the first folder that has a file for it.

    Args:
        folders: such as ("cortex_m", "reference"), best first.

    Returns:
        None when no folder has a kernel for this op.

    Raises:
        Unsupported: the op has a form that its kernel cannot express.
    """
    if op.kind not in BINDINGS:
        return None
    calls = BINDINGS[op.kind](op, inputs, outputs, attrs_of(op))
    for folder in folders:
        for call in calls:
            source = FOLDER / folder / f"{call.file}.c"
            variant = VARIANTS.get(folder, {}).get(call.file, Variant())
            if source.is_file() and variant.suits(call.values()):
                sizes = {"x_bytes": item_bytes(inputs[0]), "y_bytes": item_bytes(outputs[0])}
                return _kernel(call, source, variant, sizes)
    return None


def _kernel(call: Call, source: Path, variant: Variant, sizes: Mapping[str, Value]) -> Kernel:
    values = call.values()
    return Kernel(
        call.function,
        source,
        call.struct,
        call.fields,
        variant.scratch_bytes(values),
        call.arguments,
        {**call.arrange, **{i: _arranged(arrange, values) for i, arrange in variant.arrange.items()}},
        variant.lead_bytes({**values, **sizes}),
        variant.in_place(values),
    )


def _arranged(arrange: ArrangeFor, values: Mapping[str, Value]) -> Arrange:
    return lambda array: arrange(array, values)
