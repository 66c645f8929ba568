"""Line charts as plain SVG, readable on white and on dark pages."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 360, 76, 40, 20, 84
COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed")


@dataclass(frozen=True)
class Curve:
    """One line: as many x as y."""

    label: str
    x: Sequence[float]
    y: Sequence[float]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from low to high.

    >>> ticks(0, 10)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    raw = (high - low) / count or 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [step * n for n in range(first, math.floor(high / step + 1e-9) + 1)]


def chart(title: str, across: str, up: str, curves: Sequence[Curve], logarithmic_x: bool = False) -> str:
    """A chart as an SVG document; x on a logarithmic axis if asked."""
    xs = [v for curve in curves for v in curve.x]
    ys = [v for curve in curves for v in curve.y] + [0.0]
    scale = math.log10 if logarithmic_x else float
    x_low, x_high, y_low, y_high = scale(min(xs)), scale(max(xs)), min(ys), max(ys)
    room = 0.05 * (y_high - y_low or 1.0)
    y_low, y_high = (y_low - room if y_low < 0 else 0.0), y_high + room

    def at(x: float, y: float) -> tuple[float, float]:
        across_ = LEFT + (scale(x) - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        return round(across_, 1), round(HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM), 1)

    marks = [10.0**n * m for n in range(-3, 4) for m in (1, 2, 5)] if logarithmic_x else ticks(x_low, x_high)
    marks = [mark for mark in marks if min(xs) <= mark <= max(xs)]
    parts = [_text(WIDTH / 2, 22, title, "middle", 15), _text(WIDTH / 2, HEIGHT - BOTTOM + 36, across, "middle", 12)]
    parts.append(f'<g transform="rotate(-90 16 {HEIGHT / 2})">{_text(16, HEIGHT / 2, up, "middle", 12)}</g>')
    for mark in ticks(y_low, y_high):
        y = at(min(xs), mark)[1]
        parts.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#888" stroke-opacity=".35"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{mark:.3g}", "end", 11))
    for mark in marks:
        x = at(mark, 0)[0]
        parts.append(_text(x, HEIGHT - BOTTOM + 16, f"{mark:.3g}", "middle", 11))
    for index, curve in enumerate(curves):
        colour = COLOURS[index % len(COLOURS)]
        points = " ".join(f"{x},{y}" for x, y in (at(*point) for point in zip(curve.x, curve.y, strict=True)))
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{points}"/>')
        place = LEFT + index % 2 * (WIDTH - LEFT) / 2, HEIGHT - 30 + index // 2 * 18
        parts.append(f'<path d="M{place[0]} {place[1] - 4}h20" stroke="{colour}" stroke-width="3"/>')
        parts.append(_text(place[0] + 26, place[1], curve.label, "start", 12))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>', *parts, "</svg>", ""])


def _text(x: float, y: float, words: str, anchor: str, size: int) -> str:
    safe = words.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}" fill="#222">{safe}</text>'
