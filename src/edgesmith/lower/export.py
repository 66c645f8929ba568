"""From an nn.Module or a .pt2 file to an exported program, undecomposed and without mutation."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import Node

from edgesmith.core.errors import BadInput, Missing, Unsupported

FRAME = re.compile(r'File "([^"]+)", line (\d+), in \S+\n\s*(.*)')
LIBRARY = re.compile(r"[/\\](site-packages|dist-packages)[/\\]|[/\\]edgesmith[/\\]lower[/\\]")
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


@contextmanager
def inference(module: nn.Module) -> Iterator[None]:
    """The module in eval mode, without gradients; every part's own mode comes back after."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def export(module: nn.Module, example_inputs: tuple[Any, ...]) -> ExportedProgram:
    """Capture a module; in-place changes become values.

    Raises:
        Unsupported: torch.export cannot follow the module's Python.
    """
    try:
        with inference(module), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return without_mutation(torch.export.export(module, example_inputs))
    except Exception as error:  # torch.export raises whatever the user's forward does, and dozens of types of its own
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise Unsupported(
            f"lower: {type(module).__name__} cannot be captured ({type(error).__name__}: {first[0][:300]}); need a "
            "forward whose path does not depend on values. Replace data-dependent branches, and run it once on the "
            "example inputs."
        ) from error


def without_mutation(program: ExportedProgram) -> ExportedProgram:
    """The program with in-place ops as values and changed buffers as outputs; composite ops stay whole."""
    return program.run_decompositions({}) if any(map(_mutates, program.graph.nodes)) else program


def _mutates(node: Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.is_mutable


def load_pt2(path: Path | str, trust: bool = False) -> ExportedProgram:
    """Open a .pt2 file.

    Raises:
        Unsupported: it was not said that the file is trusted.
        BadInput: it is no exported program.
    """
    path = Path(path)
    if not trust:
        raise Unsupported(
            f"{path}: a .pt2 file is code: a crafted one runs commands on this machine when it is opened. "
            "Open it with --trust (trust=True) only when you know who made it."
        )
    if not path.is_file():
        raise Missing(f"{path}: no such file; need a .pt2 written by torch.export.save.")
    try:
        with errors_alone("torch.export"):
            return without_mutation(torch.export.load(path))
    except Exception as error:  # the loader raises dozens of types for a damaged file
        raise BadInput(f"{path}: torch.export.load failed ({str(error)[:300]}); need a .pt2 of this torch.") from error


@contextmanager
def errors_alone(logger: str) -> Iterator[None]:
    """Leave out a logger's warnings: torch prints tracebacks of attempts whose failure we report ourselves."""
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def constants(program: ExportedProgram) -> dict[str, tuple[str, Tensor]]:
    """Placeholder name to (name in the module, value) of parameters, buffers and constant tensors."""
    stored = {**program.state_dict, **program.constants}
    return {
        spec.arg.name: (str(spec.target), stored[spec.target].detach())
        for spec in program.graph_signature.input_specs
        if spec.target in stored and isinstance(stored[spec.target], Tensor)
    }


def line_of(node: Node) -> tuple[str, str]:
    """The innermost line of the user's own files that made a node, as "file:line", and its text.

    Where export kept no line, the module's path.
    """
    frames = FRAME.findall(node.meta.get("stack_trace") or "")
    own = [frame for frame in frames if not LIBRARY.search(frame[0])]
    for file, line, text in reversed(own):
        return UNPRINTABLE.sub(" ", f"{Path(file).name}:{line}")[:300], text.strip()
    return (f"module {path_of(node)}" if path_of(node) else "", "")


def path_of(node: Node) -> str:
    """The path of the module a node belongs to, such as "features.0"; "" at the top."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = stack[-1][0] if stack else ""
    return re.sub(r"[^A-Za-z0-9_.]", "_", path.replace("L['self'].", "").removeprefix("L__self__"))
