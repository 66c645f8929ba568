"""A net in the browser: a folder with a .wasm, the script that loads it, and a page to draw on; proven in wasmtime."""

import tempfile
from pathlib import Path

from edgesmith import targets, zoo
from edgesmith.pipeline.compiling import compile_model
from edgesmith.pipeline.execute import certify_artifact, run_artifact

bed = zoo.load("digits-cnn")
folder = Path(tempfile.mkdtemp()) / "digits"
artifact = compile_model(bed.module, bed.example_inputs, bed.task, targets.load("wasm"), folder, "digits")
for name in ("digits.wasm", "digits.js", "digits.html"):
    print(f"{name:12} {(folder / name).stat().st_size:,} bytes")

for relation in certify_artifact(folder, None, 8, False):
    print(f"{relation.name}: {'holds' if relation.holds else 'open'}")
sample = bed.task.test.inputs[0]
(scores,) = run_artifact(folder, {"": sample.transpose(1, 2, 0)[None]}, on="target").values()
print("in wasmtime:", int(scores.argmax()), "wanted:", int(bed.task.test.labels[0]))
print("open in a browser:", (folder / "digits.html").as_uri())
