"""Write docs/methods.md: every method's card, and what was measured of its claims.

`python docs/generate.py` writes the page; tests/test_docs.py holds it against the cards and benchmarks/results.
"""

import json
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
        lines.append(
            f"\n`{result['command']}`, {result['seconds']:.0f} s on {result['machine']}, commit {result['commit']}."
        )
    return "\n".join(lines) + "\n"


def evidence(claim: Claim) -> str:
    """What stands behind a claim, in a few words."""
    if claim.test:
        return f"test `{claim.test}`"
    return f"experiment [{Path(claim.experiment).name}](../{claim.experiment})" if claim.experiment else "*unverified*"


def row(claim: dict[str, Any]) -> str:
    """A measured claim as a row of the table."""
    holds = "yes" if claim["holds"] else f"**no**: {claim.get('reason') or 'reason not found'}"
    figures = " | ".join(f"{claim[key]:.4g}" for key in ("baseline", "ours", "spread"))
    words = [cell(claim[key]) for key in ("unit", "criterion")]
    return f"| {cell(claim['claim'])} | {figures} | {' | '.join(words)} | {cell(holds)} |"


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


if __name__ == "__main__":
    PAGE.write_text(page())
