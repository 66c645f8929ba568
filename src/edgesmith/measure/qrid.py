"""QRID: a metric under seven degradations of the pictures, for every precision of a net."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Split, Task
from edgesmith.data.shifts import Apply, blur, jpeg, noise

Predict = Callable[[np.ndarray], np.ndarray]  # raw inputs (n, ...) to outputs (n, ...)
Table = dict[str, dict[str, float]]  # precision to condition to the task's metric
Meter = Callable[[Mapping[str, Predict], Task], Table]

CLEAN, MIXED = "clean", "mixed"
SHARE = 0.5  # of the pictures of a mix are degraded
WHITE = 255.0
EXPERIMENT = "benchmarks/claims/measure/qrid.py"


@method(
    Card(
        name="qrid",
        does="measures a net's metric on clean pictures and under seven degradations, at every precision",
        source=Source("Karimov et al.", 2025, "arXiv:2508.19600"),
        claims=(
            Claim("int8 loses a moderate 3 to 7% of mAP on clean pictures", experiment=EXPERIMENT),
            Claim("int8 is 1.5 to 3.3 times as fast", experiment=EXPERIMENT),
            Claim("float16 and dynamic uint8 lose as float32 does", experiment=EXPERIMENT),
            Claim("static int8 loses more than float32 does under noise", experiment=EXPERIMENT),
            Claim("calibration on degraded pictures brings no consistent gain", experiment=EXPERIMENT),
            Claim("a larger net gains from it under noise", experiment=EXPERIMENT),
            Claim("half of a mix is degraded, the rest untouched", test="test_half_of_a_mix_is_degraded"),
            Claim("dynamic uint8 rounds as ONNX Runtime does", test="test_activations_round_as_onnx_runtime_does"),
        ),
        omits=(
            "COCO, YOLO12 and the three sizes above the second",
            "TensorRT and ONNX Runtime themselves: their arithmetic is emulated (measure/precisions.py)",
            "the full text: facts are from the abstract, a digest of it and the authors' repository (AllanK24/QRID)",
        ),
    )
)
def qrid(seed: int = 0) -> Meter:
    """Measure `predictors`, precision to prediction on raw pictures, on the test split as it is and degraded.

    Raises:
        BadInput: pictures that are not (n, 1 or 3, h, w) uint8.
    """

    def meter(predictors: Mapping[str, Predict], task: Task) -> Table:
        inputs = {name: degraded(task.test.inputs, name, seed) for name in (CLEAN, *DEGRADATIONS, MIXED)}
        return {
            precision: {name: task.metric.compute(predict(images), task.test.labels) for name, images in inputs.items()}
            for precision, predict in predictors.items()
        }

    return meter


@dataclass(frozen=True)
class Degradation:
    """One way pictures get worse; each picture draws its own strength.

    Attributes:
        apply: pictures (n, c, h, w) float32 in 0..1, a strength and a generator, to the same shape.
        draw: a picture's strength, in the unit that `apply` takes.
    """

    apply: Apply
    draw: Callable[[np.random.Generator], float]


def dim(images: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Every value times a factor: what Albumentations, which the authors used, calls less contrast."""
    return images * np.float32(factor)


def sigma_of(kernel: int) -> float:
    """The standard deviation in pixels that OpenCV gives a Gaussian kernel of so many.

    >>> sigma_of(3), round(sigma_of(11), 3)
    (0.8, 2.0)
    """
    return 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8


def _noise(low: float, high: float) -> Degradation:
    return Degradation(noise, lambda rng: rng.uniform(low, high) / WHITE)


def _blur(*kernels: int) -> Degradation:
    return Degradation(blur, lambda rng: sigma_of(int(rng.choice(kernels))))


def _jpeg(low: int, high: int) -> Degradation:
    return Degradation(jpeg, lambda rng: float(rng.integers(low, high + 1)))


# Ranges of the paper's section on data and of the authors' functions/augmentation/augmentations.py.
DEGRADATIONS: Mapping[str, Degradation] = {
    "noise-low": _noise(10, 30),
    "noise-medium": _noise(35, 55),
    "blur-low": _blur(3, 5),
    "blur-medium": _blur(7, 9, 11),
    "contrast-low": Degradation(dim, lambda rng: 1 + rng.uniform(-0.6, -0.3)),
    "jpeg-heavy": _jpeg(20, 45),
}
IN_MIXES: Mapping[str, Degradation] = {**DEGRADATIONS, "jpeg-moderate": _jpeg(50, 75)}


def degraded(images: np.ndarray, condition: str, seed: int = 0) -> np.ndarray:
    """Pictures under one condition: CLEAN, one of DEGRADATIONS, or MIXED.

    Args:
        images: (n, c, h, w) uint8.

    Raises:
        BadInput: no such condition, or other pictures.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3) or images.dtype != np.uint8:
        raise BadInput(f"qrid: pictures are {images.shape} {images.dtype}; need (n, 1 or 3, h, w) uint8. Convert them.")
    if condition == CLEAN:
        return images
    rng = np.random.default_rng(seed)
    if condition == MIXED:
        return mixed(images, rng)
    if condition not in DEGRADATIONS:
        raise BadInput(f"qrid: {condition!r} is no condition; need {CLEAN}, {', '.join(DEGRADATIONS)} or {MIXED}.")
    return np.stack([_worse(image, DEGRADATIONS[condition], rng) for image in images])


def mixed(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """SHARE of the pictures, drawn at random, each under one of IN_MIXES; the others as they are."""
    found = images.copy()
    names = sorted(IN_MIXES)
    for row in rng.permutation(len(images))[: round(SHARE * len(images))]:
        found[row] = _worse(images[row], IN_MIXES[names[rng.integers(len(names))]], rng)
    return found


def _worse(image: np.ndarray, how: Degradation, rng: np.random.Generator) -> np.ndarray:
    """One picture (c, h, w) uint8."""
    after = how.apply(image[None].astype(np.float32) / np.float32(WHITE), how.draw(rng), rng)[0]
    return np.rint(after * WHITE).clip(0, WHITE).astype(np.uint8)


def degradation_aware(task: Task, seed: int = 0) -> Task:
    """The task for degradation-aware calibration: its calibration split is a mix, the others are as they were.

    Any method that calibrates on `task.calibration` calibrates on degraded pictures with it.
    """
    calibration = Split(degraded(task.calibration.inputs, MIXED, seed), task.calibration.labels)
    return replace(task, name=f"{task.name}-degradation-aware", calibration=calibration)


def relative_drop(clean: float, other: float) -> float:
    """Share of the clean metric that is lost."""
    return (clean - other) / clean if clean else 0.0
