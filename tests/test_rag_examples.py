from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import document_of

from index import Library
from rag.evaluation import load_articles
from rag.reader.examples import Example, Window, examples_of, held_out, own_questions
from rag.reader.features import EVIDENCE, hits_to_read
from rag.reader.training import Epoch, Recipe, steps_of, windows_of
from rag.retrieval import retrieve

TEXT = """Pets

Dogs bark at night. They guard the house because foxes come.

Cats

Cats sleep sixteen hours a day. They purr when they are content.
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "pets.txt").write_text(TEXT, "utf-8")
    questions = [
        {
            "q": "Why do dogs guard?",
            "evidence": ["They guard the house because foxes come."],
            "kind": "why_how",
        },
        {"q": "How long do cats live?", "evidence": [], "kind": "near_miss"},
    ]
    (folder / "pets.jsonl").write_text("\n".join(map(json.dumps, questions)), "utf-8")
    return folder


@pytest.mark.model
def test_examples_hold_what_is_right(source: Path, tmp_path: Path) -> None:
    why, near = examples_of(load_articles(source), "test", tmp_path / "library")
    assert (why.answerable, near.answerable) == (True, False)
    assert (why.usable, near.usable) == (True, True)
    marked = [
        window.text[start:end]
        for window in why.windows
        for (start, end), right in zip(window.spans, window.right, strict=True)
        if right
    ]
    assert marked == ["They guard the house because foxes come."]
    similarity = [
        dict(zip(EVIDENCE, row, strict=True))["sentence_similarity"]
        for row in why.windows[0].to_read().evidence
    ]
    assert np.argmax(similarity) == np.argmax(why.windows[0].right)
    assert not any(any(window.right) for window in near.windows)
    with Library.open(tmp_path / "library") as library:
        hits = hits_to_read(retrieve(library, why.question))
    assert [window.text for window in why.to_read()] == [
        hit.stored.passage.embedded_text(hit.document) for hit in hits
    ]


def test_own_questions_are_the_pairs_of_the_document() -> None:
    document = document_of(
        "Pets\n\nQ: Why do dogs bark?\nA: They guard. Always.\n- foxes\n\nQ: And cats?\nA: They purr.\n"
    )
    found = {
        question: [document.text[start:end] for start, end in gold.answers]
        for question, _, gold in own_questions(document)
    }
    assert found == {"Why do dogs bark?": ["They guard. Always.", "foxes"], "And cats?": ["They purr."]}


def example(number: int, source: str = "a", windows: int = 5, right: int | None = 3) -> Example:
    made = tuple(Window(f"window {at}", ((0, 6),), (at == right,), (), b"") for at in range(windows))
    return Example(f"question {number}", "fact", source, "d", right is not None, made)


def test_the_right_window_is_always_read_and_the_best_retrieved_more_often() -> None:
    generator = np.random.default_rng(0)
    counts = dict.fromkeys((f"window {at}" for at in range(5)), 0)
    for _ in range(500):
        chosen = windows_of(example(0), 2, generator)
        assert len(chosen) == len({window.text for window in chosen}) == 3
        for window in chosen:
            counts[window.text] += 1
    assert counts["window 3"] == 500
    assert counts["window 0"] > counts["window 2"] > 100


def test_a_question_without_an_answer_is_read_with_its_best_passage_most_often() -> None:
    generator = np.random.default_rng(0)
    first = [windows_of(example(0, right=None), 0.5, generator) for _ in range(500)]
    assert np.mean([windows[0].text == "window 0" for windows in first]) > 0.7
    assert np.mean([len(windows) for windows in first]) == pytest.approx(1.5, abs=0.1)
    assert all(len({window.text for window in windows}) == len(windows) for windows in first)


def test_steps_hold_every_question_as_often_as_the_recipe_says() -> None:
    examples = [example(number, "a") for number in range(40)] + [example(number, "b") for number in range(10)]
    recipe = Recipe(questions_per_step=8, epochs=(Epoch({"a": 1.0}, 1), Epoch({"a": 0.5, "b": 2.0}, 2)))
    steps = steps_of(recipe, examples)
    assert steps == steps_of(recipe, examples)
    first = [number for step in steps if step.wrong_windows == 1 for number in step.questions]
    second = [number for step in steps if step.wrong_windows == 2 for number in step.questions]
    assert sorted(first) == list(range(40))
    assert len([number for number in second if number < 40]) == 20
    assert sorted(number for number in second if number >= 40) == sorted(2 * list(range(40, 50)))
    assert steps != steps_of(Recipe(seed=1, questions_per_step=8, epochs=recipe.epochs), examples)


def test_rates_rise_stay_and_fall() -> None:
    recipe = Recipe(questions_per_step=1, warm_up_steps=4, epochs=(Epoch({"a": 1.0}),))
    rates = [step.rate for step in steps_of(recipe, [example(number) for number in range(40)])]
    assert rates[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert rates[20:] == pytest.approx([at / 20 for at in range(20, 0, -1)])


def test_documents_are_held_out_by_their_name() -> None:
    share = np.mean([held_out(f"document {number}.txt") for number in range(3_000)])
    assert 0.11 < share < 0.18
