from __future__ import annotations

import numpy as np
import pytest

from index import Library
from index.errors import ModelError
from rag.discourse import leans
from rag.reader.expectation import expectation, mentions
from rag.reader.features import FEATURES, candidates_of, coverage, feature_matrix
from rag.reader.linear import EVIDENCE, LinearReader, sigmoid, softmax
from rag.retrieval import retrieve

FLAT = {
    "ranking": {
        "features": list(FEATURES),
        "mean": [0.0] * len(FEATURES),
        "scale": [1.0] * len(FEATURES),
        "weights": [float(name == "sentence_similarity") for name in FEATURES],
        "bias": 0.0,
    },
    "confidence": {
        "features": list(EVIDENCE),
        "mean": [0.0] * len(EVIDENCE),
        "scale": [1.0] * len(EVIDENCE),
        "weights": [float(name == "best_similarity") for name in EVIDENCE],
        "bias": 0.0,
    },
    "operating_point": {"answer": 0.6, "unsure": 0.4},
}


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("Why remove radar?", "reason"),
        ("what year did it open", "time"),
        ("When is lunch?", "time"),
        ("How many knobs are there?", "number"),
        ("how long does it take", "number"),
        ("Who runs Tesla?", "name"),
        ("How does offline reconstruction work?", "manner"),
        ("What is “Software 2.0”?", "definition"),
        ("What does chitting mean?", "definition"),
        ("tesla radar", "none"),
    ],
)
def test_what_a_question_wants(question: str, wanted: str) -> None:
    assert expectation(question) == wanted


@pytest.mark.parametrize(
    ("wanted", "sentence", "found"),
    [
        ("time", "It opened on 12 May 1998, a Tuesday.", ["12 May 1998", "Tuesday"]),
        ("time", "Nothing about dates here.", []),
        ("number", "It cost £3,412, or 12 % of two million.", ["£3,412", "12 %", "two million"]),
        ("name", "Then Elon Musk met Karpathy in Palo Alto.", ["Elon Musk", "Karpathy", "Palo Alto"]),
        ("reason", "It failed because the roof leaked.", ["because the roof leaked"]),
    ],
)
def test_where_a_sentence_has_it(wanted: str, sentence: str, found: list[str]) -> None:
    assert [sentence[start:end] for start, end in mentions(wanted, sentence)] == found  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "sentence", ["This creates a staircase.", "“He left.”", "But it works.", "The latter is better."]
)
def test_sentences_that_lean(sentence: str) -> None:
    assert leans(sentence)


@pytest.mark.parametrize(
    "sentence", ["Thistles grow here.", "Hertz measured it.", "Tesla did this.", "Italy won."]
)
def test_sentences_that_stand_alone(sentence: str) -> None:
    assert not leans(sentence)


def test_coverage_is_weighted_by_rarity() -> None:
    assert coverage({"rare": 3.0, "common": 1.0}, ["rare", "other"]) == pytest.approx(0.75)
    assert coverage({}, ["anything"]) == 0.0


def test_probabilities() -> None:
    assert softmax(np.array([1.0, 1.0], dtype=np.float32)).tolist() == pytest.approx([0.5, 0.5])
    assert sigmoid(np.array([0.0], dtype=np.float32)).tolist() == [0.5]


def test_feature_matrix_has_a_row_a_sentence(library: Library) -> None:
    document = library.add_bundled()
    assert document is not None
    retrieved = retrieve(library, "How many trainable parameters are there?")
    found = candidates_of(retrieved)
    rows = feature_matrix(retrieved, found)
    assert rows.shape == (len(found), len(FEATURES))
    assert np.isfinite(rows).all()
    assert len({each.span for each in found}) == len(found)


def test_reading_is_ordered_and_says_how_sure_it_is(library: Library) -> None:
    library.add_bundled()
    retrieved = retrieve(
        library, "Sensors aren’t free; they add supply chain complexity and bloat the software"
    )
    reading = LinearReader(FLAT).read(retrieved)
    best = reading.spans[0]
    assert best.hit.document.text[best.start : best.end].startswith("Sensors aren’t free;")
    assert best.score == pytest.approx(reading.confidence)
    scores = [span.score for span in reading.spans]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_a_question_in_the_source_leads_to_its_answer(library: Library) -> None:
    document = library.add_bundled()
    assert document is not None
    retrieved = retrieve(library, "What is the significance of the “knobs” in a neural net?")
    found = candidates_of(retrieved)
    match = feature_matrix(retrieved, found)[:, FEATURES.index("answers_matching_question")]
    assert found[int(match.argmax())].text == "They are the trainable parameters."


def test_coefficients_of_other_features_are_refused() -> None:
    other = FLAT | {"ranking": FLAT["ranking"] | {"features": ["something"]}}  # type: ignore[operator]
    with pytest.raises(ModelError, match="fit"):
        LinearReader(other).load()


def test_shipped_coefficients_load() -> None:
    reader = LinearReader()
    reader.load()
    point = reader.operating_point
    assert 0 < point.unsure < point.answer < 1
