"""The C compilers and how they are called."""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from edgesmith.core.errors import Missing, Unsupported

Compiler = Literal["zig", "gcc"]
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror")
# Kernels promise bit-equal floats in one order, so no fused multiply-add across statements.
OPTIMIZE = ("-O3", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections")
TIMEOUT_S = 600


def command(compiler: Compiler = "zig") -> list[str]:
    """The words that start the compiler.

    Raises:
        Missing: it is not installed.
    """
    if compiler == "gcc":
        path = shutil.which("gcc")
        if path is None:
            raise Missing(
                "toolchain: gcc is not on the PATH; need it because it was asked for. Install gcc or use zig."
            )
        return [path]
    if importlib.util.find_spec("ziglang") is None:
        raise Missing(
            'toolchain: no C compiler; need the ziglang package. Install it with: pip install "edgesmith[firmware]"'
        )
    return [sys.executable, "-m", "ziglang", "cc"]


def invoke(words: Sequence[str], cwd: Path | None = None) -> str:
    """Run a compiler, in `cwd` if given, and return what it wrote to stderr.

    Raises:
        CompilerFailed: it ended with an error; the exception holds its stderr.
        Unsupported: it took longer than TIMEOUT_S.
    """
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd=cwd)
    except subprocess.TimeoutExpired as error:
        raise Unsupported(
            f"toolchain: the compiler ran past {TIMEOUT_S} s; need smaller sources. Command: {' '.join(words[:6])} ..."
        ) from error
    if done.returncode != 0:
        raise CompilerFailed(done.stderr)
    return done.stderr


class CompilerFailed(Unsupported):
    """The compiler refused the sources; `stderr` is its whole output."""

    def __init__(self, stderr: str) -> None:
        self.stderr = stderr
        first = [line for line in stderr.splitlines() if "error:" in line][:5] or stderr.splitlines()[-5:]
        super().__init__("toolchain: the C compiler refused the sources:\n  " + "\n  ".join(first))


def check_warnings(
    sources: Sequence[Path], include_dirs: Sequence[Path] = (), flags: Sequence[str] = (), compiler: Compiler = "zig"
) -> None:
    """Compile, keeping nothing, under `-std=c99 -Wall -Wextra -Wconversion -pedantic -Werror`.

    Args:
        flags: further flags, e.g. a target's `compiler_flags`.

    Raises:
        CompilerFailed: a warning or an error; the message quotes it.
    """
    # zig cannot check syntax alone, so the objects are made and thrown away.
    words = [*command(compiler), *flags, *WARNINGS, *includes([Path(folder).resolve() for folder in include_dirs])]
    with tempfile.TemporaryDirectory(prefix="edgesmith-cc-") as folder:
        invoke([*words, "-c", *(str(Path(source).resolve()) for source in sources)], Path(folder))


def includes(folders: Sequence[Path]) -> list[str]:
    """The -I flags of `folders`."""
    return [f"-I{folder}" for folder in folders]


def defined(defines: Sequence[str]) -> list[str]:
    """The -D flags of `defines`, each "NAME" or "NAME=value"."""
    return [f"-D{name}" for name in defines]
