from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import document_of

from index import Library
from index.embedding import bundled_folder
from index.errors import ModelError, WeightsDamagedError
from index.passages import Passage
from index.store import StoredPassage
from rag.discourse import leans
from rag.reader import OperatingPoint
from rag.reader.encoding import Encoder, ToRead
from rag.reader.expectation import expectation, mentions
from rag.reader.features import (
    EVIDENCE,
    FAR,
    FEATURES,
    READ_CHARS,
    READ_HITS,
    candidates_of,
    coverage,
    evidence_matrix,
    feature_matrix,
    hits_to_read,
    worth_reading,
)
from rag.reader.scoring import Scored, SentenceScorer, log_odds, passages_of
from rag.reader.trained import CALIBRATION, MODEL_FOLDER, WEIGHTS, TrainedReader
from rag.retrieval import Hit, Query, Retrieved, retrieve


def flat(folder: Path, **changes: Any) -> Path:
    """A model folder whose ranking is the similarity of the sentence alone."""
    shipped = json.loads((MODEL_FOLDER / CALIBRATION).read_text("utf-8"))
    (folder / WEIGHTS).symlink_to(MODEL_FOLDER / WEIGHTS)
    content = {
        "sha256": shipped["sha256"],
        "ranking": linear(FEATURES, "sentence_similarity"),
        "confidence": {"slope": 0.5, "match": 1.0, "intercept": 1.0},
        "operating_point": {"answer": 0.6, "unsure": 0.4},
    }
    (folder / CALIBRATION).write_text(json.dumps(content | changes), "utf-8")
    return folder


def linear(names: Sequence[str], only: str) -> dict[str, Any]:
    zeros, ones = [0.0] * len(names), [1.0] * len(names)
    weights = [float(name == only) for name in names]
    return {"features": list(names), "mean": zeros, "scale": ones, "weights": weights, "bias": 0.0}


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


def test_evidence_has_a_row_a_sentence(library: Library) -> None:
    document = library.add_bundled()
    assert document is not None
    retrieved = retrieve(library, "How many trainable parameters are there?")
    found = candidates_of(retrieved.hits)
    rows = evidence_matrix(retrieved, found)
    assert rows.shape == (len(found), len(EVIDENCE))
    assert np.isfinite(rows).all()
    assert len({each.span for each in found}) == len(found)
    some = candidates_of(retrieved.hits[:3])
    assert np.array_equal(evidence_matrix(retrieved, some), rows[: len(some)])


def test_reading_is_ordered_and_says_how_sure_it_is(library: Library, tmp_path: Path) -> None:
    library.add_bundled()
    retrieved = retrieve(
        library, "Sensors aren’t free; they add supply chain complexity and bloat the software"
    )
    reading = TrainedReader(flat(tmp_path)).read(retrieved)
    best = reading.spans[0]
    assert best.hit.document.text[best.start : best.end].startswith("Sensors aren’t free;")
    assert best.score == pytest.approx(reading.confidence)
    scores = [span.score for span in reading.spans]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("磨坊由木匠建造。孩子们每年秋天参观磨坊。", "磨坊的狗叫什么名字？"),
        ("Мельницу построил плотник. Дети приходят на мельницу осенью.", "Когда дети приходят на мельницу?"),
        ("بنى الطاحونة النجار. يزور أطفال القرية الطاحونة كل خريف.", "كم عدد أطفال القرية؟"),
    ],
)
def test_in_letters_that_it_never_learned_the_reader_is_not_sure(
    library: Library, text: str, question: str
) -> None:
    library.add(text.encode(), name="mill.txt")
    reader = TrainedReader()
    confidence = reader.read(retrieve(library, question)).confidence
    assert reader.operating_point.status(confidence) == "unsure"


def test_what_the_network_says_becomes_features() -> None:
    logits = [np.array([-20, 3], dtype=np.float32), np.array([1], dtype=np.float32)]
    evidence = np.arange(3 * len(EVIDENCE), dtype=np.float32).reshape(3, -1)
    rows = feature_matrix(logits, evidence)
    columns = dict(zip(FEATURES, rows.T, strict=True))
    assert columns["logit"].tolist() == [-12, 3, 1]  # how far below makes no difference
    assert columns["logit_behind_best"].tolist() == [-12, 0, -2]
    assert columns["best_logit"].tolist() == [0, 1, 0]
    assert columns["passage_log_odds"] == pytest.approx([3, 3, 1])
    assert np.array_equal(rows[:, -len(EVIDENCE) :], evidence)


def test_a_question_in_the_source_leads_to_its_answer(library: Library) -> None:
    document = library.add_bundled()
    assert document is not None
    retrieved = retrieve(library, "What is the significance of the “knobs” in a neural net?")
    found = candidates_of(retrieved.hits)
    match = evidence_matrix(retrieved, found)[:, EVIDENCE.index("answers_matching_question")]
    assert found[int(match.argmax())].text == "They are the trainable parameters."


def test_log_odds_add_up_over_sentences() -> None:
    logits = [np.array([0.0, -2.0], dtype=np.float32), np.array([1.0], dtype=np.float32)]
    assert log_odds(logits) == pytest.approx(np.log(1 + np.exp(-2) + np.exp(1)))


def test_a_focus_stands_at_its_offsets_in_the_document() -> None:
    text = "Pets\n\nThe cats sleep sixteen hours. Dogs bark for 20 minutes a day.\n"
    document = document_of(text)
    spans = tuple((each.start, each.end) for each in document.sentences if document.text[each.start] in "TD")
    passage = Passage(document.id, spans[0][0], spans[-1][1], 0, "Pets › at night", spans)
    nothing = np.zeros((2, 4), dtype=np.float32)
    stored = StoredPassage(1, passage, nothing[0], nothing, (), ((), ()))
    hit = Hit(document, stored, 0.0, 0.0, 0.0, nothing[:, 0])
    encoder = Encoder(bundled_folder() / "tokenizer.json")
    read = ToRead(passage.embedded_text(document), passage.embedded_spans(), nothing)
    (encoded,) = encoder.encode("How long?", [read])
    focus_logits = np.zeros((len(encoded.ids), 2), dtype=np.float32)
    start = text.index("20 minutes") + len(passage.prefix) + 1 - passage.start
    first, last = encoded.tokens_of(start, start + len("20 minutes"))
    focus_logits[first, 0] = focus_logits[last - 1, 1] = 9.0
    found = Scored(hit, np.zeros(2, dtype=np.float32), focus_logits, encoded).focus(1)
    assert found is not None
    (begin, end), probability = found
    assert document.text[begin:end] == "20 minutes"
    assert probability > 0.9


def test_coefficients_of_other_features_are_refused(tmp_path: Path) -> None:
    other = linear(["something"], "something")
    with pytest.raises(ModelError, match="train"):
        TrainedReader(flat(tmp_path, ranking=other)).load()


def test_weights_of_other_bytes_are_refused(tmp_path: Path) -> None:
    folder = flat(tmp_path)
    damaged = bytearray((folder / WEIGHTS).read_bytes())
    damaged[1_000_000] ^= 1
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).write_bytes(damaged)
    with pytest.raises(WeightsDamagedError, match="reinstall"):
        TrainedReader(folder).load()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=CALIBRATION):
        TrainedReader(tmp_path).load()
    (flat(tmp_path) / WEIGHTS).unlink()
    with pytest.raises(ModelError, match=WEIGHTS):
        TrainedReader(tmp_path).load()


def test_the_shipped_reader_loads() -> None:
    reader = TrainedReader()
    reader.load()
    point = reader.operating_point
    assert 0 < point.unsure < point.answer < 1


def test_the_shipped_weights_say_what_pytorch_said() -> None:
    """Eight-bit integers move a logit a little; the order and the size of what is said stay."""
    scorer = shipped(2)
    cases = json.loads((MODEL_FOLDER / "reference.json").read_text("utf-8"))
    moved, same = [], []
    for case in cases:
        spans = [(start, end) for start, end in case["spans"]]
        read = ToRead(case["text"], spans, np.asarray(case["evidence"], dtype=np.float32))
        ((logits, _, _),) = scorer.run(case["question"], [read])
        moved.append(np.abs(logits - np.array(case["logits"])).max())
        same.append(np.argmax(logits) == np.argmax(case["logits"]))
    assert len(cases) >= 30
    assert np.median(moved) < 0.7
    assert max(moved) < 3.0
    assert np.mean(same) >= 0.95


def shipped(threads: int) -> SentenceScorer:
    sha256 = json.loads((MODEL_FOLDER / CALIBRATION).read_text("utf-8"))["sha256"]
    return SentenceScorer(MODEL_FOLDER / WEIGHTS, sha256, threads)


def test_what_is_said_of_a_passage_depends_neither_on_its_company_nor_on_threads() -> None:
    evidence = np.zeros((1, len(EVIDENCE)), dtype=np.float32)
    texts = (
        "Cats sleep sixteen hours.",
        "Dogs bark at night, and foxes answer them from the woods.",
        "Owls.",
    )
    reads = [ToRead(text, ((0, len(text)),), evidence) for text in texts]
    question = "How long do cats sleep?"
    alone = [shipped(1).run(question, [read])[0] for read in reads]
    for threads in (1, 3):
        for one, other in zip(alone, shipped(threads).run(question, reads), strict=True):
            assert np.array_equal(one[0], other[0])
            assert np.array_equal(one[1], other[1])


def test_every_passage_gets_the_evidence_of_its_own_sentences(library: Library) -> None:
    library.add_bundled()
    hits = retrieve(library, "How many trainable parameters are there?").hits
    sizes = [len(hit.stored.passage.spans) for hit in hits]
    assert len(set(sizes)) > 1
    rows = np.arange(sum(sizes), dtype=np.float32)[:, None]
    reads = passages_of(hits, rows)
    assert [len(read.evidence) for read in reads] == sizes
    assert np.array_equal(np.concatenate([read.evidence for read in reads]), rows)
    assert [read.text for read in reads] == [hit.stored.passage.embedded_text(hit.document) for hit in hits]


def test_the_sentences_of_the_best_passages_are_what_is_read(library: Library) -> None:
    library.add_bundled()
    retrieved = retrieve(library, "How many trainable parameters are there?")
    assert len(retrieved.hits) > READ_HITS
    spans = TrainedReader().read(retrieved).spans
    best = {span for hit in hits_to_read(retrieved) for span in hit.stored.passage.spans}
    assert len(spans) == len(best)
    assert {(span.start, span.end) for span in spans} == best


def test_a_passage_with_a_near_sentence_is_read_before_one_that_is_near_as_a_whole() -> None:
    def hit(similarity: float, bm25: float, *sentences: float) -> Hit:
        nothing = np.zeros((1, 1), dtype=np.float32)
        passage = Passage("d", 0, 1, 0, "", ((0, 1),))
        stored = StoredPassage(1, passage, nothing[0], nothing, (), ((),))
        document = document_of("Pets\n\nCats sleep.\n")
        return Hit(document, stored, similarity, bm25, 0.0, np.array(sentences, dtype=np.float32))

    whole, sentence, words = hit(0.6, 0.0, 0.5, 0.5), hit(0.5, 0.0, 0.9, 0.1), hit(0.5, 10.0, 0.5)
    query = Query("?", np.ones(1, dtype=np.float32), (), {}, 0.0, 1.0)
    assert hits_to_read(Retrieved(query, (whole, sentence, words))) == [words, sentence, whole]


def test_what_is_far_behind_the_closest_passage_is_not_read() -> None:
    def read(closeness: Sequence[float], length: int = 1) -> list[float]:
        return worth_reading(closeness, lambda near: near, lambda _: length)

    assert read([0.1, 1.0, 0.99 - FAR, 1.01 - FAR, 0.9, 0.9]) == [1.0, 0.9, 0.9, 1.01 - FAR]
    assert read(9 * [0.5]) == READ_HITS * [0.5]
    assert read(9 * [0.5], READ_CHARS // 3) == 3 * [0.5]
    assert read(9 * [0.5], 2 * READ_CHARS) == [0.5]
    assert read([]) == []


def test_nothing_retrieved_is_nothing_read(library: Library) -> None:
    library.add_bundled()
    query = retrieve(library, "How many trainable parameters are there?").query
    reading = TrainedReader().read(Retrieved(query, ()))
    assert (reading.spans, reading.confidence) == ((), 0.0)


@pytest.mark.parametrize(
    ("strict", "answered"), [(0.0, 1.0), (0.3, 0.64), (0.5, 0.4), (0.8, 0.15), (1.0, 0.0)]
)
def test_strictness_moves_the_decision(strict: float, answered: float) -> None:
    point = OperatingPoint(0.6, 0.2).moved(strict)
    decided = [point.status(confidence) for confidence in np.linspace(0.005, 0.995, 100)]
    assert decided.count("answered") / 100 == pytest.approx(answered, abs=0.02)


def test_the_middle_of_strictness_is_the_fitted_point() -> None:
    assert OperatingPoint(0.6, 0.2).moved(0.5) == OperatingPoint(0.6, 0.2)
