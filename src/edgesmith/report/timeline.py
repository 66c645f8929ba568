"""The arena over time as an SVG picture: each buffer a rectangle, ops to the right, bytes upwards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from edgesmith.report.numbers import size

WIDTH, HEIGHT = 1000, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 14, 30
TITLE = 40  # above each picture of a document
LABEL_WIDTH, LABEL_HEIGHT = 6.4, 15  # of a character and of a line, in the picture's units


@dataclass(frozen=True)
class Scale:
    """From op index and byte offset to the picture's units."""

    ops: int
    bytes: int

    def x(self, op: float) -> float:
        """Left edge of an op's column."""
        return LEFT + (WIDTH - LEFT - RIGHT) * op / max(self.ops, 1)

    def y(self, offset: float) -> float:
        """Height of a byte offset; offset 0 lies at the bottom."""
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * offset / max(self.bytes, 1)


def live_bytes(memory: dict[str, Any]) -> list[int]:
    """Bytes in use while each op runs."""
    totals = [0] * len(memory["ops"])
    for buffer in memory["buffers"]:
        for op in range(buffer["first_op"], buffer["last_op"] + 1):
            totals[op] += buffer["size_bytes"]
    return totals


def steps(largest: int) -> list[int]:
    """Round byte offsets for the grid, about four of them.

    >>> steps(9000)
    [0, 2048, 4096, 6144, 8192]
    """
    step = 1
    while largest / step > 5:
        step *= 2
    return list(range(0, largest + 1, step))


def grid(memory: dict[str, Any], scale: Scale) -> Iterator[Markup]:
    """Horizontal lines with their offsets, and the arena's size as a heavier one."""
    line = Markup('<line class="{}" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>')
    label = Markup('<text class="{}" x="{}" y="{:.1f}" text-anchor="end">{}</text>')
    top = scale.y(memory["arena_bytes"])
    for offset in steps(memory["arena_bytes"]):
        y = scale.y(offset)
        yield line.format("grid", LEFT, WIDTH - RIGHT, y, y)
        if y - top > LABEL_HEIGHT:
            yield label.format("tick", LEFT - 10, y + 4, size(offset))
    yield line.format("peak", LEFT, WIDTH - RIGHT, top, top)
    yield label.format("tick strong", LEFT - 10, top + 4, size(memory["arena_bytes"]))


def rectangle(buffer: dict[str, Any], memory: dict[str, Any], scale: Scale) -> Markup:
    """One buffer, its name inside where there is room, and all of it in the tooltip."""
    left, right = scale.x(buffer["first_op"]), scale.x(buffer["last_op"] + 1)
    bottom, top = scale.y(buffer["offset_bytes"]), scale.y(buffer["offset_bytes"] + buffer["size_bytes"])
    first, last = memory["ops"][buffer["first_op"]], memory["ops"][buffer["last_op"]]
    end = buffer["offset_bytes"] + buffer["size_bytes"]
    name = buffer["name"] if len(buffer["name"]) <= 60 else buffer["name"][:59] + "…"
    tip = f"{name}: {size(buffer['size_bytes'])}, bytes {buffer['offset_bytes']:,} to {end:,}, {first} to {last}"
    shape = Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="2"/>').format(
        left + 1, top + 0.5, max(right - left - 2, 0.5), max(bottom - top - 1, 0.5)
    )
    return Markup('<g class="buffer"><title>{}</title>{}{}</g>').format(
        tip, shape, label(name, left, right, top, bottom)
    )


def label(name: str, left: float, right: float, top: float, bottom: float) -> Markup:
    """The name in the middle of a rectangle, upright where only that fits, or nothing."""
    wide, high, length = right - left, bottom - top, len(name) * LABEL_WIDTH + 10
    turned = wide < length
    if (high if turned else wide) < length or (wide if turned else high) < LABEL_HEIGHT:
        return Markup("")
    x, y = (left + right) / 2, (top + bottom) / 2
    turn = Markup(' transform="rotate(-90 {:.1f} {:.1f})"').format(x, y) if turned else ""
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="middle" dy="0.34em"{}>{}</text>').format(x, y, turn, name)


def op_numbers(scale: Scale) -> Iterator[Markup]:
    """Op numbers below the columns, at most about twenty of them."""
    every = -(-scale.ops // 20)
    for op in range(0, scale.ops, max(every, 1)):
        x = scale.x(op + 0.5)
        yield Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(x, HEIGHT - 10, op)


def timeline(memory: dict[str, Any], top_bytes: int = 0) -> Markup:
    """The picture of a validated report's `memory`.

    Args:
        top_bytes: what the upper edge stands for; by default the arena.
    """
    scale = Scale(len(memory["ops"]), max(top_bytes, memory["arena_bytes"]))
    parts = [*grid(memory, scale), *(rectangle(b, memory, scale) for b in memory["buffers"]), *op_numbers(scale)]
    head = Markup('<svg class="timeline" viewBox="0 0 {} {}" role="img" aria-label="Arena over the ops">')
    return head.format(WIDTH, HEIGHT) + Markup("\n").join(parts) + Markup("</svg>")


def document(panels: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """An SVG file of several memories below one another, at one scale of bytes, each with its title."""
    top, step = max(memory["arena_bytes"] for _, memory in panels), HEIGHT + TITLE
    head = Markup('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}">\n<style>{}</style>\n')
    parts = [
        head.format(WIDTH, step * len(panels), Markup(STYLE)),
        Markup('<rect class="page" width="100%" height="100%"/>'),
    ]
    for index, (title, memory) in enumerate(panels):
        words = Markup('<text class="title" x="{}" y="{}">{}</text>\n')
        parts.append(words.format(LEFT, index * step + TITLE - 12, title))
        inner = timeline(memory, top).replace("<svg ", Markup('<svg y="{}" width="{}" height="{}" '), 1)
        parts.append(inner.format(index * step + TITLE, WIDTH, HEIGHT))
    return str(Markup("\n").join(parts)) + "\n</svg>\n"


STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1d2733; }
.title { font-size: 15px; font-weight: 650; }
.tick { fill: #66717f; }
.strong { fill: #1d2733; font-weight: 650; }
.grid { stroke: #dfe4ea; }
.peak { stroke: #66717f; stroke-dasharray: 4 4; }
.page { fill: #ffffff; }
.buffer rect { fill: #cfe3f6; stroke: #5b97cf; }
"""
