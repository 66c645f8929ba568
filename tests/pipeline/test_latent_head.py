"""A head whose int8 outputs are the latents."""

import numpy as np
import pytest
import torch

from edgesmith.collaborate.split.latents import UNIT, sent_by
from edgesmith.collaborate.split.nets import Encoder
from edgesmith.core.task import Normalize, Split, Task
from edgesmith.pipeline.build import native
from edgesmith.pipeline.latent_head import latent_head
from edgesmith.pipeline.realize import arranged


@pytest.fixture(scope="module")
def task() -> Task:
    """Smooth pictures, as nets see them."""
    rng = np.random.default_rng(4)
    pictures = np.kron(rng.integers(0, 256, (40, 1, 4, 4)), np.ones((1, 1, 4, 4))).astype(np.uint8)
    split = Split(pictures, np.zeros(40, np.int64))
    return Task("pictures", split, split, split, split, normalize=Normalize((0.0,), (255.0,)))


def test_what_the_program_gives_is_what_the_head_rounds_to(task):
    """Up to rounding within the head: at most one step, on few latents."""
    torch.manual_seed(2)
    head = Encoder(1, (8, 12), 5)
    head[-1].weight.data *= 20.0
    for _ in range(20):
        head.train()(torch.from_numpy(task.normalize(task.train.inputs)))
    expected = sent_by(head.eval(), task.test, task.normalize)
    graph = latent_head(head, task)
    (output,) = graph.outputs
    assert graph.tensors[output].format == UNIT and graph.tensors[output].shape == (1, *expected.shape[1:])
    runner = native(graph)
    found = np.stack([runner.run({graph.inputs[0]: arranged(graph, one)})[output][0] for one in task.test.inputs])
    off = np.abs(found.astype(int) - expected)
    assert expected.std() > 2 and off.max() <= 1 and (off > 0).mean() < 0.05
