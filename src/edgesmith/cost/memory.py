"""Flash and RAM of a program: what can be counted is counted, the code around the calls is a small measured model."""

from collections.abc import Sequence

from edgesmith.compile.emit.model import Program
from edgesmith.core.graph import Op
from edgesmith.core.target import Target
from edgesmith.cost.code import code_size
from edgesmith.kernels.costs import table
from edgesmith.kernels.kernel import Kernel

SIZES = {"int32_t": 4, "uint32_t": 4, "int64_t": 8, "uint64_t": 8, "float": 4, "int16_t": 2, "uint8_t": 1, "int8_t": 1}
# Where no table says better: as linked for RISC-V, whose calls take more than those of the measured cores.
CALL_BYTES = {"program": 176.4, "call": 18.7, "argument": 9.9, "entry": 14.5}
REGISTERS = 4  # arguments of a call that take no code to be put on the stack
FRAME_BYTES = 8  # that a call adds to the program's own frame at most: an address that the compiler keeps there
STACK_BYTES = 512  # assumed of a kernel that was not measured; the largest of the measured ones takes less


def constant_bytes(program: Program) -> int:
    """Weights, tables, initial states and parameter structs as they lie in flash, each at a multiple of four.

    A struct that several ops share lies there once.
    """
    arrays = [values.nbytes for values in program.arrays.values()]
    initial = [state.initial.nbytes for state in program.graph.states]
    structs = own_struct_bytes(program).values()
    return sum(-(-size // 4) * 4 for size in (*arrays, *initial, *structs))


def own_struct_bytes(program: Program) -> dict[int, int]:
    """Op index to the size of its parameter struct, of ops that do not share that of an earlier one."""
    own = dict.fromkeys(program.shared_parameters().values())
    return {index: struct_bytes(kernel) for index in own if (kernel := program.kernels[index])}


def struct_bytes(kernel: Kernel) -> int:
    """Size of a kernel's parameter struct by the C layout rules of the 32-bit ABIs."""
    end, widest = 0, 1
    for field in kernel.fields:
        size = SIZES[field.ctype]
        end = -(-end // size) * size + size * max(field.length, 1)
        widest = max(widest, size)
    return -(-end // widest) * widest


def call_bytes(program: Program, target: Target) -> float:
    """Code of the program itself: one call per op, and what surrounds them."""
    found = table(target.core)
    model = found.call_bytes if found and found.call_bytes else CALL_BYTES
    calls, arguments, entries = call_features(program)
    return model["program"] + model["call"] * calls + model["argument"] * arguments + model["entry"] * entries


def call_features(program: Program) -> tuple[int, int, int]:
    """Calls, their arguments beyond those in registers, and entries of lists that concatenations are given."""
    called = [op for op, kernel in zip(program.graph.ops, program.kernels, strict=True) if kernel]
    joins = [op for op in called if op.kind == "concat"]
    counts = [2 + (2 if op.kind == "concat" else len(op.inputs)) + len(op.outputs) for op in called]
    return len(called), sum(max(0, count - REGISTERS) for count in counts), sum(len(op.inputs) for op in joins)


def flash_bytes(program: Program, target: Target) -> int:
    """Vectors, code and constants as they will be linked for a bare board."""
    return round(code_size(program, target).flash_bytes + constant_bytes(program) + call_bytes(program, target))


def static_ram_bytes(program: Program, target: Target) -> int:
    """What the linker will put into RAM: arena, state block, the result pointers, variables of the kernels."""
    face = program.interface
    pointers = target.pointer_bytes * len(face.outputs)
    if target.isa == "riscv32":  # its compiler puts small variables first, before the aligned blocks
        pointers = -(-pointers // face.alignment) * face.alignment
    own = face.arena_bytes + face.state_bytes + pointers
    return -(-own // 8) * 8 + code_size(program, target).ram_bytes


def stack_bytes(program: Program, target: Target) -> int:
    """Deepest stack: the most that any of the kernels was seen to use, and what the program's own frame takes."""
    names = [f"{k.source.parent.name}/{k.function}" for k in program.kernels if k]
    deepest = max((_stack(name, target.core) for name in names), default=STACK_BYTES)
    called = [op for op, kernel in zip(program.graph.ops, program.kernels, strict=True) if kernel]
    return deepest + FRAME_BYTES * len(called) + list_bytes(called)


def list_bytes(ops: Sequence[Op]) -> int:
    """Stack that the lists of pointers and sizes passed to a concatenation take: one after another in one place."""
    return max((8 * len(op.inputs) for op in ops if op.kind == "concat"), default=0)


def _stack(name: str, core: str) -> int:
    found = table(core)
    entries = found.kernels.items() if found else ()
    return max((entry.stack_bytes for key, entry in entries if key.split()[0] == name), default=STACK_BYTES)
