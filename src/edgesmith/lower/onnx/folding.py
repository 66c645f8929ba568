"""What of a model is known before it runs: shapes, and arithmetic on them. Sizes stay small."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.lower.onnx.model import Step

LARGEST = 1 << 20  # elements of what is computed here; weights only change their shape
DTYPES = {1: "float32", 6: "int32", 7: "int64", 9: "bool", 11: "float64"}
NUMBERS = {"value_int": "int64", "value_ints": "int64", "value_float": "float32", "value_floats": "float32"}
MOVING = ("Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Constant", "Cast", "Slice", "Gather")
Arrays = Sequence[np.ndarray]


def _list(array: np.ndarray | None) -> list[int]:
    return [] if array is None else [int(v) for v in array.reshape(-1)[:64]]


def _axes(step: Step, arrays: Arrays) -> list[int]:
    given = step.attrs.get("axes")
    return list(given) if given is not None else _list(arrays[1] if len(arrays) > 1 else None)


def _constant(step: Step, arrays: Arrays) -> np.ndarray:
    for name, dtype in NUMBERS.items():
        if step.attrs.get(name) is not None:
            return np.asarray(step.attrs[name], dtype)
    value = step.attrs.get("value")
    if not isinstance(value, np.ndarray):
        raise Unsupported("holds no tensor or number.")
    return value


def _of_shape(step: Step, arrays: Arrays) -> np.ndarray:
    shape = _list(arrays[0])
    fill = step.attrs.get("value")
    fill = fill.reshape(-1) if isinstance(fill, np.ndarray) and fill.size == 1 else np.zeros(1, np.float32)
    if min(shape, default=1) < 0 or len(shape) > 8 or np.prod(shape, dtype=np.float64) > LARGEST:
        raise Unsupported(f"makes a constant of shape {shape[:9]}; need at most {LARGEST} elements.")
    return np.full(shape, fill[0], fill.dtype)


def _range(step: Step, arrays: Arrays) -> np.ndarray:
    start, end, step_ = (array.reshape(-1)[0] for array in arrays[:3])
    if step_ == 0 or not np.isfinite(float(end - start)) or abs(float(end - start) / float(step_)) > LARGEST:
        raise Unsupported("counts too far.")
    return np.arange(start, end, step_, dtype=arrays[0].dtype)


def _unsqueeze(step: Step, arrays: Arrays) -> np.ndarray:
    return np.expand_dims(arrays[0], tuple(_axes(step, arrays)))


def _squeeze(step: Step, arrays: Arrays) -> np.ndarray:
    return np.squeeze(arrays[0], tuple(_axes(step, arrays)) or None)


def _slice(step: Step, arrays: Arrays) -> np.ndarray:
    data, (starts, ends) = arrays[0], (_list(a) for a in arrays[1:3])
    axes = _list(arrays[3]) if len(arrays) > 3 else list(range(len(starts)))
    steps = _list(arrays[4]) if len(arrays) > 4 else [1] * len(starts)
    cuts = [slice(None)] * data.ndim
    for start, end, axis, by in zip(starts, ends, axes, steps, strict=True):
        cuts[axis] = slice(start, end, by)
    return data[tuple(cuts)]


def _gather(step: Step, arrays: Arrays) -> np.ndarray:
    return np.take(arrays[0], arrays[1].astype(np.int64), int(step.attrs.get("axis") or 0))


def _cast(step: Step, arrays: Arrays) -> np.ndarray:
    if step.attrs.get("to") not in DTYPES:
        raise Unsupported(f"casts to type {step.attrs.get('to')}.")
    return arrays[0].astype(DTYPES[step.attrs["to"]])


def _divide(step: Step, arrays: Arrays) -> np.ndarray:
    whole = arrays[0].dtype.kind in "iu"
    return np.asarray(arrays[0] // arrays[1] if whole else arrays[0] / arrays[1])


def _reshape(step: Step, arrays: Arrays) -> np.ndarray:
    shape = [arrays[0].shape[i] if size == 0 else size for i, size in enumerate(_list(arrays[1]))]
    return arrays[0].reshape(shape)


FOLDED: Mapping[str, Callable[[Step, Arrays], np.ndarray]] = {
    "Constant": _constant,
    "ConstantOfShape": _of_shape,
    "Range": _range,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Slice": _slice,
    "Gather": _gather,
    "Cast": _cast,
    "Reshape": _reshape,
    "Identity": lambda step, arrays: arrays[0],
    "Transpose": lambda step, arrays: np.transpose(arrays[0], step.attrs.get("perm")),
    "Concat": lambda step, arrays: np.concatenate(arrays, int(step.attrs.get("axis") or 0)),
    "Add": lambda step, arrays: arrays[0] + arrays[1],
    "Sub": lambda step, arrays: arrays[0] - arrays[1],
    "Mul": lambda step, arrays: arrays[0] * arrays[1],
    "Div": _divide,
    "Sqrt": lambda step, arrays: np.sqrt(arrays[0]),
    "Neg": lambda step, arrays: -arrays[0],
}


def folded(step: Step, arrays: Arrays) -> np.ndarray | None:
    """The result of a node that reads constants alone; None for kinds that are not folded.

    Raises:
        Unsupported: numpy refuses the arguments, or the result would be large.
    """
    if step.kind not in FOLDED:
        return None
    if step.kind not in MOVING and sum(array.size for array in arrays) > LARGEST:
        raise Unsupported("computes a large constant; need one that is stored.")
    try:
        with np.errstate(all="ignore"):
            result = np.asarray(FOLDED[step.kind](step, arrays))
    except (ValueError, IndexError, TypeError, OverflowError, ZeroDivisionError, AttributeError) as error:
        raise Unsupported(f"cannot be computed from its constants ({str(error)[:200]}).") from error
    if result.size > max(LARGEST, *(array.size for array in arrays), 0):
        raise Unsupported("makes a large constant of small ones; need one that is stored.")
    return result
