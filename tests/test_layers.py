"""The house's shape: imports point one way, files and functions stay small."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgesmith

SOURCE = Path(edgesmith.__file__).parent
FOUNDATION = {"data", "training", "lower", "emulate", "toolchain", "kernels", "targets"}
JOINING = {"fit", "report", "catalog", "cost", "pipeline", "export"}
CORE, BELOW, FAMILY, JOIN, CLI = range(5)
# A folder here must load without torch: an artifact runs where torch is not installed.
TORCH_FREE = {"core", "targets", "kernels", "toolchain", "emulate", "compile", "run", "report", "cli", ""}

FILES = sorted(SOURCE.rglob("*.py"))
FILE_NAMES = [str(path.relative_to(SOURCE)) for path in FILES]
every_file = pytest.mark.parametrize("path", FILES, ids=FILE_NAMES)


def part(module: str) -> str:
    """The name below edgesmith: "edgesmith.compress.prune" to "compress", the package itself to ""."""
    return (module.split(".") + [""])[1]


def part_of(path: Path) -> str:
    top = path.relative_to(SOURCE).parts[0]
    return "" if top == "__init__.py" else top.removesuffix(".py")


def layer(name: str) -> int:
    """Which layer a part belongs to; a folder nobody named is a family, a lone module joins families."""
    if name == "core":
        return CORE
    if name in FOUNDATION:
        return BELOW
    if name == "cli":
        return CLI
    if name in JOINING or (SOURCE / f"{name}.py").exists() or name == "":
        return JOIN
    return FAMILY


def allowed(importer: str, imported: str) -> bool:
    """Whether the part `importer` may import the part `imported`."""
    if importer in (imported, "", "__main__"):  # the package's lazy names and `python -m edgesmith` point anywhere
        return True
    if imported == "":  # __version__ and the folder the package lies in
        return True
    here, there = layer(importer), layer(imported)
    same_level = here == there and here in (BELOW, JOIN)
    return there < here or same_level


def imports(tree: ast.AST) -> Iterator[str]:
    """Full names of all modules imported anywhere in `tree`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            module = node.module or ""
            # `from edgesmith import compress` names a part too.
            yield from (f"{module}.{alias.name}" if module == "edgesmith" else module for alias in node.names)


def imported_at_load(tree: ast.Module) -> Iterator[str]:
    """Modules imported when the file itself is, leaving out function bodies and TYPE_CHECKING."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)
        elif isinstance(node, ast.ClassDef | ast.Try):
            yield from imported_at_load(ast.Module(node.body, []))


def test_the_rules_tell_right_from_wrong():
    assert allowed("cli", "fit") and allowed("fit", "compress") and allowed("compress", "lower")
    assert allowed("lower", "core") and allowed("emulate", "toolchain")
    assert not allowed("compress", "run"), "families are strangers"
    assert not allowed("core", "targets") and not allowed("lower", "compress")
    assert not allowed("compress", "fit") and not allowed("report", "cli")


@every_file
def test_imports_point_one_way(path):
    here = part_of(path)
    ours = [name for name in imports(ast.parse(path.read_text())) if name.split(".")[0] == "edgesmith"]
    wrong = [name for name in ours if layer_exists(part(name)) and not allowed(here, part(name))]
    assert not wrong, f"{here} may not import {wrong}"


def layer_exists(name: str) -> bool:
    """Whether `name` is a module or folder of the package, not a name within it such as __version__."""
    return (SOURCE / name).is_dir() or (SOURCE / f"{name}.py").exists()


@every_file
def test_the_device_side_loads_without_torch(path):
    if part_of(path) not in TORCH_FREE:
        return
    tree = ast.parse(path.read_text())
    names = imports(tree) if part_of(path) == "core" else imported_at_load(tree)
    assert "torch" not in {name.split(".")[0] for name in names}


def test_the_parts_of_one_layer_have_no_cycle():
    needs: dict[str, set[str]] = {}
    for path in FILES:
        here = part_of(path)
        found = {part(name) for name in imports(ast.parse(path.read_text())) if name.startswith("edgesmith.")}
        needs.setdefault(here, set()).update(found - {here, ""})
    needs.pop("", None)  # its lazy names are no real need
    while ready := [name for name, wanted in needs.items() if not wanted & needs.keys()]:
        for name in ready:
            del needs[name]
    assert not needs, f"these import one another in a circle: {needs}"


@every_file
def test_files_stay_under_500_lines(path):
    assert len(path.read_text().splitlines()) < 500


@every_file
def test_functions_stay_within_fifty_lines_below_their_docstring(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 50, f"{node.name} (line {node.lineno}) has {lines} lines"
