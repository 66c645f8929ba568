"""Writing so that a kill at any instant leaves the old content or the new, never half of it."""

import contextlib
import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgesmith.core.errors import BadInput


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError while writing `path` into BadInput that names the path and the reason."""
    try:
        yield
    except OSError as error:
        raise BadInput(
            f"write: {path}: {error.strerror or error}; need a writable folder with room. Nothing was changed."
        ) from error


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file whole: to a temporary name beside it, synced, renamed.

    Raises:
        BadInput: the folder is not writable or the disk is full; an existing file is left as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder whole; one that exists is replaced in one step.

    Where the system cannot exchange two folders (Windows, some network file systems) it takes two renames, and a kill
    between them leaves the old folder under a hidden name beside.

    Args:
        files: relative POSIX path to content.

    Raises:
        BadInput: not writable or no room; an existing folder is left as it was.
    """
    with explained(folder):
        folder = folder.resolve()  # of a link, what it points at is replaced
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            for name, content in files.items():
                write_file(temporary / name, content)
            temporary.chmod(0o755)
            _swap(temporary, folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(folder.parent)


def _swap(new: Path, folder: Path) -> None:
    """Put `new` in the place of `folder`, which may exist."""
    if not folder.exists():
        new.rename(folder)
        return
    if _exchange(new, folder):
        shutil.rmtree(new, ignore_errors=True)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent)) / folder.name
    folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        old.rename(folder)
        raise
    finally:
        shutil.rmtree(old.parent, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two paths in one step; False where the system cannot."""
    if os.name != "posix":
        return False
    libc = ctypes.CDLL(None)
    here, swap = -100, 2  # AT_FDCWD; RENAME_EXCHANGE of Linux and RENAME_SWAP of macOS are both 2
    names = os.fsencode(first), os.fsencode(second)
    if hasattr(libc, "renameat2"):
        return libc.renameat2(here, names[0], here, names[1], swap) == 0
    if hasattr(libc, "renamex_np"):
        return libc.renamex_np(*names, swap) == 0
    return False


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
