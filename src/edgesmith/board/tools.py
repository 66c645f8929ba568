"""Programs that put an image onto a board: which are installed, and the exact command of each."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgesmith.core.errors import BadInput, Missing, Unsupported
from edgesmith.core.target import Target

PROBES = {"stlink": "stlink", "cmsis-dap": "cmsis-dap", "jlink": "jlink"}  # openocd's names of its interface files
INSTALL = {
    "openocd": "apt install openocd, brew install openocd, or openocd.org",
    "probe-rs": "cargo install probe-rs-tools, or probe.rs",
    "st-flash": "apt install stlink-tools, or brew install stlink",
    "stm32loader": 'pip install "edgesmith[board]"',
    "picotool": "brew install picotool, or github.com/raspberrypi/picotool",
    "nrfjprog": "nRF Command Line Tools from nordicsemi.com",
}
DRIVE_MARK = "INFO_UF2.TXT"  # stands on every UF2 drive (UF2 specification)


@dataclass(frozen=True)
class Images:
    """The files that `flash` made of one program."""

    elf: Path
    bin: Path
    hex: Path
    uf2: Path
    address: int


@dataclass(frozen=True)
class Plan:
    """One way to flash.

    Attributes:
        tool: "openocd", ..., or "uf2": a copy onto the board's drive.
        commands: run one after the other; for "uf2" the copy, as a shell would write it.
        missing: why it cannot run here, and what to do; "" when it can.
    """

    tool: str
    commands: tuple[tuple[str, ...], ...]
    missing: str = ""


Maker = Callable[[str, Images, str | None, str | None], Plan]


def plans(target: Target, images: Images, port: str | None = None, probe: str | None = None) -> list[Plan]:
    """Every way there is for the target, those that can run here first.

    Args:
        port: a serial port at which the chip's ROM boot loader listens: leaves only tools that use it.
        probe: "stlink", "cmsis-dap" or "jlink".

    Raises:
        BadInput: an unknown probe.
        Unsupported: the target names no tool.
    """
    if probe is not None and probe not in PROBES:
        raise BadInput(f"flash: no probe {probe!r}; need one of {', '.join(PROBES)}.")
    makers = {"stm32loader": _MAKERS["stm32loader"]} if port else _MAKERS
    found = [
        maker(chip, images, port, probe)
        for tool, maker in makers.items()
        if (chip := target.chips.get(tool)) is not None
    ]
    if not found:
        over = " over a serial port" if port else ""
        raise Unsupported(
            f"flash: {target.name} names no tool that flashes it{over}; need a [flash] table in its TOML file "
            "(docs/real-board.md). The image is there with --out: flash it with a tool of yours."
        )
    return sorted(found, key=lambda plan: bool(plan.missing))


def choose(target: Target, found: list[Plan], tool: str | None = None, anyway: bool = False) -> Plan:
    """The first way that can run, or that of `tool`; `anyway` even one that cannot.

    Raises:
        Missing: none can; the message says how to get each tool.
        BadInput: `tool` is none of them.
    """
    named = [plan for plan in found if tool in (None, plan.tool)]
    if not named:
        raise BadInput(f"flash: {tool!r} is no tool for {target.name}; need {', '.join(p.tool for p in found)}.")
    if named[0].missing and not anyway:
        ways = "; ".join(f"{plan.tool}: {plan.missing}" for plan in named)
        raise Missing(f"flash: no way to flash {target.name} from here; need one of these. {ways}.")
    return named[0]


def drives() -> list[Path]:
    """Mounted UF2 drives: a board in its boot loader shows up as one."""
    if os.name == "nt":
        roots = [Path(f"{letter}:/") for letter in "DEFGHIJKLMNOPQRSTUVWXYZ"]
    else:
        parents = [Path("/Volumes"), *Path("/media").glob("*"), *Path("/run/media").glob("*")]
        roots = [root for parent in parents if parent.is_dir() for root in _below(parent)]
    return [root for root in roots if (root / DRIVE_MARK).is_file()]


def _below(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _tool(tool: str, *commands: tuple[str, ...]) -> Plan:
    """A plan of commands whose program may be missing; its whole path stands in them when it is there."""
    path = find(tool)
    if path is None:
        return Plan(tool, commands, f"not installed ({INSTALL[tool]})")
    return Plan(tool, tuple((path, *words[1:]) for words in commands))


def find(tool: str) -> str | None:
    """Where a program lies: on the PATH, or in this Python's environment, which need not be on it."""
    return shutil.which(tool) or shutil.which(tool, path=str(Path(sys.executable).parent))


def _openocd(chip: str, images: Images, port: str | None, probe: str | None) -> Plan:
    interface = PROBES[probe or _usual_probe(chip)]
    script = f"program {{{images.elf.as_posix()}}} verify reset exit"  # braces: Tcl keeps the path as it is
    return _tool("openocd", ("openocd", "-f", f"interface/{interface}.cfg", "-f", chip, "-c", script))


def _usual_probe(chip: str) -> str:
    return "stlink" if "stm32" in chip else "jlink" if "nordic" in chip else "cmsis-dap"


def _probe_rs(chip: str, images: Images, port: str | None, probe: str | None) -> Plan:
    download = ("probe-rs", "download", "--chip", chip, "--verify", str(images.elf))
    return _tool("probe-rs", download, ("probe-rs", "reset", "--chip", chip))


def _st_flash(chip: str, images: Images, port: str | None, probe: str | None) -> Plan:
    return _tool("st-flash", ("st-flash", "--reset", "write", str(images.bin), f"{images.address:#010x}"))


def _stm32loader(chip: str, images: Images, port: str | None, probe: str | None) -> Plan:
    words = ("stm32loader", "-p", port or "PORT", "-f", chip, "-e", "-w", "-v", str(images.bin))
    plan = _tool("stm32loader", words)
    if port is None and not plan.missing:
        return Plan(plan.tool, plan.commands, "give the port of the chip's boot loader with --port")
    return plan


def _picotool(chip: str, images: Images, port: str | None, probe: str | None) -> Plan:
    return _tool("picotool", ("picotool", "load", "-v", "-x", str(images.uf2)))


def _nrfjprog(chip: str, images: Images, port: str | None, probe: str | None) -> Plan:
    words = ("nrfjprog", "-f", chip, "--program", str(images.hex), "--sectorerase", "--verify", "--reset")
    return _tool("nrfjprog", words)


def _uf2(chip: str, images: Images, port: str | None, probe: str | None) -> Plan:
    there = [drive for drive in drives() if drive.name == chip or os.name == "nt"]
    if not there:
        why = f"no drive {chip} is mounted (hold BOOTSEL while plugging the board in)"
        return Plan("uf2", (("cp", str(images.uf2), chip),), why)
    return Plan("uf2", (("cp", str(images.uf2), str(there[0])),))


_MAKERS: Mapping[str, Maker] = {
    "uf2": _uf2,
    "picotool": _picotool,
    "nrfjprog": _nrfjprog,
    "openocd": _openocd,
    "probe-rs": _probe_rs,
    "st-flash": _st_flash,
    "stm32loader": _stm32loader,
}
