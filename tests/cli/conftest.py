"""The command line in this process, and an artifact that several tests look at."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgesmith.cli import main
from edgesmith.data import named_task

MODEL = """\
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 10)
    return nn.Sequential(*layers), torch.zeros(1, 1, 8, 8)

def data():
    from edgesmith.data import named_task
    return named_task("digits")

def one():
    return 1
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def edgesmith(monkeypatch, capfd) -> Callable[..., Ended]:
    """Run `edgesmith WORDS...` as its entry point does."""

    def run(*words: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["edgesmith", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture
def nets(tmp_path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(MODEL)
    return path


@pytest.fixture
def digit(tmp_path) -> Path:
    """One picture as the board takes it: height, width, channels."""
    path = tmp_path / "digit.npy"
    np.save(path, np.moveaxis(named_task("digits").test.inputs[0], 0, -1))
    return path


@pytest.fixture(scope="session")
def compiled(tmp_path_factory) -> Path:
    """digits-cnn for a Blue Pill; copy it before changing anything."""
    from edgesmith import targets, zoo
    from edgesmith.pipeline.compiling import compile_model

    bed = zoo.load("digits-cnn")
    folder = tmp_path_factory.mktemp("cli") / "digits"
    compile_model(bed.module, bed.example_inputs, bed.task, targets.load("stm32f103"), folder, "digits")
    return folder


@pytest.fixture
def artifact(compiled, tmp_path) -> Path:
    """A copy of the artifact that a test may damage."""
    return Path(shutil.copytree(compiled, tmp_path / "artifact"))


@pytest.fixture
def read_only(tmp_path) -> Path:
    """A folder that nobody may write to, root included: it lies below a file."""
    (tmp_path / "file").write_text("")
    return tmp_path / "file" / "below" if os.name != "nt" else Path("nul/below")
