"""Language modelling: guess the next token of Shakespeare's plays and of WikiText-2."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edgesmith.core.task import Split, Task
from edgesmith.data.cloze import CLOZE, KINDS, cloze
from edgesmith.data.files import DataSet, read_known
from edgesmith.data.text import LENGTH, PERPLEXITY, blocks, dealt, need_tokenizers, tokens_for, windows_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SHAKESPEARE = DataSet(
    name="shakespeare",
    folder="tinyshakespeare",
    address="https://github.com/karpathy/char-rnn/tree/master/data/tinyshakespeare",
    licence="public domain",
    files={"input.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"},
)
WIKITEXT2 = DataSet(
    name="wikitext2",
    folder="wikitext2_valid_test",
    address="https://github.com/pytorch/examples/tree/main/word_language_model/data/wikitext-2",
    licence="CC BY-SA 3.0",
    files={
        "valid.txt": "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
        "test.txt": "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
    },
)
BLOCK = 4000  # characters of plays that stay together in one split
PARTS = (0.84, 0.04, 0.06, 0.06)  # of Shakespeare's blocks: train, calibration, validation, test
ARTICLE_PARTS = (0.8, 0.05, 0.15)  # of the articles of valid.txt: train, calibration, validation
TITLE = re.compile(r"^(?= = [^=].*[^=] = $)", re.MULTILINE)
MOST = {"calibration": 128, "validation": 192, "test": 256}  # windows: each costs half a megabyte of logits
QUESTIONS = {"validation": 96, "test": 192}  # of the two cloze tasks together


@dataclass(frozen=True)
class Texts:
    """The texts of each split."""

    train: list[str]
    calibration: list[str]
    validation: list[str]
    test: list[str]


def shakespeare_task(seed: int = 0) -> Task:
    """Guess the next of 2,048 byte-pair tokens; inputs are (n, 64) int32, labels (n, 64) int64.

    Raises:
        Missing: the file, or the package tokenizers, is not on this machine.
        BadInput: it is damaged.
    """
    return _language_task(SHAKESPEARE, shakespeare_texts(seed))


def shakespeare_cloze_task(seed: int = 0) -> Task:
    """The same training part; validation and test ask for endings of held-out text. Errors as `shakespeare_task`."""
    return _cloze_task(SHAKESPEARE, shakespeare_texts(seed), seed)


def wikitext2_task(seed: int = 0) -> Task:
    """Guess the next of 2,048 byte-pair tokens; trained on WikiText-2's validation file, tested on its test file.

    Perplexity is per byte-pair token, so it does not compare with perplexities per word. Errors as `shakespeare_task`.
    """
    return _language_task(WIKITEXT2, wikitext2_texts(seed))


def wikitext2_cloze_task(seed: int = 0) -> Task:
    """The same training part; validation and test ask for endings of held-out text. Errors as `shakespeare_task`."""
    return _cloze_task(WIKITEXT2, wikitext2_texts(seed), seed)


def shakespeare_texts(seed: int = 0) -> Texts:
    """The plays in blocks of whole speeches, dealt out to the splits."""
    need_tokenizers(SHAKESPEARE.name)
    plays = read_known(SHAKESPEARE, "input.txt").decode()
    speeches = re.split(r"(?<=\n\n)", plays)
    return Texts(*dealt(blocks(speeches, BLOCK), PARTS, seed))


def wikitext2_texts(seed: int = 0) -> Texts:
    """Whole articles: those of the validation file dealt out to three splits, those of the test file the test."""
    need_tokenizers(WIKITEXT2.name)
    known, tested = (articles(read_known(WIKITEXT2, name).decode()) for name in ("valid.txt", "test.txt"))
    train, calibration, validation = dealt(known, ARTICLE_PARTS, seed)
    return Texts(train, calibration, validation, tested)


def articles(text: str) -> list[str]:
    """A file of WikiText cut before each title.

    >>> articles(" = Hen = \\n \\n a bird \\n = = Use = = \\n eggs \\n = Fox = \\n")
    [' = Hen = \\n \\n a bird \\n = = Use = = \\n eggs \\n', ' = Fox = \\n']
    """
    return [part for part in TITLE.split(text) if part.strip()]


def _language_task(source: DataSet, texts: Texts) -> Task:
    tokenizer = tokens_for(source.name, texts.train)
    return Task(
        name=source.name,
        train=windows_of(texts.train, tokenizer, stride=LENGTH // 2),
        calibration=windows_of(texts.calibration, tokenizer, most=MOST["calibration"]),
        validation=windows_of(texts.validation, tokenizer, most=MOST["validation"]),
        test=windows_of(texts.test, tokenizer, most=MOST["test"]),
        metric=PERPLEXITY,
        licence=source.licence,
        source=source.address,
    )


def _cloze_task(source: DataSet, texts: Texts, seed: int) -> Task:
    tokenizer = tokens_for(source.name, texts.train)
    return replace(
        _language_task(source, texts),
        name=f"{source.name}-cloze",
        metric=CLOZE,
        validation=_questions(texts.validation, tokenizer, QUESTIONS["validation"], seed),
        test=_questions(texts.test, tokenizer, QUESTIONS["test"], seed),
    )


def _questions(texts: Sequence[str], tokenizer: "Tokenizer", count: int, seed: int) -> Split:
    """As many continuations as last words, the continuations first."""
    rng = np.random.default_rng((seed, count))
    parts = [cloze(texts, tokenizer, kind, count // 2, rng) for kind in KINDS]
    return Split(np.concatenate([part.inputs for part in parts]), np.concatenate([part.labels for part in parts]))
