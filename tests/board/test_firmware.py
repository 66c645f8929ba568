"""The firmware's sources: no warnings for any board, and RP2040's boot stage as its ROM wants it."""

import shutil
import zlib

import pytest

from board.stub import model
from edgesmith.core.errors import Unsupported
from edgesmith.pipeline.build import bind_for, serial_files
from edgesmith.pipeline.onboard import build_images, connect
from edgesmith.targets import load, names
from edgesmith.toolchain import check_warnings

SERIAL = [name for name in names() if load(name).serial]


def written(name: str, folder) -> list:
    for path, text in serial_files(bind_for(model(), load(name)), "00" * 32).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return sorted(folder.glob("*.c"))


@pytest.mark.parametrize("name", SERIAL)
def test_the_sources_compile_without_a_warning(tmp_path, name):
    folders = [tmp_path, tmp_path / "kernels"]
    check_warnings(written(name, tmp_path), folders, [*load(name).compiler_flags, "-DEDGESMITH_TICKS"])


@pytest.mark.skipif(shutil.which("gcc") is None, reason="a second compiler's opinion; needs gcc")
def test_the_protocol_compiles_without_a_warning_of_gcc(tmp_path):
    sources = [path for path in written("stm32f103", tmp_path) if path.name in ("frames.c", "harness.c")]
    check_warnings(sources, [tmp_path], compiler="gcc")


def test_the_boot_stage_has_the_checksum_that_the_rom_computes(tmp_path):
    """RP2040 datasheet 2.8.1.3.1; the ROM's CRC is zlib's with the bits of bytes and result turned round."""
    images, _ = build_images(model(), load("rp2040"), tmp_path)
    image = images.bin.read_bytes()
    assert images.address == 0x10000000

    def turned(value: int, bits: int) -> int:
        return int(f"{value:0{bits}b}"[::-1], 2)

    mirrored = bytes(turned(byte, 8) for byte in image[:252])
    assert int.from_bytes(image[252:256], "little") == turned(zlib.crc32(mirrored) ^ 0xFFFFFFFF, 32)
    stack, reset = (int.from_bytes(image[at : at + 4], "little") for at in (256, 260))
    assert stack == 0x20042000 and reset & 1 and 0x10000100 < reset < 0x10000000 + len(image)


def test_a_damaged_boot_stage_leaves_the_board_silent(plug, programs, tmp_path, monkeypatch):
    """The emulated ROM checks it as the real one does, and the boot stage it accepts is executed."""
    from dataclasses import replace

    from edgesmith.core.errors import Missing

    monkeypatch.setattr("edgesmith.board.session.ANSWER_S", 0.2)
    with connect(model(), load("rp2040"), plug("rp2040").port) as board:
        assert board.hello.name == "summing"
    elf = programs["rp2040"].elf.read_bytes()
    at = elf.index(bytes.fromhex("0a48002181600421"))
    (tmp_path / "bad.elf").write_bytes(elf[:at] + b"\x0b" + elf[at + 1 :])
    monkeypatch.setitem(programs, "rp2040", replace(programs["rp2040"], elf=tmp_path / "bad.elf"))
    with pytest.raises(Missing):
        connect(model(), load("rp2040"), plug("rp2040").port)


def test_a_board_without_a_uart_is_refused():
    with pytest.raises(Unsupported, match=r"esp32c3 has no \[serial\] table"):
        serial_files(bind_for(model(), load("esp32c3")), "00" * 32)
    with pytest.raises(Unsupported, match=r"esp32c3 has no \[serial\] table"):
        connect(model(), load("esp32c3"), "/dev/null")
