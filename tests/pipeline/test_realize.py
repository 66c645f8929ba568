"""A candidate made real: figures against limits, samples in the program's layout, metrics of the compiled code."""

from dataclasses import replace

import numpy as np
import pytest

from core.sketch import Sketch
from edgesmith import Budget, targets
from edgesmith.core import artifact as artifacts
from edgesmith.core.ops import interpret
from edgesmith.core.task import Metric, Split, Task
from edgesmith.pipeline.realize import arranged, board_accuracy, host_accuracy, outputs_of, realize, write_artifact
from edgesmith.pipeline.verify import Interpreted

BOARD = targets.load("stm32f103")
SUM = Metric("mean of outputs", "max", lambda outputs, labels: float(outputs.mean()))


def doubled(*shape):
    """y = x + x."""
    sketch = Sketch()
    x = sketch.input(*shape)
    return sketch.graph(sketch("add", x, x))


def counter():
    """y = state + x; the state becomes y."""
    sketch = Sketch()
    x, state = sketch.input(1, 3), sketch.state(1, 3)
    y = sketch("add", state, x)
    return sketch.graph(y, updates=(y,))


def task_of(inputs: np.ndarray, metric: Metric = SUM) -> Task:
    """Four splits whose inputs are 1, 2, 3 and 4 times `inputs`."""
    splits = [Split(turn * inputs, np.zeros(len(inputs), np.int64)) for turn in (1, 2, 3, 4)]
    return Task("numbers", *splits, metric=metric)


def test_figures_are_held_against_the_limits_that_are_set():
    realized = realize(doubled(1, 8), BOARD)
    flash = realized.readings["flash"].value
    assert realized.ratios(Budget(flash_bytes=int(2 * flash))) == {"flash_bytes": pytest.approx(0.5, rel=1e-3)}
    assert realized.ratios(Budget(accuracy=0.9)) == {}


def test_a_program_too_large_for_its_board_is_counted_all_the_same():
    realized = realize(doubled(1, 64, 64, 4), BOARD)
    assert realized.readings["ram"].value > BOARD.ram_bytes
    assert realized.ratios(Budget().within(BOARD))["ram_bytes"] > 1


def test_samples_keep_their_values_where_the_program_wants_channels_last():
    sample = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    moved = arranged(doubled(1, 3, 4, 2), sample)
    assert all(moved[0, h, w, c] == sample[c, h, w] for c in range(2) for h in range(3) for w in range(4))
    assert (arranged(doubled(1, 2, 3, 4), sample)[0] == sample).all()


def test_every_sample_starts_from_the_initial_state():
    inputs = np.ones((4, 3), np.float32)
    graph = counter()
    runner = Interpreted(graph)
    assert runner.run({"in0": inputs[:1]})["add0"].tolist() == [[1, 1, 1]]
    from edgesmith.pipeline.build import native

    assert outputs_of(native(graph), graph, inputs).tolist() == [[1, 1, 1]] * 4, "carried on, it would count"


def test_the_metric_is_that_of_the_split_that_was_asked_for():
    task = task_of(np.ones((5, 8), np.float32))
    graph = doubled(1, 8)
    for part, expected in (("validation", 6.0), ("test", 8.0)):
        reading, outputs = host_accuracy(graph, task, part)
        assert (reading.value, reading.unit, reading.kind) == (expected, "mean of outputs", "measured")
        assert f"all 5 {part} samples" in reading.how and outputs.shape == (5, 8)


def test_the_board_computes_the_metric_on_test_samples_and_says_how_many(monkeypatch):
    task = task_of(np.ones((5, 8), np.float32))
    realized = realize(doubled(1, 8), BOARD)
    reading = board_accuracy(realized, task)
    assert (reading.value, reading.kind) == (8.0, "emulated") and reading.how.startswith("5 of 5 test samples")
    monkeypatch.setattr("edgesmith.pipeline.realize.EMULATED_INSTRUCTIONS", 2 * realized.profile.instructions)
    assert board_accuracy(realized, task).how.startswith("2 of 5 test samples")


def test_test_vectors_come_from_validation_and_the_board_file_goes_along(tmp_path):
    task = task_of(np.ones((5, 8), np.float32))
    realized = realize(doubled(1, 8), BOARD)
    own = replace(realized, compiled=replace(realized.compiled, target=replace(BOARD, toml="name = 'mine'")))
    write_artifact(tmp_path / "a", own, doubled(1, 8), task, {"settings": {}})
    artifact = artifacts.load(tmp_path / "a")
    assert artifacts.content(artifact, artifacts.BOARD_FILE) == b"name = 'mine'"
    assert artifact.manifest["task"]["splits"]["test"]["samples"] == 5
    assert interpret(artifact.graph, {"in0": np.full((1, 8), 3, np.float32)})["add0"].tolist() == [[6.0] * 8]
