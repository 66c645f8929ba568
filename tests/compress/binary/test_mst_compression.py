"""MST-compression: what its loss is, that training shrinks the trees, and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from compress.binary.nets import digits_net
from edgesmith.compress.binary import mst_compression
from edgesmith.compress.binary.mst_compression import differing, edges_of
from edgesmith.compress.binary.spanning import ROOT
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import Signs
from edgesmith.data import named_task
from edgesmith.lower import Lifted
from edgesmith.training.recipe import Recipe

QUICK = Recipe(epochs=4, batch=32, learning_rate=4e-3, weight_decay=0.0, train_samples=512)


@pytest.fixture(scope="module")
def task():
    return named_task("digits")


def lengths(module: Lifted) -> list[int]:
    """The length of every tree."""
    found = []
    for name, tensor in module.graph.tensors.items():
        if isinstance(tensor.format, Signs) and tensor.format.parents:
            rows = module.graph.constants[name].reshape(len(tensor.format.parents), -1) >= 0
            parents = tensor.format.parents
            found.append(sum(int((rows[c] != rows[p]).sum()) for c, p in enumerate(parents) if p != ROOT))
    return found


def test_the_loss_is_the_share_of_weights_that_differ_and_draws_them_together():
    """Two of the six cells along two edges differ; there alone both sides are drawn over zero, half the way each."""
    weight = torch.tensor([[0.5, -0.5, 0.2], [0.5, 0.4, 0.2], [0.5, 0.4, -0.1]], requires_grad=True)
    share = differing(weight, torch.tensor([0, 2]), torch.tensor([1, 1]))
    share.backward()
    assert share.item() == pytest.approx(2 / 6)
    expected = torch.tensor([[0, -1, 0], [0, 1, 1], [0, 0, -1]]) / 12
    torch.testing.assert_close(weight.grad, expected)


def test_trees_in_training_have_one_root_and_keep_to_the_depth(rng):
    weight = torch.randn(12, 3, 3, 3, generator=rng)
    children, parents = edges_of(weight, depth=1)
    assert (
        len(children) == 11 and len(set(parents.tolist())) == 1 and not set(children.tolist()) & set(parents.tolist())
    )


def test_training_shrinks_the_trees(task):
    """Beside the same training for the task alone, at the same depth; the module that came in stays as it was."""
    net = digits_net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    alone, shrunk = (mst_compression(3, strength, QUICK)(net, task) for strength in (0.0, 16.0))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert sum(lengths(shrunk)) < 0.85 * sum(lengths(alone))


def test_without_training_the_weights_stay(task):
    net = digits_net()
    graph = mst_compression(recipe=None)(net, task).graph
    (first,) = [op for op in graph.ops if op.kind == "conv2d" and graph.tensors[op.inputs[1]].shape[0] == 40]
    signs = np.sign(graph.constants[first.inputs[1]]).transpose(0, 3, 1, 2)
    norm = net[4].weight.detach().numpy()
    np.testing.assert_array_equal(signs, net[3].weight.detach().sign().numpy() * np.sign(norm)[:, None, None, None])


def test_a_net_without_binary_convolutions_has_no_trees(task):
    with pytest.raises(BadInput, match="no binary convolution"):
        mst_compression(recipe=None)(nn.Flatten(), task)


@pytest.mark.parametrize(("depth", "strength"), [(0, 1.0), (3, -1.0)])
def test_no_depth_and_negative_strength_are_refused(depth, strength):
    with pytest.raises(BadInput, match="need 1 or more"):
        mst_compression(depth, strength)
