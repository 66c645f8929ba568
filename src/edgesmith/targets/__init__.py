"""Boards and machines: `load` one by name or from a TOML file of your own, `names` lists those that come with us."""

from dataclasses import replace
from pathlib import Path

from edgesmith.core.errors import BadInput
from edgesmith.core.target import Target
from edgesmith.targets.machine import detected
from edgesmith.targets.schema import parse

BOARDS = Path(__file__).parent / "boards"
MAX_FILE_BYTES = 1 << 20  # a board file has a few kilobytes


def names() -> list[str]:
    """Names of the built-in targets, sorted."""
    return sorted(path.stem for path in BOARDS.glob("*.toml"))


def load(name_or_path: str | Path) -> Target:
    """A built-in target by name, or a TOML file of the user's own (docs: your own board).

    "x86-64" is this machine: its memory, clock and instruction sets are looked up now.

    Raises:
        BadInput: no such target or file, or a file with unknown keys, wrong types, missing or absurd figures.
    """
    text = str(name_or_path)
    if text in names():
        target = read(BOARDS / f"{text}.toml")
        return detected(target) if target.isa == "x86-64" else target
    if text.endswith(".toml"):
        return own(Path(text).stem, _text(Path(text)))
    raise BadInput(
        f"targets: no target {text!r}; need one of {', '.join(names())}, or the path of a .toml file of your own."
    )


def own(name: str, toml: str) -> Target:
    """A board of the user's; it keeps its text, so that what is compiled for it can be verified elsewhere.

    Raises:
        BadInput: as `load`.
    """
    return replace(parse(name, toml), toml=toml)


def read(path: Path) -> Target:
    """Read and check one TOML file; its stem is the target's name.

    Raises:
        BadInput: as `load`.
    """
    return parse(path.stem, _text(path))


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadInput(f"targets: {path} has more than {MAX_FILE_BYTES:,} bytes; need a board description.")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"targets: {path} cannot be read ({error}); need a TOML file in UTF-8.") from error


__all__ = ["load", "names", "own", "read"]
