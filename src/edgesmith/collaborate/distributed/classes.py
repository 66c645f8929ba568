"""Which classes each sub-model answers for, and what it learns them from."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.task import Split, Task

Order = Literal["listed", "random", "similar"]


def class_groups(count: int, parts: int, order: Order, confusion: np.ndarray, seed: int) -> list[tuple[int, ...]]:
    """Deal classes out to parts, as evenly as they go.

    Args:
        order: "listed" takes them as the task lists them, "random" as the seed has it, "similar" puts those together
            that the whole net takes for one another.
        confusion: (count, count) how much of a class's answers go to another.

    Returns:
        The classes of each part, ascending; together all, each once.

    Raises:
        BadInput: more parts than classes.
    """
    if not 1 <= parts <= count:
        raise BadInput(f"ed_vit: {parts} sub-models for {count} classes; need 1 to {count}.")
    lines = {
        "listed": lambda: np.arange(count),
        "random": lambda: np.random.default_rng(seed).permutation(count),
        "similar": lambda: similar_order(confusion),
    }
    return [tuple(sorted(group.tolist())) for group in np.array_split(lines[order](), parts)]


def similar_order(confusion: np.ndarray) -> np.ndarray:
    """A line of classes where each is followed by the one left that is most taken for it, or it for that.

    It begins with the class of most confusion.
    """
    both = confusion + confusion.T
    np.fill_diagonal(both, 0.0)
    line = [int(both.sum(1).argmax())]
    while len(line) < len(both):
        left = [index for index in range(len(both)) if index not in line]
        line.append(max(left, key=lambda index: both[line[-1], index]))
    return np.array(line)


def confusion_of(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(classes, classes) mean probabilities of each class's samples, from (n, classes) scores and (n,) labels."""
    shifted = np.exp(scores - scores.max(1, keepdims=True))
    chances = shifted / shifted.sum(1, keepdims=True)
    return np.stack([chances[labels == index].mean(0) for index in range(scores.shape[1])])


def class_task(task: Task, classes: Sequence[int], seed: int) -> Task:
    """The task of telling these classes apart, and from all others: label len(classes) is "none of them".

    All training samples of the classes, and as many of the others, drawn by the seed: a sub-model for a single class
    would have nothing to learn without them.
    """
    rng = np.random.default_rng(seed)
    own = np.isin(task.train.labels, classes)
    others = rng.permutation(np.flatnonzero(~own))[: max(int(own.sum()), 1)]
    rows = rng.permutation(np.concatenate([np.flatnonzero(own), others]))
    names = tuple(task.classes[index] for index in classes) if task.classes else ()
    train = Split(task.train.inputs[rows], relabelled(task.train.labels[rows], classes))
    return replace(task, name=f"{task.name}-part", train=train, classes=(*names, "other") if names else ())


def relabelled(labels: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Each label's place among the classes, len(classes) for one that is not there.

    >>> relabelled(np.array([7, 0, 3]), (3, 7)).tolist()
    [1, 2, 0]
    """
    places = np.full(max(int(labels.max()), *classes) + 1, len(classes))
    places[list(classes)] = np.arange(len(classes))
    return places[labels]
