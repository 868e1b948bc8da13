from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index import Document, Library
from index.embedding import FakeEmbedder
from index.errors import DocumentNotFoundError, QuestionError
from rag import Answer, Engine, Quote
from rag.engine import InexactQuoteError, check_exact
from rag.reader import OperatingPoint, Reading
from rag.retrieval import Retrieved

REPEATS = """Notes on repetition

Cats sleep all day. Cats sleep all day. Dogs bark 🐕 at é́ the moon.

Second part

Cats sleep all day. They purr. مرحبا بالعالم. Nobody knows why.
"""

QUESTIONS = st.one_of(
    st.text(min_size=1, max_size=80),
    st.sampled_from(
        ["Why do cats sleep?", "cats", "Who knows?", "مرحبا", "🐕", "what", "\"'()*NEAR OR AND", "Q&A -x"]
    ),
)


def shown(answer: Answer) -> tuple[Quote, ...]:
    return answer.quotes or answer.leads


@settings(max_examples=150, deadline=None)
@given(question=QUESTIONS.filter(str.strip))
def test_every_quote_is_exact_and_quotable(repeats: tuple[Library, Document], question: str) -> None:
    library, document = repeats
    answer = Engine(library).ask(question)
    assert (answer.quotes == ()) == (answer.status != "answered")
    assert (answer.leads == ()) or answer.status != "answered"
    assert 0 <= answer.confidence <= 1
    assert len(shown(answer)) <= 3
    for quote in shown(answer):
        assert document.text[quote.start : quote.end] == quote.text
        assert quote.section
        assert 0 <= quote.score <= 1
        for number in document.sentences_between(quote.start, quote.end):
            assert document.block_of(number).quotable


@pytest.fixture(scope="module")
def repeats(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with Library.open(tmp_path_factory.mktemp("repeats"), embedder=FakeEmbedder()) as library:
        yield library, library.add(REPEATS.encode(), name="repeats.txt")


def test_same_question_same_answer(repeats: tuple[Library, Document]) -> None:
    library, _ = repeats
    assert Engine(library).ask("Why do cats sleep?") == Engine(library).ask("Why do cats sleep?")


def test_no_statement_is_repeated(repeats: tuple[Library, Document]) -> None:
    library, _ = repeats
    texts = [quote.text for quote in shown(Engine(library).ask("cats sleep all day"))]
    assert texts[0] == "Cats sleep all day."
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize("question", ["", "  \n\t "])
def test_blank_question(library: Library, question: str) -> None:
    with pytest.raises(QuestionError, match="blank"):
        Engine(library).ask(question)


def test_endless_question_names_the_limit(library: Library) -> None:
    with pytest.raises(QuestionError, match=r"100,000 characters and the limit is 5,000"):
        Engine(library).ask("x" * 100_000)


def test_half_a_character(library: Library) -> None:
    library.add_bundled()
    with pytest.raises(QuestionError, match="half of a character"):
        Engine(library).ask("Why \ud800?")


def test_longest_question_is_answered(library: Library) -> None:
    library.add_bundled()
    assert Engine(library).ask(("why radar? " * 1_000)[:5_000]).status != "empty"


def test_empty_library_and_empty_choice(library: Library) -> None:
    assert Engine(library).ask("Is anybody there?") == Answer(
        "Is anybody there?", "Is anybody there?", "empty", 0.0
    )
    library.add_bundled()
    assert Engine(library).ask("Is anybody there?", documents=[]).status == "empty"


def test_unknown_document(library: Library) -> None:
    library.add_bundled()
    with pytest.raises(DocumentNotFoundError):
        Engine(library).ask("Is anybody there?", documents=["0" * 16])


def test_answers_come_from_the_documents_asked(library: Library) -> None:
    cats = library.add(b"Cats\n\nCats sleep sixteen hours a day.", name="cats.txt")
    dogs = library.add(b"Dogs\n\nDogs sleep half the day.", name="dogs.txt")
    engine = Engine(library)
    for document in (cats, dogs):
        quotes = shown(engine.ask("How long do they sleep?", documents=[document.id]))
        assert {quote.document_id for quote in quotes} == {document.id}
    both = shown(engine.ask("How long do they sleep?", documents=[cats.id, dogs.id, cats.id]))
    assert {quote.document_id for quote in both} == {cats.id, dogs.id}


def test_strictness_is_an_argument_of_the_question(library: Library) -> None:
    library.add_bundled()
    engine = Engine(library, strict=1)
    question = "Why did Tesla remove radar and lidar?"
    abstained = engine.ask(question)
    answered = engine.ask(question, strict=0)
    assert (abstained.quotes, answered.leads) == ((), ())
    assert answered.quotes[0] == abstained.leads[0]
    assert engine.ask(question) == abstained


@pytest.mark.parametrize("strict", [-0.1, 1.1, float("nan")])
def test_a_strictness_that_is_none(library: Library, strict: float) -> None:
    with pytest.raises(QuestionError, match="0 to 1"):
        Engine(library).ask("Why?", strict=strict)


def test_search_finds_the_passage_of_the_documents_asked(library: Library) -> None:
    cats = library.add(b"Cats\n\nCats sleep sixteen hours a day.", name="cats.txt")
    dogs = library.add(b"Dogs\n\nDogs sleep half the day.", name="dogs.txt")
    engine = Engine(library)
    best, other = engine.search("How long do dogs sleep?")
    assert (best.document, other.document) == (dogs, cats)
    assert best.score > other.score
    passage = best.stored.passage
    assert dogs.text[passage.start : passage.end] == "Dogs sleep half the day."
    (only,) = engine.search("How long do dogs sleep?", [cats.id, cats.id])
    assert only.document == cats


def test_search_gives_as_many_as_are_wanted(library: Library) -> None:
    library.add("".join(f"# Day {n}\n\nIt rained on day {n}.\n\n" for n in range(120)).encode(), name="d.md")
    engine = Engine(library)
    found = {limit: [hit.stored.id for hit in engine.search("rain", limit=limit)] for limit in (1, 30, 100)}
    assert {limit: len(set(ids)) for limit, ids in found.items()} == {1: 1, 30: 30, 100: 100}
    assert found[30][:1] == found[1]
    assert len(engine.search("rain")) == 10


def test_search_where_there_is_nothing(library: Library) -> None:
    assert Engine(library).search("Is anybody there?") == ()
    library.add_bundled()
    assert Engine(library).search("Is anybody there?", documents=[]) == ()


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_search_refuses_a_limit_that_is_none(library: Library, limit: int) -> None:
    with pytest.raises(QuestionError, match=f"limit is {limit}; give a number from 1 to 100"):
        Engine(library).search("Why?", limit=limit)


def test_search_refuses_what_ask_refuses(library: Library) -> None:
    library.add_bundled()
    with pytest.raises(QuestionError, match="blank"):
        Engine(library).search(" ")
    with pytest.raises(DocumentNotFoundError):
        Engine(library).search("Is anybody there?", ["0" * 16])


def test_stages_are_timed(library: Library) -> None:
    library.add_bundled()
    seen: list[str] = []
    Engine(library).ask("Why remove radar?", on_stage=lambda stage, seconds: seen.append(stage))
    assert seen == ["resolve", "retrieve", "read", "select"]


def test_a_reader_that_fails_is_no_abstention(library: Library) -> None:
    class Broken:
        operating_point = OperatingPoint(0.5, 0.2)

        def load(self) -> None:
            """Nothing to load."""

        def read(self, retrieved: Retrieved, quoted: Sequence[Quote] = (), another: bool = False) -> Reading:
            raise RuntimeError("out of order")

    library.add_bundled()
    with pytest.raises(RuntimeError, match="out of order"):
        Engine(library, reader=Broken()).ask("Why remove radar?")


def test_an_inexact_quote_never_leaves(library: Library) -> None:
    document = library.add(b"Cats\n\nCats sleep sixteen hours a day.", name="cats.txt")
    (quote,) = shown(Engine(library).ask("How long do cats sleep?"))
    check_exact([quote], {document.id: document})
    for wrong in (
        dataclasses.replace(quote, start=quote.start + 1),
        dataclasses.replace(quote, text=quote.text + " "),
        dataclasses.replace(quote, focus=(0, len(document.text))),
    ):
        with pytest.raises(InexactQuoteError):
            check_exact([wrong], {document.id: document})


def test_threads_that_ask_add_and_remove_get_the_answers_of_one(library: Library) -> None:
    kept = library.add(REPEATS.encode(), name="repeats.txt")
    engine = Engine(library)

    def work(number: int) -> list[Answer]:
        answers = []
        for _ in range(2):
            own = library.add(f"Page {number}\n\nCat {number} sleeps {number} hours.".encode(), name="p.txt")
            answers.append(engine.ask(f"How long does cat {number} sleep?", [own.id]))
            answers.append(engine.ask("Why do cats sleep?", [kept.id]))
            assert shown(engine.ask("Which cat sleeps?"))  # of all that the others add and remove meanwhile
            library.remove(own.id)
        return answers

    alone = [work(number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == alone
    assert [record.id for record in library.documents()] == [kept.id]


# The bundled summary, with the real model


@pytest.mark.model
@pytest.mark.parametrize(
    ("question", "begins", "section"),
    [
        (
            "Why did Tesla remove radar and lidar?",
            "Sensors aren’t free;",
            ("Software 2.0 and the Tesla Data Engine", "Digging Deeper"),
        ),
        ("What is Software 2.0?", "It is the paradigm where code", ("Q&A",)),
        (
            "What is the biological bootloader theory?",
            "The idea that humans are merely",
            ("Physics as a Puzzle and the Fermi Paradox", "Digging Deeper"),
        ),
        (
            "How does Karpathy describe working with Elon Musk?",
            "Musk is a “warrior against entropy.”",
            ("Q&A",),
        ),
    ],
)
def test_the_summary_answers(
    real_library: Library, question: str, begins: str, section: tuple[str, ...]
) -> None:
    answer = Engine(real_library).ask(question)
    assert answer.status == "answered"
    assert answer.quotes[0].text.startswith(begins)
    assert answer.quotes[0].section == section


@pytest.mark.model
@pytest.mark.parametrize(
    "question",
    [
        "How do I bake sourdough bread?",
        "Who won the 1998 football world cup?",
        "What is the capital of Peru?",
    ],
)
def test_the_summary_does_not_say(real_library: Library, question: str) -> None:
    answer = Engine(real_library).ask(question)
    assert answer.status in ("unsure", "not_found")
    assert answer.quotes == ()
    assert answer.leads


@pytest.mark.model
def test_reading_time_is_quoted_and_the_invitation_never(real_library: Library) -> None:
    engine = Engine(real_library)
    assert "15 minutes" in shown(engine.ask("What is the reading time?"))[0].text
    for question in ("Click the image below to take notes while watching", "What does AI Notebook capture?"):
        assert not any("Click the image" in quote.text for quote in shown(engine.ask(question)))
