from __future__ import annotations

import numpy as np
import pytest

from index.embedding import bundled_folder
from rag.reader.encoding import (
    MAX_TOKENS,
    PASSAGE,
    PASSAGE_MATCH,
    QUESTION,
    QUESTION_MATCH,
    Encoder,
    ToRead,
    batch_of,
)

TEXT = "Title › Costs\nThe quick foxes jumped. It cost 3,412 dollars, said Anna’s brother."
SPANS = ((14, 37), (38, len(TEXT)))


def to_read(text: str, *spans: tuple[int, int]) -> ToRead:
    return ToRead(text, spans, np.arange(2 * len(spans), dtype=np.float32).reshape(-1, 2))


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(bundled_folder() / "tokenizer.json")


def test_words_that_both_sides_have_are_marked(encoder: Encoder) -> None:
    (encoded,) = encoder.encode("How much did Anna's fox really cost?", [to_read(TEXT, *SPANS)])
    marked = {
        TEXT[start:end]
        for (start, end), kind in zip(encoded.offsets, encoded.types, strict=True)
        if kind == PASSAGE_MATCH
    }
    assert marked == {"Costs", "foxes", "cost", "Anna", "’", "s"}
    question_side = encoded.types[: list(encoded.types).index(PASSAGE)]
    assert list(question_side).count(QUESTION_MATCH) == 5  # anna ' s fox cost, and not "really"
    assert encoded.types[0] == QUESTION


def test_sentences_are_token_ranges(encoder: Encoder) -> None:
    (encoded,) = encoder.encode("Why?", [to_read(TEXT, *SPANS)])
    for (first, last), (start, end) in zip(encoded.sentences, SPANS, strict=True):
        assert TEXT[encoded.offsets[first, 0] : encoded.offsets[last - 1, 1]] == TEXT[start:end]


def test_what_does_not_fit_is_cut_off(encoder: Encoder) -> None:
    text = "one two three. " * 200
    spans = tuple((at, at + 14) for at in range(0, len(text), 15))
    (encoded,) = encoder.encode("why " * 500, [to_read(text, *spans)])
    assert len(encoded.ids) == MAX_TOKENS
    assert encoded.sentences[0][1] > encoded.sentences[0][0]
    assert encoded.sentences[-1] == (0, 0)


def test_of_a_long_question_both_ends_are_read(encoder: Encoder) -> None:
    question = "Who opened the gate? " + "Please note what I wrote before. " * 40 + "When was it painted?"
    (encoded,) = encoder.encode(question, [to_read("The gate was painted in May.", (0, 28))])
    words = [encoder.token(int(number)) for number in encoded.ids]
    assert words[1:4] == ["who", "opened", "the"]
    assert words[: words.index("[SEP]")][-2:] == ["painted", "?"]


def test_separators_in_a_text_are_text(encoder: Encoder) -> None:
    (encoded,) = encoder.encode(
        "What is [SEP]?", [to_read("BERT puts [SEP] between [CLS] and [MASK].", (0, 41))]
    )
    words = [encoder.token(int(number)) for number in encoded.ids]
    assert words.count("[SEP]") == 2
    assert words.count("[CLS]") == 1
    assert "[MASK]" not in words


def test_a_word_is_marked_in_every_script(encoder: Encoder) -> None:
    text = "Radar,lidar and 猫 were here."
    (encoded,) = encoder.encode("radar 猫", [to_read(text, (0, len(text)))])
    marked = {
        text[start:end]
        for (start, end), kind in zip(encoded.offsets, encoded.types, strict=True)
        if kind == PASSAGE_MATCH
    }
    assert marked == {"Radar", "猫"}


def test_a_batch_is_padded(encoder: Encoder) -> None:
    long, short = encoder.encode("Why?", [to_read(TEXT, *SPANS), to_read("A short one.", (0, 12))])
    batch = batch_of([long, short])
    assert batch.ids.shape == (2, len(long.ids))
    assert batch.mask.sum(axis=1).tolist() == [len(long.ids), len(short.ids)]
    assert batch.sentences.shape == (2, 2, len(long.ids))
    assert not batch.sentences[1, 1].any()
    assert batch.evidence.tolist() == [[[0, 1], [2, 3]], [[0, 1], [0, 0]]]
    assert np.flatnonzero(batch.sentences[0, 1]).tolist() == list(range(*long.sentences[1]))
