"""Occupancy detection (Candanedo and Feldheim, Energy and Buildings 112, 2016): room sensors, once a minute."""

import csv
import io

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.task import Normalize, Task
from edgesmith.data.files import DataSet, read_known
from edgesmith.data.splits import stratified_parts, windows

OCCUPANCY = DataSet(
    name="occupancy",
    folder="occupancy",
    address="https://archive.ics.uci.edu/dataset/357/occupancy+detection",
    licence="CC BY 4.0",
    files={
        "datatraining.txt": "b2c4d0ce2b9e4e453c476f7125ef31aeec2d1f5c7f5572d0e80de3df6521ab56",
        "datatest.txt": "1b92c7c1b2838963464fa891a610cf3c5db4becb7189189b29b330107a584c7f",
        "datatest2.txt": "d026d1bd5aeccd4aff4f3b3710d48e40613bd5fc370db7e61bbdcaa50d985095",
    },
)
CHANNELS = ("Temperature", "Humidity", "Light", "CO2", "HumidityRatio")
STEPS = 24  # minutes in a window
BLOCK = 120  # minutes that stay together in one split
FRACTIONS = (0.7, 0.1, 0.2)  # of the blocks: train, calibration, validation


def occupancy_task(seed: int = 0) -> Task:
    """Is someone in the room at the end of the window? Inputs are (n, 5, 24) float32 readings.

    The training week is dealt out in blocks of two hours, and no window crosses a block's edge, so that no reading
    is in two splits. The authors' two test files, other days, are the test.

    Raises:
        Missing: the files are not on this machine.
        BadInput: they are damaged.
    """
    readings, occupied = read_readings("datatraining.txt")
    blocks = [slice(start, start + BLOCK) for start in range(0, len(readings), BLOCK)]
    parts = stratified_parts(np.array([int(occupied[block].any()) for block in blocks]), FRACTIONS, seed)
    train, calibration, validation = (
        windows(readings, occupied, STEPS, [blocks[index] for index in part]) for part in parts
    )
    first, second = read_readings("datatest.txt"), read_readings("datatest2.txt")
    tested, present = np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])
    edge = len(first[0])  # days lie between the two files
    mean, std = train.inputs.mean((0, 2)), train.inputs.std((0, 2))
    return Task(
        name="occupancy",
        train=train,
        calibration=calibration,
        validation=validation,
        test=windows(tested, present, STEPS, [slice(0, edge), slice(edge, None)]),
        normalize=Normalize(tuple(float(value) for value in mean), tuple(float(value) for value in std)),
        classes=("empty", "occupied"),
        licence=OCCUPANCY.licence,
        source=OCCUPANCY.address,
    )


def read_readings(name: str) -> tuple[np.ndarray, np.ndarray]:
    """One file in order of time: readings (minutes, 5) float32 and occupancy (minutes,) 0 or 1."""
    text = read_known(OCCUPANCY, name).decode("utf-8")
    rows = list(csv.reader(io.StringIO(text)))
    try:
        # The rows begin with a line number that the header does not name, and a date.
        table = np.array([row[2:] for row in rows[1:] if row], dtype=np.float32)
    except ValueError as error:
        raise BadInput(f"data: {name} is no table of readings ({error}).") from error
    return table[:, : len(CHANNELS)], table[:, len(CHANNELS)].astype(np.int64)
