"""Text as token ids: byte-pair tokens learned on the training part, windows, and perplexity."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgesmith.core.atomic import write_file
from edgesmith.core.cache import cache_folder
from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.task import Metric, Split
from edgesmith.data.splits import stratified_parts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VOCABULARY = 2048
LENGTH = 64  # tokens in a window
UNSCORED = -100  # label of a position that does not count, as torch's cross entropy has it
SHIPPED = Path(__file__).parent / "tokenizers"


def need_tokenizers(who: str) -> None:
    """Refuse early where the package of tokenizers is absent.

    Raises:
        Missing: it is not installed.
    """
    try:
        import tokenizers  # noqa: F401
    except ImportError as error:
        raise Missing(
            f'{who}: tokenizers is not installed; it cuts text into tokens. pip install "edgesmith[language]"'
        ) from error


def learn_tokens(texts: Sequence[str], vocabulary: int = VOCABULARY) -> "Tokenizer":
    """Byte-pair tokens (arXiv:1508.07909) over bytes: any text comes back from its ids, byte for byte.

    The same texts give the same tokens.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, show_progress=False, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def tokens_for(name: str, texts: Sequence[str]) -> "Tokenizer":
    """The byte-pair tokens of a data set: those shipped or learned before, else learned now and kept in the cache.

    Args:
        texts: the training part; its hash is in the file's name, so other parts have tokens of their own.

    Raises:
        Missing: the package tokenizers is not installed.
        BadInput: the file in the cache is damaged.
    """
    need_tokenizers(name)
    from tokenizers import Tokenizer

    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]
    file = f"{name}-{VOCABULARY}-{digest}.json"
    for path in (SHIPPED / file, cache_folder() / "tokenizers" / file):
        if path.is_file():
            try:
                return Tokenizer.from_file(str(path))
            except Exception as error:  # the package raises plain Exception
                raise BadInput(f"data: {path} holds no tokens ({error}). Delete it.") from error
    learned = learn_tokens(texts)
    write_file(cache_folder() / "tokenizers" / file, learned.to_str(pretty=False).encode())
    return learned


def blocks(units: Sequence[str], characters: int) -> list[str]:
    """Units in order, joined to blocks of at least so many characters; the last may be shorter.

    >>> blocks(["ab", "c", "defg", "h"], 3)
    ['abc', 'defg', 'h']
    """
    result, waiting = [], ""
    for unit in units:
        waiting += unit
        if len(waiting) >= characters:
            result.append(waiting)
            waiting = ""
    return [*result, waiting] if waiting else result


def dealt(texts: Sequence[str], fractions: tuple[float, ...], seed: int) -> list[list[str]]:
    """Whole texts dealt out to parts, each part in the order of the texts."""
    parts = stratified_parts(np.zeros(len(texts), np.int64), fractions, seed)
    return [[texts[index] for index in part] for part in parts]


def windows_of(texts: Sequence[str], tokenizer: "Tokenizer", stride: int = LENGTH, most: int | None = None) -> Split:
    """Windows of LENGTH tokens that lie within one text, each token labelled by the next.

    Args:
        stride: tokens from one window's start to the next's in the same text.
        most: keep at most so many windows, spread evenly.

    Returns:
        Inputs (n, LENGTH) int32, labels (n, LENGTH) int64.
    """
    rows = []
    for encoded in tokenizer.encode_batch(list(texts)):
        ids = np.array(encoded.ids, np.int32)
        rows += [ids[start : start + LENGTH + 1] for start in range(0, len(ids) - LENGTH, stride)]
    if not rows:
        raise BadInput(f"data: no text is {LENGTH + 1} tokens long. Take more text.")
    table = np.stack(rows)
    if most is not None and len(table) > most:
        table = table[np.arange(most) * len(table) // most]
    return Split(table[:, :-1].copy(), table[:, 1:].astype(np.int64))


def label_log_probability(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """ln p of each label, zero where the label is UNSCORED.

    Args:
        outputs: (n, length, vocabulary) logits.
        labels: (n, length).

    Returns:
        (n, length) float64.
    """
    found = np.zeros(labels.shape)
    for row, (logits, wanted) in enumerate(zip(outputs, labels, strict=True)):
        scored = np.flatnonzero(wanted != UNSCORED)
        values = logits[scored].astype(np.float64)
        peak = values.max(axis=1, initial=-np.inf)
        total = np.log(np.exp(values - peak[:, None]).sum(axis=1)) + peak
        found[row, scored] = values[np.arange(len(scored)), wanted[scored]] - total
    return found


def perplexity(outputs: np.ndarray, labels: np.ndarray) -> float:
    """exp of the mean cross entropy per token: the number of equally likely tokens that would be as hard to guess."""
    scored = int((labels != UNSCORED).sum())
    return float(np.exp(-label_log_probability(outputs, labels).sum() / scored))


PERPLEXITY = Metric("perplexity", "min", perplexity)
