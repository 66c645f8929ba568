"""The script and the page of a WebAssembly model, in Node and in a browser without a window."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cost.nets import random_net
from edgesmith import targets, zoo
from edgesmith.compile.emit import browser
from edgesmith.core.formats import PerTensor
from edgesmith.core.interface import decode, random_input
from edgesmith.pipeline.build import bind_for, native, wasm_module
from edgesmith.pipeline.compiling import compile_model
from edgesmith.pipeline.realize import arranged, of_each_class
from run.test_native import counter, one

NODE = shutil.which("node")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
needs_node = pytest.mark.skipif(NODE is None, reason="Node is not installed; it runs the script outside of a browser")
needs_browser = pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(BROWSERS)} is installed")
WASM = targets.load("wasm")
# What the page is asked to do: click each sample, then draw one stroke from top to bottom.
HAND = """
<script type="module">
while (document.body.dataset.ready !== "yes") await new Promise((done) => setTimeout(done, 10));
const $ = (id) => document.getElementById(id), found = { samples: [] };
for (const sample of $("samples").children) {
  sample.click();
  found.samples.push($("best").textContent);
}
$("clear").click();
found.cleared = $("best").textContent;
const pad = $("pad"), box = pad.getBoundingClientRect();
for (let i = 0; i <= 20; i++) {
  const place = { clientX: box.left + (0.5 + 0.002 * i) * box.width, clientY: box.top + (0.1 + 0.04 * i) * box.height };
  pad.dispatchEvent(new PointerEvent(i ? "pointermove" : "pointerdown", place));
}
pad.dispatchEvent(new PointerEvent("pointerup"));
found.drawn = $("best").textContent;
found.facts = $("facts").textContent;
document.body.dataset.found = JSON.stringify(found);
</script>
"""


def in_node(folder: Path, program: str) -> object:
    """What a program that imports the script prints, as JSON."""
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "program.js").write_text(program)
    done = subprocess.run([str(NODE), "program.js"], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def written(graph, folder: Path):
    """The module and its script; and how it is called."""
    compiled = bind_for(graph, WASM)
    face = compiled.program.interface
    wasm_module(compiled, folder)
    (folder / f"{face.name}.js").write_text(browser.script(face))
    return face


@needs_node
def test_the_script_computes_what_c_here_computes(tmp_path):
    graph = random_net(21, "int8")
    rng = np.random.default_rng(21)
    (name,), (output,) = graph.inputs, graph.outputs
    samples = [random_input(graph, name, rng) for _ in range(3)]
    face = written(graph, tmp_path)
    program = f"""
import {{ load }} from "./{face.name}.js";
const model = await load();
const samples = {json.dumps([sample.ravel().tolist() for sample in samples])};
const run = (values) => Array.from(model.runStored({{ {name}: Int8Array.from(values) }}).{output});
console.log(JSON.stringify(samples.map(run)));
"""
    runner = native(graph)
    assert in_node(tmp_path, program) == [runner.run({name: sample})[output].ravel().tolist() for sample in samples]


@needs_node
def test_the_script_keeps_states_and_resets_them(tmp_path):
    face = written(counter(), tmp_path)
    program = f"""
import {{ load }} from "./{face.name}.js";
const model = await load(), run = (v) => Array.from(model.run({{ in0: [v, v, v] }}).add0);
const seen = [run(1), run(2)];
model.reset();
console.log(JSON.stringify([...seen, run(5)]));
"""
    runner = native(counter())
    kept = [runner.run(one(value))["add0"].tolist() for value in (1, 2)]
    assert in_node(tmp_path, program) == [*kept, [5] * 3]


@needs_node
def test_the_script_quantizes_as_python_does_and_refuses_what_is_wrong(tmp_path):
    """Halves to the even number, saturation at both ends, the zero point; a wrong length or type is an error."""
    graph = random_net(22, "int8")
    form = PerTensor(0.25, -3)
    (name,) = graph.inputs
    graph = replace(graph, tensors={**graph.tensors, name: replace(graph.tensors[name], format=form)})
    face = written(graph, tmp_path)
    values = [0.125, 0.375, -0.125, -0.375, 0.3, 100.0, -100.0, 31.0, 32.5]
    program = f"""
import {{ description, stored, real, load }} from "./{face.name}.js";
const port = {{ ...description.inputs[0], size: {len(values)} }}, values = {values};
const model = await load(), refused = [];
for (const bad of [undefined, [1, 2], new Int16Array(description.inputs[0].size)]) {{
  try {{ model.run({{ {name}: bad }}); }} catch (error) {{ refused.push(error.message); }}
}}
const made = stored(port, values);
console.log(JSON.stringify({{ made: Array.from(made), back: Array.from(real(port, made)), refused }}));
"""
    found = in_node(tmp_path, program)
    quantized = form.quantize(np.array(values))
    assert found["made"] == quantized.tolist()
    np.testing.assert_allclose(found["back"], form.dequantize(quantized))
    for message, words in zip(found["refused"], ("is missing", "has 2 values", "is a Int16Array"), strict=True):
        assert words in message and "need" in message


def test_the_page_is_for_classifiers_of_images():
    face = bind_for(random_net(21, "int8"), WASM).program.interface
    image = replace(face.inputs[0], tensor=replace(face.inputs[0].tensor, shape=(1, 8, 8, 1)))
    assert browser.is_classifier_of_images(replace(face, inputs=(image,))) == (face.outputs[0].tensor.size >= 2)
    assert not browser.is_classifier_of_images(bind_for(counter(), WASM).program.interface)
    four = replace(image, tensor=replace(image.tensor, shape=(1, 8, 8, 4)))
    assert not browser.is_classifier_of_images(replace(face, inputs=(four,)))


def test_names_cannot_end_the_script():
    face = bind_for(random_net(21, "int8"), WASM).program.interface
    port = replace(face.inputs[0], tensor=replace(face.inputs[0].tensor, name="</script><b>"))
    text = browser.page(replace(face, inputs=(port,)), b"", ["</script>"], 1.0, [])
    assert text.count("</script>") == 1 and "<b>" not in text.split("<script")[1].split("bars = ")[0]


@needs_browser
def test_the_page_says_of_drawings_and_samples_what_c_here_says(tmp_path):
    """digits-cnn, from file://: ten samples and a stroke from top to bottom, which is a one."""
    bed = zoo.load("digits-cnn")
    artifact = compile_model(bed.module, bed.example_inputs, bed.task, WASM, tmp_path / "digits", "digits")
    page = tmp_path / "page.html"
    page.write_text((artifact.folder / "digits.html").read_text() + HAND)
    words = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    words += ["--virtual-time-budget=10000", "--dump-dom", page.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    told = re.search(r'data-found="([^"]*)"', done.stdout)
    assert told, done.stderr[-2000:]
    found = json.loads(html.unescape(told[1]))
    graph, runner = artifact.graph, native(artifact.graph)
    (name,), (output,) = graph.inputs, graph.outputs
    samples = [runner.run({name: arranged(graph, raw)})[output] for raw in of_each_class(bed.task.validation)]
    answers = [str(decode(graph.tensors[output], made).argmax()) for made in samples]
    assert found["samples"] == answers and len(set(answers)) >= 9, "one sample of each class"
    assert found["cleared"] == "" and found["drawn"] == "1"
    assert "8 × 8" in found["facts"]
