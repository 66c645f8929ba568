"""One HTML file that needs nothing else: no network, no server, no other file."""

import os
import tempfile
from pathlib import Path
from typing import Any

from edgesmith.core.errors import BadInput, Missing
from edgesmith.report.schema import validate


def build(data: dict[str, Any]) -> str:
    """The page of a report as HTML text.

    Args:
        data: what `report.json` holds; its fields are listed in `report.schema`.

    Raises:
        BadInput: `data` is not a report.
        Missing: jinja2 or plotly is not installed.
    """
    validate(data)
    try:
        from edgesmith.report.template import render
    except ModuleNotFoundError as error:
        raise Missing(
            f'report: {error.name} is not installed; the HTML page needs it. Run: pip install "edgesmith[report]".'
        ) from error
    return render(data)


def write(data: dict[str, Any], path: str | Path) -> Path:
    """Write the page; a file already there is replaced at once or not at all.

    Raises:
        BadInput: `data` is not a report, or the folder cannot be written.
        Missing: jinja2 or plotly is not installed.
    """
    page = build(data).encode()
    path = Path(path)
    try:
        replace(path, page)
    except OSError as error:
        raise BadInput(f"report: cannot write {path}: {error.strerror}; need a folder with room.") from error
    return path


def replace(path: Path, content: bytes) -> None:
    """Write beside `path`, sync, rename: a reader sees the old file or the new one, never half."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's file is for its owner alone
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
