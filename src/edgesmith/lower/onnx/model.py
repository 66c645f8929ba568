"""An .onnx file as plain records: checked before anything of the sizes it states is made.

Source: onnx.proto of ONNX; the file is parsed by the onnx package, which executes nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgesmith.core.errors import BadInput, Missing, Unsupported
from edgesmith.core.graph import MAX_RANK, MAX_TENSOR_BYTES
from edgesmith.lower.bounded import MAX_MODEL_BYTES

STANDARD = ("", "ai.onnx")
BITS = 8


@dataclass(frozen=True)
class Step:
    """A node.

    Attributes:
        kind: such as "Conv"; with its domain where that is not ONNX's own.
        inputs, outputs: names of values; "" for one left out.
        attrs: settings; tensors as arrays, texts as str, graphs left out.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any]


@dataclass(frozen=True)
class Port:
    """An input of the model.

    Attributes:
        shape: sizes, or the names of open ones.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Model:
    """A file."""

    steps: tuple[Step, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, np.ndarray]
    opset: int


def read(path: Path | str) -> Model:
    """Read an .onnx file, and weights that it keeps in files of its own folder; nothing in them is executed.

    Raises:
        Missing: no such file, or the onnx package is not installed.
        BadInput: not such a file, too large, or damaged.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise Missing('onnx: it is not installed. Run: pip install "edgesmith[onnx]".') from error
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    path = Path(path)
    if not path.is_file():
        raise Missing(f"{path}: it is not a file. Check the path.")
    if path.stat().st_size > MAX_MODEL_BYTES:
        raise BadInput(f"{path}: it is larger than {MAX_MODEL_BYTES} bytes; need less.")
    try:
        proto = onnx.ModelProto.FromString(path.read_bytes())
    except (DecodeError, RecursionError) as error:
        raise BadInput(f"{path.name}: it is no ONNX model, or damaged ({error}).") from error
    if not proto.graph.node or not proto.graph.output:
        raise BadInput(f"{path.name}: it holds no nodes or no outputs; need an ONNX model.")
    return _model(proto, path)


def part(model: Model, inputs: Mapping[str, tuple[int, ...]], outputs: Sequence[str]) -> Model:
    """The part of a model between values of it.

    Args:
        inputs: values that become float32 inputs, with their shapes, beside the model's own that are still needed.
        outputs: values that become the outputs; none for the model's own.

    Raises:
        BadInput: no node makes a value of that name.
    """
    made = {name for step in model.steps for name in step.outputs}
    if unknown := {*inputs, *outputs} - made:
        raise BadInput(f"onnx: no node makes {sorted(unknown)[0]!r}; need the name of a value in the file.")
    needed, steps = set(outputs or model.outputs), []
    for step in reversed(model.steps):
        if needed.intersection(step.outputs) - set(inputs):
            steps.append(step)
            needed.update(step.inputs)
    ports = tuple(port for port in model.inputs if port.name in needed)
    ports += tuple(Port(name, "float32", tuple(shape)) for name, shape in inputs.items())
    return replace(model, steps=tuple(reversed(steps)), inputs=ports, outputs=tuple(outputs or model.outputs))


def _model(proto: Any, path: Path) -> Model:
    graph = proto.graph
    constants = {_text(tensor.name): array_of(tensor, path) for tensor in graph.initializer}
    inputs = tuple(_port(value, path) for value in graph.input if _text(value.name) not in constants)
    versions = [entry.version for entry in proto.opset_import if entry.domain in STANDARD]
    steps = tuple(_step(node, path) for node in graph.node)
    return Model(steps, inputs, tuple(_text(value.name) for value in graph.output), constants, max(versions, default=0))


def _step(node: Any, path: Path) -> Step:
    kind = _text(node.op_type) if node.domain in STANDARD else f"{_text(node.domain)}:{_text(node.op_type)}"
    attrs = {_text(attribute.name): _attribute(attribute, path) for attribute in node.attribute}
    return Step(kind, _text(node.name), tuple(map(_text, node.input)), tuple(map(_text, node.output)), attrs)


def _text(value: Any) -> str:
    """A name; protobuf gives those that are not UTF-8 as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _attribute(attribute: Any, path: Path) -> Any:
    """AttributeProto.AttributeType: 1 float, 2 int, 3 text, 4 tensor, 6 floats, 7 ints, 8 texts; others are None."""
    if attribute.type in (3, 8):
        texts = list(attribute.strings) if attribute.type == 8 else [attribute.s]
        return list(map(_text, texts)) if attribute.type == 8 else _text(texts[0])
    if attribute.type == 4:
        return array_of(attribute.t, path)
    names = {1: "f", 2: "i", 6: "floats", 7: "ints"}
    if attribute.type not in names:
        return None
    value = getattr(attribute, names[attribute.type])
    return list(value) if attribute.type in (6, 7) else value


def _port(value: Any, path: Path) -> Port:
    from onnx import TensorProto

    tensor = value.type.tensor_type
    names = {getattr(TensorProto, name.upper()): name for name in ("float", "uint8", "int8", "int16", "int32", "int64")}
    dtype = names.get(tensor.elem_type, f"type {tensor.elem_type}").replace("float", "float32")
    dims = [dim.dim_value if dim.HasField("dim_value") else _text(dim.dim_param) or "?" for dim in tensor.shape.dim]
    if len(dims) > MAX_RANK:
        raise BadInput(f"{path.name}: input {value.name!r} has {len(dims)} axes; need at most {MAX_RANK}.")
    return Port(_text(value.name), dtype, tuple(dims))


def array_of(tensor: Any, path: Path) -> np.ndarray:
    """A stored tensor.

    Raises:
        BadInput: it holds more or fewer values than its shape needs, or lies outside the model's folder.
        Unsupported: a type that numpy has not.
    """
    from onnx import helper, numpy_helper

    shape, name = tuple(tensor.dims), f"{path.name}: tensor {tensor.name!r}"
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{name} has the unknown type {tensor.data_type}; the file is damaged.") from error
    if dtype.kind not in "fiub":
        raise Unsupported(f"{name} is {dtype}; need plain integers or floats.")
    size = math.prod(shape) if min(shape, default=1) >= 0 and len(shape) <= MAX_RANK else -1
    if not 0 <= size * dtype.itemsize <= MAX_TENSOR_BYTES:
        raise BadInput(f"{name} has the shape {str(shape)[:80]}; the file is damaged.")
    if tensor.data_location == tensor.EXTERNAL:
        return _external(tensor, path, size * dtype.itemsize).view(dtype.newbyteorder("<")).astype(dtype).reshape(shape)
    fields = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
    held = len(tensor.raw_data) // dtype.itemsize or max(len(getattr(tensor, field)) for field in fields)
    if held != size or len(tensor.raw_data) % dtype.itemsize:
        raise BadInput(f"{name} holds {held} values for the shape {shape}; the file is damaged.")
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{name} cannot be read ({error}); the file is damaged.") from error


def _external(tensor: Any, path: Path, nbytes: int) -> np.ndarray:
    """The bytes of a tensor in another file, which must lie in the model's folder, links followed."""
    facts = {_text(entry.key): _text(entry.value) for entry in tensor.external_data}
    folder = path.parent.resolve()
    target = (folder / facts.get("location", "")).resolve()
    if not target.is_relative_to(folder) or not target.is_file():
        where = facts.get("location", "")[:80]
        raise BadInput(f"{path.name}: weights are said to be in {where!r}; need a file in the model's own folder.")
    try:
        offset, length = int(facts.get("offset", 0)), int(facts.get("length", nbytes))
    except ValueError as error:
        raise BadInput(f"{path.name}: the place of {tensor.name!r} is no number; the file is damaged.") from error
    if offset < 0 or length != nbytes or offset + length > target.stat().st_size:
        raise BadInput(f"{path.name}: {tensor.name!r} needs {nbytes} bytes at {offset} of {target.name}; damaged.")
    with target.open("rb") as file:
        file.seek(offset)
        return np.frombuffer(file.read(length), np.uint8)
