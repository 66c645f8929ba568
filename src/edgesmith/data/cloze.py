"""Cloze tasks from held-out text: which of a few endings is the true one?"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.task import Metric, Split
from edgesmith.data.text import LENGTH, UNSCORED, label_log_probability

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Kind = Literal["continuation", "last_word"]
KINDS: tuple[Kind, ...] = ("continuation", "last_word")

CHOICES = 4
CONTEXT = 48  # tokens before the ending, at most
ENDING = 8  # tokens of a continuation
REACH = 8 * CONTEXT  # characters
LAST_WORD = re.compile(r" [A-Za-z]{3,}(?= ?[.!?;])")


def cloze(texts: Sequence[str], tokenizer: "Tokenizer", kind: Kind, count: int, rng: np.random.Generator) -> Split:
    """Questions with CHOICES possible endings each: CHOICES rows a question, the true one first.

    The endings of a question are different and have the same number of tokens; the false ones are true elsewhere
    in the same texts.

    Args:
        kind: "continuation", the next ENDING tokens; or "last_word", the last word of a sentence.
        count: of the questions.

    Returns:
        Inputs (CHOICES * count, LENGTH) int32: context and ending, then filled up; labels of the same shape, int64:
        the next token where it belongs to the ending, else UNSCORED.

    Raises:
        BadInput: the texts are too short for so many questions.
    """
    found = continuations(texts, tokenizer) if kind == "continuation" else last_words(texts, tokenizer)
    by_length: dict[int, dict[tuple[int, ...], None]] = {}
    for _, ending in found:
        by_length.setdefault(len(ending), {})[ending] = None
    pools = {size: list(endings) for size, endings in by_length.items()}
    fit = [(context, ending) for context, ending in found if len(pools[len(ending)]) >= CHOICES]
    if len(fit) < count:
        raise BadInput(f"cloze: the texts give {len(fit)} questions; need {count}. Take more text.")
    rows = []
    for index in rng.permutation(len(fit))[:count]:
        context, ending = fit[index]
        others = [other for other in pools[len(ending)] if other != ending]
        false = [others[i] for i in rng.choice(len(others), CHOICES - 1, replace=False)]
        rows += [row_of(context, choice) for choice in (ending, *false)]
    table = np.array(rows)
    return Split(table[:, 0].astype(np.int32), table[:, 1])


def row_of(context: tuple[int, ...], ending: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """Token ids and labels of one choice; token 0 fills up behind it, where a causal model's scores never look."""
    ids = [*context, *ending]
    labels = [UNSCORED] * (len(context) - 1) + list(ending)
    return ids + [0] * (LENGTH - len(ids)), labels + [UNSCORED] * (LENGTH - len(labels))


Question = tuple[tuple[int, ...], tuple[int, ...]]  # tokens of the context, tokens of the ending


def continuations(texts: Sequence[str], tokenizer: "Tokenizer") -> list[Question]:
    """Every stretch of CONTEXT + ENDING tokens, one behind the other."""
    found = []
    step = CONTEXT + ENDING
    for encoded in tokenizer.encode_batch(list(texts)):
        ids = encoded.ids
        for start in range(0, len(ids) - step + 1, step):
            found.append((tuple(ids[start : start + CONTEXT]), tuple(ids[start + CONTEXT : start + step])))
    return found


def last_words(texts: Sequence[str], tokenizer: "Tokenizer") -> list[Question]:
    """Every last word of a sentence, with the CONTEXT tokens before it where there are as many."""
    found = []
    for text in texts:
        matches = list(LAST_WORD.finditer(text))
        # Three characters a token on average: REACH characters hold the context, and what is shorter is left out.
        contexts = tokenizer.encode_batch([text[max(0, match.start() - REACH) : match.start()] for match in matches])
        words = tokenizer.encode_batch([match.group() for match in matches])
        for context, word in zip(contexts, words, strict=True):
            if len(context.ids) >= CONTEXT and len(word.ids) <= ENDING:
                found.append((tuple(context.ids[-CONTEXT:]), tuple(word.ids)))
    return found


def cloze_accuracy(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Share of questions whose true ending alone has the greatest probability; a tie is wrong.

    Args:
        outputs: (CHOICES * n, length, vocabulary) logits.
        labels: (CHOICES * n, length), as `cloze` makes them.
    """
    scores = label_log_probability(outputs, labels).sum(axis=1).reshape(-1, CHOICES)
    return float((scores[:, 0] > scores[:, 1:].max(axis=1)).mean())


CLOZE = Metric("cloze accuracy", "max", cloze_accuracy)
