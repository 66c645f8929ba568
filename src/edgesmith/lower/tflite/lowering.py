"""TensorFlow Lite models to Graphs: float ones plain, quantized ones with a format on every tensor."""

from collections import Counter
from pathlib import Path

from edgesmith.core import ops
from edgesmith.core.errors import BadInput, EdgesmithError, Unsupported
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Graph, State
from edgesmith.lower.bounded import BoundedBuilder, stored, tidy
from edgesmith.lower.canonical import canonical
from edgesmith.lower.tflite.model import Model, Operator, Program, Value, read
from edgesmith.lower.tflite.node import Node, real
from edgesmith.lower.tflite.table import LOWERINGS, VARIABLES, way_round

INPUTS = ("float32", "int8", "uint8", "int16", "int32")
ROOM = 4  # elements of constants, as a multiple of the file's bytes: a sound file shares few of them


def lower_tflite(path: Path | str, name: str = "model") -> Graph:
    """Turn a .tflite file into a canonical Graph.

    A quantized model becomes a float graph whose tensors have the file's own formats, which `integerize` carries
    out; uint8 activations become the int8 that mean the same. The input keeps the file's layout, channels last.

    Raises:
        Missing, BadInput: no such file, or it is damaged.
        Unsupported: ops have no lowering: every one of them, with its name and a way round.
    """
    return lower_model(read(path), name)


def tflite_inputs(path: Path | str) -> list[str]:
    """The type of each input as the file stores it, such as "int8"."""
    program = read(path).programs[0]
    return [program.values[index].dtype for index in program.inputs]


def lower_model(model: Model, name: str = "model") -> Graph:
    """The same from what `read` returns."""
    graph = canonical(Importer(model, name).lowered())
    ops.check(graph)
    return graph


class Importer:
    """A model while it is lowered.

    Attributes:
        names: the graph's tensor of each tensor of the file that is there already.
        handles: tensor of the file to the variable whose handle it is.
        initial: variable to its first value.
        current: variable to the graph's tensor that holds its value so far.
        problems: what was refused so far.
    """

    def __init__(self, model: Model, name: str) -> None:
        self.model, self.program = model, model.programs[0]
        self.b = BoundedBuilder(name)
        self.room = [ROOM * model.size + 1024]
        self.names: dict[int, str] = {}
        self.handles: dict[int, str] = {}
        self.initial: dict[str, Value] = {}
        self.states: dict[str, str] = {}
        self.current: dict[str, str] = {}
        self.problems: list[str] = []
        self.readers = Counter(i for op in self.program.operators for i in op.inputs)
        self.readers.update(self.program.outputs)

    def lowered(self) -> Graph:
        """The graph as it comes, before any pass."""
        inputs = [self._input(index) for index in self.program.inputs]
        for position, op in enumerate(self.program.operators):
            self._lower(position, op)
        if self.problems:
            lines = "".join(f"\n  {problem}" for problem in dict.fromkeys(self.problems))
            raise Unsupported(f"tflite: {len(dict.fromkeys(self.problems))} op(s) cannot be imported:{lines}")
        for variable, tensor in self.states.items():
            self.b.states.append(State(tensor, self.current[variable], real(self.initial[variable])))
        outputs = [self.names[i] for i in self.program.outputs if i in self.names]
        if len(set(outputs)) < max(len(self.program.outputs), 1):
            raise Unsupported("tflite: an output is missing, or is given twice; need different outputs that are made.")
        return self.b.finish(inputs, outputs)

    def _input(self, index: int) -> str:
        if index < 0:
            raise BadInput("tflite: an input of the model is left out; the file is damaged.")
        value = self.program.values[index]
        if value.dtype not in INPUTS or min(value.shape, default=1) < 1:
            raise Unsupported(f"tflite: input {value.name!r} is {value.dtype}{value.shape}; need one of {INPUTS}.")
        raw = PerTensor(1.0, 0, value.dtype) if value.dtype in ("int8", "uint8", "int16") else None
        if raw and value.quantized and len(value.scales) == 1:
            raw = PerTensor(float(value.scales[0]), int(value.zeros[0]) if value.zeros.size else 0, value.dtype)
        dtype = "int32" if value.dtype == "int32" else "float32"
        self.names[index] = self.b.declare(value.name, value.shape, dtype, raw)
        return self.names[index]

    def _lower(self, position: int, op: Operator) -> None:
        first = self.program.values[op.outputs[0]].name if op.outputs and op.outputs[0] >= 0 else op.kind
        self.b.at(first, first, f"op {position}: {op.kind}")
        node = Node(self.b, op, self.program.values, self.names, lambda index: self.readers[index] == 1, self.room)
        try:
            if op.kind in VARIABLES:
                self._variable(node)
                return
            if op.kind not in LOWERINGS:
                raise Unsupported(f"has no lowering. {way_round(op.kind)}")
            made = LOWERINGS[op.kind](node)
            results = [made] if isinstance(made, str) else made
            for index, name in enumerate(results):
                self._keep(node, index, name)
        except EdgesmithError as error:
            self._refuse(position, op, first, str(error))

    def _keep(self, node: Node, index: int, name: str) -> None:
        """A result under its number in the file, in its format; a shape that is not the file's is a fault of ours."""
        value = node.output(index)
        if self.b.shape(name) != value.shape:
            raise Unsupported(f"gave {self.b.shape(name)} where the file says {value.shape}.")
        self.names[value.index] = node.stored(name, index)

    def _refuse(self, position: int, op: Operator, name: str, reason: str) -> None:
        """Note a problem and go on with stand-ins, so that all problems are found at once."""
        self.problems.append(f"{op.kind} (op {position}, {name!r}): {reason}")
        for index in op.outputs:
            if index >= 0 and self.program.values[index].dtype != "resource":
                value = self.program.values[index]
                shape = tuple(max(size, 1) for size in value.shape)
                self.names[index] = self.b.declare("refused", shape)

    def _variable(self, node: Node) -> None:
        op = node.op
        if op.kind == "CALL_ONCE":
            self._first_values(node.whole(0))
        elif op.kind == "VAR_HANDLE":
            self.handles[node.output().index] = _shared_name(op)
        elif op.kind == "READ_VARIABLE":
            self._keep_read(node, self._handle(node))
        else:
            variable, name = self._handle(node), node.x(1)
            self._declare(variable)
            format_ = self.b.tensors[self.states[variable]].format
            if isinstance(format_, PerTensor):
                name = stored(self.b, name, format_)
            if self.b.shape(name) != self.b.shape(self.states[variable]):
                raise Unsupported(f"gives variable {variable!r} another shape than its first value has.")
            self.current[variable] = name

    def _keep_read(self, node: Node, variable: str) -> None:
        self._declare(variable)
        self._keep(node, 0, self.current[variable])

    def _handle(self, node: Node) -> str:
        index = node.value(0).index
        if index not in self.handles or self.handles[index] not in self.initial:
            raise Unsupported("uses a variable whose first value is not set by CALL_ONCE; need one that is.")
        return self.handles[index]

    def _declare(self, variable: str) -> None:
        if variable not in self.states:
            value = self.initial[variable]
            self.states[variable] = self.b.declare(variable, value.shape, "float32", value.format)
            self.current[variable] = self.states[variable]

    def _first_values(self, number: int) -> None:
        """The constants that a subgraph gives to variables."""
        if not 0 < number < len(self.model.programs):
            raise Unsupported(f"calls subgraph {number} of {len(self.model.programs)}.")
        program: Program = self.model.programs[number]
        handles: dict[int, str] = {}
        for op in program.operators:
            if op.kind == "VAR_HANDLE" and op.outputs[:1] and op.outputs[0] >= 0:
                handles[op.outputs[0]] = _shared_name(op)
            elif op.kind == "ASSIGN_VARIABLE" and len(op.inputs) == 2 and op.inputs[0] in handles and op.inputs[1] >= 0:
                value = program.values[op.inputs[1]]
                if not value.is_constant:
                    raise Unsupported(f"computes the first value of variable {handles[op.inputs[0]]!r}.")
                self.initial[handles[op.inputs[0]]] = value
            else:
                raise Unsupported(f"runs {op.kind} before the first inference; need constants given to variables.")


def _shared_name(op: Operator) -> str:
    return tidy(op.options.text(1), "state") if op.options else "state"
