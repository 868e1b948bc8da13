from __future__ import annotations

from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import pytest

from index import Document, Excerpt, Feedback, Library
from index.embedding import FakeEmbedder
from index.errors import DocumentNotFoundError, FeedbackError
from index.feedback import VERDICTS
from index.store import MIGRATIONS

BEES = b"""Bees

Dances

A bee dances to tell where food is. The dance lasts a minute. It is a figure of eight.

Winter

The dance lasts a minute. Bees keep warm in a cluster.
"""


@pytest.fixture
def bees(library: Library) -> Document:
    return library.add(BEES, name="bees.txt")


def excerpt(document: Document, first: int, last: int | None = None) -> Excerpt:
    """Sentences `first` to `last` of the document."""
    start, end = document.sentences[first].start, document.sentences[first if last is None else last].end
    return Excerpt(document.id, start, end, document.text[start:end])


@pytest.fixture
def feedback(bees: Document) -> Feedback:
    return Feedback(
        verdict="helpful",
        question="and how long?",
        resolved_question="and how long? (Why does a bee dance?)",
        documents=(bees.id,),
        answered=True,
        confidence=0.7,
        shown=(excerpt(bees, 1), excerpt(bees, 0)),
        reader="abc123",
    )


@pytest.mark.parametrize("verdict", VERDICTS)
def test_what_was_said_comes_back_with_time_and_versions(
    library: Library, bees: Document, feedback: Feedback, verdict: str
) -> None:
    answer = excerpt(bees, 3, 4) if verdict == "answer_here" else None
    given = replace(feedback, verdict=verdict, answer=answer)  # type: ignore[arg-type]
    added = library.add_feedback(given)
    library.close()
    with Library.open(library.folder, embedder=FakeEmbedder()) as again:
        assert again.feedback() == (added,)
    assert {key: value for key, value in asdict(added).items() if key in asdict(given)} == asdict(given)
    assert (added.quoth, added.model, added.reader) == (version("quoth"), "fake-1", "abc123")
    assert added.given.endswith("+00:00")


def test_feedback_is_numbered_in_the_order_in_which_it_was_given(
    library: Library, feedback: Feedback
) -> None:
    for verdict in ("not_helpful", "helpful", "not_said"):
        library.add_feedback(replace(feedback, verdict=verdict))
    assert [(each.number, each.verdict) for each in library.feedback()] == [
        (1, "not_helpful"),
        (2, "helpful"),
        (3, "not_said"),
    ]


def test_feedback_outlives_its_document(library: Library, bees: Document, feedback: Feedback) -> None:
    added = library.add_feedback(feedback)
    library.remove(bees.id)
    assert library.feedback() == (added,)
    with pytest.raises(DocumentNotFoundError):
        library.add_feedback(feedback)


def test_an_unknown_document_is_named(library: Library, feedback: Feedback) -> None:
    for unknown in (
        replace(feedback, documents=("0" * 16,)),
        replace(feedback, shown=(Excerpt("0" * 16, 0, 4, "Bees"),)),
    ):
        with pytest.raises(DocumentNotFoundError, match="0000"):
            library.add_feedback(unknown)
    assert library.feedback() == ()


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (-3, 5, None),
        (14, 10, None),
        (14, 14, ""),
        (14, 10**30, None),
        (0, 4, "Bees"),  # the title is no sentence
        (14, 20, "A bee!"),
        (14, 140, None),  # from one paragraph into the next
        (13, 49, None),  # begins before the sentence
    ],
)
def test_what_stands_nowhere_is_refused(
    library: Library, bees: Document, feedback: Feedback, start: int, end: int, text: str | None
) -> None:
    assert excerpt(bees, 0).start == 14
    false = Excerpt(bees.id, start, end, bees.text[start:end] if text is None else text)
    for wrong in (
        replace(feedback, shown=(false,)),
        replace(feedback, verdict="answer_here", answer=false),
    ):
        with pytest.raises(FeedbackError, match="no such sentence"):
            library.add_feedback(wrong)
    assert library.feedback() == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"verdict": "perfect"}, "answer_here, not_said"),
        ({"verdict": "answer_here"}, "needs a sentence"),
        ({"question": " \n"}, "blank"),
        ({"question": "x" * 250_001}, "250,000"),
        ({"resolved_question": "x" * 250_001}, "250,000"),
        ({"question": "\ud800"}, "half of a character"),
        ({"confidence": 1.1}, "0 to 1"),
        ({"confidence": float("nan")}, "0 to 1"),
        ({"documents": ("a",) * 1_001}, "1,000 documents"),
        ({"shown": (Excerpt("a", 0, 1, "b"),) * 21}, "20 quotes"),
        ({"reader": "x" * 201}, "reader"),
        ({"answer": Excerpt("a", 0, 1, "b")}, "no other has one"),
    ],
)
def test_malformed_feedback_is_refused_in_one_line(
    library: Library, feedback: Feedback, change: dict[str, object], reason: str
) -> None:
    with pytest.raises(FeedbackError, match=reason) as raised:
        library.add_feedback(replace(feedback, **change))  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)
    assert library.feedback() == ()


def test_a_library_from_before_feedback_takes_it(
    tmp_path: Path, feedback: Feedback, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = next(number for number, step in enumerate(MIGRATIONS) if "TABLE feedback" in step)
    with monkeypatch.context() as earlier:
        earlier.setattr("index.store.MIGRATIONS", MIGRATIONS[:before])
        Library.open(tmp_path / "old", embedder=FakeEmbedder()).close()
    with Library.open(tmp_path / "old", embedder=FakeEmbedder()) as library:
        library.add(BEES, name="bees.txt")
        assert library.feedback() == ()
        assert library.add_feedback(feedback).number == 1
