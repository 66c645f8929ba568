"""The folder a fit works in: one owner at a time, every finished trial on disk, nothing half-written."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgesmith.core.artifact import parse_json
from edgesmith.core.atomic import explained, write_file
from edgesmith.core.errors import BadInput, Busy

SETTINGS = "fit.json"
STUDY = "study.journal"


class Folder:
    """Paths and records of one fit."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def study(self) -> Path:
        """Optuna's journal."""
        return self.path / STUDY

    @property
    def best(self) -> Path:
        """The artifact that is returned."""
        return self.path / "best"

    def trial(self, settings: Mapping[str, Any]) -> Path:
        """Where the trial with these settings keeps its files; the same settings always meet there."""
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
        return self.path / "trials" / digest

    def result(self, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """What a finished trial wrote; None if it has not finished."""
        path = self.trial(settings) / "result.json"
        return read_json(path) if path.is_file() else None

    def results(self) -> list[dict[str, Any]]:
        """What every finished trial wrote, oldest first."""
        return [read_json(path) for path in sorted(self.path.glob("trials/*/result.json"), key=_written)]

    def check_vacant(self) -> None:
        """Leave a folder of other things alone, before so much as a lock is put into it.

        Raises:
            BadInput: it holds files and no fit.
        """
        if (self.path / SETTINGS).is_file() or not self.path.is_dir():
            return
        if any(entry.name != "lock" for entry in self.path.iterdir()):
            raise BadInput(f"fit: {self.path} is not empty and holds no fit. Name another folder with --out.")

    def check(self, settings: Mapping[str, Any]) -> None:
        """Start a fit here, or go on with the same one.

        Raises:
            BadInput: the folder holds a fit of something else, or other files, or cannot be written.
        """
        self.check_vacant()
        path = self.path / SETTINGS
        if not path.is_file():
            write_file(path, json.dumps(settings, indent=1) + "\n")
            return
        found = read_json(path)
        for key, value in settings.items():
            if found.get(key) != value:
                raise BadInput(
                    f"fit: {self.path} holds a fit with {key} = {found.get(key)!r}, this one has {value!r}. "
                    "Name another folder with --out, or delete that one."
                )


def _written(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, str(path)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of this folder.

    Raises:
        BadInput: damaged.
    """
    data = parse_json(path.read_bytes(), str(path))
    if not isinstance(data, dict):
        raise BadInput(f"fit: {path} is damaged; need a JSON object. Delete it to run that part again.")
    return data


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Own a folder; the lock ends with the process, however it ends.

    Yields:
        the lock's file descriptor, for a child process to close.

    Raises:
        Busy: another process owns it.
    """
    with explained(path):
        path.mkdir(parents=True, exist_ok=True)
        handle = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(handle, path)
        yield handle
    finally:
        os.close(handle)


def _take(handle: int, path: Path) -> None:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise Busy(f"fit: another process works in {path}. Wait for it, or name another folder with --out.") from error
