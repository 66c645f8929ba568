"""The handwritten digits built into scikit-learn: 1,797 images of 8x8 pixels, 0 to 16."""

import numpy as np

from edgesmith.core.errors import Missing
from edgesmith.core.task import Normalize, Task
from edgesmith.data.splits import stratified_parts, take

# train, calibration, validation, and the third that is kept for the test
FRACTIONS = (0.5, 1 / 18, 1 / 9, 1 / 3)


def digits_task(seed: int = 0) -> Task:
    """Tell ten digits apart; inputs are (n, 1, 8, 8) uint8, 0 (background) to 16.

    Normalization is a pure scale, so that background, zero padding and the raw value 0 are the same number.

    Raises:
        Missing: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise Missing(
            'digits: scikit-learn is not installed; it holds the data. pip install "edgesmith[fit]"'
        ) from error
    bunch = load_digits()
    inputs = bunch.images.astype(np.uint8)[:, None]
    labels = bunch.target.astype(np.int64)
    train, calibration, validation, test = stratified_parts(labels, FRACTIONS, seed)
    return Task(
        name="digits",
        train=take(inputs, labels, train),
        calibration=take(inputs, labels, calibration),
        validation=take(inputs, labels, validation),
        test=take(inputs, labels, test),
        normalize=Normalize(mean=(0.0,), std=(16.0,)),
        classes=tuple("0123456789"),
        licence="CC BY 4.0",
        source="https://archive.ics.uci.edu/dataset/80 (the test part), as shipped with scikit-learn",
    )
