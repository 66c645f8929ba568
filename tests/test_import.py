"""`import edgesmith` is quick and `pip install edgesmith` is small: both run on the device."""

import ast
import re
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import edgesmith

PACKAGE = Path(edgesmith.__file__).parent
HEAVY = ("torch", "numpy", "scipy", "sklearn", "optuna", "plotly", "onnx", "unicorn", "rich", "typer")


def seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def loaded(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after `code`."""
    script = f"{code}; import sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_import_takes_under_150_ms():
    """Best of several, less the interpreter's own start, so that a busy machine does not decide."""
    bare = min(seconds("pass") for _ in range(7))
    with_us = min(seconds("import edgesmith") for _ in range(7))
    assert with_us - bare < 0.150


def test_import_loads_nothing_heavy():
    assert not loaded("import edgesmith") & set(HEAVY)


def test_the_command_line_loads_without_torch():
    names = loaded("import edgesmith.cli")
    assert not names & {"torch", "scipy", "sklearn", "optuna", "plotly", "onnx", "unicorn"}


@pytest.mark.parametrize("name", edgesmith.__all__)
def test_public_names_resolve(name):
    assert getattr(edgesmith, name).__name__ == name


def test_fit_stays_a_function_when_its_module_is_imported():
    code = "from edgesmith.fit import Fit; import edgesmith; assert callable(edgesmith.fit)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        edgesmith.nonsense  # noqa: B018


def normal(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def base_requirements(name: str) -> set[str]:
    """What `pip install name` brings, following dependencies, extras left out."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for line in metadata.requires(waiting.pop()) or ():
            requirement = Requirement(line)
            key = normal(requirement.name)
            if key not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                found.add(key)
                waiting.append(key)
    return found


def test_every_package_that_is_imported_is_declared():
    """In a base dependency or an extra; what another package happens to bring does not count."""
    declared = {normal(Requirement(line).name) for line in metadata.requires("edgesmith")}
    homes = metadata.packages_distributions()
    names: set[str] = set()
    for node in (node for path in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    outside = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"edgesmith"}
    # A package that is not installed here goes by its own name.
    undeclared = {name for name in outside if not declared & {normal(home) for home in homes.get(name, (name,))}}
    assert not undeclared


def installed_bytes(name: str) -> int:
    files = metadata.files(name) or ()
    return sum(file.size or 0 for file in files)


def test_the_base_install_stays_small():
    """numpy is most of it; torch alone would be over 700 MB."""
    needed = base_requirements("edgesmith")
    assert {"numpy", "safetensors"} <= needed
    assert not needed & {"torch", "scipy", "scikit-learn", "plotly", "ziglang", "unicorn", "onnx"}
    assert sum(map(installed_bytes, needed)) < 120e6


def test_the_package_itself_stays_below_8_mb():
    sizes = [file.stat().st_size for file in PACKAGE.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    assert sum(sizes) < 8e6
