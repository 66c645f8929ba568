"""Seeded, disjoint splits with every class in each."""

import hashlib

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.task import Split


def stratified_parts(labels: np.ndarray, fractions: tuple[float, ...], seed: int) -> list[np.ndarray]:
    """Deal the samples of each class out to parts.

    Args:
        labels: (n,) integer classes.
        fractions: share of each part; they add up to one.

    Returns:
        One sorted array of sample indices per part: disjoint, together all n.

    >>> [part.tolist() for part in stratified_parts(np.array([0, 0, 1, 1]), (0.5, 0.5), seed=0)]
    [[0, 2], [1, 3]]
    """
    if abs(sum(fractions) - 1) > 1e-9 or min(fractions) <= 0:
        raise BadInput(f"splits: fractions are {fractions}; need numbers above zero that add up to one.")
    rng = np.random.default_rng(seed)
    parts: list[list[np.ndarray]] = [[] for _ in fractions]
    for value in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == value))
        bounds = np.round(np.cumsum(fractions)[:-1] * len(members)).astype(int)
        for part, chunk in zip(parts, np.split(members, bounds), strict=True):
            part.append(chunk)
    return [np.sort(np.concatenate(part)) for part in parts]


def take(inputs: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> Split:
    """The samples at `rows` as a split."""
    return Split(inputs[rows], labels[rows])


def first_occurrences(*parts: np.ndarray) -> list[np.ndarray]:
    """Rows of each part that are in no earlier part and no earlier row: sorted indices per part.

    Give the test first, and training loses what the test holds too.

    >>> [rows.tolist() for rows in first_occurrences(np.array([[1], [2]]), np.array([[2], [3], [3]]))]
    [[0, 1], [1]]
    """
    seen: set[bytes] = set()
    kept = []
    for part in parts:
        rows = []
        for index, row in enumerate(np.ascontiguousarray(part)):
            digest = hashlib.blake2b(row.tobytes(), digest_size=16).digest()
            if digest not in seen:
                seen.add(digest)
                rows.append(index)
        kept.append(np.array(rows, dtype=np.int64))
    return kept


def windows(readings: np.ndarray, labels: np.ndarray, steps: int, blocks: list[slice]) -> Split:
    """Every window of `steps` readings that lies within one of the blocks, labelled by its last reading.

    Blocks that do not overlap, dealt out to splits, keep every reading in one split.

    Args:
        readings: (rows, channels), in order of time.
        labels: (rows,).

    Returns:
        Inputs (n, channels, steps); a block shorter than a window gives none.
    """
    long = [block for block in blocks if len(labels[block]) >= steps]
    view = np.lib.stride_tricks.sliding_window_view
    if not long:
        raise BadInput(f"splits: no stretch of readings is {steps} long. Take more readings.")
    return Split(
        np.concatenate([view(readings[block], steps, axis=0) for block in long]),
        np.concatenate([labels[block][steps - 1 :] for block in long]),
    )
