"""I-ViT and I-Segmenter: programs without floats, faithful to the rounded net, from one image, and trainable."""

import numpy as np
import pytest
import torch

from edgesmith import targets
from edgesmith.compile.edge_moe import edge_moe
from edgesmith.compile.integerize import integerize
from edgesmith.compile.integerize.agreement import layer_agreement
from edgesmith.compress.quantize import i_segmenter, i_vit
from edgesmith.compress.quantize.i_segmenter import nearest_upsampling
from edgesmith.core.errors import BadInput
from edgesmith.core.ops import check, interpret
from edgesmith.core.task import Normalize, Split, Task
from edgesmith.emulate.float_use import float_use
from edgesmith.lower import channels_last_input, lift, lower
from edgesmith.pipeline.build import bind_for, firmware, native
from edgesmith.run.emulated import Emulated
from edgesmith.training.recipe import Recipe
from edgesmith.zoo.entries import entry
from edgesmith.zoo.models.segmenter import Segmenter
from edgesmith.zoo.models.vit import Vit

BOARD = targets.load("nucleo-l4r5zi")


def made_task(size: int, labels: tuple[int, ...] = ()) -> Task:
    """Random bytes as pictures; only shapes and ranges matter here."""
    rng = np.random.default_rng(0)
    splits = [
        Split(rng.integers(0, 256, (12, 1, size, size)).astype(np.uint8), rng.integers(0, 4, (12, *labels)))
        for _ in range(4)
    ]
    return Task("made", *splits, normalize=Normalize((0.0,), (255.0,)))


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    return Vit(channels=1, size=28, patch=7, classes=10, width=64, depth=1).eval(), made_task(28)


@pytest.fixture(scope="module")
def segmenter():
    torch.manual_seed(0)
    return Segmenter(channels=1, size=16, patch=4, classes=4, width=24, depth=1).eval(), made_task(16, (16, 16))


@pytest.mark.parametrize("net", ["fashion-vit", "scenes-segmenter"])
def test_no_float_instruction_is_left(net, tmp_path):
    """The nets of the zoo in their own shape, seeded random weights: only those differ from the trained ones."""
    from edgesmith.zoo.builders import build

    size = entry(net).input_shape[-1]
    quantize = i_vit if net == "fashion-vit" else i_segmenter
    module = quantize(images=1, calibration="minmax")(build(entry(net)).eval(), made_task(size))
    program = bind_for(channels_last_input(integerize(module.to_graph())), BOARD)
    assert float_use(firmware(program, tmp_path)) == ()


def test_every_attention_and_activation_is_in_shifts(vit):
    module, task = vit
    kinds = [op.kind for op in integerize(i_vit(calibration="minmax")(module, task).to_graph()).ops]
    assert {"shiftmax_s8", "shift_gelu_s8", "i_layer_norm_s8"} <= set(kinds)
    assert not {"softmax_s8", "layer_norm_s8", "quantize", "dequantize"} & set(kinds)


def test_numpy_c_and_the_board_agree_on_every_byte(segmenter, tmp_path):
    module, task = segmenter
    graph = channels_last_input(integerize(i_segmenter(images=1)(module, task).to_graph()))
    check(graph)
    x = np.moveaxis(task.test.inputs[:1], 1, -1)
    (wanted,) = interpret(graph, {graph.inputs[0]: x}).values()
    (here,) = native(graph).run({graph.inputs[0]: x}).values()
    program = bind_for(graph, BOARD)
    with Emulated(firmware(program, tmp_path), program.program.interface, BOARD) as board:
        (there,) = board.run({graph.inputs[0]: x}).values()
    np.testing.assert_array_equal(here, wanted)
    np.testing.assert_array_equal(there, wanted)


@pytest.mark.parametrize("forms", ["shift", "edge-moe"])
def test_each_layer_is_its_rounded_float_layer(vit, forms):
    """Relation 2 of docs/numbers.md, on the shapes of fashion-vit's blocks."""
    module, task = vit
    annotated = i_vit()(module, task).to_graph()
    annotated = edge_moe()(annotated) if forms == "edge-moe" else annotated
    samples = [{annotated.inputs[0]: x[None]} for x in task.test.inputs[:3]]

    def reference(part):
        run = lift(part)
        return lambda xs: [y.detach().numpy() for y in _several(run(*map(torch.from_numpy, xs)))]

    found = layer_agreement(annotated, integerize(annotated), samples, reference)
    assert all(layer.holds for layer in found if layer.kind in ("shiftmax", "shift_gelu", "softmax", "gelu"))


def _several(result):
    return result if isinstance(result, tuple) else (result,)


def test_one_image_is_enough_to_calibrate(vit):
    """The ranges are those of that image alone."""
    module, task = vit
    one, whole = (i_vit(images=images, calibration="minmax")(module, task) for images in (1, 0))
    spans = [[t.format.scale for t in m.graph.tensors.values() if hasattr(t.format, "scale")] for m in (one, whole)]
    assert len(spans[0]) == len(spans[1]) and np.mean(spans[0]) < np.mean(spans[1])


def test_fine_tuning_follows_the_rounded_net(segmenter):
    """The loss of the rounded net falls, and the module that came in stays as it was."""
    module, task = segmenter
    before = {name: value.clone() for name, value in module.state_dict().items()}
    losses: list[float] = []
    from edgesmith.training.loop import Run

    recipe = Recipe(epochs=6, batch=6, learning_rate=3e-3)
    tuned = i_segmenter(recipe=recipe, run=Run(progress=lambda _, loss: losses.append(loss)))(module, task)
    assert losses[-1] < losses[0]
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert "shiftmax_s8" in [op.kind for op in integerize(tuned.to_graph()).ops]


def test_bilinear_upsampling_becomes_nearest_in_a_copy():
    net = torch.nn.Sequential(torch.nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
    x = torch.arange(4.0).reshape(1, 1, 2, 2)
    assert torch.equal(nearest_upsampling(net)(x), x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert net[0].mode == "bilinear"


def test_a_module_of_shift_ops_lowers_to_itself(vit):
    """Export keeps Shiftmax and ShiftGELU whole."""
    lifted = i_vit(calibration="minmax")(*vit)
    bare = lift(lifted.to_graph())
    again = lower(torch.nn.Sequential(bare), (torch.zeros(1, 1, 28, 28),))
    kinds = [op.kind for op in again.ops]
    assert "shiftmax" in kinds and "shift_gelu" in kinds


@pytest.mark.parametrize("given", [{"images": -1}, {"calibration": "best"}])
def test_bad_settings_are_refused_before_any_work(given):
    with pytest.raises(BadInput, match="need"):
        i_vit(**given)
    with pytest.raises(BadInput, match="above zero"):
        i_segmenter(limit=0)


def test_the_decoder_decides_in_integers(segmenter, tmp_path):
    """Upsampling by nearest neighbour and argmax: the classes are those of the largest scores, on the board too."""
    module, task = segmenter
    scores, classes = (
        channels_last_input(integerize(i_segmenter(calibration="minmax", decide=decide)(module, task).to_graph()))
        for decide in (False, True)
    )
    x = {classes.inputs[0]: np.moveaxis(task.test.inputs[:1], 1, -1)}
    (by_score,) = interpret(scores, x).values()
    (found,) = interpret(classes, x).values()
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, by_score.argmax(axis=1))
    program = bind_for(classes, BOARD)
    linked = firmware(program, tmp_path)
    assert float_use(linked) == ()
    with Emulated(linked, program.program.interface, BOARD) as board:
        np.testing.assert_array_equal(next(iter(board.run(x).values())), found)


def test_a_class_by_argmax_lowers_and_stays_in_integers():
    """torch's own argmax, of any axis, on a quantized net."""

    class Classes(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Conv2d(1, 5, 3)

        def forward(self, x):
            return self.layer(x).argmax(1)

    torch.manual_seed(0)
    net, x = Classes().eval(), torch.randn(1, 1, 8, 8)
    graph = lower(net, (x,))
    np.testing.assert_array_equal(interpret(graph, {graph.inputs[0]: x.numpy()})["argmax"], net(x).numpy())
    stored = i_vit(calibration="minmax")(net, made_task(8)).to_graph()
    assert [op.kind for op in integerize(stored).ops if op.kind != "lookup"][-1] == "argmax"
    assert all(t.dtype != "float32" for t in integerize(stored).tensors.values())
