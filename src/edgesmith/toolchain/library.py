"""Sources to a shared library for this machine, kept in a cache."""

import functools
import hashlib
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from edgesmith.core.atomic import write_file
from edgesmith.core.cache import cache_folder
from edgesmith.core.errors import BadInput
from edgesmith.toolchain.compiler import OPTIMIZE, Compiler, command, defined, includes, invoke

SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


def compile_library(
    sources: Sequence[Path],
    include_dirs: Sequence[Path] = (),
    out: Path | None = None,
    flags: Sequence[str] = (),
    defines: Sequence[str] = (),
    sanitize: Literal["undefined", "address"] | None = None,
    compiler: Compiler = "zig",
    threads: bool = False,
) -> Path:
    """Build a shared library for this machine's own CPU, once per content.

    Two processes may build the same library at once: each writes a temporary name and renames it.

    Args:
        out: where to put it; None leaves it in the cache, named by the hash of sources, headers, flags and CPU.
        threads: with EDGESMITH_THREADS defined, so that kernels may share their work out.
        sanitize: "undefined" traps on undefined behaviour; "address" needs gcc (zig ships no ASan runtime).

    Raises:
        CompilerFailed: the sources do not compile.
        BadInput: sanitize="address" without gcc.
    """
    words = [*_flags(sanitize, compiler), *(_threads() if threads else ()), *flags, *defined(defines)]
    key = _key(sources, include_dirs, [compiler, *words])
    path = cache_folder() / "libraries" / f"{key}{SUFFIX}"
    if not path.exists():
        _build(sources, include_dirs, words, compiler, path)
    if out is None:
        return path
    write_file(out, path.read_bytes())
    return out


def _flags(sanitize: str | None, compiler: Compiler) -> list[str]:
    native = "-march=native" if compiler == "gcc" else "-mcpu=native"
    words = [native, *OPTIMIZE, "-std=c99", "-shared", "-fPIC", "-g0"]
    if sanitize == "address" and compiler != "gcc":
        raise BadInput('compile_library: sanitize="address" with zig, which has no ASan runtime; need compiler="gcc".')
    if sanitize == "address":
        return [*words, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    if sanitize == "undefined":
        # A trap needs no runtime, so the same build serves every compiler.
        trap = "-fsanitize-undefined-trap-on-error" if compiler == "gcc" else "-fsanitize-trap=undefined"
        return [*words, "-fsanitize=undefined", trap]
    # zig turns UBSan on in its default build mode.
    return [*words, "-fno-sanitize=all"] if compiler == "zig" else words


def _threads() -> list[str]:
    return ["-DEDGESMITH_THREADS", *([] if sys.platform == "win32" else ["-pthread"])]


def _build(
    sources: Sequence[Path], include_dirs: Sequence[Path], words: Sequence[str], compiler: Compiler, path: Path
) -> None:
    with tempfile.TemporaryDirectory(prefix="edgesmith-cc-") as folder:
        made = Path(folder) / f"library{SUFFIX}"
        files = [str(source) for source in sources]
        invoke([*command(compiler), *words, *includes(include_dirs), *files, "-lm", "-o", str(made)])
        write_file(path, made.read_bytes())


def _key(sources: Sequence[Path], include_dirs: Sequence[Path], words: Sequence[str]) -> str:
    """Hash of everything the library depends on: names and bytes of sources and headers, flags, CPU, compiler."""
    digest = hashlib.sha256(repr([words, cpu_features(), _compiler_version()]).encode())
    headers = [path for folder in include_dirs for path in sorted(Path(folder).rglob("*.h"))]
    beside = [path for source in sources for path in sorted(Path(source).parent.glob("*.h"))]
    for path in [*sources, *headers, *beside]:
        content = Path(path).read_bytes()
        digest.update(f"{Path(path).name} {len(content)} ".encode() + content)
    return digest.hexdigest()[:32]


def _compiler_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("ziglang")
    except PackageNotFoundError:
        return "none"


@functools.cache
def cpu_features() -> tuple[str, ...]:
    """This machine's architecture and instruction-set extensions, sorted; the architecture alone where unknown."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return (platform.machine(),)
    for line in info.read_text().splitlines():
        if line.startswith(("flags", "Features")):
            return (platform.machine(), *sorted(line.split(":", 1)[1].split()))
    return (platform.machine(),)
