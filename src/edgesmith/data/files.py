"""Read data files that may be anything: sizes are checked before memory is taken, hashes before content is used."""

import gzip
import hashlib
import math
import os
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from edgesmith.core.errors import BadInput, Missing

MOST_BYTES = 4 * 1024**3  # of one file when unpacked; larger sets do not fit the memory of a small machine
MOST_HEADER_BYTES = 10_000  # of one array in an npz, as numpy itself allows
MOST_AXES = 8
HEADER = re.compile(
    rb"\{\s*'descr':\s*'(?P<dtype>\|b1|[<>|][iu][1248]|[<>]f[248]|[<>|][US][0-9]{1,4})'\s*,"
    rb"\s*'fortran_order':\s*(?P<fortran>True|False)\s*,\s*'shape':\s*\((?P<shape>[0-9, ]{0,200})\)\s*,?\s*\}\s*"
)
# What zipfile raises on damaged archives: besides its own error, whatever its parts run into.
ZIP_ERRORS = (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, RuntimeError, ValueError)


@dataclass(frozen=True)
class DataSet:
    """Where a named data set comes from.

    Attributes:
        folder: below the folder that EDGESMITH_DATA names.
        address: of its official home.
        files: file name to sha256 of its content; a name may also be there gzipped, with .gz added.
        official: what its official home offers, if that is not these files but is read as well.
    """

    name: str
    folder: str
    address: str
    licence: str
    files: Mapping[str, str]
    official: str = ""


def data_folder(wanted: DataSet) -> Path:
    """The folder of one data set.

    Raises:
        Missing: EDGESMITH_DATA is not set, or the folder is not there.
    """
    root = os.environ.get("EDGESMITH_DATA")
    if not root:
        raise Missing(f"data: {wanted.name} is not built in, and EDGESMITH_DATA is not set; {how_to_get(wanted)}")
    folder = Path(root) / wanted.folder
    if not folder.is_dir():
        raise Missing(f"data: {folder} is not there; {how_to_get(wanted)}")
    return folder


def how_to_get(wanted: DataSet) -> str:
    """What is needed and what to do, for an error message."""
    files = " and ".join(f"{wanted.folder}/{name} (sha256 {digest})" for name, digest in wanted.files.items())
    if wanted.official:
        files = f"{wanted.folder}/ with {wanted.official}, or {files}"
    return (
        f"need {files}. Download it from {wanted.address} (licence: {wanted.licence}), and set EDGESMITH_DATA to the"
        f" folder that holds {wanted.folder}/. Nothing is downloaded unasked."
    )


def read_known(wanted: DataSet, name: str) -> bytes:
    """The content of one file of a data set, unpacked if it is gzipped, its hash checked.

    Raises:
        Missing: the file is not there.
        BadInput: it is damaged or another file.
    """
    folder = data_folder(wanted)
    plain, packed = folder / name, folder / f"{name}.gz"
    if plain.is_file():
        content = read_limited(plain)
    elif packed.is_file():
        content = unpack(packed)
    else:
        raise Missing(f"data: {plain} is not there; {how_to_get(wanted)}")
    found = hashlib.sha256(content).hexdigest()
    if found != wanted.files[name]:
        raise BadInput(
            f"data: {name} in {folder} has the sha256 {found}; need {wanted.files[name]}."
            f" Download it again from {wanted.address}."
        )
    return content


def read_limited(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """A file's bytes.

    Raises:
        BadInput: it is larger than `most_bytes`.
    """
    with open(path, "rb") as file:
        return limited(file, path, most_bytes)


def unpack(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """What a gzip file holds.

    Raises:
        BadInput: it is damaged, or holds more than `most_bytes`.
    """
    try:
        with gzip.open(path) as file:
            return limited(file, path, most_bytes)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"data: {path} is a damaged gzip file ({error}). Download it again.") from error


def limited(file: IO[bytes] | gzip.GzipFile, path: Path, most_bytes: int) -> bytes:
    """Read to the end, a megabyte at a time, so that a bomb is noticed before it fills memory."""
    chunks: list[bytes] = []
    total = 0
    while chunk := file.read(1 << 20):
        total += len(chunk)
        if total > most_bytes:
            raise BadInput(f"data: {path} holds more than {most_bytes} bytes; need at most that. Use a part of it.")
        chunks.append(chunk)
    return b"".join(chunks)


def read_npz(source: Path | IO[bytes], who: str, most_bytes: int = MOST_BYTES) -> dict[str, np.ndarray]:
    """All arrays of an npz file; nothing in it is executed.

    Args:
        source: a path, or an open file.
        who: what to call it in messages.

    Raises:
        BadInput: not an npz, an array that does not fill its member exactly, Python objects, or too large.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > most_bytes:
                raise BadInput(f"data: {who} unpacks to more than {most_bytes} bytes; need at most that.")
            return {member.filename.removesuffix(".npy"): read_member(archive, member, who) for member in members}
    except ZIP_ERRORS as error:
        raise BadInput(f"data: {who} is no readable npz file ({error}). Write it with numpy.savez.") from error


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, who: str) -> np.ndarray:
    """One array of an npz; errors as in `read_npz`."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadInput(f"data: {member.filename} in {who} is packed in a way numpy does not write. Use numpy.savez.")
    with archive.open(member) as file:
        return read_array(file, member.file_size, f"data: {member.filename} in {who}")


def read_array(file: IO[bytes], nbytes: int, who: str) -> np.ndarray:
    """The array of an npy file of `nbytes`, from its first byte.

    Raises:
        BadInput: no npy file, or its header says another size than it has.
    """
    shape, fortran, dtype = read_header(file, who)
    expected = math.prod(shape) * dtype.itemsize
    if file.tell() + expected != nbytes:
        raise BadInput(f"{who} says shape {shape} but holds another number of bytes.")
    content = file.read(expected)
    if len(content) != expected:
        raise BadInput(f"{who} is cut short.")
    array = np.frombuffer(bytearray(content), dtype)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def read_header(file: IO[bytes], who: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, Fortran order and type of an npy file; its header is matched, never evaluated.

    Raises:
        BadInput: no npy header, or one of anything but plain numbers and text.
    """
    magic = file.read(8)
    length = int.from_bytes(file.read(2 if magic[6:7] == b"\x01" else 4), "little")
    if magic[:6] != b"\x93NUMPY" or length > MOST_HEADER_BYTES:
        raise BadInput(f"{who} is no numpy array. Write it with numpy.savez.")
    header = file.read(length)
    match = HEADER.fullmatch(header)
    if match is None:
        objects = b"'|O'" in header
        found = "holds Python objects" if objects else "has a header this reader does not know"
        raise BadInput(f"{who} {found}; need a plain array of numbers or text.")
    shape = tuple(int(size) for size in match["shape"].replace(b",", b" ").split())
    if len(shape) > MOST_AXES or max(shape, default=0) >= 1 << 40:
        raise BadInput(f"{who} has {len(shape)} axes of up to {max(shape)}; need at most {MOST_AXES} axes of 2^40.")
    return shape, match["fortran"] == b"True", np.dtype(match["dtype"].decode())


def need(arrays: Mapping[str, np.ndarray], names: tuple[str, ...], who: str) -> list[np.ndarray]:
    """The arrays called `names`.

    Raises:
        BadInput: one is not there.
    """
    absent = [name for name in names if name not in arrays]
    if absent:
        raise BadInput(f"data: {who} lacks {', '.join(absent)}; it holds {', '.join(arrays) or 'nothing'}.")
    return [arrays[name] for name in names]
