"""Write docs/methods.md, every method's card and what was measured of its claims, and the tables of other pages.

`python docs/generate.py` writes them; tests/test_docs.py holds them against the cards and benchmarks/results.
"""

import json
import re
from pathlib import Path
from typing import Any

from edgesmith.catalog import methods
from edgesmith.core.card import Card, Claim

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"
PAGE = DOCS / "methods.md"
LEAD = """\
# Methods

Written by `python docs/generate.py` from the methods' cards and from `benchmarks/results/`. A claim stands on a test,
which every change must pass, or on an experiment, measured once on the machine named beside it; with neither it is
*unverified*. A measured claim that does not hold says so. `edgesmith methods` lists the same cards,
`edgesmith reproduce NAME` runs an experiment again.

| method | family | does | source |
|---|---|---|---|
"""


def page() -> str:
    """The whole page as Markdown."""
    listed = [(family, factory.card) for family, factory in methods()]
    rows = "".join(
        f"| [{card.name}](#{card.name}) | {family} | {cell(card.does)} | {source(card)} |\n" for family, card in listed
    )
    return LEAD + rows + "".join(section(card, measured(card.name)) for _, card in listed)


def section(card: Card, result: dict[str, Any] | None) -> str:
    """One method: what it does and omits, its claims, its measurements."""
    lines = [f"\n## {card.name}\n", f"{card.does[0].upper()}{card.does[1:]}. {source(card)}.\n"]
    lines += [f"- {claim.text}: {evidence(claim)}" for claim in card.claims]
    if card.omits:
        lines.append(f"\nLeft out: {'; '.join(card.omits)}.")
    if result:
        lines += [
            "\n| measured claim | baseline | ours | spread | unit | criterion | holds |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [row(claim) for claim in result["claims"]]
        lines.append(f"\n`{result['command']}`, {taken(result)} on {result['machine']}, commit {result['commit']}.")
    return "\n".join(lines) + "\n"


def taken(result: dict[str, Any]) -> str:
    """How long an experiment ran; a time that nobody took is said to be missing."""
    return "time not recorded" if result["seconds"] is None else f"{result['seconds']:.0f} s"


def evidence(claim: Claim) -> str:
    """What stands behind a claim, in a few words."""
    if claim.test:
        return f"test `{claim.test}`"
    return f"experiment [{Path(claim.experiment).name}](../{claim.experiment})" if claim.experiment else "*unverified*"


def row(claim: dict[str, Any]) -> str:
    """A measured claim as a row of the table."""
    holds = "yes" if claim["holds"] else f"**no**: {claim.get('reason') or 'reason not found'}"
    figures = " | ".join(figure(claim[key]) for key in ("baseline", "ours", "spread"))
    words = [cell(claim[key]) for key in ("unit", "criterion")]
    return f"| {cell(claim['claim'])} | {figures} | {' | '.join(words)} | {cell(holds)} |"


def figure(value: float | None) -> str:
    """Four digits; null is what was not reached."""
    return "not reached" if value is None else f"{value:.4g}"


def cell(text: str) -> str:
    """Text that stays in its cell of a table."""
    return text.replace("|", r"\|")


def source(card: Card) -> str:
    """Authors, year, and a link where there is one."""
    where = card.source.where
    if where.startswith("arXiv:"):
        where = f"[{where}](https://arxiv.org/abs/{where.removeprefix('arXiv:')})"
    return f"{card.source.authors} {card.source.year}, {where}"


def measured(name: str) -> dict[str, Any] | None:
    """What the experiment of a method wrote; None if there is none."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


PLACES = ("M0+ float", "M0+ fixed", "M4 float", "M4 fixed")


def classical_page(text: str) -> str:
    """docs/classical-models.md with its two tables as the results are."""
    data = measured("non_neural") or {}
    for mark, table in (("measured", classical_table(data)), ("peers", peers_table(data))):
        block = f"<!-- {mark} -->\n{table}<!-- end -->"
        text = re.sub(f"<!-- {mark} -->.*?<!-- end -->", lambda found, b=block: b, text, count=1, flags=re.DOTALL)
    return text


def classical_table(data: dict[str, Any]) -> str:
    """Accuracy, instructions and flash of each kind of model."""
    heads = [f"{place}, instructions" for place in PLACES]
    lines = ["| model | accuracy float / fixed | " + " | ".join(heads) + " | M0+ flash float / fixed | eight cores |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for kind, row in data["table"].items():
        counts = " | ".join(f"{row[place]:,}" for place in PLACES)
        flash = " / ".join(f"{value:,}" for value in row["flash"])
        accuracy = f"{row['accuracy float']} / {row['accuracy fixed']}"
        lines.append(f"| {kind} | {accuracy} | {counts} | {flash} | {row['speedup']}x |")
    return "\n".join(lines) + "\n"


def peers_table(data: dict[str, Any]) -> str:
    """Ours and other generators' figures of the same models."""
    lines = ["| model | made by | M0+ instructions | M0+ flash | M0+ RAM | M4 instructions | M4 flash | right |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for kind, makers in data["peers"].items():
        for maker, boards in makers.items():
            small, large = boards["M0+"], boards["M4"]
            figures = (small["instructions"], small["flash"], small["ram"], large["instructions"], large["flash"])
            cells = " | ".join(f"{value:,}" for value in figures)
            lines.append(f"| {kind} | {maker} | {cells} | {small['right']} of 8 |")
    return "\n".join(lines) + "\n"


CLASSICAL = DOCS / "classical-models.md"

if __name__ == "__main__":
    PAGE.write_text(page())
    CLASSICAL.write_text(classical_page(CLASSICAL.read_text()))
