from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from index.embedding import FakeEmbedder
from rag.evaluation import (
    EvaluationError,
    Outcome,
    Question,
    Report,
    auroc,
    bootstrap,
    evaluate,
    load_articles,
    normalise,
    token_f1,
)

PARAGRAPHS = [
    "Cats sleep sixteen hours a day. They hunt at dusk and at dawn. Their whiskers measure gaps.",
    "Dogs guard the house at night. A dog named Rex barked at the moon 42 times.",
]


def squad(*questions: tuple[int, str, str | None]) -> dict[str, object]:
    """A SQuAD 2.0 file with one article; a question is (paragraph, question, answer or None)."""
    paragraphs = [
        {
            "context": context,
            "qas": [
                {
                    "id": f"{number}",
                    "question": text,
                    "is_impossible": answer is None,
                    "answers": [{"text": answer, "answer_start": context.index(answer)}] if answer else [],
                }
                for number, (at, text, answer) in enumerate(questions)
                if at == paragraph
            ],
        }
        for paragraph, context in enumerate(PARAGRAPHS)
    ]
    return {"version": "v2.0", "data": [{"title": "Pets at home", "paragraphs": paragraphs}]}


@pytest.mark.parametrize(
    ("predicted", "answer", "f1"),
    [
        ("the Cat sat", "cat sat!", 1.0),
        ("cat", "dog", 0.0),
        ("the big red dog", "red dog", 0.8),  # precision 2/3, recall 2/2
        ("a b b", "b", 2 / 3),  # the article goes; one of two b's: precision 1/2, recall 1
        ("", "cat", 0.0),
        ("the", "a", 1.0),  # nothing but articles on both sides
    ],
)
def test_f1_by_hand(predicted: str, answer: str, f1: float) -> None:
    assert token_f1(predicted, answer) == pytest.approx(f1)


def test_normalise_follows_the_official_script() -> None:
    assert normalise("  The “U.S.” Army,  an army ") == "“us” army army"


def test_auroc_agrees_with_scikit_learn() -> None:
    generator = np.random.default_rng(3)
    scores = generator.integers(0, 12, 400) / 12  # many ties
    positive = generator.random(400) < 0.4
    assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    assert np.isnan(auroc(scores, np.ones(400, dtype=bool)))


def test_bootstrap_interval_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(5, 1, 400)
    low, high = bootstrap(lambda at: float(values[at].mean()), len(values))
    standard_error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * standard_error, abs=0.03)
    assert high == pytest.approx(values.mean() + 1.96 * standard_error, abs=0.03)


def outcome(answerable: bool, status: str, hit: bool, confidence: float) -> Outcome:
    question = Question("?", "kind", ("answer",) if answerable else ())
    return Outcome(question, status, confidence, (hit, hit), (hit, hit, hit), 0.5, 0.0, True, 0.01)


def test_measures_by_hand() -> None:
    report = Report(
        "hand",
        1,
        (
            outcome(True, "answered", True, 0.9),
            outcome(True, "answered", False, 0.8),  # answered wrongly
            outcome(True, "not_found", True, 0.3),  # right lead, but abstained
            outcome(True, "empty", False, 0.0),  # no answer at all stays in the denominator
            outcome(False, "answered", False, 0.7),
            outcome(False, "unsure", False, 0.2),
        ),
    )
    values = {measure.name: measure.value for measure in report.measures()}
    assert values["sentence hit@1"] == pytest.approx(2 / 4)
    assert values["answered rightly"] == pytest.approx(1 / 4)
    assert values["rightly abstained"] == pytest.approx(1 / 2)
    assert values["balanced mean"] == pytest.approx(3 / 8)
    assert values["abstention AUROC"] == pytest.approx(5 / 8)
    assert dict(report.risk_coverage())[0.5] == pytest.approx(2 / 3)
    assert dict(report.risk_coverage())[1.0] == pytest.approx(4 / 6)
    for measure in report.measures():
        assert measure.low <= measure.value <= measure.high


def test_squad_file_end_to_end(tmp_path: Path) -> None:
    file = tmp_path / "pets.json"
    file.write_text(
        json.dumps(
            squad(
                (0, "How many hours a day do cats sleep?", "sixteen"),
                (1, "When do dogs guard the house?", "at night"),
                (1, "Which parrot sings opera in Vienna?", None),
            )
        )
    )
    seen: list[tuple[int, int]] = []
    report = evaluate(file, embedder=FakeEmbedder(), progress=lambda *step: seen.append(step))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    content = json.loads(json.dumps(report.to_json()))
    assert (content["documents"], content["questions"], content["unanswerable"]) == (1, 3, 1)
    assert content["measures"]["sentence hit@1"]["value"] == 1.0
    assert content["measures"]["paragraph recall@1"]["value"] == 1.0
    assert content["measures"]["exact quotes"]["value"] == 1.0


def test_the_same_words_in_another_paragraph_are_no_hit(tmp_path: Path) -> None:
    twice = squad((1, "How many hours a day do cats sleep?", "dog"))  # the gold stands in the other paragraph
    file = tmp_path / "pets.json"
    file.write_text(json.dumps(twice))
    measures = evaluate(file, embedder=FakeEmbedder()).to_json()["measures"]
    assert measures["sentence hit@1"]["value"] == 0.0


def test_authored_folder_end_to_end(tmp_path: Path) -> None:
    (tmp_path / "pets.md").write_text(
        f"# Pets\n\n## Cats\n\n{PARAGRAPHS[0]}\n\n- **Rex:** barks\n  *loudly* at six.\n"
    )
    lines = [
        {"q": "Do whiskers measure gaps?", "evidence": ["Their whiskers measure gaps."], "kind": "factoid"},
        {
            "q": "When does Rex bark loudly?",
            "evidence": ["**Rex:** barks *loudly* at six."],
            "kind": "factoid",
        },
        {"q": "Who built the pyramids?", "evidence": [], "kind": "off_topic"},
    ]
    (tmp_path / "pets.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    report = evaluate(tmp_path, embedder=FakeEmbedder())
    assert [each.hit_at[0] for each in report.outcomes] == [True, True, False]
    assert report.by_kind()["factoid"] == (2, 1.0)


def test_gold_is_found_although_reading_drops_a_rule(tmp_path: Path) -> None:
    content = squad((1, "How many times did Rex bark?", "42 times"))
    first = content["data"][0]["paragraphs"][0]  # type: ignore[index]
    first["context"] += "\r\n" + "-" * 41 + "\r\nThe end of the first part is here."
    file = tmp_path / "pets.json"
    file.write_text(json.dumps(content))
    assert evaluate(file, embedder=FakeEmbedder()).to_json()["measures"]["sentence hit@1"]["value"] == 1.0


def test_a_question_that_cannot_be_asked_counts_as_missed(tmp_path: Path) -> None:
    file = tmp_path / "pets.json"
    file.write_text(json.dumps(squad((0, " ", "sixteen"), (1, "Who barked at the moon?", "Rex"))))
    report = evaluate(file, embedder=FakeEmbedder())
    assert [each.hit_at[0] for each in report.outcomes] == [False, True]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        '{"data": 3}',
        '{"data": [{"title": "x"}]}',
        '{"data": [{"title": "x", "paragraphs": [{"context": "c", "qas": ["q"]}]}]}',
        '{"data": []}',
    ],
)
def test_other_files_are_refused_clearly(tmp_path: Path, content: str) -> None:
    file = tmp_path / "bad.json"
    file.write_text(content)
    with pytest.raises(EvaluationError, match=r"bad\.json"):
        load_articles(file)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"none\.json"):
        load_articles(tmp_path / "none.json")
