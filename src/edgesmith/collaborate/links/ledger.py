"""The ledger: what every request took, and how each of its figures was obtained."""

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

from edgesmith.core.reading import Kind

# device: all of it there. split: head there, tail on the server. server: all of it there. fallback: the server was
# asked and did not answer in time, the device did. dropped: nobody answered.
Place = Literal["device", "split", "server", "fallback", "dropped"]
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Entry:
    """One request.

    Attributes:
        start_s: when it was made, in the run's own time.
        up_bytes, down_bytes: on the wire, with headers and what was sent again.
        device_ms, up_ms, queue_ms, server_ms, down_ms: where its time went; queueing is before the server's work.
        total_ms: from the request to its answer; infinite without one.
        peak_bytes: memory on the device.
        energy_uj: of the device: computing and radio.
        in_time: answered by its deadline; True where there was none.
    """

    start_s: float
    place: Place
    total_ms: float
    device_ms: float = 0.0
    up_ms: float = 0.0
    queue_ms: float = 0.0
    server_ms: float = 0.0
    down_ms: float = 0.0
    up_bytes: int = 0
    down_bytes: int = 0
    peak_bytes: int = 0
    energy_uj: float = 0.0
    in_time: bool = True


FIGURES = tuple(field.name for field in fields(Entry) if field.name not in ("start_s", "place", "in_time"))


@dataclass(frozen=True)
class How:
    """How the figures of one column were obtained."""

    kind: Kind
    how: str


class Ledger:
    """Entries in the order their requests ended.

    Args:
        columns: how each column of `FIGURES` was obtained; one that nobody names stays out of what is shown.
        most: entries kept, the newest; None keeps all.
    """

    def __init__(self, columns: Mapping[str, How], most: int | None = None) -> None:
        if unknown := set(columns) - set(FIGURES):
            raise ValueError(f"ledger: no column {sorted(unknown)[0]!r}")
        self.columns = dict(columns)
        self.entries: deque[Entry] = deque(maxlen=most)

    def add(self, entry: Entry) -> None:
        """Write one down."""
        self.entries.append(entry)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self.entries))  # at once: others may add meanwhile

    def column(self, name: str) -> np.ndarray:
        """(n,) float64 of one figure."""
        return np.array([getattr(entry, name) for entry in self], np.float64)

    def places(self) -> dict[Place, int]:
        """How many requests ended where."""
        return dict(Counter(entry.place for entry in self))

    def summary(self) -> dict[str, Any]:
        """Counts, and of each column its mean and percentiles over the requests that were answered."""
        entries = tuple(self)
        answered = [entry for entry in entries if entry.place != "dropped"]
        table = {
            name: {**figures([getattr(entry, name) for entry in answered]), **asdict(how)}
            for name, how in self.columns.items()
        }
        in_time = sum(entry.in_time for entry in entries)
        places = dict(Counter(entry.place for entry in entries))
        return {"requests": len(entries), "in_time": in_time, "places": places, "columns": table}


def figures(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and percentiles; None where there are no values."""
    names = ("mean", *(f"p{q}" for q in PERCENTILES))
    if not values:
        return dict.fromkeys(names)
    found = (float(np.mean(values)), *(float(value) for value in np.percentile(values, PERCENTILES)))
    return dict(zip(names, found, strict=True))
