"""Targets: all load, every figure has a source, and a file of the user's own is read strictly."""

import dataclasses
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesmith.core.errors import BadInput
from edgesmith.emulate.cores import CORES
from edgesmith.emulate.instructions import EXTRAS
from edgesmith.targets import BOARDS, load, names
from edgesmith.targets.schema import parse

GOOD = (BOARDS / "stm32f103.toml").read_text()


def figures(values: dict, path: str = "") -> Iterator[str]:
    """Dotted names of all numbers in a TOML file, but the stated errors."""
    for key, value in values.items():
        name = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            yield from figures(value, name)
        elif type(value) in (int, float) and key != "error":
            yield name


@pytest.mark.parametrize("name", names())
def test_every_figure_has_a_source(name):
    values = tomllib.loads((BOARDS / f"{name}.toml").read_text())
    sources = values.pop("sources")
    for figure in figures(values):
        parents = [figure.rsplit(".", n)[0] for n in range(figure.count(".") + 1)]
        assert any(len(sources.get(parent, "")) > 5 for parent in parents), f"{name}: {figure} has no source"


@pytest.mark.parametrize("name", names())
def test_every_source_names_a_figure(name):
    values = tomllib.loads((BOARDS / f"{name}.toml").read_text())
    for dotted in values.pop("sources"):
        found = values
        for key in dotted.split("."):
            found = found[key]


@pytest.mark.parametrize("name", names())
def test_every_target_loads(name):
    target = load(name)
    assert target.name == name and target.kernels[-1] == "reference" and target.power.active_mw > 0
    assert target.emulated == (target.isa in CORES) and "s8" in target.cycle_model.per_mac


@pytest.mark.parametrize("name", [n for n in names() if load(n).emulated])
def test_every_emulated_core_prices_every_class(name):
    target = load(name)
    assert set(target.cycle_model.cycles) == {*CORES[target.isa].classes, *EXTRAS}


def test_an_error_is_stated_only_with_what_it_was_checked_against():
    for target in map(load, names()):
        for figure in (target.cycle_model, target.power):
            assert (figure.error is None) == (figure.checked_against == ""), target.name


def test_memories_of_known_boards():
    """Datasheets: Blue Pill 64 KB and 20 KB, STM32L4R5 2 MB and 640 KB, RP2040 264 KB."""
    assert (load("stm32f103").flash_bytes, load("stm32f103").ram_bytes) == (65536, 20480)
    assert (load("nucleo-l4r5zi").flash_bytes, load("nucleo-l4r5zi").ram_bytes) == (2097152, 655360)
    assert load("rp2040").ram_bytes == 264 * 1024


def test_this_machine_is_looked_up():
    assert load("x86-64").ram_bytes != parse("x", (BOARDS / "x86-64.toml").read_text()).ram_bytes


def test_a_file_of_ones_own_needs_no_sources(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD[: GOOD.index("[sources]")])
    assert dataclasses.replace(load(path), name="stm32f103", sources=load("stm32f103").sources) == load("stm32f103")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("clock_hz = 72_000_000", "", "clock_hz is missing; need a whole number"),
        ("clock_hz = 72_000_000", "clock_hz = 72", "clock_hz is 72; need a whole number from 10000"),
        ("clock_hz = 72_000_000", "clock_hz = 72e6", "clock_hz is 72000000.0; need a whole number"),
        ("clock_hz = 72_000_000", "clock_hz = true", "clock_hz is True; need a whole number"),
        ("clock_hz = 72_000_000", 'clock_hz = "72 MHz"', "clock_hz is '72 MHz'; need a whole number"),
        ("clock_hz = 72_000_000", "clock_hz = 72_000_000\nclock = 1", "clock is not a known key"),
        ("size_bytes = 20_480", "size_bytes = 0", "memory.ram.size_bytes is 0"),
        ("size_bytes = 20_480", "size_bytes = -20480", "memory.ram.size_bytes is -20480"),
        ("size_bytes = 20_480", "size_bytes = 20_480\nbanks = 2", "memory.ram.banks is not a known key"),
        ("origin = 0x20000000", "origin = 0x08000000", "flash and ram overlap"),
        ("origin = 0x20000000", "origin = 0xfffff000", "ram ends beyond 32 bits"),
        ('isa = "thumb"', 'isa = "avr"', "isa is 'avr'; need one of thumb"),
        ("has_fpu = false", "has_fpu = 0", "has_fpu is 0; need true or false"),
        ('kernels = ["cortex_m", "reference"]', "kernels = []", "need a list that ends with"),
        ('kernels = ["cortex_m", "reference"]', 'kernels = ["../../etc", "reference"]', "kernels holds '../../etc'"),
        ("active_mw = 89.1", "active_mw = nan", "power.active_mw is nan"),
        ("active_mw = 89.1", "active_mw = inf", "power.active_mw is inf"),
        ("active_mw = 89.1", "", "power.active_mw is missing"),
        ("mul = 1\n", "mul = -1\n", "cycle_model.cycles.mul is -1.0"),
        ('title = "', 'title = "\\u0007', "title is too long or holds control characters"),
        ("[memory.ram]", "[memory.ram", "not TOML"),
        ('"-mcpu=cortex_m3"', '"-mcpu=x; rm -rf /"', "compiler_flags holds"),
        ('"-mcpu=cortex_m3"', '"@/etc/passwd"', "compiler_flags holds"),
        ('driver = "stm32_v1"', 'driver = "usb"', "serial.driver is 'usb'; need one of stm32_v1"),
        ('tx = "PA9"', 'tx = "9"', "serial.tx is '9'; need a pin"),
        ("baud = 115_200", "baud = 0", "serial.baud is 0"),
        ('["wait", 0x40021004', '["jump", 0x40021004', "serial.setup holds ['jump'"),
        ('["wait", 0x40021004', '["wait", -1', "serial.setup holds ['wait', -1"),
        ('openocd = "target/stm32f1x.cfg"', 'openocd = "-c shutdown"', "flash.openocd is '-c shutdown'"),
        ('openocd = "target/stm32f1x.cfg"', 'openocd = "a/../../b"', "flash.openocd is 'a/../../b'"),
        ('stm32loader = "F1"', 'gdb = "F1"', "flash.gdb is not a known key"),
    ],
)
def test_a_wrong_file_is_refused_at_the_key(old, new, words):
    assert GOOD.count(old) == 1
    with pytest.raises(BadInput, match=re.escape(words)):
        parse("mine", GOOD.replace(old, new))


def test_absent_and_huge_files_are_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        load(tmp_path / "absent.toml")
    (tmp_path / "huge.toml").write_text("#" * (2 << 20))
    with pytest.raises(BadInput, match="more than 1,048,576 bytes"):
        load(tmp_path / "huge.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="cannot be read"):
        load(tmp_path / "binary.toml")


def test_an_unknown_name_lists_the_known():
    with pytest.raises(BadInput, match=r"no target 'stm32'.*nucleo-l4r5zi"):
        load("stm32")


@given(st.data())
def test_a_mutated_file_loads_or_is_refused_clearly(data):
    """No mutation may end in anything but a Target or BadInput."""
    lines = GOOD.splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    value = data.draw(
        st.sampled_from(["0", "-1", "1e400", "nan", "[]", "{}", '""', "[[]]", "2024-01-01", "= =", "x" * 99])
    )
    key = lines[at].split(" =")[0]
    lines[at] = data.draw(st.sampled_from([f"{key} = {value}", value, "", f"[{value}]", lines[at] * 2]))
    try:
        assert parse("mutant", "\n".join(lines)).name == "mutant"
    except BadInput as error:
        assert "mutant" in str(error)


def test_the_example_of_the_documentation_is_valid():
    text = (Path(__file__).parents[2] / "docs" / "your-board.md").read_text()
    target = parse("mine", text.split("```toml\n")[1].split("```")[0])
    assert target.ram_bytes == 98_304 and target.cycle_model.error is None
