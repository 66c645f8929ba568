"""Write down a float graph in a few lines, run it with fake quantization in numpy, annotate it from samples."""

from collections.abc import Mapping, Sequence

import numpy as np

from edgesmith.compress.quantize.placement import annotate, place
from edgesmith.core import ops
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Graph, Op, State, Tensor


class Sketch:
    """Collects ops; shapes follow from the specs."""

    def __init__(self):
        self.tensors, self.steps, self.constants, self.inputs, self.states = {}, [], {}, [], []

    def input(self, *shape, dtype="float32"):
        name = f"in{len(self.inputs)}"
        self.tensors[name] = Tensor(name, shape, dtype)
        self.inputs.append(name)
        return name

    def const(self, values):
        name = f"const{len(self.constants)}"
        array = np.asarray(values)
        self.constants[name] = array if array.dtype.kind in "iu" else array.astype(np.float32)
        self.tensors[name] = Tensor(name, array.shape, str(self.constants[name].dtype))
        return name

    def state(self, *shape):
        name = f"state{len(self.states)}"
        self.tensors[name] = Tensor(name, shape)
        self.states.append((name, np.zeros(shape, np.float32)))
        return name

    def __call__(self, kind, *inputs, **attrs):
        """Append an op and return its output's name, or all names when there are several."""
        made = ops.infer(Op(kind, inputs, ("",), attrs), tuple(self.tensors[name] for name in inputs))
        step = f"{kind}{len(self.steps)}"
        names = tuple(step if i == 0 else f"{step}.{i}" for i in range(len(made)))
        self.tensors.update({n: Tensor(n, shape, dtype) for n, (shape, dtype) in zip(names, made, strict=True)})
        self.steps.append(Op(kind, inputs, names, attrs, step))
        return names[0] if len(names) == 1 else names

    def graph(self, *outputs, updates=()):
        states = tuple(State(name, update, start) for (name, start), update in zip(self.states, updates, strict=True))
        graph = Graph("g", self.tensors, tuple(self.steps), tuple(self.inputs), outputs, self.constants, states)
        ops.check(graph)
        return graph


def ranges(graph: Graph, samples: Sequence[Mapping[str, np.ndarray]]) -> dict[str, tuple[float, float]]:
    """Least and greatest value of every result and input over the samples."""
    found = {}

    def see(name, array):
        low, high = found.get(name, (np.inf, -np.inf))
        found[name] = (min(low, float(array.min())), max(high, float(array.max())))

    for sample in samples:
        for name, array in sample.items():
            see(name, array)
        ops.interpret(
            graph, sample, watch=lambda op, results: [see(*pair) for pair in zip(op.outputs, results, strict=True)]
        )
    return found


def annotated(
    graph: Graph, samples: Sequence[Mapping[str, np.ndarray]], raw: Mapping[str, PerTensor] | None = None
) -> Graph:
    """The graph with formats of min-max ranges."""
    return annotate(graph, place(graph, raw), ranges(graph, samples))


def numpy_reference(graph: Graph):
    """A float graph in numpy, every tensor rounded to its format: what `lift` does in torch, written again."""

    def rounded(name, array):
        format_ = graph.tensors[name].format
        return array if format_ is None else format_.dequantize(format_.quantize(array))

    def run(arrays):
        values = {name: rounded(name, array) for name, array in graph.constants.items()}
        values |= {name: rounded(name, array) for name, array in zip(graph.inputs, arrays, strict=True)}
        for op in graph.ops:
            results = ops.spec_of(op).run([values[name] for name in op.inputs], ops.attrs_of(op))
            values |= {name: rounded(name, result) for name, result in zip(op.outputs, results, strict=True)}
        return [values[name] for name in graph.outputs]

    return run
