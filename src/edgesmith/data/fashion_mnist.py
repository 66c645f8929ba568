"""Fashion-MNIST (arXiv:1708.07747): 70,000 pictures of clothes, 28x28, grey."""

import io
from pathlib import Path

import numpy as np

from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.task import Normalize, Task
from edgesmith.data.files import DataSet, data_folder, how_to_get, need, read_known, read_npz, unpack
from edgesmith.data.splits import first_occurrences, stratified_parts, take

FASHION_MNIST = DataSet(
    name="fashion-mnist",
    folder="fashion_mnist",
    address="https://github.com/zalandoresearch/fashion-mnist",
    licence="MIT",
    files={"fashion_mnist.npz": "188c9226d11c4e8197a3b7023823024706d588e520b87c80c2247efcd134b714"},
    official="the four .gz files train- and t10k-, images- and labels-",
)
CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
FRACTIONS = (0.9, 1 / 60, 1 / 12)  # of the 60,000: train, calibration (1,000), validation (5,000)
IDX_PARTS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def fashion_mnist_task(seed: int = 0) -> Task:
    """Tell ten kinds of clothes apart; inputs are (n, 1, 28, 28) uint8.

    Raises:
        Missing: the files are not on this machine.
        BadInput: they are damaged.
    """
    train_x, train_y, test_x, test_y = read_arrays()
    test_rows, train_rows = first_occurrences(test_x, train_x)
    train_x, train_y = train_x[train_rows, None], train_y[train_rows]
    train, calibration, validation = stratified_parts(train_y, FRACTIONS, seed)
    return Task(
        name="fashion-mnist",
        train=take(train_x, train_y, train),
        calibration=take(train_x, train_y, calibration),
        validation=take(train_x, train_y, validation),
        test=take(test_x[:, None], test_y, test_rows),
        normalize=Normalize(mean=(0.0,), std=(255.0,)),
        classes=CLASSES,
        licence=FASHION_MNIST.licence,
        source=FASHION_MNIST.address,
    )


def read_arrays() -> list[np.ndarray]:
    """Train images, train labels, test images, test labels: from the npz, or the four files of its authors."""
    folder = data_folder(FASHION_MNIST)
    official = [folder / f"{part}.gz" for part in IDX_PARTS]
    if not (folder / "fashion_mnist.npz").exists():
        if not all(path.is_file() for path in official):
            raise Missing(
                f"data: {folder} holds neither fashion_mnist.npz nor the authors' four files"
                f" ({', '.join(path.name for path in official)}); {how_to_get(FASHION_MNIST)}"
            )
        arrays = [read_idx(path) for path in official]
    else:
        content = io.BytesIO(read_known(FASHION_MNIST, "fashion_mnist.npz"))
        arrays = need(read_npz(content, "fashion_mnist.npz"), ("x_train", "y_train", "x_test", "y_test"), str(folder))
    shapes = [array.shape for array in arrays]
    if (
        shapes != [(60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,)]
        or max(arrays[1].max(), arrays[3].max()) > 9
    ):
        raise BadInput(
            f"data: {folder} holds arrays of {shapes}; need 60,000 and 10,000 pictures of 28x28, ten classes."
        )
    return [arrays[0], arrays[1].astype(np.int64), arrays[2], arrays[3].astype(np.int64)]


def read_idx(path: Path) -> np.ndarray:
    """One gzipped array in the IDX format: two zeros, a type (8: uint8), the number of axes, their sizes.

    Raises:
        BadInput: it is damaged or holds something else.
    """
    content = unpack(path)
    axes = content[3] if content[:3] == b"\0\0\x08" and len(content) > 4 else 0
    shape = tuple(int(size) for size in np.frombuffer(content[4 : 4 + 4 * axes], ">u4"))
    if not 1 <= axes <= 3 or len(shape) != axes or len(content) != 4 + 4 * axes + int(np.prod(shape, dtype=object)):
        raise BadInput(f"data: {path} is no IDX file of bytes. Download it again from {FASHION_MNIST.address}.")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
