from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import BUNDLED_BYTES

from index import Document, FeedbackRecord, Library
from index.embedding import FakeEmbedder
from index.errors import DocumentNotFoundError, FeedbackError
from index.feedback import Verdict
from rag import Answer, Engine, Quote
from rag.evaluation import evaluate, gold_of, load_articles
from rag.feedback import Selection, give_feedback, to_squad
from rag.reader.trained import TrainedReader

PETS = b"""# Pets at home

## Cats

### Asleep

Cats sleep sixteen hours a day. They hunt at dusk.

- **Whiskers** measure gaps.
- They purr at 25 hertz.

## Dogs

Q: When do dogs guard the house?
A: Dogs guard the house at night. They sleep at noon.
"""


@pytest.fixture
def pets(library: Library) -> Document:
    return library.add(PETS, name="pets.md")


def sentence(document: Document, text: str) -> Quote:
    """The quote of the sentence that begins so."""
    number = next(
        n for n, each in enumerate(document.sentences) if document.text.startswith(text, each.start)
    )
    start, end = document.sentences[number].start, document.sentences[number].end
    return Quote(
        document.id, start, end, document.text[start:end], document.section_of(number).path, None, 0.7
    )


class Said:
    """Gives feedback on answers that show these sentences."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.engine = Engine(library)

    def __call__(
        self,
        verdict: Verdict,
        question: str,
        *shown: Quote,
        answered: bool = True,
        selected: Selection | None = None,
    ) -> FeedbackRecord:
        kind = "quotes" if answered else "leads"
        status = "answered" if answered else "not_found"
        answer = Answer("?", question, status, 0.6, **{kind: shown})  # type: ignore[arg-type]
        return give_feedback(self.library, self.engine, answer, verdict, selected=selected)

    def questions(self) -> list[tuple[str, str | None]]:
        """What is exported: question, and its answer's text, found by its offset in the paragraph."""
        exported = to_squad(self.library.feedback(), self.library)
        assert exported["version"] == "v2.0"
        return [
            (entry["question"], answer_in(paragraph["context"], entry))
            for article in exported["data"]
            for paragraph in article["paragraphs"]
            for entry in paragraph["qas"]
        ]


def answer_in(context: str, entry: dict[str, Any]) -> str | None:
    if entry["is_impossible"]:
        assert entry["answers"] == []
        return None
    (answer,) = entry["answers"]
    start = answer["answer_start"]
    assert context[start : start + len(answer["text"])] == answer["text"]
    return str(answer["text"])


@pytest.fixture
def said(library: Library) -> Said:
    return Said(library)


# Giving


def test_feedback_keeps_what_was_asked_shown_and_at_work(library: Library, pets: Document) -> None:
    engine = Engine(library)
    answer = engine.ask("How long do cats sleep?", [pets.id], strict=0)
    record = give_feedback(library, engine, answer, "helpful", documents=[pets.id])
    assert record.question == answer.question
    assert record.resolved_question == answer.resolved_question
    assert (record.answered, record.confidence, record.documents) == (True, answer.confidence, (pets.id,))
    assert [(each.document_id, each.start, each.end, each.text) for each in record.shown] == [
        (quote.document_id, quote.start, quote.end, quote.text) for quote in answer.quotes
    ]
    assert record.reader == TrainedReader().fingerprint
    assert len(record.reader) == 64
    assert library.feedback() == (record,)


def test_leads_are_kept_as_such(library: Library, pets: Document) -> None:
    engine = Engine(library)
    answer = engine.ask("How long do cats sleep?", strict=1)
    record = give_feedback(library, engine, answer, "not_helpful")
    assert not record.answered
    assert [each.text for each in record.shown] == [lead.text for lead in answer.leads]


def test_a_selection_becomes_the_whole_sentences_that_it_touches(said: Said, pets: Document) -> None:
    first, second = sentence(pets, "Cats sleep"), sentence(pets, "They hunt")
    for start, end, text in (
        (first.start + 3, first.start + 3, first.text),  # a place, no range
        (first.start + 3, first.end, first.text),
        (first.start + 3, second.start + 1, f"{first.text} {second.text}"),
    ):
        record = said("answer_here", "When?", first, selected=(pets.id, start, end))
        assert record.answer is not None
        assert record.answer.text == text


@pytest.mark.parametrize(("start", "end"), [(0, 4), (-1, 40), (40, 30), (40, 10_000), (0, 10**9), (30, 120)])
def test_a_selection_that_holds_no_sentence_of_one_paragraph(
    said: Said, pets: Document, start: int, end: int
) -> None:
    with pytest.raises(FeedbackError):
        said("answer_here", "When?", sentence(pets, "Cats"), selected=(pets.id, start, end))
    assert said.library.feedback() == ()


def test_a_selection_in_no_document(said: Said, pets: Document) -> None:
    with pytest.raises(DocumentNotFoundError):
        said("answer_here", "When?", selected=("0" * 16, 1, 2))


# Exporting


def test_every_verdict_is_exported_as_what_it_says(said: Said, pets: Document) -> None:
    cats, purr, dogs = (sentence(pets, text) for text in ("Cats sleep", "They purr", "Dogs guard"))
    said("helpful", "How long do cats sleep?", cats, dogs)
    said("answer_here", "When do dogs guard?", cats, selected=(pets.id, dogs.start + 1, dogs.start + 2))
    said("not_said", "Who walks the dog?", dogs)
    said("not_said", "Who feeds the cat?", purr, answered=False)
    said("not_helpful", "Why?", cats)
    said("helpful", "Is there a lead?", purr, answered=False)  # nobody said that a lead is the answer
    assert said.questions() == [
        ("How long do cats sleep?", cats.text),
        ("Who feeds the cat?", None),
        ("When do dogs guard?", dogs.text),
        ("Who walks the dog?", None),
    ]


def test_the_last_word_about_a_question_counts(said: Said, pets: Document) -> None:
    cats, hunt = sentence(pets, "Cats sleep"), sentence(pets, "They hunt")
    said("helpful", "When do they hunt?", cats)
    said("not_helpful", "When do they hunt?", cats)
    assert said.questions() == []
    said("answer_here", "When do they hunt?", cats, selected=(pets.id, hunt.start, hunt.end))
    assert said.questions() == [("When do they hunt?", hunt.text)]


def test_what_stood_in_a_removed_document_is_left_out(said: Said, pets: Document) -> None:
    said("helpful", "How long do cats sleep?", sentence(pets, "Cats sleep"))
    said.library.remove(pets.id)
    assert said.questions() == []
    said.library.add(PETS, name="pets.md")  # the same content is the same document
    assert len(said.questions()) == 1


@pytest.mark.parametrize("content", [PETS, BUNDLED_BYTES])
def test_an_article_is_the_whole_document(said: Said, content: bytes) -> None:
    document = said.library.add(content, name="document.md" if content == PETS else "document.txt")
    first = document.text[document.sentences[0].start : document.sentences[0].end]
    said("helpful", "What?", sentence(document, first))
    (article,) = to_squad(said.library.feedback(), said.library)["data"]
    contexts = "".join(paragraph["context"] for paragraph in article["paragraphs"])
    body = document.text[document.sections[0].start : document.blocks[-1].end]
    assert "".join(contexts.split()) == "".join(body.split())
    assert article["title"] == document.title


def test_the_export_is_read_and_evaluated(said: Said, pets: Document, tmp_path: Path) -> None:
    summary = said.library.add_bundled()
    assert summary is not None
    cats, dogs, radar = (
        sentence(pets, "Cats sleep"),
        sentence(pets, "Dogs guard"),
        sentence(summary, "Sensors aren"),
    )
    said("helpful", "How long do cats sleep in a day?", cats)
    said("answer_here", "When do dogs guard the house?", cats, selected=(pets.id, dogs.start, dogs.end))
    said("not_said", "Which parrot sings opera in Vienna?", dogs)
    said("helpful", "Why did Tesla remove radar and lidar?", radar)
    file = tmp_path / "feedback.json"
    file.write_text(json.dumps(to_squad(said.library.feedback(), said.library)), encoding="utf-8")

    articles = load_articles(file)
    assert [article.name for article in articles] == [f"{pets.title}.txt", f"{summary.title}.txt"]
    with Library.open(tmp_path / "evaluated", embedder=FakeEmbedder()) as library:
        for article in articles:
            document = library.add(article.content, name=article.name)
            for question in article.questions:
                gold = gold_of(document, article, question)
                found = [document.text[start:end] for start, end in gold.answers]
                assert found == list(question.answers)
    report = evaluate(file, embedder=FakeEmbedder())
    assert [(each.answerable, each.hit_at[0]) for each in report.outcomes] == [
        (True, True),
        (True, True),
        (False, False),
        (True, True),
    ]
