"""Recipes: what they may say, what is refused before any work, what they make, and how methods compare."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith import targets, zoo
from edgesmith.core.errors import BadInput, EdgesmithError, Missing
from edgesmith.lower import Lifted
from edgesmith.pipeline.comparing import choices, compare_methods
from edgesmith.pipeline.compressed import compress_model, load_compressed, stored_bytes, write_compressed
from edgesmith.pipeline.recipes import Step, apply, methods, read_recipe
from edgesmith.report.compare import comparison_page

TWO_STEPS = """
[[step]]
method = "kd"
recipe = { epochs = 1, train_samples = 256 }

[[step]]
method = "ptq"
weights = 4
calibration = "minmax"
"""


@pytest.fixture(scope="module")
def bed():
    return zoo.load("digits-cnn")


def recipe(tmp_path, text: str):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return path


def test_a_recipe_reads_as_its_steps(tmp_path):
    first, second = read_recipe(recipe(tmp_path, TWO_STEPS))
    assert (first.method, first.settings["recipe"]["epochs"]) == ("kd", 1)
    assert second == Step("ptq", {"weights": 4, "calibration": "minmax"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("step = 3", "need one"),
        ("", "holds nothing"),
        ("[[step]]\nweights = 4", "no method"),
        ('[[step]]\nmethod = "magic"', "no method 'magic'"),
        ('[[step]]\nmethod = "ptq"\nbits = 4', "no setting 'bits'"),
        ('[[step]]\nmethod = "ptq"\nweights = "4"', "need int"),
        ('[[step]]\nmethod = "ptq"\nequalize = 1', "need bool"),
        ('[[step]]\nmethod = "ptq"\nweights = 40', "need 2 to 8"),
        ('[[step]]\nmethod = "lsq"\nrecipe = { epoch = 1 }', "has no 'epoch'"),
        ('[[step]]\nmethod = "lsq"\nrecipe = { epochs = "1" }', "need a number"),
        ('[[step]]\nmethod = "kd"', "needs a training"),
        ("[[step", "is not TOML"),
        ('top = 1\n[[step]]\nmethod = "ptq"', "need one"),
    ],
)
def test_what_a_recipe_may_not_say_is_refused(tmp_path, text, said):
    with pytest.raises(BadInput, match=said):
        read_recipe(recipe(tmp_path, text))


def test_a_recipe_of_any_bytes_is_read_or_refused(tmp_path):
    """Fuzz: nothing but our own errors, whatever the bytes."""
    rng = np.random.default_rng(0)
    path, whole = tmp_path / "recipe.toml", TWO_STEPS.encode()
    for _ in range(300):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), rng.integers(1, 6)):
            data[place] = rng.integers(0, 256)
        path.write_bytes(bytes(data))
        try:
            read_recipe(path)
        except EdgesmithError:
            continue


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(Missing, match=r"nowhere\.toml"):
        read_recipe(tmp_path / "nowhere.toml")


def test_steps_run_one_after_the_other_and_leave_the_model_alone(bed):
    before = {name: value.clone() for name, value in bed.module.state_dict().items()}
    steps = (Step("kd", {"recipe": {"epochs": 1, "train_samples": 256}}), Step("ptq", {"weights": 4}))
    lines: list[str] = []
    made = apply(steps, bed.module, bed.task, progress=lines.append)
    assert isinstance(made, Lifted)
    assert all(torch.equal(before[name], value) for name, value in bed.module.state_dict().items())
    assert [line for line in lines if line.startswith("step")] == [
        f"step {number} of 2: {step.words()}" for number, step in enumerate(steps, 1)
    ]


def test_a_lifted_model_is_not_normalized_twice(bed):
    """Two quantizing steps, one after the other, see the same raw values: the second changes nothing."""
    once = apply((Step("ptq"),), bed.module, bed.task)
    twice = apply((Step("ptq"), Step("ptq")), bed.module, bed.task)
    x = torch.from_numpy(bed.task.validation.inputs[:64])
    assert (once(x).argmax(1) == twice(x).argmax(1)).float().mean() > 0.98


def test_a_killed_training_goes_on_where_it_was(bed, tmp_path):
    step = Step("lsq", {"recipe": {"epochs": 3, "train_samples": 256, "batch": 64}})
    whole = apply((step,), bed.module, bed.task)

    def kill(line: str) -> None:
        if "epoch 2" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply((step,), bed.module, bed.task, keep=tmp_path, progress=kill)
    resumed = apply((step,), bed.module, bed.task, keep=tmp_path)
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


@pytest.fixture(scope="module")
def written(bed, tmp_path_factory):
    steps = (Step("ptq", {"weights": 4}),)
    made = compress_model(bed.module, bed.task, steps, "digits_cnn")
    folder = tmp_path_factory.mktemp("compressed") / "digits"
    write_compressed(folder, made, steps, bed.task)
    return made, folder


def test_a_compressed_model_comes_back_as_it_was(bed, written):
    made, folder = written
    module, examples = load_compressed(folder)
    assert module.graph.tensors == made.graph.tensors
    assert examples[0].dtype == torch.uint8 or examples[0].dtype == torch.float32
    assert json.loads((folder / "manifest.json").read_text())["recipe"] == [
        {"method": "ptq", "settings": {"weights": 4}}
    ]


def test_stored_bytes_count_every_weight_in_its_format(written):
    """By hand: half a byte a weight with a scale a channel, four bytes a bias with a scale a channel."""
    made, _ = written
    layers = [op for op in made.graph.ops if op.kind in ("conv2d", "linear")]
    weights = [made.graph.constants[op.inputs[1]] for op in layers]
    channels = sum(len(array) for array in weights)
    packed = sum((array.size + 1) // 2 for array in weights)
    taken = {name for op in layers for name in op.inputs[1:]}
    others = sum(array.nbytes for name, array in made.graph.constants.items() if name not in taken)
    assert stored_bytes(made.graph) == packed + 4 * channels + 8 * channels + others


def test_a_damaged_folder_is_refused(written, tmp_path):
    import shutil

    _, folder = written
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(BadInput, match="damaged"):
        load_compressed(tmp_path / "copy")


def test_compared_methods_share_their_figures_with_a_single_run(bed, tmp_path):
    rows = compare_methods(bed.module, bed.task, choices(["ptq"], [4, 8]), targets.load("nucleo-l4r5zi"), keep=tmp_path)
    assert [(row["method"], row["bits"]) for row in rows] == [("float", 32), ("ptq", 4), ("ptq", 8)]
    alone = compress_model(bed.module, bed.task, (Step("ptq", {"weights": 4}),))
    assert (rows[1]["quality"], rows[1]["bytes"]) == (alone.after, alone.bytes_after)
    assert rows[1]["bytes"] < rows[2]["bytes"] < rows[0]["bytes"]
    assert rows[1]["latency_ms"] < rows[0]["latency_ms"]
    again = compare_methods(
        bed.module, bed.task, choices(["ptq"], [4, 8]), targets.load("nucleo-l4r5zi"), keep=tmp_path
    )
    assert again[1:] == rows[1:]  # seconds too: finished rows are read, not made


def test_a_method_that_refuses_a_model_has_a_row_that_says_why(bed):
    class Odd(nn.Module):
        def forward(self, x):
            return torch.linalg.svd(x.reshape(-1, 8, 8))[1][:, :1].expand(-1, 10)

    with pytest.raises(EdgesmithError):
        compare_methods(Odd(), bed.task, choices(["ptq"], [8]))
    rows = compare_methods(bed.module, bed.task, [Step("ptq", {"weights": 9})])
    assert rows[1]["quality"] is None
    assert "need 2 to 8" in rows[1]["error"]


def test_every_method_with_a_choice_of_bits_is_compared():
    listed = {step.method for step in choices(["all"], [4])}
    assert {"ptq", "lsq"} <= listed <= set(methods())
    with pytest.raises(BadInput, match="no method 'kd'"):
        choices(["kd"], [4])


def test_the_page_escapes_what_it_shows():
    row = {"method": "ptq", "bits": 4, "quality": 0.5, "bytes": 10, "flash_bytes": None, "ram_bytes": None}
    rows = [{**row, "latency_ms": None, "seconds": 1.0, "error": "<script>alert(1)</script>"}]
    facts = {"model": "<b>m</b>", "task": "t", "metric": "accuracy", "direction": "max", "target": ""}
    page = comparison_page({**facts, "rows": rows})
    assert "<script>alert(1)" not in page
    assert "<b>m</b>" not in page
