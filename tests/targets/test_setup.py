"""The setup of clocks and pins, run on models of the clock trees written from the reference manuals.

Each model computes the core's and the UART's clock from the registers as the setup leaves them, and what is waited for
must follow from what was set before.
"""

from collections.abc import Callable

import pytest

from edgesmith.core.target import Target
from edgesmith.targets import load, names

Registers = dict[int, int]
SERIAL = [name for name in names() if load(name).serial]
# Register to (bit that is set, bit that follows): oscillators and PLLs that start, switches that are taken over.
FOLLOWS = {
    "stm32f103": {0x40021000: [(16, 17), (24, 25)], 0x40021004: [(0, 2), (1, 3)]},
    "stm32f746": {0x40023800: [(16, 17), (24, 25)], 0x40023808: [(0, 2), (1, 3)]},
    "nucleo-l4r5zi": {0x40021000: [(24, 25)], 0x40021008: [(0, 2), (1, 3)]},
    "stm32h743": {0x58024400: [(24, 25)], 0x58024410: [(0, 3), (1, 4), (2, 5)]},
}
RESET = {
    "nucleo-l4r5zi": {0x40021000: 0x63, 0x40007080: 0x100, 0x48001800: 0xFFFFFFFF},
    "stm32h743": {0x58024404: 0, 0x58020C00: 0xFFFFFFFF},
    "rp2040": {0x4000C000: 0x01FFFFFF, 0x40028004: 0x2D},
    "nrf5340": {0x50005558: 1},
}


def field(value: int, low: int, bits: int) -> int:
    return value >> low & (1 << bits) - 1


def wait_is_over(name: str, registers: Registers, address: int, mask: int, value: int) -> bool:
    """Whether what is waited for follows from what was set."""
    found = registers.get(address, 0)
    for bit, then in FOLLOWS.get(name, {}).get(address, []):
        found = found & ~(1 << then) | (found >> bit & 1) << then
    rules: dict[tuple[str, int], Callable[[], int]] = {
        ("stm32f746", 0x40007004): lambda: registers[0x40007000] & 0x30000,
        ("stm32h743", 0x58024804): lambda: 0x2000 if registers[0x5802480C] & 7 == 2 else 0,
        ("stm32h743", 0x58024818): lambda: found | (0x2000 if field(registers[0x58024818], 14, 2) == 3 else 0),
        ("rp2040", 0x4000C008): lambda: ~registers[0x4000C000] & 0x01FFFFFF,
        ("rp2040", 0x40024004): lambda: 1 << 31 if field(registers[0x40024000], 12, 12) == 0xFAB else 0,
        ("rp2040", 0x40008038): lambda: 1 << field(registers[0x40008030], 0, 2),
        ("rp2040", 0x40008044): lambda: 1 << field(registers[0x4000803C], 0, 1),
        ("rp2040", 0x40028000): lambda: found | (0 if registers[0x40028004] & 0x21 else 1 << 31),
        ("nrf5340", 0x50005100): lambda: registers[0x50005000] & 1,
    }
    return rules.get((name, address), lambda: found)() & mask == value


def settled(target: Target) -> Registers:
    """The registers after the setup, every wait of which must end."""
    registers = dict(RESET.get(target.name, {}))
    for step in target.serial.setup:
        if step.wait:
            assert wait_is_over(target.name, registers, step.address, step.mask, step.value), hex(step.address)
        else:
            assert step.value & ~step.mask == 0, f"{step.address:#x}: bits outside the mask would be lost"
            registers[step.address] = registers.get(step.address, 0) & ~step.mask | step.value
    return registers


def stm32f103(r: Registers) -> tuple[float, float, int]:
    """RM0008 7.3.2: PLLMUL is two below the factor; 3.3.3: two wait states from 48 to 72 MHz."""
    cfgr = r[0x40021004]
    core = 8e6 * (field(cfgr, 18, 4) + 2) if field(cfgr, 0, 2) == 2 and field(cfgr, 16, 1) else 0
    assert core / (1, 2)[field(cfgr, 8, 3) == 4] <= 36e6, "PCLK1 is at most 36 MHz"
    assert field(cfgr, 11, 3) == 0 and field(r[0x40010804], 4, 8) == 0x4B and r[0x40021018] & 0x4005 == 0x4005
    return core, core, field(r[0x40022000], 0, 3)


def stm32f746(r: Registers) -> tuple[float, float, int]:
    """RM0385 5.3.2: VCO = HSE / M * N, out = VCO / (2 (P + 1)); the VCO's input is 1 to 2, itself 100 to 432 MHz."""
    pll, cfgr = r[0x40023804], r[0x40023808]
    entry = 25e6 / field(pll, 0, 6)
    vco = entry * field(pll, 6, 9)
    assert 1e6 <= entry <= 2e6 and 100e6 <= vco <= 432e6 and field(pll, 22, 1) == 1 and field(cfgr, 0, 2) == 2
    core = vco / (2 * (field(pll, 16, 2) + 1))
    divisors = {0: 1, 4: 2, 5: 4, 6: 8, 7: 16}
    assert core / divisors[field(cfgr, 10, 3)] <= 54e6 and core / divisors[field(cfgr, 13, 3)] <= 108e6
    assert field(r[0x40020024], 4, 4) == field(r[0x40020420], 28, 4) == 7
    assert field(r[0x40020000], 18, 2) == field(r[0x40020400], 14, 2) == 2
    assert r[0x40023830] & 3 == 3 and r[0x40023844] & 1 << 4
    return core, core / divisors[field(cfgr, 13, 3)], field(r[0x40023C00], 0, 4)


def nucleo_l4r5zi(r: Registers) -> tuple[float, float, int]:
    """RM0432 6.4.4: VCO = MSI / (M + 1) * N, R out = VCO / (2 (R + 1)); boost above 80 MHz."""
    pll, cfgr = r[0x4002100C], r[0x40021008]
    vco = 4e6 / (field(pll, 4, 4) + 1) * field(pll, 8, 7)
    assert 64e6 <= vco <= 344e6 and field(pll, 0, 2) == 1 and field(pll, 24, 1) == 1 and field(cfgr, 0, 2) == 3
    core = vco / (2 * (field(pll, 25, 2) + 1))
    assert field(cfgr, 4, 4) == 0 and not r[0x40007080] & 0x100 and r[0x40007004] & 0x200
    assert field(r[0x48001820], 28, 4) == field(r[0x48001824], 0, 4) == 8 and field(r[0x48001800], 14, 4) == 0b1010
    assert r[0x4002104C] & 0x40 and r[0x4002105C] & 1
    return core, core, field(r[0x40022000], 0, 4)


def stm32h743(r: Registers) -> tuple[float, float, int]:
    """RM0433 8.7: VCO = HSI / M * (N + 1), P out = VCO / (P + 1); the bus matrix is at most 240, APB 120 MHz."""
    entry = 64e6 / field(r[0x58024428], 4, 6)
    vco = entry * (field(r[0x58024430], 0, 9) + 1)
    assert 8e6 <= entry <= 16e6 and field(r[0x5802442C], 2, 2) == 3 and 192e6 <= vco <= 960e6
    core = vco / (field(r[0x58024430], 9, 7) + 1)
    assert field(r[0x58024410], 0, 3) == 3 and field(r[0x58024418], 8, 4) == 0 and field(r[0x58024418], 0, 4) == 8
    bus = core / 2
    halves = [field(r[0x58024418], 4, 3), field(r[0x5802441C], 4, 3), field(r[0x5802441C], 8, 3), r[0x58024420] >> 4]
    assert halves == [4] * 4 and bus <= 240e6 and r[0x5800042C] & 1 and r[0x580244E8] & 1 << 18
    assert field(r[0x58020C24], 0, 8) == 0x77 and field(r[0x58020C00], 16, 4) == 0b1010 and r[0x580244E0] & 8
    return core, bus / 2, field(r[0x52002000], 0, 4)


def rp2040(r: Registers) -> tuple[float, float, int]:
    """RP2040 datasheet 2.18: VCO = crystal / REFDIV * FBDIV in 750 to 1600 MHz, out = VCO / POSTDIV1 / POSTDIV2."""
    vco = 12e6 / field(r[0x40028000], 0, 6) * field(r[0x40028008], 0, 12)
    core = vco / field(r[0x4002800C], 16, 3) / field(r[0x4002800C], 12, 3)
    assert 750e6 <= vco <= 1600e6 and not r[0x40028004] & 0x29 and r[0x4000803C] & 0xE1 == 1
    assert field(r[0x4002400C], 0, 14) * 256 / 12e6 >= 1e-3 - 1e-5, "the crystal is given a millisecond"
    assert r[0x40008048] & 0x8E0 == 0x800 and r[0x40014004] & 31 == r[0x4001400C] & 31 == 2
    return core, core, 0


def nrf5340(r: Registers) -> tuple[float, float, int]:
    """nRF5340 product specification, HFCLKCTRL: 0 is 128 MHz, 1 half of it; UARTE's clock is 16 MHz."""
    assert r[0x50842518] == 1 << 20 and r[0x50842758] == 0 and r[0x50001500] == 1
    return (128e6, 64e6)[r[0x50005558] & 1], 16e6, load("nrf5340").memory("flash").wait_states


MODELS: dict[str, Callable[[Registers], tuple[float, float, int]]] = {
    "stm32f103": stm32f103,
    "stm32f746": stm32f746,
    "nucleo-l4r5zi": nucleo_l4r5zi,
    "stm32h743": stm32h743,
    "rp2040": rp2040,
    "nrf5340": nrf5340,
}


@pytest.mark.parametrize("name", SERIAL)
def test_the_setup_gives_the_clocks_that_the_target_states(name):
    target = load(name)
    core, uart, wait_states = MODELS[name](settled(target))
    assert (core, uart) == (target.clock_hz, target.serial.clock_hz)
    assert wait_states == target.memory("flash").wait_states


def test_every_family_of_uart_is_on_a_board():
    from edgesmith.targets.schema import DRIVERS

    assert {load(name).serial.driver for name in SERIAL} == set(DRIVERS)
