"""NSL-KDD (Tavallaee et al., CISDA 2009): network connections, normal or attacks."""

import csv
import io

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.task import Metric, Normalize, Split, Task
from edgesmith.data.files import DataSet, read_known
from edgesmith.data.splits import first_occurrences, stratified_parts

NSL_KDD = DataSet(
    name="nsl-kdd",
    folder="nsl_kdd",
    address="https://www.unb.ca/cic/datasets/nsl.html",
    licence="none stated; cite the paper",
    files={
        "KDDTrain+_20Percent.txt": "7ea86479faab5ca2190b7f18b4982fb058ce5bf2b46e0e1017d0d9ef90f9c16e",
        "KDDTest+.txt": "fa46b0935342616aa83b7c2578db355b6a7aaabbc492248172c7a1e8b7ab8f84",
    },
)
SYMBOLIC = (1, 2, 3)  # protocol, service, flag
COLUMNS = 41  # then the name of the attack and a difficulty
FRACTIONS = (0.7, 0.05, 0.25)  # of the normal connections: train, calibration, validation
ATTACK_FRACTIONS = (0.15, 0.85)  # of the attacks: calibration, validation


def auroc(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Chance that a sample labelled 1 scores above one labelled 0, ties counting half.

    Args:
        outputs: (n, 1) or (n,) scores.
        labels: (n, 1) or (n,) of 0 and 1, both present.

    Source: Mann and Whitney 1947; the sum of ranks.

    >>> auroc(np.array([1.0, 2.0, 2.0, 3.0]), np.array([0, 0, 1, 1]))
    0.875
    """
    scores, positive = outputs.reshape(-1), labels.reshape(-1) > 0.5
    _, where, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[where]
    positives = int(positive.sum())
    if positives in (0, len(scores)):
        raise BadInput("auroc: all samples have one label; need both. Take more samples.")
    above = ranks[positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(scores) - positives)))


AUROC = Metric("AUROC", "max", auroc)


def nsl_kdd_task(seed: int = 0) -> Task:
    """Tell attacks from normal traffic having seen normal traffic only; inputs are (n, features) float32.

    A connection becomes 38 numbers (log(1 + v): counts, durations, bytes and rates) and a 0 or 1 for every protocol,
    service and flag of the training file. Labels are (n, 1): 0 normal, 1 attack. A connection that the test holds
    too is left out of the training file.

    Raises:
        Missing: the files are not on this machine.
        BadInput: they are damaged.
    """
    train_rows, test_rows = (read_rows(name) for name in NSL_KDD.files)
    names = [sorted({row[column] for row in train_rows}) for column in SYMBOLIC]
    known, unseen = encode(train_rows, names), encode(test_rows, names)
    test, rest = first_occurrences(unseen, known)
    attack = np.array([row[COLUMNS] != "normal" for row in train_rows])
    normal, attacks = rest[~attack[rest]], rest[attack[rest]]
    parts = [normal[part] for part in stratified_parts(np.zeros(len(normal)), FRACTIONS, seed)]
    mixed = [attacks[part] for part in stratified_parts(np.zeros(len(attacks)), ATTACK_FRACTIONS, seed)]
    labels = attack.astype(np.float32)[:, None]
    test_labels = np.array([[row[COLUMNS] != "normal"] for row in test_rows], np.float32)

    def split(rows: np.ndarray) -> Split:
        return Split(known[rows], labels[rows])

    return Task(
        name="nsl-kdd",
        train=split(parts[0]),
        calibration=split(np.concatenate([parts[1], mixed[0]])),
        validation=split(np.concatenate([parts[2], mixed[1]])),
        test=Split(unseen[test], test_labels[test]),
        metric=AUROC,
        loss="mse",
        normalize=scales(known[parts[0]]),
        classes=("normal", "attack"),
        licence=NSL_KDD.licence,
        source=NSL_KDD.address,
    )


def nsl_kdd_attacks_task(seed: int = 0) -> Task:
    """Tell attacks from normal traffic having seen both; inputs and test are those of `nsl_kdd_task`.

    Labels are (n,): 0 normal, 1 attack. The test holds kinds of attack that the training file has none of.

    Raises:
        Missing: the files are not on this machine.
        BadInput: they are damaged.
    """
    train_rows, test_rows = (read_rows(name) for name in NSL_KDD.files)
    names = [sorted({row[column] for row in train_rows}) for column in SYMBOLIC]
    known, unseen = encode(train_rows, names), encode(test_rows, names)
    test, rest = first_occurrences(unseen, known)
    labels, test_labels = (
        np.array([row[COLUMNS] != "normal" for row in rows], np.int64) for rows in (train_rows, test_rows)
    )
    train, calibration, validation = (rest[part] for part in stratified_parts(labels[rest], FRACTIONS, seed))
    return Task(
        name="nsl-kdd-attacks",
        train=Split(known[train], labels[train]),
        calibration=Split(known[calibration], labels[calibration]),
        validation=Split(known[validation], labels[validation]),
        test=Split(unseen[test], test_labels[test]),
        normalize=scales(known[train]),
        classes=("normal", "attack"),
        licence=NSL_KDD.licence,
        source=NSL_KDD.address,
    )


def read_rows(name: str) -> list[list[str]]:
    """The connections of one file, 43 columns each."""
    rows = [row for row in csv.reader(io.StringIO(read_known(NSL_KDD, name).decode("utf-8"))) if row]
    if any(len(row) != COLUMNS + 2 for row in rows):
        raise BadInput(f"data: {name} has rows of other than {COLUMNS + 2} columns. Download it again.")
    return rows


def encode(rows: list[list[str]], names: list[list[str]]) -> np.ndarray:
    """Connections as numbers: (n, 38 + symbols) float32; a symbol not in `names` is all zeros."""
    numeric = [column for column in range(COLUMNS) if column not in SYMBOLIC]
    numbers = np.array([[row[column] for column in numeric] for row in rows], dtype=np.float32)
    numbers = np.log1p(numbers)
    symbols = [
        np.array([[row[column] == name for name in known] for row in rows], np.float32)
        for column, known in zip(SYMBOLIC, names, strict=True)
    ]
    return np.concatenate([numbers, *symbols], axis=1)


def scales(inputs: np.ndarray) -> Normalize:
    """Mean and spread of every feature; a feature that hardly varies keeps a spread of a tenth."""
    mean, std = inputs.mean(0), np.maximum(inputs.std(0), 0.1)
    return Normalize(tuple(float(value) for value in mean), tuple(float(value) for value in std))
