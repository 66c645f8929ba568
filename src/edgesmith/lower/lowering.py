"""torch modules and exported programs to Graphs, op by op."""

import operator
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind
from torch.fx import Node

from edgesmith.core import ops
from edgesmith.core.errors import BadInput, Unsupported
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Graph, State
from edgesmith.core.task import Normalize, is_index
from edgesmith.lower import export as exporting
from edgesmith.lower.builder import Builder
from edgesmith.lower.call import Call
from edgesmith.lower.canonical import canonical
from edgesmith.lower.lift import Lifted
from edgesmith.lower.table import LOWERINGS, way_round

RAW = ("uint8", "int8", "int16")  # a sensor's own integers: floats in the graph, stored as what they are
INDICES = ("int32", "int64")
TAKES_COMPLEX = ("abs", "view_as_real", "real", "imag")


def lower(module: nn.Module, example_inputs: tuple[Any, ...], name: str = "model", fold: bool = True) -> Graph:
    """Turn a module into a canonical Graph.

    Args:
        module: any; captured in inference mode and left as it was.
        example_inputs: for `module(*example_inputs)`, batch 1. A uint8, int8 or int16 input keeps that as its format.
        fold: whether batch norms go into the layers before them.

    Raises:
        Unsupported: it cannot be captured, or ops have no lowering: every one of them, with its line and a way round.
        BadInput: a weight is not a number.
    """
    graph = lower_program(exporting.export(module, example_inputs), name, fold)
    if not isinstance(module, Normalized):
        return graph
    # Ops are named after the user's layers, not after our wrapper around them.
    return replace(graph, ops=tuple(replace(op, name=op.name.removeprefix("module.")) for op in graph.ops))


def graph_of(module: nn.Module, example_inputs: tuple[Any, ...], name: str = "model") -> Graph:
    """The graph that a lifted module executes, its ops still named after the user's layers; others are lowered."""
    if isinstance(module, Lifted):
        return replace(module.to_graph(), name=name)
    return lower(module, example_inputs, name)


def lower_pt2(path: Path | str, trust: bool = False, name: str = "model", fold: bool = True) -> Graph:
    """Turn a .pt2 file into a canonical Graph; errors as in `lower` and `load_pt2`."""
    return lower_program(exporting.load_pt2(path, trust), name, fold)


def lower_program(program: ExportedProgram, name: str = "model", fold: bool = True) -> Graph:
    """Turn an exported program into a canonical Graph; errors as in `lower`."""
    graph = canonical(Program(program, name).lowered(), fold)
    ops.check(graph)
    return graph


class Program:
    """An exported program while it is lowered.

    Attributes:
        values: node name to a tensor in the builder, a constant not yet there, or a list of either.
        problems: what was refused so far.
    """

    def __init__(self, program: ExportedProgram, name: str) -> None:
        self.program = program
        self.builder = Builder(name)
        self.values: dict[str, Any] = {}
        self.constants = exporting.constants(program)
        self.placed: dict[int, str] = {}
        self.inputs: list[str] = []
        self.problems: list[str] = []

    def lowered(self) -> Graph:
        """The graph as it comes, before any pass."""
        self._begin()
        needed = _needed(self.program.graph)
        for node in self.program.graph.nodes:
            if node.op == "call_function" and node in needed:
                self._lower(node)
        if self.problems:
            lines = "".join(f"\n  {problem}" for problem in dict.fromkeys(self.problems))
            raise Unsupported(f"lower: {len(dict.fromkeys(self.problems))} op(s) cannot be lowered:{lines}")
        outputs = self._finish()
        return self.builder.finish(self.inputs, outputs)

    def _begin(self) -> None:
        mutated = {spec.target for spec in self._outputs(OutputKind.BUFFER_MUTATION)}
        placeholders = {node.name: node for node in self.program.graph.nodes if node.op == "placeholder"}
        for spec in self.program.graph_signature.input_specs:
            name = spec.arg.name
            if spec.kind == InputKind.USER_INPUT:
                self._begin_input(placeholders.get(name), spec.arg)
            elif spec.target in mutated:
                self._begin_state(name)
            elif name in self.constants:
                self.values[name] = self._finite(spec.kind, *self.constants[name])

    def _begin_input(self, node: Node | None, argument: Any) -> None:
        value = node.meta.get("val") if node else None
        if node is None or not isinstance(value, Tensor):
            if node is not None:
                self.values[node.name] = getattr(argument, "value", None)
            return
        dtype = str(value.dtype).removeprefix("torch.")
        if dtype not in ("float32", *RAW, *INDICES):
            raise Unsupported(f"lower: input {node.name!r} is {dtype}; need float32, int32 indices, or raw integers.")
        raw = PerTensor(1.0, 0, dtype) if dtype in RAW else None
        stored = "int32" if dtype in INDICES else "float32"
        name = self.builder.declare(node.name, value.shape, stored, raw)
        self.inputs.append(name)
        self.values[node.name] = name

    def _begin_state(self, placeholder: str) -> None:
        target, value = self.constants[placeholder]
        initial = _array(value)
        self.values[placeholder] = self.builder.declare(target, initial.shape, str(initial.dtype))

    def _finite(self, kind: InputKind, name: str, value: Tensor) -> Tensor:
        if kind == InputKind.PARAMETER and not bool(value.isfinite().all()):
            raise BadInput(f"lower: parameter {name!r} holds values that are not finite. Train again, or load others.")
        return value

    def _outputs(self, kind: OutputKind) -> list[Any]:
        return [spec for spec in self.program.graph_signature.output_specs if spec.kind == kind]

    def _lower(self, node: Node) -> None:
        if node.target is operator.getitem:
            self._take(node)
            return
        known = self._evaluated(node)
        if known is not None:
            self.values[node.name] = known
            return
        try:
            self.values[node.name] = self._call(node)
        except (Unsupported, BadInput) as error:
            self._refuse(node, str(error))

    def _take(self, node: Node) -> None:
        source, index = node.all_input_nodes[0], int(node.args[1])  # type: ignore[arg-type]
        values = self.values[source.name]
        if index < len(values):
            self.values[node.name] = values[index]
            return
        self._refuse(node, f"output {index} has no lowering; need the values only.")

    def _evaluated(self, node: Node) -> Any:
        """The node's result when nothing in it depends on an input: computed here, once, by torch."""
        if str(node.target).startswith("edgesmith."):
            return None
        known = {}
        for source in node.all_input_nodes:
            value = self.values.get(source.name)
            if not isinstance(value, Tensor):
                return None
            known[source] = value
        args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda source: known[source])
        with torch.no_grad():
            result = node.target(*args, **kwargs)  # type: ignore[operator]
        return result

    def _call(self, node: Node) -> Any:
        target = str(node.target)
        if target not in LOWERINGS:
            raise Unsupported(f"has no lowering. {way_round(target)}")
        path = exporting.path_of(node)
        label = f"{path}.{node.name}" if path else node.name
        self.builder.at(node.name, label, exporting.line_of(node)[0])
        call = Call(self._arguments(node), self._complex_inputs(node))
        if call.complex_inputs and target.split(".")[1] not in TAKES_COMPLEX:
            raise Unsupported("reads complex values; need abs, view_as_real, real or imag first.")
        result = LOWERINGS[target](self.builder, call)
        self._check_shapes(node, result)
        return result

    def _complex_inputs(self, node: Node) -> frozenset[str]:
        sources = [source for source in node.all_input_nodes if isinstance(source.meta.get("val"), Tensor)]
        return frozenset(str(self.values.get(source.name)) for source in sources if source.meta["val"].is_complex())

    def _check_shapes(self, node: Node, result: Any) -> None:
        """A lowering that gave another shape than torch would be a fault of ours: better no graph than a wrong one."""
        expected = node.meta.get("val")
        if not isinstance(expected, Tensor) or not isinstance(result, str) or expected.is_complex():
            return
        if tuple(expected.shape) != self.builder.shape(result):
            raise Unsupported(f"gave {self.builder.shape(result)} where torch gives {tuple(expected.shape)}.")

    def _arguments(self, node: Node) -> Mapping[str, Any]:
        schema = node.target._schema.arguments  # type: ignore[union-attr]
        bound = {argument.name: argument.default_value for argument in schema if argument.has_default_value()}
        bound |= {argument.name: value for argument, value in zip(schema, node.args, strict=False)}
        return {key: self._argument(value) for key, value in {**bound, **node.kwargs}.items()}

    def _argument(self, value: Any) -> Any:
        if isinstance(value, Node):
            found = self.values[value.name]
            return self._place(value.name, found) if isinstance(found, Tensor) else found
        if isinstance(value, list | tuple):
            return [self._argument(entry) for entry in value]
        return value

    def _place(self, node_name: str, value: Tensor) -> str:
        """A constant in the builder, under its name in the module."""
        if id(value) not in self.placed:
            stem = self.constants[node_name][0] if node_name in self.constants else node_name
            self.placed[id(value)] = self.builder.constant(stem, _array(value))
        return self.placed[id(value)]

    def _refuse(self, node: Node, reason: str) -> None:
        """Note a problem and go on with stand-ins, so that all problems are found at once."""
        line, text = exporting.line_of(node)
        where = " ".join(part for part in (line, f"({text})" if text else "") if part) or "no source line"
        self.problems.append(f"{node.target} at {where}: {reason.removeprefix('lower: ')}")
        self.values[node.name] = self._stand_in(node.meta.get("val"))

    def _stand_in(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self.builder.declare("refused", value.shape)
        return [self._stand_in(entry) for entry in value] if isinstance(value, list | tuple) else []

    def _finish(self) -> list[str]:
        names = {spec.arg.name: spec for spec in self.program.graph_signature.input_specs}
        buffers = {spec.target: name for name, spec in names.items() if spec.target is not None}
        for spec in self._outputs(OutputKind.BUFFER_MUTATION):
            tensor = self.values[buffers[spec.target]]
            update = self._output(spec.arg)
            self.builder.states.append(State(tensor, update, _array(self.constants[buffers[spec.target]][1])))
        outputs = [self._output(spec.arg) for spec in self._outputs(OutputKind.USER_OUTPUT)]
        if len(set(outputs)) < len(outputs):
            raise Unsupported("lower: the model returns one tensor twice; need different outputs. Return it once.")
        if not outputs:
            raise Unsupported("lower: the model returns no tensor; need at least one.")
        return outputs

    def _output(self, argument: Any) -> str:
        name = getattr(argument, "name", None)
        value = self.values.get(name) if name else None
        if isinstance(value, Tensor):
            return self._place(str(name), value)
        if not isinstance(value, str):
            raise Unsupported(f"lower: the model returns {argument!r}; need tensors. Return only what is computed.")
        return value


ROUNDINGS = ("edgesmith.fake_quantize.default", "edgesmith.snap.default")


def _needed(graph: torch.fx.Graph) -> set[Node]:
    """The nodes that an output depends on, and formats even of what nothing reads: final states of an LSTM.

    Export leaves others too, such as assertions.
    """
    needed = {node for node in graph.nodes if str(node.target) in ROUNDINGS}
    needed.update(graph.output_node().all_input_nodes)
    for node in reversed(graph.nodes):
        if node in needed:
            needed.update(node.all_input_nodes)
    return needed


def _array(value: Tensor) -> np.ndarray:
    """As numpy, 64-bit integers as 32-bit: indices."""
    array = value.detach().cpu().contiguous().numpy()
    return array.astype(np.int32) if array.dtype == np.int64 else array.copy()


def raw_tensor(samples: np.ndarray) -> Tensor:
    """A task's inputs (n, ...) for a module that normalizes by itself: sensor values as floats, indices as they are."""
    tensor = torch.from_numpy(samples)
    return tensor if is_index(samples.dtype) else tensor.float()


class Normalized(nn.Module):
    """A module that starts at raw sensor values: module((x - mean) / std)."""

    mean: Tensor
    std: Tensor

    def __init__(self, module: nn.Module, normalize: Normalize) -> None:
        super().__init__()
        self.module = module
        self.register_buffer("mean", torch.tensor(normalize.mean))
        self.register_buffer("std", torch.tensor(normalize.std))

    def forward(self, raw: Tensor) -> Any:
        shape = (1, -1) + (1,) * (raw.ndim - 2)
        return self.module((raw.float() - self.mean.reshape(shape)) / self.std.reshape(shape))


def with_normalize(module: nn.Module, normalize: Normalize) -> nn.Module:
    """The module behind its task's normalization; the module itself where there is none to do."""
    if set(normalize.mean) == {0.0} and set(normalize.std) == {1.0}:
        return module
    return Normalized(module, normalize)
