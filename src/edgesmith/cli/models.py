"""What a user names on the command line, loaded."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.task import Normalize, Task

if TYPE_CHECKING:
    from torch import Tensor, nn


USER_MODELS = (".pt2", ".py", ".onnx", ".tflite", ".json")


@dataclass(frozen=True)
class Named:
    """A model and its task, as given on the command line."""

    name: str
    module: "nn.Module"
    example_inputs: "tuple[Tensor, ...]"
    task: Task | None


def load(spec: str, data: str | None, trust: bool) -> Named:
    """A model by zoo name, file.py:function, file or folder, and its data.

    Raises:
        Missing: the fit extra is not installed, or the data are not on this machine.
        BadInput: neither a zoo name nor a function, or code that is not trusted.
    """
    try:
        from edgesmith import zoo
        from edgesmith.data import load_task
        from edgesmith.pipeline.compressed import load_compressed
    except ModuleNotFoundError as error:
        raise Missing(f'edgesmith: {error.name} is not installed. Run: pip install "edgesmith[fit]".') from error
    task = load_task(data, trust) if data else None
    if Path(spec).is_dir():
        lifted, example = load_compressed(Path(spec))
        # It takes raw values: the normalization is part of it.
        return Named(identifier(spec), lifted, example, task and replace(task, normalize=Normalize()))
    if ":" in spec or spec.endswith(USER_MODELS):
        module, example = zoo.load_model(spec, trust)
        return Named(identifier(spec), module, example, task)
    bed = zoo.load(spec, with_data=data is None)
    return Named(identifier(spec), bed.module, bed.example_inputs, task or bed.task)


def identifier(spec: str) -> str:
    """A name for C symbols and folders from what the user wrote.

    >>> identifier("digits-resnet"), identifier("nets/mine.py:small")
    ('digits_resnet', 'small')
    """
    last = spec.rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    last = next((last.removesuffix(end) for end in USER_MODELS if last.endswith(end)), last)
    text = re.sub(r"[^0-9a-z]+", "_", last.lower()).strip("_") or "model"
    return f"m_{text}" if text[0].isdigit() else text


def need_task(named: Named) -> Task:
    """The model's task.

    Raises:
        BadInput: there is none.
    """
    if named.task is None:
        raise BadInput(f"{named.name}: no data; need a task to measure accuracy on. Give one with --data.")
    return named.task
