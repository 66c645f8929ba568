"""Write docs/import-export.md: what goes in and out, from the code's own tables, and what was measured.

`python docs/import_export.py` writes the page; tests/test_docs_exchange.py holds it against the code and
benchmarks/results/import.json.
"""

import json
from pathlib import Path
from typing import Any

from edgesmith.export import FORMATS, check
from edgesmith.export.onnx_ops import TABLE as ONNX_OUT
from edgesmith.export.tflite_ops import TABLE as TFLITE_OUT
from edgesmith.lower.onnx.folding import FOLDED
from edgesmith.lower.onnx.table import LOWERINGS as ONNX_IN
from edgesmith.lower.tflite.table import LOWERINGS as TFLITE_IN
from edgesmith.lower.tflite.table import VARIABLES
from edgesmith.pipeline.imported import LAYER_SHARE, LAYER_STEPS, LSTM_STEPS, MEAN_STEPS
from edgesmith.pipeline.verify import FLOAT_TOLERANCE

DOCS = Path(__file__).parent
PAGE = DOCS / "import-export.md"
RESULTS = DOCS.parent / "benchmarks" / "results" / "import.json"
TEXT = """\
# Models in and out

Written by `python docs/import_export.py` from the code's tables and `benchmarks/results/import.json`.

## In: ONNX and TensorFlow Lite

A `.onnx` or `.tflite` file goes wherever a model goes. It is data, so it needs no `--trust`:

```
edgesmith verify net.tflite
edgesmith compile net.tflite --target nucleo-l4r5zi --out artifact
edgesmith fit net.onnx --data digits --target rp2040 --out fitted
edgesmith run net.onnx picture.npy
```

- A **float** model becomes a module: it is calibrated, fine-tuned and compiled as any other; as with a `.pt2`, its
  channels are not pruned.
- An **int8** model is compiled as it is, with the file's own scales: `fit` refuses it. Its inputs and outputs keep the
  file's types; uint8 outputs become the int8 that mean the same.
- Streaming models keep their variables as states: TensorFlow Lite's `VAR_HANDLE` and the state of its LSTM.
- Weights must be symmetric int8 (zero point 0). A weight of -128, which TensorFlow Lite's own specification excludes,
  becomes -127. An LSTM's clip of the cell is not carried out, and its gates saturate once, where TensorFlow Lite
  saturates the input's part first: loud inputs may give other outputs.
- An op without a lowering is refused before any work, every one by name, with a way round. An ONNX model can be cut to
  the part that has lowerings; axes that a file leaves open get their sizes from `sizes`:

```python
from edgesmith.lower.onnx import lower_onnx

graph = lower_onnx("model.onnx", sizes={{"length": 16000}}, inputs={{"spectrum": (1, 132, 62)}}, outputs=["scores"])
```

**Agreement.** Our integers round once where TensorFlow Lite rounds twice, so an imported int8 model is *not* bit-exact
with it. `edgesmith verify` runs the file in its own runtime (LiteRT without delegates, ONNX Runtime) and says how far
apart they are. Floats must agree within {float_tolerance:g} of the largest output, or of 1. Every int8 layer, on
LiteRT's own inputs to it, may differ by {layer_steps} step, and {layer_share:.0%} of all layers' values may; an LSTM
over its window by {lstm_steps} steps. ONNX Runtime does not show its layers: its int8 outputs must agree within
{mean_steps:g} step on the average. Both are asked on random inputs, integers over their whole range.

**Files from outside** may be hostile: every count and size is checked against the file's length, ONNX weights beside
the model must lie in its own folder, and damaged files are part of the tests.

Supported, TensorFlow Lite: {tflite_in}.

Supported, ONNX (opset 11 and later): {onnx_in}; computed from constants and shapes: {folded}.

### Measured

`{command}`: {inputs} seeded random inputs to each file, integers over their whole range; {machine}, commit {commit}.

| file | kind | C = numpy | layers against LiteRT | outputs against its runtime |
|---|---|---|---|---|
{imported}

What is broken, and why: `dtln_noise_suppression` hears noise far louder than speech here, at which the gates of its
LSTMs saturate otherwise (above); made to saturate as TensorFlow Lite does, its layers agree within a step. Untrained
nets that ONNX Runtime quantized: in `mobilenet-v2`, 53 layers deep, and in `vit` with uint8 activations, differences of
a step add up to a little more than one step of the output. LiteRT will not open `person_detect`: it has scales along an
axis that its biases have not.

Refused:

| file | ops without a lowering |
|---|---|
{refused}

## Out

```
edgesmith export artifact --to onnx-int8 --out exported
edgesmith export digits-cnn --to arduino --target nucleo-l4r5zi --out exported
```

The export itself runs the result and ends with exit code 6, nothing written, when it computes something else: on
validation samples where data are known, else on random inputs.

| `--to` | is | checked |
|---|---|---|
{out}

The tests build the CMake files against stand-ins of Zephyr's and ESP-IDF's functions, and the sketch against stand-ins
of Arduino's; they were not built with those tools (*unverified*).

Written to ONNX: {onnx_out}.

Written to TensorFlow Lite: {tflite_out}. No converter is needed: the file is written op by op.

In Python:

```python
from pathlib import Path

from edgesmith.export import export, from_artifact

done = export(from_artifact(Path("artifact")), "onnx", Path("exported"))
print(done.relation.detail)
```
"""
SAME = "the same"
OUT = (
    ("onnx", "float, opset 20; normalization included; states are further inputs and outputs",
     f"in ONNX Runtime, within {FLOAT_TOLERANCE:g} of the largest output, or of 1"),
    ("onnx-int8", "quantize and dequantize pairs; int8 weights, int32 biases, raw inputs",
     f"in ONNX Runtime, within {check.MEAN_STEPS:g} step on the average; float outputs of int8 layers within "
     f"{check.MIXED_TOLERANCE:.0%} of the largest"),
    ("executorch", "float `.pte`, its layers on XNNPACK; no states", "in ExecuTorch's runtime, as `onnx`"),
    ("tflite", "int8 where the model is, else float; images channels last; no states, no layer norms",
     "in LiteRT, as `onnx-int8` or `onnx`"),
    ("arduino", "library: `library.properties`, `src`, an example sketch",
     "its sources built here and, emulated, for the board: every byte as in numpy"),
    ("zephyr", "module: `zephyr/module.yml`, `CMakeLists.txt`, `Kconfig`", SAME),
    ("esp-idf", "component: `CMakeLists.txt`, `idf_component.yml`", SAME),
)  # fmt: skip


def page() -> str:
    """The whole page as Markdown."""
    found = json.loads(RESULTS.read_text())
    rows = found["rows"]
    return TEXT.format(
        float_tolerance=FLOAT_TOLERANCE,
        layer_steps=LAYER_STEPS,
        layer_share=LAYER_SHARE,
        lstm_steps=LSTM_STEPS,
        mean_steps=MEAN_STEPS,
        tflite_in=listed({**TFLITE_IN, **dict.fromkeys(VARIABLES)}),
        onnx_in=listed(ONNX_IN),
        folded=listed(FOLDED),
        onnx_out=listed(ONNX_OUT),
        tflite_out=listed(TFLITE_OUT),
        out="\n".join(f"| `{name}` | {what} | {how} |" for name, what, how in OUT),
        **{key: found[key] for key in ("command", "inputs", "machine", "commit")},
        imported="\n".join(imported(row) for row in rows if row["imported"]),
        refused="\n".join(refused(row) for row in rows if not row["imported"]),
    )


def listed(table: Any) -> str:
    """Names in alphabetical order."""
    return ", ".join(f"`{name}`" for name in sorted(table))


def imported(row: dict[str, Any]) -> str:
    """One file that was imported."""
    relations = {relation["name"]: relation for relation in row["relations"]}
    compiled = relations["numpy = C on this machine"]["holds"]
    layers = relations.get("integers = LiteRT, layer by layer")
    ends = [r for name, r in relations.items() if name.startswith(("outputs =", "its own"))]
    kind = row["kind"] + (f", {row['states']} states" if row["states"] else "")
    same = "every byte" if row["kind"] == "int8" else "holds"
    cells = [row["file"], kind, same if compiled else "BROKEN"]
    return "| " + " | ".join([*cells, said(layers), *map(said, ends)]) + " |"


def said(relation: dict[str, Any] | None) -> str:
    """A relation's detail, and whether it is broken."""
    if relation is None:
        return "-"
    detail = relation["detail"].replace(" values in", " in").replace("|", "/")
    return ("BROKEN: " if relation["holds"] is False else "") + detail[:200]


def refused(row: dict[str, Any]) -> str:
    """One file that was refused: the kinds of ops, each once."""
    kinds = dict.fromkeys(line.split(" (")[0] for line in row["refused"])
    return f"| {row['file']} | {', '.join(kinds)} |"


if __name__ == "__main__":
    assert tuple(FORMATS) == tuple(name for name, *_ in OUT)
    PAGE.write_text(page())
