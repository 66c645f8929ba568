"""The C of one model: its header, and a source file with the weights and one call per op."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgesmith.compile.emit.prepare import keep_old_states, separate_constants
from edgesmith.compile.emit.text import C_TYPES, array, comment, identifier, identifiers, literal
from edgesmith.compile.memory.order import best_order, permuted
from edgesmith.compile.memory.plan import Plan, least_bytes, plan
from edgesmith.compile.memory.storage import ALIGNMENT, Demands
from edgesmith.compile.memory.views import roots, views
from edgesmith.core.errors import Unsupported
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Graph, Op, Tensor
from edgesmith.core.interface import Interface, Port
from edgesmith.kernels.abi import Field, Kernel, select
from edgesmith.kernels.variants import CONSTANT_ALIGNMENT, THREADED, THREADS, WORD

MAX_BLOCK_BYTES = (1 << 31) - 1  # kernels count in int32
MAX_OPS = 1 << 13  # placing the buffers takes time by the square; far above any model for a small device


Kernels = tuple[Kernel | None, ...]  # one per op


@dataclass(frozen=True)
class Program:
    """A graph bound to kernels and a memory plan; everything `emit` prints.

    Attributes:
        graph: as given, with copies where C would otherwise read a value too late (emit/prepare.py).
        kernels: one per op, None for an op that moves nothing (memory/views.py, or a concatenation in place).
        arrays: constant tensor name to the array as stored, arranged for its kernel.
        state_offsets: state tensor name to byte offset in the state block.
    """

    graph: Graph
    kernels: Kernels
    plan: Plan
    arrays: Mapping[str, np.ndarray]
    state_offsets: Mapping[str, int]
    interface: Interface

    @property
    def kernel_sources(self) -> tuple[Path, ...]:
        """The kernel files the program needs, and the one that runs their work on several threads."""
        files = tuple(dict.fromkeys(k.source for k in self.kernels if k))
        return (*files, THREADS) if self.threaded else files

    @property
    def threaded(self) -> bool:
        """Whether kernels share their work out, so that it may run on several threads."""
        return any(k.source.parent.name in THREADED for k in self.kernels if k)

    @property
    def constant_alignment(self) -> int:
        """Bytes, of every constant array."""
        return max((CONSTANT_ALIGNMENT.get(path.parent.name, WORD) for path in self.kernel_sources), default=WORD)

    def shared_parameters(self) -> dict[int, int]:
        """Op index to the index of the first op with the same parameter struct, which both read."""
        first: dict[tuple[str, tuple[Field, ...]], int] = {}
        return {
            index: first.setdefault((kernel.struct, kernel.fields), index)
            for index, kernel in enumerate(self.kernels)
            if kernel and kernel.fields
        }

    def constant_bytes(self) -> int:
        """Bytes of weights and tables in flash, parameter structs not counted."""
        return sum(values.nbytes for values in self.arrays.values())


def bind(graph: Graph, folders: Sequence[str]) -> Program:
    """Choose a kernel for every op, arrange the constants, place the memory.

    Args:
        folders: kernel folders to look in, best first.

    Raises:
        Unsupported: an op has no kernel, there is no input or output, more than MAX_OPS ops, or a block exceeds
            MAX_BLOCK_BYTES.
    """
    if len(graph.ops) > MAX_OPS:
        raise Unsupported(f"compile: {graph.name} has {len(graph.ops)} ops; need at most {MAX_OPS}.")
    if not graph.inputs or not graph.outputs:
        raise Unsupported(f"compile: {graph.name} has no input or no output; need at least one of each.")
    kept = keep_old_states(graph)
    still = views(kept)
    kernels = tuple(None if i in still else _kernel(kept, op, folders) for i, op in enumerate(kept.ops))
    prepared, arrays = separate_constants(kept, kernels)
    prepared, kernels, placed = _arranged(prepared, kernels)
    state_offsets, state_bytes = _state_layout(prepared)
    return Program(
        prepared, kernels, placed, arrays, state_offsets, _interface(graph, prepared.outputs, placed, state_bytes)
    )


def demands_of(kernels: Kernels) -> Demands:
    """What these kernels, one per op, need of memory and allow."""
    return Demands(
        {i: k.scratch_bytes for i, k in enumerate(kernels) if k},
        {i: k.lead_bytes for i, k in enumerate(kernels) if k and k.lead_bytes is not None},
        {i for i, k in enumerate(kernels) if k and k.in_place},
    )


def _arranged(graph: Graph, kernels: Kernels) -> tuple[Graph, Kernels, Plan]:
    """The ops in the better of two orders, as given or by `best_order`, with the memory plan of it."""
    demands = demands_of(kernels)
    order = best_order(graph, demands)
    again, placed = permuted(graph, order), plan(permuted(graph, order), demands.permuted(order))
    changed = order != tuple(range(len(order)))
    if changed and least_bytes(graph, demands) <= placed.arena_bytes:
        given = plan(graph, demands)
        if given.arena_bytes <= placed.arena_bytes:
            changed, placed = False, given
    if changed:
        graph, kernels = again, tuple(kernels[i] for i in order)
    return graph, tuple(None if i in placed.settled else kernel for i, kernel in enumerate(kernels)), placed


def _interface(graph: Graph, kept: Sequence[str], placed: Plan, state_bytes: int) -> Interface:
    """How the program is called.

    Args:
        graph: as given, whose names the caller knows.
        kept: the tensors that hold the outputs.
    """
    for what, size in (("arena", placed.arena_bytes), ("state block", state_bytes)):
        if size > MAX_BLOCK_BYTES:
            raise Unsupported(f"compile: the {what} has {size:,} bytes; need at most {MAX_BLOCK_BYTES:,}.")
    offsets = placed.tensor_offsets()
    names = identifiers(dict.fromkeys((*graph.inputs, *graph.outputs)))
    inputs = tuple(Port(graph.tensors[n], offsets[n], names[n]) for n in graph.inputs)
    outputs = tuple(
        Port(graph.tensors[n], offsets.get(place, -1), names[n]) for n, place in zip(graph.outputs, kept, strict=True)
    )
    return Interface(identifier(graph.name), placed.arena_bytes, state_bytes, ALIGNMENT, inputs, outputs)


def _kernel(graph: Graph, op: Op, folders: Sequence[str]) -> Kernel:
    kernel = select(op, graph.types(op.inputs), graph.types(op.outputs), folders)
    if kernel is None:
        raise Unsupported(f"compile: no kernel for {op.kind} ({op.name}), from {op.source or 'the graph'}.")
    return kernel


def _state_layout(graph: Graph) -> tuple[dict[str, int], int]:
    offsets, end = {}, 0
    for state in graph.states:
        offsets[state.tensor] = end
        end += -(-graph.tensors[state.tensor].nbytes // ALIGNMENT) * ALIGNMENT
    return offsets, end


class Printer:
    """Prints a bound program; holds the names that the pieces share."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.graph = program.graph
        self.prefix = identifier(program.graph.name)
        self.macro = self.prefix.upper()
        names = identifiers(program.arrays)
        self.constants = {tensor: f"c_{name}" for tensor, name in names.items()}
        self.roots = roots(program.graph)
        self.steps = identifiers(f"{index}_{op.name or op.kind}" for index, op in enumerate(program.graph.ops))
        self.offsets = program.plan.tensor_offsets()
        self.parameters = program.shared_parameters()

    def header(self) -> str:
        """The public header."""
        face = self.program.interface
        sizes = [("ARENA_BYTES", face.arena_bytes), ("STATE_BYTES", face.state_bytes), ("ALIGNMENT", face.alignment)]
        lines = [f"#define {self.macro}_{name} {value}" for name, value in sizes]
        ports = [self._port_macros(port) for port in (*face.inputs, *face.outputs)]
        return HEADER.format(
            macro=self.macro,
            name=self.prefix,
            sizes="\n".join(lines),
            ports="\n".join(ports),
            inputs="\n".join(f"    const {C_TYPES[p.tensor.dtype]} *{p.identifier};" for p in face.inputs),
            outputs="\n".join(f"    const {C_TYPES[p.tensor.dtype]} *{p.identifier};" for p in face.outputs),
            threads=THREADS_HEADER.format(name=self.prefix) if self.program.threaded else "",
        )

    def _port_macros(self, port: Port) -> str:
        name = f"{self.macro}_{port.identifier.upper()}"
        lines = [f"/* {port.identifier}: {describe(port.tensor)} */", f"#define {name}_BYTES {port.tensor.nbytes}"]
        if port.offset >= 0:
            lines.append(f"#define {name}_OFFSET {port.offset}")
        return "\n".join(lines)

    def source(self) -> str:
        """The model's source file."""
        steps = list(enumerate(zip(self.graph.ops, self.program.kernels, strict=True)))
        aligned = self.program.constant_alignment
        parts = [array(self.constants[n], values, aligned) for n, values in self.program.arrays.items()]
        parts += [array(f"initial_{i}", s.initial, WORD) for i, s in enumerate(self.graph.states)]
        parts += [self._parameters(i) for i in dict.fromkeys(self.parameters.values())]
        calls = [self._call(i, op, kernel) for i, (op, kernel) in steps if kernel]
        threads = THREADS_SOURCE.format(name=self.prefix) if self.program.threaded else ""
        return SOURCE.format(
            name=self.prefix,
            macro=self.macro,
            definitions="\n".join(parts),
            init="\n".join(self._initialise()) or "    (void)state;",
            calls="\n".join(calls),
            updates="\n".join(self._updates()),
            results="\n".join(
                f"    out->{port.identifier} = {self._read(name)};"
                for name, port in zip(self.graph.outputs, self.program.interface.outputs, strict=True)
            ),
            mask=ALIGNMENT - 1,
            threads=threads,
        )

    def _parameters(self, index: int) -> str:
        kernel = self.program.kernels[index]
        if kernel is None:
            raise AssertionError("an op that moves nothing has no parameters")
        fields = ", ".join(f".{f.name} = {literal_field(f.value, f.ctype)}" for f in kernel.fields)
        return f"static const {kernel.struct} p_{self._step(index)} = {{{fields}}};\n"

    def _step(self, index: int) -> str:
        op = self.graph.ops[index]
        return self.steps[f"{index}_{op.name or op.kind}"]

    def _call(self, index: int, op: Op, kernel: Kernel) -> str:
        scratch = f"a + {self.program.plan.scratch_offset(index)}" if kernel.scratch_bytes else "NULL"
        arguments = [f"&p_{self._step(self.parameters[index])}" if kernel.fields else "NULL"]
        arguments += kernel.arguments([self._read(n) for n in op.inputs], [self._write(n) for n in op.outputs])
        where = f"  /* {comment(op.source)} */" if op.source else ""
        call = f"    {kernel.function}({', '.join(arguments)}, {scratch});"
        if op.kind == "concat":  # a block of its own ends the life of the lists it is given
            call = f"    {{\n    {call}\n    }}"
        return f"    {self.macro}_BEFORE({index});\n{call}{where}\n    {self.macro}_AFTER({index});"

    def _read(self, name: str) -> str:
        """A pointer to the value of tensor `name`."""
        root, start = self.roots[name]
        cast = f"(const {C_TYPES[self.graph.tensors[name].dtype]} *)(const void *)"
        if root in self.program.state_offsets:
            return f"{cast}(s + {self.program.state_offsets[root] + start})"
        port = next((p for p in self.program.interface.inputs if p.tensor.name == root), None)
        if root not in self.constants and port is None:
            return f"{cast}(a + {self.offsets[name]})"
        base = f"in->{port.identifier}" if port else self.constants[root]
        return f"{cast}((const uint8_t *)(const void *){base} + {start})" if start else base

    def _write(self, name: str) -> str:
        return f"({C_TYPES[self.graph.tensors[name].dtype]} *)(void *)(a + {self.offsets[name]})"

    def _initialise(self) -> list[str]:
        offsets = self.program.state_offsets
        return [
            f"    __builtin_memcpy((uint8_t *)state + {offsets[s.tensor]}, initial_{i}, "
            f"{self.graph.tensors[s.tensor].nbytes});"
            for i, s in enumerate(self.graph.states)
        ]

    def _updates(self) -> list[str]:
        offsets, tensors = self.program.state_offsets, self.graph.tensors
        return [
            f"    __builtin_memcpy(s + {offsets[s.tensor]}, {self._read(s.update)}, {tensors[s.tensor].nbytes});"
            for s in self.graph.states
            if s.tensor != self.roots[s.update][0]
        ]


def literal_field(value: int | float | Sequence[int], ctype: str) -> str:
    """One member of a parameter struct; a list becomes a brace initialiser."""
    if isinstance(value, (int, float)):
        return literal(value, ctype)
    return "{" + ", ".join(literal(v, ctype) for v in value) + "}"


def describe(tensor: Tensor) -> str:
    """Shape, type and meaning of a tensor in words for a comment."""
    shape = " x ".join(map(str, tensor.shape)) or "scalar"
    format_ = tensor.format
    if not isinstance(format_, PerTensor):
        return f"{tensor.dtype}, {shape}"
    return f"{tensor.dtype}, {shape}; real = {format_.scale:.9g} * (q - {format_.zero_point})"


HEADER = """\
/* {name}: generated by edgesmith; shapes are row-major, images are height x width x channels. */
#ifndef {macro}_H
#define {macro}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

/* Blocks the caller owns. The arena's content need not be kept between runs, the state's must be. */
{sizes}

/* _OFFSET: where in the arena a value lies. An input may be written there instead of into a buffer of its own. */
{ports}

typedef struct {{
{inputs}
}} {name}_in;

/* Pointers into the arena, an input or a constant; valid until the next run. */
typedef struct {{
{outputs}
}} {name}_out;

/* Set the state block to its initial values. Returns 0, or -1 if a block is missing or not aligned. */
int {name}_init(void *state);

/* One inference. Returns 0, or -1 if a pointer is missing or a block is not aligned. */
int {name}_run(const {name}_in *in, {name}_out *out, void *state, void *arena);
{threads}
#ifdef __cplusplus
}}
#endif
#endif
"""

THREADS_HEADER = """
#ifdef EDGESMITH_THREADS
/* Run on so many threads from now on, the caller's among them; 1 ends the others. Returns how many there are. All
 * models of a program share them. Results are the same whatever the number. Not to be called during a run. */
int32_t {name}_threads(int32_t count);
#endif
"""

THREADS_SOURCE = """
#ifdef EDGESMITH_THREADS
#include "edgesmith_threads.h"

int32_t {name}_threads(int32_t count) {{
    return es_threads(count);
}}
#endif
"""

SOURCE = """\
/* {name}: generated by edgesmith. */
#include "{name}.h"

#include "edgesmith_kernels.h"

#define ES_INFINITY __builtin_inff()

/* For tools only: a word that an emulator watches or a cycle counter read before each op, a callback after it. */
#if defined(EDGESMITH_MARK)
extern volatile int32_t edgesmith_layer;
#define {macro}_BEFORE(i) (edgesmith_layer = (i))
#elif defined(EDGESMITH_TICKS)
extern void edgesmith_tick(int32_t op);
#define {macro}_BEFORE(i) edgesmith_tick(i)
#else
#define {macro}_BEFORE(i) ((void)0)
#endif
#if defined(EDGESMITH_TRACE)
extern void (*{name}_trace)(int32_t op);
void (*{name}_trace)(int32_t op);
#define {macro}_AFTER(i) \\
    do {{ \\
        if ({name}_trace) {name}_trace(i); \\
    }} while (0)
#else
#define {macro}_AFTER(i) ((void)0)
#endif

{definitions}
static int misaligned(const void *block) {{
    return block == NULL || ((uintptr_t)block & {mask}u) != 0;
}}

int {name}_init(void *state) {{
    if ({macro}_STATE_BYTES > 0 && misaligned(state)) return -1;
{init}
    return 0;
}}

int {name}_run(const {name}_in *in, {name}_out *out, void *state, void *arena) {{
    uint8_t *const a = arena;
    uint8_t *const s = state;
    if (in == NULL || out == NULL || misaligned(arena) || ({macro}_STATE_BYTES > 0 && misaligned(state))) return -1;
    (void)a;
    (void)s;
{calls}
{updates}
{results}
    return 0;
}}
{threads}"""
