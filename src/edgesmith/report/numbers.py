"""Figures as people read them: three significant digits, a fitting unit, the kind beside them."""

from typing import Any

Reading = dict[str, Any]

BYTES = ((1024**2, "MB"), (1024, "KB"), (1, "B"))
MILLISECONDS = ((1e3, "s"), (1.0, "ms"), (1e-3, "µs"))
MICROJOULES = ((1e6, "J"), (1e3, "mJ"), (1.0, "µJ"), (1e-3, "nJ"))
COUNTS = ((1e9, 1e9, " G"), (1e6, 1e6, " M"), (1e4, 1e3, " k"))  # from, scale, unit


def digits(value: float) -> str:
    """Three significant digits, all of the whole part.

    >>> digits(3.14159), digits(61.25), digits(1234.5), digits(0.00123)
    ('3.14', '61.2', '1,234', '0.00123')
    """
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if 1 <= abs(value) < 10 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def scaled(value: float, units: tuple[tuple[float, str], ...]) -> str:
    """`value` in the largest unit it reaches."""
    scale, unit = next((pair for pair in units if abs(value) >= pair[0]), units[-1])
    return f"{digits(value / scale)} {unit}"


def size(value: float) -> str:
    """Bytes; KB is 1024 as on datasheets.

    >>> size(62669), size(512)
    ('61.2 KB', '512 B')
    """
    return scaled(value, BYTES)


def duration(value_ms: float) -> str:
    """Milliseconds.

    >>> duration(38.25), duration(0.0421), duration(2500)
    ('38.2 ms', '42.1 µs', '2.50 s')
    """
    return scaled(value_ms, MILLISECONDS)


def energy(value_uj: float) -> str:
    """Microjoules.

    >>> energy(3450.0), energy(40)
    ('3.45 mJ', '40.0 µJ')
    """
    return scaled(value_uj, MICROJOULES)


def percent(value: float) -> str:
    """A fraction.

    >>> percent(0.98664)
    '98.66%'
    """
    return f"{100 * value:.2f}%"


def points(difference: float) -> str:
    """A difference of fractions in percentage points, always signed.

    >>> points(-0.0034), points(0.0)
    ('−0.34 pt', '±0.00 pt')
    """
    value = round(100 * difference, 2)
    sign = "±" if value == 0 else "+" if value > 0 else "−"
    return f"{sign}{abs(value):.2f} pt"


def count(value: float) -> str:
    """Large counts: 12.3 M, 456 k.

    >>> count(12_345_678), count(456_000), count(99)
    ('12.3 M', '456 k', '99')
    """
    for least, scale, unit in COUNTS:
        if abs(value) >= least:
            return digits(value / scale) + unit
    return f"{value:,.0f}"


FORMATS = {"B": size, "ms": duration, "uJ": energy, "fraction": percent}


def figure(value: float, unit: str) -> str:
    """A value in its unit.

    >>> figure(62669, "B"), figure(0.5, "fraction"), figure(0.25, "mse")
    ('61.2 KB', '50.00%', '0.250 mse')
    """
    if unit in FORMATS:
        return FORMATS[unit](value)
    return f"{value:.3f} {unit}".strip() if abs(value) < 1 else f"{digits(value)} {unit}".strip()


def plain(value: Any) -> str:
    """A setting as text; absent is empty.

    >>> plain(True), plain(0.30000001), plain(None), plain("mse")
    ('yes', '0.3', '', 'mse')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def origin(reading: Reading) -> str:
    """The kind, and the error where there is one.

    >>> origin({"value": 40.0, "unit": "ms", "kind": "estimated", "spread": 4.8})
    'estimated ±12%'
    >>> origin({"value": 0.98, "unit": "fraction", "kind": "emulated", "spread": None})
    'emulated'
    """
    spread = reading.get("spread")
    if not spread:
        return str(reading["kind"])
    if reading["unit"] == "fraction":
        return f"{reading['kind']} ±{100 * spread:.2f} pt"
    share = f"{100 * spread / abs(reading['value']):.2g}%" if reading["value"] else figure(spread, reading["unit"])
    return f"{reading['kind']} ±{share}"
