"""What holds for every op: shapes as inferred, bad attributes and inputs refused, inputs untouched."""

import math
from dataclasses import replace

import numpy as np
import pytest

from core.ops.cases import CASES, NAMES, Case, of_kind
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Op, Tensor
from edgesmith.core.ops import SPECS, check, infer, interpret, macs, spec_of

every_case = pytest.mark.parametrize("case", CASES, ids=NAMES)


def test_every_op_has_a_case():
    assert {case.kind for case in CASES} == set(SPECS)


def test_every_spec_names_a_dtype_for_each_input():
    for spec in SPECS.values():
        assert len(spec.dtypes) == len(spec.inputs), spec.kind


@every_case
def test_results_have_the_inferred_shapes_and_dtypes(case):
    assert [(y.shape, str(y.dtype)) for y in case.run()] == infer(case.op, case.tensors)


@every_case
def test_a_graph_of_one_op_is_valid_and_runs_without_touching_its_arrays(case):
    graph = case.graph()
    before = [array.copy() for array in case.arrays]
    check(graph)
    results = interpret(graph, {"i0": case.arrays[0]})
    for name, wanted in zip(case.op.outputs, case.run(), strict=True):
        np.testing.assert_array_equal(results[name], wanted)
    for array, old in zip(case.arrays, before, strict=True):
        np.testing.assert_array_equal(array, old)


@every_case
def test_integer_results_stay_within_their_bounds(case):
    low, high = case.attrs.get("low"), case.attrs.get("high")
    if case.kind.endswith("_s8") and low is not None:
        assert low <= case.run()[0].min() and case.run()[0].max() <= high


@every_case
def test_a_wrong_number_of_inputs_is_refused(case):
    fewer = case.tensors[:-1] if case.kind != "concat" else ()
    with pytest.raises(BadInput, match=f"{case.kind}: {len(fewer)} inputs; need"):
        infer(case.op, fewer)
    if case.kind != "concat":
        with pytest.raises(BadInput, match="inputs; need"):
            infer(case.op, (*case.tensors, case.tensors[-1]))


@every_case
def test_an_input_of_a_foreign_dtype_is_refused(case):
    for index, allowed in enumerate(SPECS[case.kind].dtypes):
        if allowed != "any":
            wrong = [replace(t, dtype="int64") if i == index else t for i, t in enumerate(case.tensors)]
            with pytest.raises(BadInput, match="is int64; need"):
                infer(case.op, tuple(wrong))


@every_case
def test_an_unknown_attribute_is_refused(case):
    with pytest.raises(BadInput, match="unknown attribute 'colour'"):
        infer(replace(case.op, attrs={**case.attrs, "colour": 3}), case.tensors)


@pytest.mark.parametrize(
    ("kind", "attrs", "message"),
    [
        ("conv2d", {"stride": (0, 1)}, "'stride' is 0; need 1"),
        ("conv2d", {"stride": (1, 1, 1)}, "has 3 entries; need 2"),
        ("conv2d", {"stride": 2}, "need a list"),
        ("conv2d", {"stride": (1.0, 1)}, "is 1.0; need int"),
        ("conv2d", {"groups": True}, "is True; need int"),
        ("conv2d", {"low": math.nan}, "is not a number"),
        ("clamp", {"low": 2.0, "high": 1.0}, "need low <= high"),
        ("conv2d_s8", {"low": -129}, "'low' is -129"),
        ("matmul", {"transpose_b": 1}, "is 1; need bool"),
        ("reshape", {}, "'shape' is missing"),
        ("reshape", {"shape": (0, 4)}, "'shape' is 0"),
        ("matmul_s8", {"multiplier": 1 << 31, "shift": 31}, "'multiplier'"),
        ("matmul_s8", {"multiplier": 1 << 30, "shift": 0}, "'shift' is 0"),
        ("add_s8", {"a_multiplier": 1 << 21, "b_multiplier": 0, "shift": 0}, "'a_multiplier'"),
        ("gelu", {"approximate": "erf"}, "need 'none' or 'tanh'"),
    ],
)
def test_bad_attributes_are_refused(kind, attrs, message):
    case = of_kind(kind)[0]
    with pytest.raises(BadInput, match=message):
        infer(replace(case.op, attrs=attrs), case.tensors)


@pytest.mark.parametrize(
    ("kind", "shapes", "attrs", "message"),
    [
        ("conv2d", [(1, 2, 2, 3), (4, 3, 3, 3), (4,)], {}, "kernel reaches 3 cells, the padded input has 2"),
        ("conv2d", [(1, 5, 5, 3), (4, 3, 3, 2), (4,)], {}, "do not match"),
        ("conv2d", [(2, 5, 5, 3), (4, 3, 3, 3), (4,)], {}, r"need \(1, H, W, C\)"),
        ("conv_transpose2d", [(1, 1, 1, 3), (4, 2, 2, 3), (4,)], {"padding": (1, 1, 0, 0)}, "no output cell"),
        ("linear", [(3, 5), (2, 4), (2,)], {}, "need"),
        ("linear", [(3, 5), (2, 5), (3,)], {}, "bias"),
        ("matmul", [(2, 3), (4, 5)], {}, "3 columns against 4 rows"),
        ("matmul", [(2, 2, 3), (3, 3, 5)], {}, "do not broadcast"),
        ("add", [(2, 3), (2, 4)], {}, "do not broadcast"),
        ("max_pool2d", [(1, 2, 2, 1)], {"kernel": (1, 1), "padding": (1, 0, 0, 0)}, "holds no cell"),
        ("reduce_sum", [(2, 3)], {"axes": (2,)}, "need different axes"),
        ("reduce_sum", [(2, 3)], {"axes": (1, 1)}, "need different axes"),
        ("reduce_sum", [(2, 3)], {"axes": ()}, "at least one"),
        ("reshape", [(2, 3)], {"shape": (7,)}, "6 elements against 7"),
        ("permute", [(2, 3)], {"axes": (0, 0)}, "each axis once"),
        ("slice", [(4,)], {"starts": (3,), "ends": (3,), "steps": (1,)}, "start < end"),
        ("slice", [(4,)], {"starts": (0,), "ends": (5,), "steps": (1,)}, "<= size"),
        ("concat", [(2, 3), (3, 3)], {"axis": 1}, "differ beside axis 1"),
        ("concat", [(2, 3), (2, 3)], {"axis": 2}, "need one below 2"),
        ("expand", [(2, 3)], {"shape": (3, 3)}, "do not broadcast"),
        ("expand", [(2, 3)], {"shape": (3,)}, "does not broadcast"),
        ("upsample_nearest", [(2, 3)], {"factor": (2, 2)}, r"need \(1, H, W, C\)"),
        ("layer_norm", [(2, 3), (3,), (2,)], {}, "normalization"),
        ("lstm", [(5, 1, 3), (4,), (4,), (16, 3), (16, 5), (16,), (16,)], {}, "w_hh"),
        ("gru", [(5, 2, 3), (4,), (12, 3), (12, 4), (12,), (12,)], {}, r"need \(T, 1, I\)"),
        ("rfft", [(2, 12)], {"n": 12}, "power of two"),
        ("rfft", [(2, 8)], {"n": 16}, r"need \(..., 16\)"),
        ("log_mel", [(1, 10), (16,), (3, 9)], {"n_fft": 16, "hop": 4}, "at most"),
        ("log_mel", [(1, 40), (16,), (3, 8)], {"n_fft": 16, "hop": 4}, r"need \(mels, 9\)"),
        ("quantize", [(2, 3), (2,), (2,)], {}, "need"),
    ],
)
def test_inputs_that_do_not_match_are_refused(kind, shapes, attrs, message):
    tensors = tuple(Tensor(f"t{i}", shape) for i, shape in enumerate(shapes))
    with pytest.raises(BadInput, match=message):
        infer(Op(kind, tuple(t.name for t in tensors), ("y",), attrs), tensors)


@pytest.mark.parametrize(
    ("tensor", "value", "message"),
    [
        (Tensor("x", (2,), "int8"), 128, "outside int8"),
        (Tensor("x", (2,), "int8"), 0.5, "not a whole number"),
        (Tensor("x", (2,), "int8"), math.inf, "not a whole number"),
    ],
)
def test_padding_with_a_value_the_dtype_lacks_is_refused(tensor, value, message):
    with pytest.raises(BadInput, match=message):
        infer(Op("pad", ("x",), ("y",), {"before": (1,), "after": (0,), "value": value}), (tensor,))


def test_a_pooling_over_a_huge_axis_is_refused_before_any_allocation():
    with pytest.raises(BadInput, match="need at most 268435456"):
        infer(Op("max_pool2d", ("x",), ("y",), {"kernel": (1, 1)}), (Tensor("x", (1, 1 << 40, 1, 1)),))
    with pytest.raises(BadInput, match="'padding' is 65537"):
        infer(Op("max_pool2d", ("x",), ("y",), {"kernel": (1, 1), "padding": (65537, 0, 0, 0)}), (Tensor("x", (1,)),))


def test_sums_too_long_for_int32_are_refused():
    fixed = {"multiplier": 1 << 30, "shift": 31}
    wide = (Tensor("a", (1, 33001), "int8"), Tensor("b", (33001, 1), "int8"))
    with pytest.raises(BadInput, match="at most 33000"):
        infer(Op("matmul_s8", ("a", "b"), ("y",), fixed), wide)
    with pytest.raises(BadInput, match="at most 4194304"):
        infer(Op("reduce_sum_s8", ("a",), ("y",), {"axes": (0,), **fixed}), (Tensor("a", (1 << 22 | 1,), "int8"),))
    cells = (Tensor("m", (1 << 23,), "int32"), Tensor("s", (1 << 23,), "uint8"))
    with pytest.raises(BadInput, match="8388608 addends; need at most 4194304"):
        image = Tensor("x", (1, 4096, 2048, 1), "int8")
        infer(Op("avg_pool2d_s8", ("x", "m", "s"), ("y",), {"kernel": (4096, 2048)}), (image, *cells))
    row = (Tensor("x", (2049,), "int8"), Tensor("g", (2049,), "int16"), Tensor("b", (2049,), "int32"))
    with pytest.raises(BadInput, match="at most 2048"):
        infer(Op("layer_norm_s8", ("x", "g", "b"), ("y",), {"eps_q": 1, **fixed}), row)


def test_an_unknown_kind_is_refused():
    with pytest.raises(BadInput, match="unknown op 'conv9d'"):
        spec_of(Op("conv9d", (), ()))


def counted(kind: str, *shapes: tuple[int, ...], **attrs: object) -> int:
    """Multiply-accumulates of one call on zeros."""
    case = Case(kind, tuple(np.zeros(shape, np.float32) for shape in shapes), attrs)
    return macs(case.graph(), case.op)


def test_multiply_accumulates_are_counted_as_by_hand():
    assert counted("conv2d", (1, 5, 5, 4), (6, 3, 3, 4), (6,)) == 3 * 3 * 6 * 3 * 3 * 4
    assert counted("conv2d", (1, 5, 5, 4), (4, 3, 3, 1), (4,), groups=4) == 3 * 3 * 4 * 3 * 3
    assert counted("conv_transpose2d", (1, 5, 5, 4), (6, 3, 3, 2), (6,), groups=2) == 5 * 5 * 4 * 3 * 3 * 3
    assert counted("linear", (7, 5), (3, 5), (3,)) == 7 * 5 * 3
    assert counted("matmul", (2, 4, 5), (2, 5, 3)) == 2 * 4 * 5 * 3
    assert counted("lstm", (9, 1, 3), (2,), (2,), (8, 3), (8, 2), (8,), (8,)) == 9 * 8 * (3 + 2)
    assert counted("gru", (9, 1, 3), (2,), (6, 3), (6, 2), (6,), (6,)) == 9 * 6 * (3 + 2)
    assert counted("add", (4, 3), (3,)) == 0
    assert counted("mul", (4, 3), (3,)) == 12
    assert counted("rfft", (3, 8), n=8) == 3 * (8 // 2 * 3) * 4
