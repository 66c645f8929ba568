"""Testbeds: a task, a model, its recipe and its trained weights.

zoo.names()                 every net
zoo.info("digits-resnet")   its facts, without importing torch
zoo.load("digits-resnet")   task and model, ready to use
zoo.train("fashion-cnn")    train one whose weights are not shipped
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgesmith.zoo.entries import CLASSICAL, ENTRIES, Entry, entry

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgesmith.training.accelerator import Accelerator
    from edgesmith.zoo.testbed import Testbed, Trained

__all__ = ["Entry", "info", "load", "load_model", "names", "train"]


def names() -> tuple[str, ...]:
    """Every net of the zoo."""
    return tuple(listed.name for listed in (*ENTRIES, *CLASSICAL))


def info(name: str) -> Entry:
    """The facts about one net.

    Raises:
        BadInput: no net of that name.
    """
    return entry(name)


def load(name: str, with_data: bool = True) -> "Testbed":
    """The task and the trained model of one net.

    Args:
        with_data: read its data too; without, the task is None and the example input is zeros.

    Raises:
        BadInput: no net of that name, or damaged weights.
        Missing: its data or its weights are not on this machine; the message says how to get them.
    """
    from edgesmith.zoo.testbed import load_testbed

    return load_testbed(entry(name), with_data)


def load_model(spec: str, trust: bool = False) -> "tuple[nn.Module, tuple[Tensor, ...]]":
    """A model and an example of its inputs, from what a user wrote.

    Args:
        spec: a net of the zoo, "file.py:function" that returns (module, example_inputs) with a batch of 1 or a
            fitted scikit-learn, XGBoost or LightGBM model, a .onnx, .tflite or .pt2 file, or an XGBoost .json.
        trust: run the code of a Python file or a .pt2.

    Raises:
        BadInput: no such net, code that is not trusted, or something else than a model came back.
        Missing: no such file, or no weights on this machine.
    """
    from edgesmith.zoo.user_model import load_user_model

    return load_user_model(spec, trust)


def train(
    name: str,
    seed: int = 0,
    out: Path | None = None,
    progress: Callable[[int, float], None] = lambda epoch, loss: None,
    accelerator: "Accelerator" = "cpu",
) -> "Trained":
    """Train one net by its recipe; a killed run goes on where it was.

    Args:
        out: the checkpoint to write; by default in the user's cache, where `load` finds it (seed 0).
        progress: called with each finished epoch and its mean loss.
        accelerator: what computes; "cpu" everywhere, "cuda" where there is one.

    Raises:
        BadInput: no net of that name, or it has no data to train on.
        Missing: its data or the accelerator is not on this machine.
    """
    from edgesmith.training.loop import Run
    from edgesmith.zoo.testbed import train_testbed

    return train_testbed(entry(name), seed, out, Run(progress=progress, accelerator=accelerator))
