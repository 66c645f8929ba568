"""QRID: what the degradations do to pictures, which of a mix they touch, and the precisions against ONNX Runtime."""

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith import zoo
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Split, Task
from edgesmith.measure.precisions import dynamic_uint8, float16, rounded_to_uint8
from edgesmith.measure.qrid import (
    CLEAN,
    DEGRADATIONS,
    MIXED,
    degradation_aware,
    degraded,
    qrid,
    relative_drop,
    sigma_of,
)
from edgesmith.training.evaluate import predict, predict_raw


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(3)
    return (rng.random((40, 1, 24, 24)) * 255).astype(np.uint8)


def task_of(pictures):
    split = Split(pictures, np.zeros(len(pictures), np.int64))
    return Task("pictures", split, split, split, split)


def test_there_are_seven_degradations_and_each_changes_every_picture(pictures):
    """arXiv:2508.19600: six alone and one mix."""
    assert len((*DEGRADATIONS, MIXED)) == 7
    for name in DEGRADATIONS:
        worse = degraded(pictures, name, seed=1)
        assert worse.shape == pictures.shape and worse.dtype == np.uint8
        assert (worse != pictures).any(axis=(1, 2, 3)).all()
        assert (degraded(pictures, name, seed=1) == worse).all()
    assert degraded(pictures, CLEAN) is pictures


@pytest.mark.parametrize(("name", "low", "high"), [("noise-low", 10, 30), ("noise-medium", 35, 55)])
def test_noise_has_the_papers_deviations(name, low, high):
    """In grey levels of 255; a picture of 128 is too far from both ends for clipping to count."""
    grey = np.full((60, 1, 48, 48), 128, np.uint8)
    deviations = (degraded(grey, name, seed=0).astype(float) - 128).std(axis=(1, 2, 3))
    assert low * 0.95 < deviations.min() < low + 4 and high - 4 < deviations.max() < high * 1.05


def test_contrast_keeps_between_four_and_seven_tenths():
    white = np.full((200, 1, 4, 4), 200, np.uint8)
    kept = degraded(white, "contrast-low", seed=0)[:, 0, 0, 0] / 200
    assert 0.4 <= kept.min() < 0.42 and 0.68 < kept.max() <= 0.7


def test_a_kernels_deviation_is_opencvs():
    """OpenCV, getGaussianKernel: 0.3 * ((ksize - 1) * 0.5 - 1) + 0.8."""
    assert [round(sigma_of(kernel), 6) for kernel in (3, 5, 7, 9, 11)] == [0.8, 1.1, 1.4, 1.7, 2.0]


def test_half_of_a_mix_is_degraded(pictures):
    untouched = (degraded(pictures, MIXED, seed=4) == pictures).all(axis=(1, 2, 3))
    assert untouched.sum() == len(pictures) / 2


def test_degradation_aware_calibration_touches_no_other_split(pictures):
    task = task_of(pictures)
    aware = degradation_aware(task, seed=4)
    assert (aware.calibration.inputs == degraded(pictures, MIXED, seed=4)).all()
    assert aware.train is task.train and aware.validation is task.validation and aware.test is task.test


def test_a_table_has_every_precision_under_every_condition(pictures):
    """A predictor that tells bright pictures from dark ones: only what darkens them counts."""
    task = task_of(np.full_like(pictures, 200))

    def bright(images):
        return np.eye(2)[(images.mean(axis=(1, 2, 3)) < 150).astype(int)]

    table = qrid(seed=0)({"float32": bright, "none": lambda images: np.eye(2)[np.ones(len(images), int)]}, task)
    assert list(table["float32"]) == [CLEAN, *DEGRADATIONS, MIXED]
    assert table["float32"][CLEAN] == 1 and table["float32"]["contrast-low"] == 0
    assert table["float32"]["blur-low"] == 1 and set(table["none"].values()) == {0.0}


def test_a_drop_is_a_share_of_what_there_was():
    assert relative_drop(0.5, 0.4) == pytest.approx(0.2) and relative_drop(0.0, 0.0) == 0


@pytest.mark.parametrize(
    "images", [np.zeros((2, 1, 8, 8), np.float32), np.zeros((2, 64), np.uint8), np.zeros((2, 4, 8, 8), np.uint8)]
)
def test_other_pictures_are_refused(images):
    with pytest.raises(BadInput, match="qrid: pictures are"):
        degraded(images, MIXED)


def test_an_unknown_condition_is_refused(pictures):
    with pytest.raises(BadInput, match="'rain' is no condition"):
        degraded(pictures, "rain")


def test_activations_round_as_onnx_runtime_does():
    """Its DynamicQuantizeLinear, on values of both signs, of one sign, and on zeros."""
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, kind.FLOAT, ["n"]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((4, 500)).astype(np.float32)
    rows[1], rows[2], rows[3] = np.abs(rows[1]), -np.abs(rows[2]) - 3, 0
    ours = rounded_to_uint8(torch.from_numpy(rows)).numpy()
    for row, rounded in zip(rows, ours, strict=True):
        assert np.allclose(session.run(None, {"x": row})[0], rounded, atol=1e-6)


@pytest.fixture(scope="module")
def digits():
    return zoo.load("digits-resnet")


def test_dynamic_uint8_does_not_depend_on_the_batch(digits):
    module = dynamic_uint8(digits.module, digits.task)
    inputs = digits.task.test.inputs[:8]
    one_by_one = np.concatenate([predict_raw(module, inputs[i : i + 1]) for i in range(8)])
    assert np.allclose(predict_raw(module, inputs), one_by_one, atol=1e-4)


def test_dynamic_uint8_computes_what_its_integers_would():
    """One layer by hand: integer products of codes and zero points, then both scales."""
    layer = nn.Linear(6, 3)
    inputs = (np.arange(12).reshape(2, 6) * 20 - 40).astype(np.float32)
    split = Split(inputs, np.zeros(2, np.int64))
    ours = predict_raw(dynamic_uint8(layer, Task("rows", split, split, split, split)), inputs)
    weight, bias = (p.detach().numpy() for p in (layer.weight, layer.bias))

    def codes(values):
        low, high = min(values.min(), 0), max(values.max(), 0)
        scale = (high - low) / 255
        zero = np.rint(-low / scale)
        return np.clip(np.rint(values / scale) + zero, 0, 255), zero, scale

    w, w_zero, w_scale = codes(weight)
    for row, output in zip(inputs, ours, strict=True):
        x, x_zero, x_scale = codes(row)
        assert np.allclose((w - w_zero) @ (x - x_zero) * w_scale * x_scale + bias, output, rtol=1e-4, atol=1e-3)


def test_float16_differs_from_float32_by_its_rounding_alone(digits):
    floats = predict(digits.module, digits.task.test, digits.task.normalize)
    halves = predict_raw(float16(digits.module, digits.task), digits.task.test.inputs)
    error = np.abs(halves - floats).max()
    assert 0 < error < 0.05 and (halves.astype(np.float16) == halves).all()
