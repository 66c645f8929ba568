"""The detector of the zoo keeps finding its items when it is quantized and compiled, and loses by a shift."""

import os

import numpy as np
import pytest
import torch

from edgesmith import zoo
from edgesmith.compile.integerize import integerize
from edgesmith.core.errors import Missing
from edgesmith.core.task import Normalize, Split, Task
from edgesmith.data.detection import BINS, MAP, average_precisions, decode, mean_average_precision_50, sift
from edgesmith.pipeline.programs import source_graph
from edgesmith.pipeline.realize import host_accuracy
from edgesmith.training.evaluate import evaluate, predict
from edgesmith.zoo.builders import build

needs_data = pytest.mark.skipif("EDGESMITH_DATA" not in os.environ, reason="EDGESMITH_DATA is not set")
NETS = ("scenes-detector", "scenes-detector-large")


@pytest.fixture(scope="module")
def task():
    """A few scenes as the zoo's, of the pictures that its nets were not trained on."""
    from edgesmith.data.digits import digits_task
    from edgesmith.data.fashion_mnist import fashion_mnist_task
    from edgesmith.data.scenes import compose
    from edgesmith.data.scenes_detection import LAYOUT, boxes_of, items

    pictures = items(fashion_mnist_task().validation, digits_task().validation)
    scenes = compose(*pictures, 160, LAYOUT, np.random.default_rng(8))
    split = Split(scenes.images, boxes_of(scenes))
    return Task("few scenes", split, split, split, split, MAP, "detection", Normalize((0.0,), (255.0,)))


def loaded(name: str):
    """A trained net; the large one is trained by whoever wants it."""
    try:
        return zoo.load(name, with_data=False)
    except Missing as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", NETS)
def test_an_untrained_net_starts_from_scores_near_zero(name):
    """Focal training needs it (arXiv:1708.02002, section 4.1): else empty cells drown the others at first."""
    net = build(zoo.info(name)).eval()
    outputs = net(torch.zeros(2, 1, 64, 64)).detach().numpy()
    boxes, probabilities = decode(outputs)
    assert outputs.shape == (2, 80, 4 * BINS + 5) and boxes.shape == (2, 80, 4)
    assert probabilities.mean() < 0.1


@needs_data
@pytest.mark.parametrize("name", NETS)
def test_in_int8_and_compiled_it_finds_nearly_as_much(name, task):
    bed = loaded(name)
    floats = evaluate(bed.module, task, task.test)
    graph = integerize(source_graph(bed.module, bed.example_inputs, task, "net", "int8", "minmax"))
    reading, outputs = host_accuracy(graph, task)
    assert floats > 0.45 and reading.value == MAP.compute(outputs, task.test.labels)
    assert floats - 0.1 < reading.value < floats + 0.03
    assert mean_average_precision_50(outputs, task.test.labels) > reading.value + 0.2


@needs_data
def test_every_class_is_found_and_the_large_net_finds_more(task):
    found = []
    for name in NETS:
        outputs = predict(loaded(name).module, task.test, task.normalize)
        found.append(average_precisions(sift(*decode(outputs)), task.test.labels, (0.5,)))
    assert len(found[0]) == 5 and min(f.min() for f in found) > 0.6
    assert found[1].mean() > found[0].mean()


@needs_data
def test_a_shift_costs_the_more_the_more_severe(task):
    from edgesmith.data.shifts import shifted_task

    net = zoo.load(NETS[0], with_data=False).module
    reached = [evaluate(net, shifted := shifted_task(task, "noise", s), shifted.test) for s in (0, 2, 5)]
    assert reached[0] == evaluate(net, task, task.test) > reached[1] > reached[2]
