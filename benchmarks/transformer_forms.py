"""Each integer form of softmax, GELU and layer norm against the float function: error, and cycles on a Cortex-M4.

    python benchmarks/transformer_forms.py        # measure, draw, and write docs/transformers/ and the results
    python benchmarks/transformer_forms.py --draw # from the results there are

Errors are of the numpy definitions, which the C equals bit for bit; cycles are modelled from the instructions that the
emulated board executes, of the op alone. The float rows are this project's plain C on the board's float unit.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgesmith.compile.integerize import integerize
from edgesmith.compress.quantize.i_vit import annotate_forms
from edgesmith.core.atomic import write_file
from edgesmith.core.graph import Graph
from edgesmith.core.interface import decode
from edgesmith.core.ops import interpret, macs
from edgesmith.core.ops.forms import Forms
from edgesmith.core.ops.shift import LOG2_E, shift_exp
from edgesmith.lower import channels_last_input, lower, with_normalize

sys.path.insert(0, str(Path(__file__).parent / "claims"))
from plots import Curve, chart
from transformers import BOARD, figures, float_program, trained

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "transformer_forms.json"
PICTURES = ROOT / "docs" / "transformers"
TOKENS, WIDTH = 64, 64
SHAPE = (1, TOKENS, WIDTH)
WHOLE: dict[str, Forms | None] = {
    "float32": None,
    "int8, tables (ptq)": Forms(),
    "int8, edge-moe": Forms(softmax="single_pass", gelu="delta"),
    "int8, i-vit": Forms(softmax="shift", gelu="shift", norm="newton"),
}
SAMPLES = 16
LAMBDA = 3.0

# function, form, the forms to ask for, for whom
FORMS: Sequence[tuple[str, str, Forms | None]] = (
    ("softmax", "float", None),
    ("softmax", "table", Forms()),
    ("softmax", "single pass (Edge-MoE)", Forms(softmax="single_pass")),
    ("softmax", "Shiftmax (I-ViT)", Forms(softmax="shift")),
    ("gelu", "float", None),
    ("gelu", "table", Forms()),
    ("gelu", "ReLU minus delta (Edge-MoE)", Forms(gelu="delta")),
    ("gelu", "ShiftGELU (I-ViT)", Forms(gelu="shift")),
    ("gelu", "lambda-ShiftGELU (I-Segmenter)", Forms(gelu="shift", limit=LAMBDA)),
    ("layer_norm", "float", None),
    ("layer_norm", "exact", Forms()),
    ("layer_norm", "I-LayerNorm (I-ViT)", Forms(norm="newton")),
)
MODULES: dict[str, Callable[[], nn.Module]] = {
    "softmax": lambda: nn.Softmax(-1),
    "gelu": nn.GELU,
    "layer_norm": lambda: nn.LayerNorm(WIDTH),
}
SPREAD = {"softmax": 2.0, "gelu": 1.5, "layer_norm": 1.0}  # of the inputs, as in fashion-vit's blocks


def samples(function: str) -> np.ndarray:
    """(n, 1, 64, 64) normal inputs."""
    rng = np.random.default_rng(0)
    return (SPREAD[function] * rng.standard_normal((SAMPLES, *SHAPE[1:]))).astype(np.float32)


def graphs(function: str, forms: Forms | None, x: np.ndarray) -> tuple[Graph, Graph]:
    """The float graph, and the program in these forms; None is the float program."""
    torch.manual_seed(0)
    exact = lower(MODULES[function]().eval(), (torch.from_numpy(x[:1]),))
    return exact, exact if forms is None else integerize(annotate_forms(exact, x, forms, "minmax"))


def outputs(graph: Graph, x: np.ndarray) -> np.ndarray:
    """Real outputs of one sample."""
    (stored,) = interpret(graph, {graph.inputs[0]: x}).values()
    return decode(graph.tensors[graph.outputs[0]], stored)


def measured(function: str, form: str, forms: Forms | None) -> dict[str, Any]:
    """Errors against the float function, on inputs as the integer op gets them, and cycles per element."""
    x = samples(function)
    exact, program = graphs(function, forms, x)
    wrong = np.concatenate([errors(exact, program, row[None]) for row in x]) if forms else np.zeros(1)
    found = figures(program)
    kinds = [kind for kind in found.by_kind if kind not in ("quantize", "dequantize")]
    op = next(op for op in program.ops if op.kind == kinds[0])
    constants = sum(program.constants[name].nbytes for name in op.inputs if name in program.constants)
    step = getattr(program.tensors[op.outputs[0]].format, "scale", 0.0)
    return {
        "function": function,
        "form": form,
        "op": op.kind,
        "step": step,
        "largest_error": float(np.abs(wrong).max()),
        "rms_error": float(np.sqrt(np.square(wrong).mean())),
        "cycles_per_element": sum(found.by_kind[kind] for kind in kinds) / (TOKENS * WIDTH),
        "constant_bytes": constants,
        "float_instructions": found.float_instructions if forms is None else 0,
    }


def errors(exact: Graph, program: Graph, x: np.ndarray) -> np.ndarray:
    """The program's outputs minus the float function's on the same rounded inputs."""
    stored = program.ops[0]
    assert stored.kind == "quantize"
    seen: dict[str, np.ndarray] = {}
    interpret(program, {program.inputs[0]: x}, watch=lambda op, made: seen.update(zip(op.outputs, made, strict=True)))
    rounded = decode(program.tensors[stored.outputs[0]], seen[stored.outputs[0]])
    return outputs(program, x) - outputs(exact, rounded)


def nets() -> list[dict[str, Any]]:
    """Both nets of the zoo, trained with seed 0, in each form: figures of the whole programs."""
    found = []
    for net in ("fashion-vit", "scenes-segmenter"):
        module, task = trained(net, 0)
        example = (torch.from_numpy(task.calibration.inputs[:1]).float(),)
        lowered = lower(with_normalize(module, task.normalize), example)
        for name, forms in WHOLE.items():
            program = float_program(module, task)
            if forms:
                stored = annotate_forms(lowered, task.calibration.inputs[:32], forms, "minmax")
                program = channels_last_input(integerize(stored))
            facts = {"net": net, "forms": name, "macs": sum(macs(program, op) for op in program.ops)}
            found.append({**facts, **{k: v for k, v in asdict(figures(program)).items() if k != "by_kind"}})
            print(found[-1], flush=True)
    return found


def net_table(data: dict[str, Any]) -> list[str]:
    """The rows of docs/transformers.md on whole nets."""
    rows = []
    for row in data["nets"]:
        slow = next(r["cycles"] for r in data["nets"] if r["net"] == row["net"] and r["forms"] == "float32")
        rows.append(
            f"| {row['net']} | {row['forms']} | {row['cycles'] / 1e6:.2f} M | {slow / row['cycles']:.1f} | "
            f"{row['flash_bytes']:,} | {row['ram_bytes']:,} | {row['float_instructions']} |"
        )
    return rows


def curves() -> dict[str, Any]:
    """What the pictures show."""
    x = np.linspace(-8, 0, 321)
    line = np.linspace(-5, 5, 321).astype(np.float32)
    rows = line[None, None]
    found: dict[str, Any] = {"exp": {"x": x.tolist(), "I-ViT": (shift_exp(x, 15) / np.exp(x) - 1).tolist()}}
    found["exp"]["2^x by 1.0111b alone"] = (np.exp2(x * LOG2_E) / np.exp(x) - 1).tolist()
    found["gelu"] = {"x": line.tolist()}
    for function, form, forms in FORMS:
        if function == "gelu" and forms:
            exact = lower(nn.GELU().eval(), (torch.from_numpy(rows),))
            program = integerize(annotate_forms(exact, rows, forms, "minmax"))
            found["gelu"][form] = (errors(exact, program, rows)[0, 0]).tolist()
    return {**found, "softmax": _softmax_curves(), "layer_norm": _norm_curves()}


def _softmax_curves() -> dict[str, Any]:
    """Largest error of a row's probabilities by the spread of its scores."""
    spreads = np.geomspace(0.1, 8, 25)
    found: dict[str, Any] = {"x": spreads.tolist()}
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((4, *SHAPE[1:])).astype(np.float32)
    for function, form, forms in FORMS:
        if function == "softmax" and forms:
            found[form] = []
            for spread in spreads:
                x = (spread * noise).astype(np.float32)
                exact, program = graphs("softmax", forms, x)
                found[form].append(float(max(np.abs(errors(exact, program, row[None])).max() for row in x)))
    return found


def _norm_curves() -> dict[str, Any]:
    """Root mean square error of a row by its spread, in steps of the input."""
    spreads = np.geomspace(0.5, 40, 25)
    found: dict[str, Any] = {"x": spreads.tolist()}
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((TOKENS, WIDTH))
    for function, form, forms in FORMS:
        if function == "layer_norm" and forms:
            found[form] = []
            for spread in spreads:
                x = np.concatenate([spread * noise, np.full((1, WIDTH), 127.0)])[None].astype(np.float32)
                exact, program = graphs("layer_norm", forms, x)
                found[form].append(float(np.sqrt(np.square(errors(exact, program, x)[0, :TOKENS]).mean())))
    return found


def charts(data: dict[str, Any]) -> dict[str, str]:
    """The pictures of docs/transformers/ by name, as SVG."""
    titles = {
        "exp": ("Shift exponential: relative error", "x", "error", False),
        "gelu": ("GELU in int8: error", "x", "error", False),
        "softmax": ("Softmax in int8: largest error of a probability", "spread of the scores", "error", True),
        "layer_norm": ("Layer norm in int8: root mean square error", "spread of a row, steps of x", "error", True),
    }
    found = {}
    for name, (title, across, up, logarithmic) in titles.items():
        series = {k: v for k, v in data["curves"][name].items() if not k.startswith("lambda")}
        lines = [Curve(label, series["x"], y) for label, y in series.items() if label != "x"]
        found[name] = chart(title, across, up, lines, logarithmic)
    return found


def table(data: dict[str, Any]) -> list[str]:
    """The rows of docs/transformers.md."""
    return [
        f"| {row['function']} | {row['form']} | `{row['op']}` | {row['step']:.4f} | {row['largest_error']:.4f} | "
        f"{row['rms_error']:.4f} | {row['cycles_per_element']:.1f} | {row['constant_bytes']:,} |"
        for row in data["forms"]
    ]


def main() -> None:
    """Measure, write, draw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draw", action="store_true")
    torch.set_num_threads(1)
    if not parser.parse_args().draw:
        forms = [measured(*entry) for entry in FORMS]
        programs = nets()
        shape = {"tokens": TOKENS, "width": WIDTH, "board": BOARD}
        write_file(RESULT, json.dumps({**shape, "forms": forms, "nets": programs, "curves": curves()}, indent=1) + "\n")
    data = json.loads(RESULT.read_text())
    PICTURES.mkdir(exist_ok=True)
    for name, document in charts(data).items():
        write_file(PICTURES / f"{name}.svg", document)
    print("\n".join([*table(data), *net_table(data)]))


if __name__ == "__main__":
    main()
