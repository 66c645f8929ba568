import threading

import pytest

from edgesmith.collaborate.links.ledger import Entry, How, Ledger


def test_the_summary_counts_places_and_takes_percentiles_of_what_was_answered():
    ledger = Ledger({"total_ms": How("measured", "clock")})
    for index in range(101):
        ledger.add(Entry(index, "split", total_ms=float(index), in_time=index < 100))
    ledger.add(Entry(200, "dropped", total_ms=float("inf"), in_time=False))
    summary = ledger.summary()
    assert (summary["requests"], summary["in_time"]) == (102, 100)
    assert summary["places"] == {"split": 101, "dropped": 1}
    column = summary["columns"]["total_ms"]
    assert (column["mean"], column["p50"], column["p95"], column["kind"]) == (50.0, 50.0, 95.0, "measured")


def test_an_empty_ledger_has_no_figures():
    assert Ledger({"total_ms": How("measured", "clock")}).summary()["columns"]["total_ms"]["p99"] is None


def test_an_unknown_column_is_refused():
    with pytest.raises(ValueError, match="no column 'speed'"):
        Ledger({"speed": How("measured", "clock")})


def test_a_ledger_with_a_limit_keeps_the_newest():
    ledger = Ledger({"total_ms": How("measured", "clock")}, most=3)
    for index in range(10):
        ledger.add(Entry(index, "split", total_ms=float(index)))
    assert [entry.total_ms for entry in ledger] == [7.0, 8.0, 9.0]
    assert ledger.summary()["requests"] == len(ledger) == 3


def test_a_ledger_is_read_while_others_write():
    ledger = Ledger({"total_ms": How("measured", "clock")}, most=50)
    ending = threading.Event()

    def write() -> None:
        while not ending.is_set():
            ledger.add(Entry(0.0, "split", total_ms=1.0))

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(200):
            ledger.summary(), ledger.places(), ledger.column("total_ms")
    finally:
        ending.set()
        for writer in writers:
            writer.join()
    assert len(ledger) == 50
