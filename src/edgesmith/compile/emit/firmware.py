"""What comes with the model's C: a main program, a CMake file, test vectors, a README."""

from collections.abc import Mapping, Sequence

import numpy as np

from edgesmith.compile.emit.model import describe
from edgesmith.compile.emit.text import C_TYPES, array, identifier
from edgesmith.core.interface import Interface, Port
from edgesmith.core.target import Target

Vector = tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]  # stored inputs, expected stored outputs


def main_source(face: Interface) -> str:
    """main.c: the blocks, one inference, and a self-test when built with EDGESMITH_SELF_TEST."""
    name = identifier(face.name)
    macro = name.upper()

    def sizes(port: Port) -> tuple[str, str]:
        size = f"{macro}_{port.identifier.upper()}"
        return f"v * {port.tensor.size}", size

    fill, compare = [], []
    for port in face.inputs:
        skip, size = sizes(port)
        fill.append(f"        __builtin_memcpy(arena + {size}_OFFSET, {_given(port)} + {skip}, {size}_BYTES);")
    for port in face.outputs:
        skip, size = sizes(port)
        expected = f"{_expected(port)} + {skip}, {size}_BYTES"
        compare.append(f"        wrong |= __builtin_memcmp(result.{port.identifier}, {expected});")
    return MAIN.format(
        name=name,
        macro=macro,
        inputs=", ".join(_input(port, macro) for port in face.inputs),
        fill="\n".join(fill),
        compare="\n".join(compare),
    )


def _input(port: Port, macro: str) -> str:
    ctype = C_TYPES[port.tensor.dtype]
    return f".{port.identifier} = (const {ctype} *)(const void *)(arena + {macro}_{port.identifier.upper()}_OFFSET)"


def _given(port: Port) -> str:
    return f"vector_in_{port.identifier}"


def _expected(port: Port) -> str:
    return f"vector_out_{port.identifier}"


def vectors_header(face: Interface, vectors: Sequence[Vector]) -> str:
    """test_vectors.h: stored inputs and the outputs they must give, in order, from the initial state."""
    parts = [f"#define VECTORS {len(vectors)}\n"]
    for port in face.inputs:
        parts.append(array(_given(port), _stack(port, [given for given, _ in vectors]), 4))
    for port in face.outputs:
        parts.append(array(_expected(port), _stack(port, [expected for _, expected in vectors]), 4))
    return "/* Stored inputs and the outputs they must give, bit for bit. */\n#include <stdint.h>\n\n" + "\n".join(
        parts
    )


def _stack(port: Port, arrays: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    return np.concatenate([a[port.tensor.name].reshape(-1) for a in arrays])


def cmake(face: Interface, kernel_files: Sequence[str], threaded: bool = False) -> str:
    """CMakeLists.txt: the model as a static library, to be added to a firmware project."""
    name = identifier(face.name)
    sources = "\n  ".join([f"{name}.c", *(f"kernels/{file}" for file in kernel_files)])
    threads = CMAKE_THREADS.format(name=name) if threaded else ""
    return CMAKE.format(name=name, sources=sources, threads=threads)


def readme(face: Interface, target: Target, flash: str) -> str:
    """README.md of the folder."""
    ports = [f"- in `{p.identifier}`: {describe(p.tensor)}" for p in face.inputs]
    ports += [f"- out `{p.identifier}`: {describe(p.tensor)}" for p in face.outputs]
    flags = " ".join(target.compiler_flags)
    return README.format(
        name=identifier(face.name),
        title=target.title,
        ports="\n".join(ports),
        arena=face.arena_bytes,
        state=face.state_bytes,
        flash=flash,
        flags=flags,
        macro=identifier(face.name).upper(),
    )


MAIN = """\
/* One model on a board: the blocks it needs and an inference. Replace infer()'s caller with your own loop. */
#include <stdint.h>

#include "{name}.h"
#ifdef EDGESMITH_SELF_TEST
#include "test_vectors.h"
#endif

uint8_t arena[{macro}_ARENA_BYTES] __attribute__((aligned({macro}_ALIGNMENT)));
#if {macro}_STATE_BYTES > 0
uint8_t state[{macro}_STATE_BYTES] __attribute__((aligned({macro}_ALIGNMENT)));
#else
#define state ((void *)0)
#endif
{name}_out result;
#ifdef EDGESMITH_MARK
volatile int32_t edgesmith_layer = -1;
#endif

/* Put the model back to its initial state. */
int reset(void);
int reset(void) {{ return {name}_init(state); }}

/* One inference on the input that lies in the arena at its _OFFSET. */
int infer(void);
int infer(void) {{
    const {name}_in given = {{{inputs}}};
    const int wrong = {name}_run(&given, &result, state, arena);
#ifdef EDGESMITH_MARK
    edgesmith_layer = -1;
#endif
    return wrong;
}}

/* Returns 0 when every test vector gives its expected output, bit for bit; without EDGESMITH_SELF_TEST, runs once. */
int main(void) {{
    int wrong = reset();
#ifdef EDGESMITH_SELF_TEST
    for (int v = 0; v < VECTORS; v++) {{
{fill}
        wrong |= infer();
{compare}
    }}
#else
    wrong |= infer();
#endif
    return wrong != 0;
}}
"""

CMAKE_THREADS = """
find_package(Threads REQUIRED)
target_compile_definitions({name} PUBLIC EDGESMITH_THREADS) # {name}_threads(n)
target_link_libraries({name} PUBLIC Threads::Threads)
"""

CMAKE = """\
cmake_minimum_required(VERSION 3.16)
project({name} C)

add_library({name} STATIC
  {sources})
target_include_directories({name} PUBLIC ${{CMAKE_CURRENT_SOURCE_DIR}} PRIVATE ${{CMAKE_CURRENT_SOURCE_DIR}}/kernels)
target_compile_features({name} PUBLIC c_std_99)
target_compile_options({name} PRIVATE -O3 -ffp-contract=off -ffunction-sections -fdata-sections)
{threads}
# Where this machine can run the model itself: `cmake -B build && cmake --build build && ctest --test-dir build`.
if(NOT CMAKE_CROSSCOMPILING)
  enable_testing()
  add_executable({name}_self_test main.c)
  target_compile_definitions({name}_self_test PRIVATE EDGESMITH_SELF_TEST)
  target_link_libraries({name}_self_test PRIVATE {name})
  add_test(NAME {name} COMMAND {name}_self_test)
endif()
"""

README = """\
# {name}
A model compiled by edgesmith for {title}: C99, no heap, no library but memcpy and memset.

{ports}

Memory: arena {arena} bytes, state {state} bytes, flash {flash}. All sizes are macros in `{name}.h`.

```c
static uint8_t arena[{macro}_ARENA_BYTES] __attribute__((aligned({macro}_ALIGNMENT)));
static uint8_t state[{macro}_STATE_BYTES + 1] __attribute__((aligned({macro}_ALIGNMENT)));
{name}_init(state);
{name}_run(&in, &out, state, arena);
```

Files: `{name}.c`, `{name}.h` and `kernels/` are the model; `main.c` shows a whole program and, built with
`-DEDGESMITH_SELF_TEST`, checks the vectors of `test_vectors.h` bit for bit; `CMakeLists.txt` builds a static library.
`graph.json` and `weights.safetensors` are the same program as data; `manifest.json` lists every file's sha256.

Compiler flags used: `{flags} -O3 -ffp-contract=off`
"""
