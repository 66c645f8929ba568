"""What emlearn and m2cgen generate for the same models, built by the same compiler for the same boards."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgesmith.core.target import Target
from edgesmith.core.task import Task
from edgesmith.emulate import Emulator
from edgesmith.kernels.abi import FOLDER
from edgesmith.toolchain import compile_firmware

SAMPLES = 8
MOST_SOURCE = 600_000  # characters; m2cgen's megabyte of an SVM did not compile within five minutes
# A board has no C library: what the generated C takes from it. exp is ours in float, which is cheaper than in double;
# pow is only ever asked for squares.
HEADERS = {
    "string.h": "#include <stddef.h>\nvoid *memcpy(void *, const void *, size_t);\n",
    "math.h": '#include "edgesmith_math.h"\nstatic inline double exp(double v) { return (double)es_expf((float)v); }\n'
    "static inline double pow(double v, double two) { (void)two; return v * v; }\n"
    "#define fmax(a, b) ((a) > (b) ? (a) : (b))\n#define fmin(a, b) ((a) < (b) ? (a) : (b))\n",
}
MAIN = """
#include <stdint.h>
#include "model.h"
{type} input[{features}];
double output[{outputs}];
int infer(void);
int infer(void) {{ {call} }}
int main(void) {{ return infer(); }}
"""
BEST = """int best = 0;
    for (int i = 1; i < {outputs}; i++) best = output[i] > output[best] ? i : best;
    return best;"""


def compared(made: dict[str, Any], task: Task, boards: dict[str, Target], x: np.ndarray) -> dict[str, Any]:
    """Figures by kind, generator and board; a generator that has no form of a model is left out."""
    found: dict[str, Any] = {}
    for kind, model in made.items():
        for generator, make in (("emlearn int16", emlearn), ("emlearn float", emlearn), ("m2cgen", m2cgen)):
            source = make(model, generator.split()[-1])
            if source is None:
                continue
            each = found.setdefault(kind, {}).setdefault(generator, {})
            for board in ("M0+", "M4"):
                each[board] = built(source, boards[board], x, task.test.labels)
            print(f"{kind} by {generator}: {each}", flush=True)
    return found


def emlearn(model: Any, form: str) -> tuple[str, str, str] | None:
    """Header text, input type and the call."""
    import emlearn as generator

    dtype = "int16_t" if form == "int16" else "float"
    try:
        text = generator.convert(model, method="inline", dtype=dtype).save(name="model", format="c")
    except (ValueError, NotImplementedError, TypeError, AttributeError):
        return None
    return text, dtype, "return model_predict(input, {features});"


def m2cgen(model: Any, form: str) -> tuple[str, str, str] | None:
    """Header text, input type and the call."""
    import m2cgen as generator

    try:
        text = generator.export_to_c(model)
    except (NotImplementedError, ValueError, TypeError, AttributeError, IndexError, KeyError):
        return None
    if len(text) > MOST_SOURCE:
        return None
    return text, "double", "score(input, output);\n    " + BEST


def built(source: tuple[str, str, str], target: Target, x: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Flash, RAM with stack, mean instructions over the first samples, and how many of those it gets right."""
    text, ctype, call = source
    sizes = {"features": x.shape[1], "outputs": 10}
    main = MAIN.format(type=ctype, call=call.format(**sizes), **sizes)
    with TemporaryDirectory(prefix="edgesmith-peer-") as name:
        folder = Path(name)
        for file, content in {**HEADERS, "model.h": text, "main.c": main}.items():
            (folder / file).write_text(content)
        room = {"flash_bytes": 16 << 20, "ram_bytes": 1 << 20}
        linked = compile_firmware(
            [folder / "main.c"],
            [folder, FOLDER / "include"],
            target,
            folder / "peer.elf",
            exports=("infer", "input", "output"),
            **room,
        )
        dtype = {"int16_t": np.int16, "float": np.float32, "double": np.float64}[ctype]
        with Emulator(linked, target) as board:
            calls = []
            for row in x[:SAMPLES]:
                board.write("input", row.astype(dtype).tobytes())
                calls.append(board.call("infer"))
    right = sum(int(call.result == label) for call, label in zip(calls, labels, strict=False))
    return {
        "flash": int(linked.flash_bytes),
        "ram": linked.ram_bytes + max(call.stack_bytes for call in calls),
        "instructions": round(float(np.mean([call.instructions for call in calls]))),
        "right": right,
    }
