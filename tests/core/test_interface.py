"""What goes into a compiled model and comes out of it: accepted, quantized, or refused with a reason."""

import numpy as np
import pytest

from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Graph, Tensor
from edgesmith.core.interface import decode, encode, layout

INT8 = Tensor("x", (1, 3), "int8", PerTensor(0.5, 10))
FLOAT = Tensor("x", (1, 3))


def test_real_values_become_steps_of_the_format_and_saturate():
    """q = round(real / 0.5) + 10, clipped to int8."""
    assert encode(INT8, np.array([[0.0, -1.0, 1e9]])).tolist() == [[10, 8, 127]]
    assert encode(INT8, np.array([[np.inf, -np.inf, 0.24]])).tolist() == [[127, -128, 10]]


def test_stored_values_pass_as_they_are():
    stored = np.int8([[1, 2, 3]])
    assert encode(INT8, stored) is stored or np.shares_memory(encode(INT8, stored), stored)


def test_the_leading_one_may_be_left_out():
    assert encode(FLOAT, np.zeros(3, np.float32)).shape == (1, 3)


@pytest.mark.parametrize("shape", [(3, 1), (2, 3), (), (1, 1, 3), (4,)])
def test_another_shape_is_refused(shape):
    with pytest.raises(BadInput, match="need \\(1, 3\\)"):
        encode(FLOAT, np.zeros(shape, np.float32))


@pytest.mark.parametrize("dtype", ["U3", "S3", "complex64", "M8[s]", "O"])
@pytest.mark.parametrize("tensor", [INT8, FLOAT])
def test_what_is_no_number_is_refused(dtype, tensor):
    with pytest.raises(BadInput, match="need (float32|int8)"):
        encode(tensor, np.zeros((1, 3), dtype))


def test_nan_cannot_become_an_integer():
    with pytest.raises(BadInput, match="holds NaN"):
        encode(INT8, np.array([[0.0, np.nan, 0.0]]))


def test_nan_passes_where_floats_do():
    assert np.isnan(encode(FLOAT, np.full((1, 3), np.nan))).all()


def test_integers_of_another_type_are_not_guessed_at():
    with pytest.raises(BadInput, match="is int64; need int8"):
        encode(INT8, np.zeros((1, 3), np.int64))


def test_floats_for_integers_without_a_format_are_refused():
    with pytest.raises(BadInput, match="is float64; need int32"):
        encode(Tensor("x", (2,), "int32"), np.zeros(2))


def test_float64_beyond_float32_becomes_infinite():
    assert encode(FLOAT, np.array([[1e300, -1e300, 1.0]])).tolist() == [[np.inf, -np.inf, 1.0]]


def test_decode_undoes_the_format_and_leaves_plain_integers():
    """real = 0.5 * (q - 10)."""
    assert decode(INT8, np.int8([[10, 8, 127]])).tolist() == [[0.0, -1.0, 58.5]]
    indices = np.int32([7])
    assert decode(Tensor("y", (1,), "int32"), indices) is indices


def test_the_manifest_describes_shape_type_and_format():
    graph = Graph("g", {"x": INT8, "y": Tensor("y", (2,))}, (), ("x",), ("y",))
    assert layout(graph) == {
        "inputs": [{"name": "x", "shape": [1, 3], "dtype": "int8", "quantization": INT8.format.to_json()}],
        "outputs": [{"name": "y", "shape": [2], "dtype": "float32"}],
    }
