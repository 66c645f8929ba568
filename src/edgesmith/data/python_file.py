"""Call a function in a user's Python file: it is code, so only when the user trusts it."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from edgesmith.core.errors import BadInput, Missing


def is_python_spec(spec: str) -> bool:
    """Whether `spec` reads "file.py:function".

    >>> is_python_spec("nets/mine.py:build"), is_python_spec("mine.npz")
    (True, False)
    """
    path, _, function = spec.rpartition(":")
    return path.endswith(".py") and function.isidentifier()


def call(spec: str, trust: bool) -> Any:
    """What `function` of "file.py:function" returns; it is called without arguments.

    Raises:
        BadInput: not trusted, no such function, or it raised an error (which is the cause of this one).
        Missing: no such file.
    """
    name, _, function = spec.rpartition(":")
    path = Path(name)
    if not path.is_file():
        raise Missing(f"{spec}: {path} is not a file. Give the path of a Python file, a colon and a function's name.")
    if not trust:
        raise BadInput(f"{spec}: {path} is code, and using it runs it. If you trust it, add --trust (trust=True).")
    try:
        found = getattr(loaded(path), function, None)
        if not callable(found):
            raise BadInput(f"{spec}: {path} has no function called {function!r}. Check its name.")
        return found()
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(f"{spec}: it raised {type(error).__name__}: {error}. Fix it and try again.") from error


def loaded(path: Path) -> ModuleType:
    """The file as a module; its classes can find it, and files beside it can be imported."""
    name = f"edgesmith_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{path}: Python cannot load it. Give a file that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module
