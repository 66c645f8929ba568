"""Which kernel an op gets, and the walks that strided kernels take."""

import itertools

import numpy as np
import pytest

from edgesmith.core.errors import Unsupported
from edgesmith.core.graph import Op, Tensor
from edgesmith.kernels.abi import select
from edgesmith.kernels.strides import broadcast_strides, merge, row_major


def convolution(channels: int, groups: int) -> tuple[Op, list[Tensor], list[Tensor]]:
    op = Op("conv2d_s8", ("x", "w", "b", "m", "s"), ("y",), {"groups": groups})
    shapes = {"x": (1, 4, 4, channels), "w": (channels, 1, 1, channels // groups)}
    inputs = [Tensor(name, shapes.get(name, (channels,)), "int8") for name in op.inputs]
    return op, inputs, [Tensor("y", (1, 4, 4, channels), "int8")]


def relu() -> tuple[Op, list[Tensor], list[Tensor]]:
    return Op("clamp", ("x",), ("y",), {"low": 0.0}), [Tensor("x", (3,))], [Tensor("y", (3,))]


def test_first_folder_that_has_the_file_wins():
    for folders, wanted in ((("x86", "reference"), "x86"), (("reference", "x86"), "reference")):
        kernel = select(*convolution(8, 1), folders)
        assert kernel is not None and kernel.source.parent.name == wanted
    kernel = select(*relu(), ("x86", "reference"))
    assert kernel is not None and kernel.source.parent.name == "reference"


@pytest.mark.parametrize(("channels", "groups", "wanted"), [(8, 8, "es_depthwise_conv2d_s8"), (8, 4, "es_conv2d_s8")])
def test_a_group_for_every_channel_is_depthwise(channels: int, groups: int, wanted: str):
    kernel = select(*convolution(channels, groups), ("reference",))
    assert kernel is not None and kernel.function == wanted


def test_depthwise_weights_put_channels_side_by_side():
    kernel = select(*convolution(8, 8), ("reference",))
    assert kernel is not None
    weight = np.arange(2 * 3 * 8, dtype=np.int8).reshape(8, 2, 3, 1)
    arranged = kernel.arrange[1](weight)
    assert arranged.shape == (2, 3, 8)
    assert all(arranged[i, j, o] == weight[o, i, j, 0] for o, i, j in np.ndindex(8, 2, 3))


def test_an_op_without_a_kernel_gives_none():
    op = Op("reshape", ("x",), ("y",), {"shape": (3, 2)})
    assert select(op, [Tensor("x", (2, 3))], [Tensor("y", (3, 2))], ("reference",)) is None
    assert select(*relu(), ("cortex_m",)) is None


def test_more_axes_than_a_kernel_walks_are_refused():
    shape = (2,) * 8
    op = Op("permute", ("x",), ("y",), {"axes": tuple(reversed(range(8)))})
    with pytest.raises(Unsupported, match="axes"):
        select(op, [Tensor("x", shape)], [Tensor("y", shape)], ("reference",))


@pytest.mark.parametrize("small", [(2, 3, 4), (1, 3, 1), (3, 4), (4,), (2, 1, 4), ()])
def test_merged_walk_visits_the_same_elements_in_order(small: tuple[int, ...]):
    """Against an index array that numpy broadcasts."""
    full = (2, 3, 4)
    walk = merge([*zip(full, broadcast_strides(small, full), strict=True)])
    steps = [[i * stride for i in range(size)] for size, stride in walk]
    visited = [sum(parts) for parts in itertools.product(*steps)]
    wanted = np.broadcast_to(np.arange(int(np.prod(small))).reshape(small), full).ravel()
    assert visited == wanted.tolist()


def test_contiguous_walk_is_one_axis():
    assert merge([*zip((2, 3, 4), row_major((2, 3, 4)), strict=True)]) == ((24, 1),)
