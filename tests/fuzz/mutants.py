"""Artifacts with something wrong in them, each made from a seed: what a hostile or damaged file may look like."""

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from core.ops.cases import CASES, scaling, weights
from core.sketch import Sketch
from edgesmith.core import ops
from edgesmith.core.artifact import SCHEMA_VERSION, graph_files
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph
from edgesmith.core.ops import SPECS
from edgesmith.core.ops.spec import Attribute

Files = dict[str, bytes]
EDGES = (0, 1, -1, 2, 3, 7, 8, 127, 128, -128, 255, 256, 32767, 65535, 65536, 65537, 1 << 24, (1 << 31) - 1, 1 << 31)
WILD = (
    *EDGES, -(1 << 31), 1 << 32, 1 << 62, 1 << 63, 10**400, 0.5, -0.0, 1e-300, 1e300, float("inf"), float("nan"),
    True, False, None, "", "x", "o0", "i0", "int8", "float32", "bool", "\ud800", "\u202e", "a" * 300,
    [], {}, [[]], [1] * 40,
)  # fmt: skip


def nets() -> list[Graph]:
    """Small networks: several ops in a row, states, several inputs and outputs."""
    conv = Sketch()
    x = conv.input(1, 6, 5, 3, dtype="int8")
    deep = conv("conv2d_s8", x, conv.const(weights(3, 3, 3, 1)), *map(conv.const, scaling(3)), groups=3)
    wide = conv("conv2d_s8", deep, conv.const(weights(4, 1, 1, 3)), *map(conv.const, scaling(4)))
    pooled = conv("max_pool2d", wide, kernel=(2, 2), stride=(2, 2))
    flat = conv("reshape", pooled, shape=(1, 8))
    out = conv("linear_s8", flat, conv.const(weights(5, 8)), *map(conv.const, scaling(5)))
    memory = Sketch()
    y, state = memory.input(2, 3), memory.state(2, 3)
    total = memory("add", memory("reshape", memory("neg", y), shape=(2, 3)), state)
    return [conv.graph(out, pooled), memory.graph(state, total, updates=(total,))]


BASES: tuple[Graph, ...] = (*(case.graph() for case in CASES), *nets(), *nets(), *nets())


def mutant(seed: int) -> Files:
    """The files of one mutant artifact, hashes made to agree except where the manifest itself was changed."""
    rng = np.random.default_rng(seed)
    graph = BASES[seed % len(BASES)]
    if rng.random() < 0.5:
        return packed(graph_files(consistent(graph, rng)))
    files = graph_files(graph)
    return packed(*pick(rng, (structured, bytewise, with_manifest))(files, rng))


def packed(files: Files, change: Callable[[dict[str, Any]], None] = lambda manifest: None) -> Files:
    """With a manifest whose hashes are right."""
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    manifest = {"schema_version": SCHEMA_VERSION, "files": hashes, "target": "nucleo-l4r5zi"}
    change(manifest)
    return {**files, "manifest.json": json.dumps(manifest).encode()}


def pick(rng: np.random.Generator, choices: Any) -> Any:
    """One of them, not copied into an array."""
    return choices[int(rng.integers(len(choices)))]


def consistent(graph: Graph, rng: np.random.Generator) -> Graph:
    """Another attribute, input shape or weight, and every size that follows from it: valid-looking."""
    for _ in range(int(rng.integers(1, 4))):
        graph = pick(rng, (other_attribute, other_shape, other_weights))(graph, rng)
    return inferred(graph)


def other_attribute(graph: Graph, rng: np.random.Generator) -> Graph:
    """One attribute of one op set to a value its spec allows, often at a bound."""
    index = int(rng.integers(len(graph.ops)))
    op = graph.ops[index]
    rules = SPECS[op.kind].attrs
    if not rules:
        return graph
    name = pick(rng, sorted(rules))
    length = len(value) if isinstance(value := op.attrs.get(name, rules[name].default), tuple) else 0
    entries = [allowed(rules[name], rng) for _ in range(max(length, 1))]
    if length:  # most often one entry changes
        entries = [new if rng.random() < 0.5 else old for new, old in zip(entries, value, strict=True)]
    changed = replace(op, attrs={**op.attrs, name: tuple(entries) if length else entries[0]})
    return replace(graph, ops=(*graph.ops[:index], changed, *graph.ops[index + 1 :]))


def allowed(rule: Attribute, rng: np.random.Generator) -> Any:
    """A value within the bounds of a rule, or just outside."""
    kind = getattr(rule.type, "__args__", (rule.type,))[0]
    if kind is bool:
        return bool(rng.integers(2))
    if kind is str:
        return pick(rng, ("none", "tanh", "x"))
    bounds = [b for b in (rule.low, rule.high) if b is not None]
    value = pick(rng, (*bounds, *EDGES, *range(5), int(rng.integers(0, 40)), int(rng.integers(0, 1 << 20))))
    return kind(value)


def other_shape(graph: Graph, rng: np.random.Generator) -> Graph:
    """The first input with one size changed."""
    tensor = graph.tensors[graph.inputs[0]]
    if not tensor.shape:
        return graph
    axis = int(rng.integers(len(tensor.shape)))
    size = pick(rng, (1, 2, 3, 5, 9, 17, 64, 300, 1 << 12, 1 << 20))
    shape = (*tensor.shape[:axis], size, *tensor.shape[axis + 1 :])
    return replace(graph, tensors={**graph.tensors, tensor.name: replace(tensor, shape=shape)})


def other_weights(graph: Graph, rng: np.random.Generator) -> Graph:
    """One constant at the ends of its type."""
    if not graph.constants:
        return graph
    name = pick(rng, sorted(graph.constants))
    array = graph.constants[name]
    raw = np.frombuffer(rng.bytes(array.nbytes), array.dtype).reshape(array.shape)
    if array.dtype.kind in "iu":
        info = np.iinfo(array.dtype)
        raw = pick(rng, (raw, np.full_like(array, info.min), np.full_like(array, info.max), np.zeros_like(array)))
    return replace(graph, constants={**graph.constants, name: raw})


def inferred(graph: Graph) -> Graph:
    """Every result's shape as the specs say, as far as they say one."""
    tensors = dict(graph.tensors)
    for op in graph.ops:
        try:
            made = ops.infer(op, tuple(tensors[name] for name in op.inputs))
        except BadInput:
            break
        for name, (shape, dtype) in zip(op.outputs, made, strict=True):
            tensors[name] = replace(tensors[name], shape=shape, dtype=dtype)
    return replace(graph, tensors=tensors)


def structured(files: Files, rng: np.random.Generator) -> tuple[Files]:
    """One to three changes in the tree of graph.json."""
    tree = json.loads(files["graph.json"])
    for _ in range(int(rng.integers(1, 4))):
        edit(tree, rng)
    return ({**files, "graph.json": json.dumps(tree).encode()},)


def with_manifest(files: Files, rng: np.random.Generator) -> tuple[Files, Callable[[dict[str, Any]], None]]:
    """Changes in the tree of the manifest."""
    return files, lambda manifest: edit(manifest, rng)


def edit(tree: Any, rng: np.random.Generator) -> None:
    """Change, drop, add, repeat or swap something somewhere below `tree`."""
    place = tree
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        if not keys:
            return
        key = pick(rng, keys)
        if not isinstance(place[key], dict | list) or not place[key] or rng.random() < 0.15:
            break
        place = place[key]
    other = pick(rng, keys)
    turn = rng.random()
    if turn < 0.55:
        place[key] = near(place[key], rng)
    elif turn < 0.7:
        place[key], place[other] = place[other], place[key]
    elif turn < 0.8:
        del place[key]
    elif isinstance(place, list):
        place.insert(int(rng.integers(len(place) + 1)), copy.deepcopy(place[other]))
    else:
        place[pick(rng, ("x", "", "../x", str(other) + "2"))] = copy.deepcopy(place[other])


def near(value: Any, rng: np.random.Generator) -> Any:
    """A value like this one, or anything."""
    if isinstance(value, int) and not isinstance(value, bool) and rng.random() < 0.6:
        return pick(rng, (value + 1, value - 1, 2 * value, -value, pick(rng, EDGES)))
    if isinstance(value, str) and rng.random() < 0.4:
        return pick(rng, (*SPECS, "i0", "i1", "o0", "int8", "int32", "uint8", "per_tensor"))
    return copy.deepcopy(pick(rng, WILD))


def bytewise(files: Files, rng: np.random.Generator) -> tuple[Files]:
    """Flipped, inserted, dropped or repeated bytes in the graph or the weights."""
    name = pick(rng, ("graph.json", "weights.safetensors", "weights.safetensors"))
    data = bytearray(files[name])
    for _ in range(int(rng.integers(1, 5))):
        place = int(rng.integers(len(data) + 1)) if rng.random() < 0.5 else int(rng.integers(min(len(data), 200) + 1))
        span = int(rng.integers(1, 9))
        turn = rng.random()
        if turn < 0.5:
            data[place : place + 1] = rng.bytes(1)
        elif turn < 0.7:
            data[place:place] = rng.bytes(span)
        elif turn < 0.85:
            del data[place : place + span]
        elif turn < 0.95:
            data[place:place] = data[place // 2 : place // 2 + 50]
        else:
            del data[place:]
    return ({**files, name: bytes(data)},)
