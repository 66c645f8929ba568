"""A model goes out: int8 ONNX, checked in ONNX Runtime, and an Arduino library, checked on the emulated board."""

import tempfile
from pathlib import Path

from edgesmith import targets, zoo
from edgesmith.export import export, from_model

folder = Path(tempfile.mkdtemp())
bed = zoo.load("digits-cnn")
source = from_model(bed.module, bed.example_inputs, bed.task, "digits", "int8", targets.load("stm32f103"))
for to in ("onnx-int8", "arduino"):
    done = export(source, to, folder / to)
    print(f"{to}: {len(done.files)} files; {done.relation.detail}")
