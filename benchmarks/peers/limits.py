"""The machine's own limits, measured: int8 multiply-accumulates from registers, bytes read from memory, per second."""

import ctypes
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgesmith.kernels.abi import FOLDER
from edgesmith.toolchain import compile_library

# Turns are short and the best counts, so that other load on the machine leaves some of them alone.
LOOPS = 50_000  # a quarter of a millisecond
BYTES, BLOCK = 512 << 20, 16 << 20  # far above any cache; read block by block
SECONDS = 1.0


def limits(threads: int) -> dict[str, float]:
    """The best turns of so many threads that run at once, summed: peak GMAC/s and GB/s."""
    library = ctypes.CDLL(str(compile_library([Path(__file__).with_name("limits.c")], [FOLDER / "x86"])))
    library.peak.argtypes = [ctypes.c_int64]
    library.read_all.argtypes = [ctypes.c_void_p, ctypes.c_int64]
    blocks = np.ones(BYTES, np.uint8)
    macs = library.macs_a_loop() * LOOPS

    def read(turn: int) -> None:
        library.read_all(blocks.ctypes.data + turn * BLOCK % BYTES, BLOCK)

    peak = sum(macs / best for best in _at_once(threads, lambda _: library.peak(LOOPS)))
    reading = sum(BLOCK / best for best in _at_once(threads, read))
    return {"peak_gmacs_per_s": round(peak / 1e9, 1), "read_gb_per_s": round(reading / 1e9, 2)}


def _at_once(threads: int, call: Callable[[int], object]) -> list[float]:
    """The least seconds of call(turn) on each thread, all of them busy; ctypes lets go of the interpreter meanwhile."""
    best = [float("inf")] * threads
    end = time.perf_counter() + SECONDS

    def repeat(index: int) -> None:
        turn = index
        while (start := time.perf_counter()) < end:
            call(turn)
            best[index] = min(best[index], time.perf_counter() - start)
            turn += threads

    others = [threading.Thread(target=repeat, args=(i,)) for i in range(1, threads)]
    for other in others:
        other.start()
    repeat(0)
    for other in others:
        other.join()
    return best
