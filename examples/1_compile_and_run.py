"""A trained net to C: compile it for a board, run it here and on the emulated board, see that they agree."""

import tempfile
from pathlib import Path

import numpy as np

from edgesmith import targets, zoo
from edgesmith.pipeline.compiling import compile_model
from edgesmith.pipeline.execute import run_artifact

bed = zoo.load("digits-cnn")
folder = Path(tempfile.mkdtemp()) / "digits"
artifact = compile_model(bed.module, bed.example_inputs, bed.task, targets.load("stm32f103"), folder, "digits")
for name, reading in artifact.manifest["readings"].items():
    print(f"{name:8} {reading['value']:,.1f} {reading['unit']} ({reading['kind']})")

image, label = bed.task.test.inputs[0], bed.task.test.labels[0]
raw = {"": np.moveaxis(image, 0, -1)}  # the board takes height x width x channels
(here,) = run_artifact(folder, raw, on="host").values()
(board,) = run_artifact(folder, raw, on="board").values()
print(f"label {label}, here {here.argmax()}, on the board {board.argmax()}")
assert (here == board).all()
