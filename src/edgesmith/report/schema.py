"""What report.json holds, and the check that it does.

Fields marked * are needed; a section that is absent is left out of the page; a field not named here is kept and
not shown. A Reading is `core.reading.Reading.to_json()`. All text is shown as text, never read as markup.

    schema*     1
    title*      text
    created*    ISO 8601 time
    edgesmith*  version that made it
    model       {name*, parameters_before, parameters_after}
    task        {name*, metric*: such as "accuracy", direction*: "max" or "min", test_samples}
    target*     {name*, title*, core, clock_hz, flash_bytes, ram_bytes}
    outcome*    {fits*: bool, message*: one sentence, advice: [text]}
    budget      core.budget.Budget.to_json()
    before      {label*, readings*: {flash, ram: Reading in B; latency: ms; energy: uJ; accuracy: fraction, or the
    after        metric's own unit}}, each reading optional
    candidates  [{id*, settings*: {name: text, number or bool}, state*: "evaluated", "refused" (predicted not to fit,
                never trained) or "failed"; fits*: bool, best: bool, accuracy, flash_bytes, ram_bytes, latency_ms,
                energy_uj, seconds, note}]; a figure is a number or null
    candidates_how  one sentence: how their figures were obtained
    accuracy    {float, int8, compiled (float32, here), board: Reading}
    confusion   {of*: what was classified, classes*: [text], counts*: [[int]] (true class, predicted class)}
    trust       {classes*, how: one sentence on noise, blur and calibration,
                steps*: [{name*, accuracy*, per_class*: [0..1 or null], ece, noise, blur: 0..1 or null}]}
    layers      {kind*: of the cycles, how*, rows*: [{name*, op*, shape: [int], macs*, weight_bytes*, cycles: or null,
                bits: of its weights}]}
    sensitivity {how*, bits*: rounded to, rows*: [{tensor*, kind*: "weight" or "activation", layer*, share*: of the harm
                of all of its kind, 0..1; sensitive*: bool, reasons*: [text], stored_bits: as it was built, bias: 0..1,
                kurtosis, tail, unequal}]}, the most harmful first
    memory      {arena_bytes*, lower_bound_bytes, optimal: bool, state_bytes, stack_bytes, ops*: [text],
                buffers*: [{name*, offset_bytes*, size_bytes*, first_op*, last_op*: indices into ops, inclusive}]}
    parity      [{relation*, holds*: bool, detail*}]
    reproduce   {commands*: [text], versions: {name: text}, hashes: {name: text}, machine, seconds}
"""

import json
from collections.abc import Callable
from pathlib import Path
from reprlib import repr as repr_short
from typing import Any

from edgesmith.core.errors import BadInput

VERSION = 1
MAX_BYTES = 64 << 20  # a report of a thousand candidates takes under 1 MB
LARGEST = 1e18

Check = Callable[[Any, str], None]


def refuse(where: str, found: Any, needed: str) -> BadInput:
    """The error for one field, quoting at most the start of what was found."""
    # Python refuses to print a whole number of thousands of digits.
    shown = "a number past 1e18" if isinstance(found, int) and abs(found) > LARGEST else repr_short(found)
    return BadInput(f"report: {where} is {shown}; need {needed}. Make the report again from its fit.")


def text(value: Any, where: str) -> None:
    """Any string that UTF-8 can hold (JSON may carry lone surrogates)."""
    if not isinstance(value, str):
        raise refuse(where, value, "text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refuse(where, value, "text that UTF-8 can hold") from None


def number(value: Any, where: str) -> None:
    """A finite number; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise refuse(where, value, "a finite number")


def amount(value: Any, where: str) -> None:
    """A number of at least zero."""
    number(value, where)
    if value < 0:
        raise refuse(where, value, "a number of at least zero")


def count(value: Any, where: str) -> None:
    """A whole number of at least zero."""
    amount(value, where)
    if not isinstance(value, int):
        raise refuse(where, value, "a whole number")


def fraction(value: Any, where: str) -> None:
    """A number from 0 to 1."""
    number(value, where)
    if not 0 <= value <= 1:
        raise refuse(where, value, "a fraction from 0 to 1")


def flag(value: Any, where: str) -> None:
    """True or False."""
    if not isinstance(value, bool):
        raise refuse(where, value, "true or false")


def scalar(value: Any, where: str) -> None:
    """A setting: text, a number, true, false or null."""
    if value is None or isinstance(value, bool):
        return
    (text if isinstance(value, str) else number)(value, where)


def one_of(*choices: Any) -> Check:
    """Exactly one of `choices`."""

    def check(value: Any, where: str) -> None:
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise refuse(where, value, " or ".join(map(repr, choices)))

    return check


def maybe(check: Check) -> Check:
    """Null, or what `check` accepts."""
    return lambda value, where: None if value is None else check(value, where)


def listing(check: Check) -> Check:
    """A list whose every item passes `check`."""

    def check_all(value: Any, where: str) -> None:
        if not isinstance(value, list | tuple):
            raise refuse(where, value, "a list")
        for index, item in enumerate(value):
            check(item, f"{where}[{index}]")

    return check_all


def mapping(check: Check) -> Check:
    """A dict from text to what `check` accepts."""

    def check_all(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise refuse(where, value, "a table")
        for key, item in value.items():
            text(key, f"a name in {where}")
            check(item, f"{where}.{key[:40]}")

    return check_all


def record(needed: dict[str, Check], optional: dict[str, Check] | None = None) -> Check:
    """A dict with the fields of `needed`, and perhaps those of `optional`; null counts as absent there."""

    def check_fields(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise refuse(where, value, "a table")
        for name, check in needed.items():
            if name not in value:
                raise refuse(where, sorted(map(str, value)), f"the field {name!r}")
            check(value[name], f"{where}.{name}")
        for name, check in (optional or {}).items():
            maybe(check)(value.get(name), f"{where}.{name}")

    return check_fields


KIND = one_of("measured", "emulated", "estimated")


def reading(unit: Check) -> Check:
    """A Reading as a dict, in a given unit."""
    return record({"value": number, "unit": unit, "kind": KIND, "how": text}, {"spread": amount})


STATION = record(
    {
        "label": text,
        "readings": record(
            {},
            {
                "flash": reading(one_of("B")),
                "ram": reading(one_of("B")),
                "latency": reading(one_of("ms")),
                "energy": reading(one_of("uJ")),
                "accuracy": reading(text),
            },
        ),
    }
)
FIGURES: dict[str, Check] = {
    "accuracy": number,
    "flash_bytes": count,
    "ram_bytes": count,
    "latency_ms": amount,
    "energy_uj": amount,
}
CANDIDATE = record(
    {
        "id": scalar,
        "settings": mapping(scalar),
        "state": one_of("evaluated", "refused", "failed"),
        "fits": flag,
    },
    {**FIGURES, "best": flag, "seconds": amount, "note": text},
)
CONFUSION = record({"of": text, "classes": listing(text), "counts": listing(listing(count))})
STEP = record(
    {"name": text, "accuracy": fraction, "per_class": listing(maybe(fraction))},
    {"ece": fraction, "noise": fraction, "blur": fraction},
)
LAYER = record(
    {"name": text, "op": text, "macs": count, "weight_bytes": count},
    {"cycles": amount, "shape": listing(count), "bits": count},
)
SUFFERING = record(
    {
        "tensor": text,
        "kind": one_of("weight", "activation"),
        "layer": text,
        "share": fraction,
        "sensitive": flag,
        "reasons": listing(text),
    },
    {"stored_bits": count, "bias": amount, "kurtosis": amount, "tail": amount, "unequal": amount},
)
BUFFER = record({"name": text, "offset_bytes": count, "size_bytes": count, "first_op": count, "last_op": count})
MEMORY = record(
    {"arena_bytes": count, "ops": listing(text), "buffers": listing(BUFFER)},
    {"lower_bound_bytes": count, "optimal": flag, "state_bytes": count, "stack_bytes": count},
)
REPORT = record(
    {
        "schema": one_of(VERSION),
        "title": text,
        "created": text,
        "edgesmith": text,
        "target": record(
            {"name": text, "title": text}, {"core": text, "clock_hz": amount, "flash_bytes": count, "ram_bytes": count}
        ),
        "outcome": record({"fits": flag, "message": text}, {"advice": listing(text)}),
    },
    {
        "model": record({"name": text}, {"parameters_before": count, "parameters_after": count}),
        "task": record({"name": text, "metric": text, "direction": one_of("max", "min")}, {"test_samples": count}),
        "budget": record({}, FIGURES),
        "before": STATION,
        "after": STATION,
        "candidates": listing(CANDIDATE),
        "candidates_how": text,
        "accuracy": record({}, dict.fromkeys(("float", "int8", "compiled", "board"), reading(text))),
        "confusion": CONFUSION,
        "trust": record({"classes": listing(text), "steps": listing(STEP)}, {"how": text}),
        "layers": record({"kind": KIND, "how": text, "rows": listing(LAYER)}),
        "sensitivity": record({"how": text, "bits": count, "rows": listing(SUFFERING)}),
        "memory": MEMORY,
        "parity": listing(record({"relation": text, "holds": flag, "detail": text})),
        "reproduce": record(
            {"commands": listing(text)},
            {"versions": mapping(text), "hashes": mapping(text), "machine": text, "seconds": amount},
        ),
    },
)


def check_confusion(confusion: dict[str, Any]) -> None:
    """Counts are square, one row and column per class."""
    size = len(confusion["classes"])
    shape = [len(row) for row in confusion["counts"]]
    if shape != [size] * size:
        raise refuse("confusion.counts", shape, f"{size} rows of {size} counts, one per class")


def check_trust(trust: dict[str, Any]) -> None:
    """Every step has one accuracy per class."""
    for index, step in enumerate(trust["steps"]):
        if len(step["per_class"]) != len(trust["classes"]):
            raise refuse(f"trust.steps[{index}].per_class", step["per_class"], f"{len(trust['classes'])} accuracies")


def check_memory(memory: dict[str, Any]) -> None:
    """Buffers lie inside the arena and live over ops that exist."""
    for index, buffer in enumerate(memory["buffers"]):
        end = buffer["offset_bytes"] + buffer["size_bytes"]
        if end > memory["arena_bytes"]:
            raise refuse(f"memory.buffers[{index}]", end, f"an end within the arena, {memory['arena_bytes']}")
        if not buffer["first_op"] <= buffer["last_op"] < len(memory["ops"]):
            span = (buffer["first_op"], buffer["last_op"])
            raise refuse(f"memory.buffers[{index}]", span, f"a first and last op below {len(memory['ops'])}")


def validate(data: Any) -> None:
    """Check a report before it is shown.

    Raises:
        BadInput: names the first field that is missing or malformed, and what it must be.
    """
    REPORT(data, "report.json")
    for name, check in (("confusion", check_confusion), ("trust", check_trust), ("memory", check_memory)):
        if data.get(name) is not None:
            check(data[name])


def load(path: str | Path) -> dict[str, Any]:
    """Read and check a report.json.

    Raises:
        BadInput: absent, too large, not JSON, or not a report.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise BadInput(f"report: {path} has {size} bytes; need at most {MAX_BYTES}. It is no report.json.")
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"report: cannot read {path}: {error}; need a report.json. Run a fit first.") from error
    validate(data)
    return data
