"""Compression by a recipe: methods in the order a file names them, each with its settings."""

import inspect
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from torch import nn

from edgesmith import catalog
from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.task import Normalize, Task
from edgesmith.lower import Lifted
from edgesmith.training.accelerator import Accelerator
from edgesmith.training.loop import Run
from edgesmith.training.recipe import Recipe

Transform = Callable[[nn.Module, Task], nn.Module]
Progress = Callable[[str], None]
MAX_BYTES = 1 << 20  # of a recipe file
NOT_SETTINGS = ("cost", "run", "teacher")  # parameters that no file can give
SUPPLIED = ("teacher", "recipe")  # without a default: the first is the model as it came, the second the file must give


@dataclass(frozen=True)
class Step:
    """One method of a recipe.

    Attributes:
        settings: the method's parameters by name; a training recipe is a table of `Recipe`'s fields.
    """

    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def words(self) -> str:
        """In a few words.

        >>> Step("ptq", {"weights": 4}).words()
        'ptq (weights=4)'
        """
        return (
            f"{self.method} ({', '.join(f'{k}={v}' for k, v in self.settings.items())})"
            if self.settings
            else self.method
        )


def methods() -> dict[str, Callable[..., Transform]]:
    """The methods that a recipe can name: those of the compress families that need nothing but settings.

    Pruning needs a target and a budget: `edgesmith fit` prunes.
    """
    listed = ((family, factory) for family, factory in catalog.methods() if family.startswith("compress."))
    return {factory.card.name: factory for _, factory in listed if set(required(factory)) <= set(SUPPLIED)}


def required(factory: Callable[..., Any]) -> list[str]:
    """Parameters without a default."""
    return [p.name for p in inspect.signature(factory).parameters.values() if p.default is p.empty]


def read_recipe(path: Path) -> tuple[Step, ...]:
    """The steps of a TOML file: one table [[step]] each, with `method` and the method's settings.

    Raises:
        Missing: no such file.
        BadInput: not TOML, no step, an unknown method or setting, or a setting of another type.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Missing(f"compress: {path} cannot be read ({error.strerror}); need a recipe file.") from error
    if len(data) > MAX_BYTES:
        raise BadInput(f"compress: {path} has {len(data):,} bytes; a recipe has at most {MAX_BYTES:,}.")
    try:
        parsed = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"compress: {path} is not TOML ({error}); need [[step]] tables with a method.") from error
    steps = parsed.get("step")
    if set(parsed) != {"step"} or not isinstance(steps, list) or not steps:
        raise BadInput(f"compress: {path} holds {', '.join(parsed) or 'nothing'}; need one [[step]] or more, no more.")
    return tuple(_step(table, f"{path}, step {number}") for number, table in enumerate(steps, 1))


def _step(table: Any, where: str) -> Step:
    if not isinstance(table, dict) or not isinstance(table.get("method"), str):
        raise BadInput(f'compress: {where}: no method; need one, such as method = "ptq".')
    known, name = methods(), table["method"].replace("-", "_")
    if name not in known:
        raise BadInput(f"compress: {where}: no method {table['method'][:40]!r}; need one of: {', '.join(known)}.")
    step = Step(name, {key: value for key, value in table.items() if key != "method"})
    if "recipe" in required(known[name]) and "recipe" not in step.settings:
        raise BadInput(f"compress: {where}: {name} needs a training, such as recipe = {{ epochs = 2 }}.")
    transform_of(step)  # refuses what the method does not take, before any work
    return step


def transform_of(
    step: Step, seed: int | None = None, run: Run | None = None, teacher: nn.Module | None = None
) -> Transform:
    """The transform of a step.

    Args:
        seed: for a method that has one and whose step sets none.
        run: for a method that trains.
        teacher: for a method that learns from a net.

    Raises:
        BadInput: a setting that the method does not have, or of another type or value.
    """
    factory = methods()[step.method]
    parameters = inspect.signature(factory).parameters
    allowed = [name for name in parameters if name not in NOT_SETTINGS]
    given = dict(step.settings)
    if unknown := [name for name in given if name not in allowed]:
        raise BadInput(
            f"compress: {step.method} has no setting {unknown[0]!r}; it has: {', '.join(allowed) or 'none'}."
        )
    if isinstance(given.get("recipe"), Mapping):
        given["recipe"] = _training(step.method, given["recipe"], parameters["recipe"].default)
    supplied = {"seed": seed, "run": run, "teacher": teacher}
    for name, value in supplied.items():
        if name in parameters and name not in given and (value is not None or name == "teacher"):
            given[name] = value
    _check_types(step.method, given, parameters)
    return factory(**given)


def _training(method: str, table: Mapping[str, Any], default: Any) -> Recipe:
    """The method's own training recipe with the fields of a table."""
    types = {f.name: f.type for f in fields(Recipe)}
    for name, value in table.items():
        if name not in types:
            raise BadInput(f"compress: {method}: a training has no {name!r}; it has: {', '.join(types)}.")
        if not isinstance(value, str if name == "augment" else (int, float)) or isinstance(value, bool):
            raise BadInput(
                f"compress: {method}: {name} = {value!r}; need a {'name' if name == 'augment' else 'number'}."
            )
    whole = {name: int(value) for name, value in table.items() if types[name] in (int, "int")}
    return replace(default if isinstance(default, Recipe) else Recipe(epochs=1), **{**table, **whole})


def _check_types(method: str, given: Mapping[str, Any], parameters: Mapping[str, inspect.Parameter]) -> None:
    """Numbers where defaults are numbers, names where they are names."""
    for name, value in given.items():
        default = parameters[name].default
        wanted = (int, float) if isinstance(default, float) else (type(default),)
        plain = isinstance(default, bool | int | float | str)
        if plain and not (isinstance(value, wanted) and isinstance(value, bool) == isinstance(default, bool)):
            raise BadInput(
                f"compress: {method}: {name} = {value!r}; need {type(default).__name__}, such as {default!r}."
            )


def apply(
    steps: Sequence[Step],
    module: nn.Module,
    task: Task,
    seed: int = 0,
    keep: Path | None = None,
    progress: Progress = lambda line: None,
    accelerator: Accelerator = "cpu",
) -> nn.Module:
    """Run the steps one after the other on a copy of the module.

    Args:
        keep: folder for the state of a step that trains; the same call goes on there after a kill.
        progress: hears of each step and epoch.
        accelerator: what the steps compute on that train or solve.
    """
    teacher = module
    for number, step in enumerate(steps, 1):
        progress(f"step {number} of {len(steps)}: {step.words()}")
        state = keep / f"step{number}.safetensors" if keep else None
        run = Run(state, lambda epoch, loss: progress(f"  epoch {epoch + 1}: loss {loss:.4g}"), accelerator)
        module = transform_of(step, seed, run, teacher)(module, task)
        task = after_normalization(task, module)
    return module


def after_normalization(task: Task, module: nn.Module) -> Task:
    """The task as the next step sees it: a lifted module takes raw values, the normalization is part of it."""
    return replace(task, normalize=Normalize()) if isinstance(module, Lifted) else task
