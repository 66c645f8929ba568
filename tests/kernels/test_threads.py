"""Several threads: the same bytes as one, whoever else runs; nothing raced for; a fork goes on alone."""

import platform
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from edgesmith.compile.emit import model_files, project_files
from edgesmith.core import ops
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph, Op, Tensor
from edgesmith.kernels.abi import FOLDER
from edgesmith.kernels.variants import THREADS
from edgesmith.pipeline.build import bind_for, host_program, native
from edgesmith.run.native import Native
from edgesmith.targets import load
from edgesmith.toolchain import compile_library
from kernels.cases import multipliers, s8

x86 = pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="x86-64 kernels share work out")
posix = pytest.mark.skipif(sys.platform == "win32", reason="forks")


def network(rng: np.random.Generator) -> Graph:
    """Convolution, depthwise, pointwise, all of them worth several parts, and a linear layer split by channels."""
    tensors = {"x": Tensor("x", (1, 22, 21, 16), "int8")}
    constants: dict[str, np.ndarray] = {}
    steps, last = [], "x"
    layers = ((48, 3, 1), (48, 3, 48), (160, 1, 1), (160, 3, 160))
    for index, (outputs, size, groups) in enumerate(layers):
        x = tensors[last]
        w = s8(rng, outputs, size, size, x.shape[3] // groups, low=-127)
        m, s = multipliers(rng, 2.0**-8 / w[0].size ** 0.5, outputs)
        bias = rng.integers(-4096, 4096, outputs).astype(np.int32)
        arrays = dict(zip(("w", "b", "m", "s"), (w, bias, m, s), strict=True))
        constants |= {f"{name}{index}": array for name, array in arrays.items()}
        pads = (size // 2,) * 4
        names = (last, *(f"{name}{index}" for name in arrays))
        op = Op("conv2d_s8", names, (f"y{index}",), {"groups": groups, "padding": pads, "x_zero": 3}, f"conv{index}")
        tensors |= {name: Tensor(name, array.shape, str(array.dtype)) for name, array in constants.items()}
        ((shape, dtype),) = ops.infer(op, tuple(tensors[name] for name in names))
        last = f"y{index}"
        tensors[last] = Tensor(last, shape, dtype)
        steps.append(op)
    return Graph("threads", tensors, tuple(steps), ("x",), (last,), constants)


@x86
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_outputs_are_numpys_whatever_the_number_of_threads(threads, nprng):
    graph = network(nprng)
    runner = native(graph, threads=threads)
    assert runner.threads == threads
    for _ in range(3):
        x = s8(nprng, *graph.tensors["x"].shape)
        np.testing.assert_array_equal(runner.run({"x": x})["y3"], ops.interpret(graph, {"x": x})["y3"])


@x86
def test_two_callers_at_once_get_what_each_gets_alone(nprng):
    graph = network(nprng)
    inputs = [s8(nprng, *graph.tensors["x"].shape) for _ in range(2)]
    runners = [native(graph, threads=2) for _ in inputs]
    wanted = [ops.interpret(graph, {"x": x})["y3"] for x in inputs]
    wrong: list[int] = []

    def call(runner: Native, x: np.ndarray, expected: np.ndarray) -> None:
        wrong.extend(i for i in range(200) if not np.array_equal(runner.run({"x": x})["y3"], expected))

    callers = [threading.Thread(target=call, args=each) for each in zip(runners, inputs, wanted, strict=True)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []


def test_a_number_of_threads_below_one_is_refused(nprng):
    with pytest.raises(BadInput, match="threads"):
        native(network(nprng), threads=0)


@x86
def test_only_a_program_whose_kernels_share_work_names_threads(nprng):
    """A program for a bare board is free of them; elsewhere the C of the pool comes with it and stays optional."""
    graph = network(nprng)
    plain = bind_for(graph, load("stm32f746")).program
    assert not any("threads(" in text for name, text in model_files(plain).items() if name.startswith("threads."))
    program = host_program(graph)
    x = np.zeros(graph.tensors["x"].shape, np.int8)
    files = project_files(program, load("x86-64"), [({"x": x}, ops.interpret(graph, {"x": x}))], "")
    assert program.threaded and "kernels/hosted_threads.c" in files
    assert "int32_t threads_threads(int32_t count);" in files["threads.h"]
    assert "Threads::Threads" in files["CMakeLists.txt"]


@posix
@pytest.mark.parametrize("flags", [(), ("-fsanitize=thread", "-g")], ids=["plain", "thread sanitizer"])
def test_every_unit_of_a_job_is_done_once(flags, tmp_path):
    """A C program (threads_main.c); ThreadSanitizer ends it with another code if anything is raced for."""
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("needs gcc")
    program = tmp_path / "threads"
    words = [gcc, "-std=c99", "-O1", "-DEDGESMITH_THREADS", f"-I{FOLDER / 'include'}", *flags]
    sources = [str(THREADS), str(Path(__file__).with_name("threads_main.c"))]
    subprocess.run([*words, *sources, "-pthread", "-o", str(program)], check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_pool_builds_with_zig_and_without_threads():
    for threads in (False, True):
        assert compile_library([THREADS], [FOLDER / "include"], threads=threads).exists()
