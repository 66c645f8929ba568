"""CLINC150 (Larson et al., EMNLP 2019): what does the user of an assistant want? 150 intents, and none of them."""

import json
from typing import Any

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.task import Split, Task
from edgesmith.data.files import DataSet, read_known
from edgesmith.data.minilm import minilm_file
from edgesmith.data.splits import first_occurrences, stratified_parts
from edgesmith.data.text import need_tokenizers

CLINC150 = DataSet(
    name="clinc150",
    folder="clinc150",
    address="https://github.com/clinc/oos-eval/tree/master/data",
    licence="CC BY 3.0",
    files={"data_full.json": "146ef78f1458dffb5a60511d1c286f00b9e566cdb1dc0e31234b5a486e52ba3c"},
)
LENGTH = 32  # tokens of a query; one of the 23,700 has 33, and is cut
FRACTIONS = (0.95, 0.05)  # of the authors' training queries: train, calibration
OUT_OF_SCOPE = "oos"


def clinc150_task(seed: int = 0) -> Task:
    """Tell 150 intents and "oos", none of them, apart; inputs are (n, 32) int32 tokens of MiniLM, 0 behind the end.

    Splits are the authors', with the out-of-scope queries of each (100 in training, 1,000 in the test); calibration
    is dealt from the training queries. A query that says what one of a later split says is in that one alone.

    Raises:
        Missing: the data, or the package that holds MiniLM's tokens, is not on this machine.
        BadInput: the file is damaged.
    """
    need_tokenizers(CLINC150.name)
    tokenizer_file = minilm_file("tokenizer.json")
    queries = read_queries()
    classes = (*sorted({intent for _, intent in queries["test"]} - {OUT_OF_SCOPE}), OUT_OF_SCOPE)
    number = {intent: index for index, intent in enumerate(classes)}
    names = ("test", "val", "train")
    tokens = [tokens_of([text for text, _ in queries[name]], str(tokenizer_file)) for name in names]
    labels = [np.array([number[intent] for _, intent in queries[name]]) for name in names]
    kept = first_occurrences(*tokens)
    test, validation, known = (Split(x[rows], y[rows]) for x, y, rows in zip(tokens, labels, kept, strict=True))
    train, calibration = stratified_parts(known.labels, FRACTIONS, seed)
    return Task(
        name="clinc150",
        train=Split(known.inputs[train], known.labels[train]),
        calibration=Split(known.inputs[calibration], known.labels[calibration]),
        validation=validation,
        test=test,
        classes=classes,
        licence=CLINC150.licence,
        source=CLINC150.address,
    )


def tokens_of(texts: list[str], tokenizer_file: str) -> np.ndarray:
    """(n, LENGTH) int32: a beginning mark, the words' pieces, an end mark, then zeros; longer texts are cut."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(tokenizer_file)
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH)
    return np.array([encoded.ids for encoded in tokenizer.encode_batch(texts)], np.int32)


def read_queries() -> dict[str, list[tuple[str, str]]]:
    """Text and intent of every query of train, val and test, those out of scope at the end.

    Raises:
        Missing, BadInput: as `read_known` says.
    """
    content: Any = json.loads(read_known(CLINC150, "data_full.json"))
    queries = {}
    for name in ("train", "val", "test"):
        rows = content[name] + content[f"oos_{name}"]
        queries[name] = [(str(text), str(intent)) for text, intent in rows]
    if len({intent for _, intent in queries["test"]}) != 151:
        raise BadInput(f"data: data_full.json has other intents than the 150 and {OUT_OF_SCOPE}. Download it again.")
    return queries
