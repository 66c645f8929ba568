"""This machine: clock, memory and instruction sets, looked up when the target is loaded."""

import os
import platform
import re
import shutil
from dataclasses import replace
from pathlib import Path

from edgesmith.core.target import Memory, Target

# Extensions that kernels ask for, as the Linux kernel spells them.
SIMD = (
    "sse4_1", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512vbmi",
    "avx_vnni", "amx_tile", "amx_int8", "asimd", "asimddp", "i8mm",
)  # fmt: skip


def detected(target: Target) -> Target:
    """`target` with the figures of this machine in place of the file's, where the system tells them."""
    found = dict(target.sources)
    clock = _clock_hz() or target.clock_hz
    memories = (_storage(target), _ram(target))
    simd = tuple(name for name in SIMD if name in _flags())
    found |= {"clock_hz": "/proc/cpuinfo of this machine", "memory": "this machine's operating system"}
    title = f"{_model() or target.title} ({os.cpu_count()} cores)"
    return replace(target, title=title, clock_hz=clock, memories=memories, simd=simd, sources=found)


def _cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""


def _flags() -> frozenset[str]:
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", _cpuinfo(), re.MULTILINE)
    return frozenset(found.group(1).split()) if found else frozenset()


def _model() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE)
    return found.group(1) if found else platform.processor()


def _clock_hz() -> int | None:
    found = re.search(r"^cpu MHz\s*:\s*([\d.]+)$", _cpuinfo(), re.MULTILINE)
    return int(float(found.group(1)) * 1e6) if found else None


def _storage(target: Target) -> Memory:
    return replace(target.memory("flash"), size_bytes=shutil.disk_usage(Path.home()).total)


def _ram(target: Target) -> Memory:
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names:
        return target.memory("ram")
    return replace(target.memory("ram"), size_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def is_here(target: Target) -> bool:
    """Whether the target is this machine, so that it can be measured."""
    return target.isa == "x86-64" and platform.machine().lower() in ("x86_64", "amd64")
