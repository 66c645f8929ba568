"""What the zoo holds: one frozen record per net, free of torch so that it can be listed at once."""

from dataclasses import dataclass

from edgesmith.core.errors import BadInput
from edgesmith.zoo.recipe import Recipe


@dataclass(frozen=True)
class Entry:
    """The facts about one net.

    Attributes:
        input_shape: of one model input, with batch 1.
        parameters: trainable numbers.
        dataset: name of the task's data; None for a shape with seeded random weights and no data.
        recipe: how it is trained; None when it has no data.
        reference: the metric on the test split that the recipe reached with seed 0; None when it has no data.
        seconds: that training took, on one thread.
        shipped: the trained weights come with the package.
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

ENTRIES: tuple[Entry, ...] = DIGITS


def entry(name: str) -> Entry:
    """The record of one net.

    Raises:
        BadInput: no net of that name.
    """
    for candidate in ENTRIES:
        if candidate.name == name:
            return candidate
    known = ", ".join(candidate.name for candidate in ENTRIES)
    raise BadInput(f"zoo: no net is called {name!r}; need one of: {known}.")
