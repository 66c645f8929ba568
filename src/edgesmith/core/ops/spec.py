"""What an op is: its inputs, attributes, shape rule and numpy definition."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Tensor

Attrs = Mapping[str, Any]
Shapes = list[tuple[tuple[int, ...], str]]  # (shape, dtype) of each output
Macs = Callable[[Sequence[Tensor], Sequence[Tensor], Attrs], int]
REQUIRED = object()


@dataclass(frozen=True)
class Attribute:
    """A constant of an op.

    Attributes:
        type: int, float, bool, str, or a tuple type such as `tuple[int, int]`, `tuple[int, ...]`.
        default: used when absent; REQUIRED when it must be given.
        low, high: inclusive bounds of each number; None for none.
    """

    type: Any
    default: Any = REQUIRED
    low: float | None = None
    high: float | None = None


def _no_macs(inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: Attrs) -> int:
    return 0


@dataclass(frozen=True)
class OpSpec:
    """The specification of one op kind. The numpy definition is what every other implementation is tested against.

    Attributes:
        kind: such as "conv2d_s8"; the C kernel is es_<kind>.
        does: one line.
        inputs, outputs: their names in order. All are present in every op of this kind; an input whose name
            ends in "*" stands for one or more.
        dtypes: allowed dtypes of each input, alternatives separated by "|"; "any" allows all. The last entry of a
            variadic op holds for all further inputs.
        attrs: every attribute the op may have.
        infer: (inputs, attrs) to (shape, dtype) of each output; raises BadInput for inputs that do not match.
        run: (arrays, attrs) to the output arrays: the definition.
        macs: multiply-accumulates of one execution.
        version: raised when the meaning changes.
    """

    kind: str
    does: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    infer: Callable[[Sequence[Tensor], Attrs], Shapes]
    run: Callable[[Sequence[np.ndarray], Attrs], list[np.ndarray]]
    dtypes: tuple[str, ...]
    attrs: Mapping[str, Attribute] = field(default_factory=dict)
    macs: Macs = _no_macs
    version: int = 1

    def complete(self, attrs: Attrs) -> dict[str, Any]:
        """`attrs` with defaults filled in, every value checked against its type and bounds.

        Raises:
            BadInput: an unknown, missing, mistyped or out-of-range attribute.
        """
        if unknown := set(attrs) - set(self.attrs):
            raise BadInput(f"{self.kind}: unknown attribute {sorted(unknown)[0]!r}; it has {', '.join(self.attrs)}.")
        full: dict[str, Any] = {
            n: _checked(self.kind, n, rule, attrs.get(n, rule.default)) for n, rule in self.attrs.items()
        }
        if "low" in full and not full["low"] <= full["high"]:
            raise BadInput(f"{self.kind}: low is {full['low']}, high {full['high']}; need low <= high.")
        return full

    def check_inputs(self, inputs: Sequence[Tensor]) -> None:
        """Check how many inputs there are and their dtypes.

        Raises:
            BadInput: too few or too many inputs, or an input of a dtype this op has no meaning for.
        """
        variadic = self.inputs[-1].endswith("*")
        if len(inputs) < len(self.inputs) or (len(inputs) > len(self.inputs) and not variadic):
            raise BadInput(f"{self.kind}: {len(inputs)} inputs; need {', '.join(self.inputs)}.")
        for index, tensor in enumerate(inputs):
            allowed = self.dtypes[min(index, len(self.dtypes) - 1)]
            if allowed != "any" and tensor.dtype not in allowed.split("|"):
                name = self.inputs[min(index, len(self.inputs) - 1)]
                raise BadInput(f"{self.kind}: input {name} ({tensor.name!r}) is {tensor.dtype}; need {allowed}.")


def _checked(kind: str, name: str, rule: Attribute, value: Any) -> Any:
    if value is REQUIRED:
        raise BadInput(f"{kind}: attribute {name!r} is missing.")
    types = getattr(rule.type, "__args__", None)
    if types is None:
        return _number(kind, name, rule, rule.type, value)
    if not isinstance(value, (tuple, list)):
        raise BadInput(f"{kind}: attribute {name!r} is {value!r}; need a list.")
    element = types[0]
    if types[-1] is not Ellipsis and len(value) != len(types):
        raise BadInput(f"{kind}: attribute {name!r} has {len(value)} entries; need {len(types)}.")
    return tuple(_number(kind, name, rule, element, v) for v in value)


def _number(kind: str, name: str, rule: Attribute, type_: Any, value: Any) -> Any:
    good = isinstance(value, bool) if type_ is bool else not isinstance(value, bool)
    if type_ is float and good and isinstance(value, (int, float)):
        value = float(value)
    if not good or not isinstance(value, type_):
        raise BadInput(f"{kind}: attribute {name!r} is {value!r}; need {type_.__name__}.")
    if isinstance(value, float) and value != value:
        raise BadInput(f"{kind}: attribute {name!r} is not a number.")
    if (rule.low is not None and value < rule.low) or (rule.high is not None and value > rule.high):
        raise BadInput(f"{kind}: attribute {name!r} is {value!r}; need {rule.low} to {rule.high}.")
    return value


def need(condition: bool, message: str) -> None:
    """Raise BadInput(message) unless `condition` holds."""
    if not condition:
        raise BadInput(message)
