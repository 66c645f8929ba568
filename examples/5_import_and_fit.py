"""A model from another framework: an .onnx file becomes a module, is quantized, and compiled for a board."""

import tempfile
from pathlib import Path

from edgesmith import targets, zoo
from edgesmith.export import export, from_model
from edgesmith.pipeline.compiling import compile_model
from edgesmith.pipeline.imported import verify_model

folder = Path(tempfile.mkdtemp())
bed = zoo.load("digits-cnn")
float_net = from_model(bed.module, bed.example_inputs, None, "digits", "float32")
path = export(float_net, "onnx", folder).files[0]  # stands for a file of yours

for relation in verify_model(path, 4):
    print(f"{relation.name}: {relation.detail}")

module, example = zoo.load_model(str(path))
artifact = compile_model(module, example, bed.task, targets.load("stm32f103"), folder / "artifact", "digits")
print(f"{path.name} on a Blue Pill: {artifact.manifest['readings']['flash']['value']:,.0f} bytes of flash")
