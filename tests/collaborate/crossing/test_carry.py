import numpy as np
import pytest

from edgesmith.collaborate.crossing.carry import Carried, carry, from_json, mean_bytes
from edgesmith.collaborate.plan.costs import FORMS, STORED, Form
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Tensor


def features(dtype, seed=0):
    """(n, 1, h, w, c): rectified, each channel of its own spread."""
    rng = np.random.default_rng(seed)
    real = np.maximum(rng.normal(size=(20, 1, 6, 5, 4)) * np.array([1, 3, 9, 20]), 0)
    return real.astype(dtype)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_every_form_brings_a_tensor_across(form, dtype):
    tensor, seen = Tensor("t", (1, 6, 5, 4), dtype), features(dtype)
    if not form.carries(tensor):
        return
    carried, fresh = carry(tensor, form, seen), features(dtype, seed=1)[0]
    back = carried.unpack(carried.pack(fresh))
    assert (back.shape, back.dtype) == (fresh.shape, fresh.dtype)
    worst = 0 if form.lossless else 1.0 + carried.steps.step
    inside = fresh if form.lossless else np.clip(fresh, carried.steps.low, carried.steps.high)
    assert np.abs(back.astype(float) - inside.astype(float)).max() <= worst
    again = from_json(carried.to_json())
    np.testing.assert_array_equal(again.unpack(carried.pack(fresh)), back)


def test_coding_shortens_what_is_frequent():
    tensor, seen = Tensor("t", (1, 6, 5, 4), "int8"), features("int8")
    plain, coded = (mean_bytes(carry(tensor, Form(4, coded), seen), list(seen)) for coded in (False, True))
    assert coded < plain


def test_wrong_bytes_are_refused():
    with pytest.raises(BadInput, match="3 bytes for t; need 8"):
        Carried(Tensor("t", (2,))).unpack(b"abc")


@pytest.mark.parametrize(
    "change",
    [{"name": "a\nb"}, {"shape": [0]}, {"shape": 3}, {"dtype": "object"}, {"steps": 3}, {"code": {}}, {"more": 1}],
)
def test_damaged_files_are_refused(change):
    sound = carry(Tensor("t", (1, 6, 5, 4), "int8"), STORED, features("int8")).to_json()
    with pytest.raises(BadInput, match="payload|code"):
        from_json({**sound, **change})
