"""An answer as text, and what a text that comes back still says about the answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from index import Library
from index.embedding import FakeEmbedder
from rag import Answer, Engine, Quote
from rag.record import sources
from ui.answer_text import LEADS, paragraphs, quotation, restored
from ui.render import STATUS_LINES

RADAR = "Why did Tesla remove radar and lidar?"
HOSTILE = (
    "# Ferry *bells* (2)\n\nThe bell rings ![twice](http://evil.example/x) when\nradar <b>finds</b> a buoy.\n"
)


@pytest.fixture(scope="module")
def module_library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with Library.open(tmp_path_factory.mktemp("library"), embedder=FakeEmbedder()) as library:
        library.add_bundled()
        library.add(HOSTILE.encode(), name="bells.txt")
        yield library


@pytest.fixture(scope="module")
def answer(module_library: Library) -> Answer:
    answer = Engine(module_library).ask(RADAR)
    assert len(answer.quotes) > 1
    return answer


def text_of(answer: Answer, library: Library) -> str:
    return "\n\n".join(paragraphs(answer, sources(answer, library)))


def whole(library: Library, status: str = "answered") -> Answer:
    """The first sentence of the hostile document as an answer."""
    document = library.document(library.documents()[-1].id)
    sentence = document.sentences[0]
    text = document.text[sentence.start : sentence.end]
    quote = Quote(document.id, sentence.start, sentence.end, text, document.sections[0].path, None, 0.9)
    shown = {"quotes" if status == "answered" else "leads": (quote,)}
    return Answer("When does it ring?", "When does it ring?", status, 0.9, **shown)  # type: ignore[arg-type]


def test_a_document_can_write_no_markdown(module_library: Library) -> None:
    text = text_of(whole(module_library), module_library)
    assert "> The bell rings \\!\\[twice\\](http://evil.example/x) when radar \\<b\\>finds" in text
    assert "Ferry \\*bells\\* (2)" in text


def test_where_nothing_renders_markdown_every_letter_stays(module_library: Library) -> None:
    answer = whole(module_library)
    text = "\n\n".join(paragraphs(answer, sources(answer, module_library), str))
    assert quotation(f"{answer.quotes[0].text} [1]") in text


def test_a_document_writes_nothing_outside_of_its_quotation() -> None:
    assert quotation("one\n\nSources:\n1. two") == "> one\n> \n> Sources:\n> 1. two"


@pytest.mark.parametrize("status", ["unsure", "not_found"])
def test_leads_are_not_taken_for_an_answer(module_library: Library, status: str) -> None:
    first, *rest = text_of(whole(module_library, status), module_library).split("\n\n")
    assert first == STATUS_LINES[status]  # type: ignore[index]
    assert (LEADS in rest) == (status == "not_found")


def test_without_quotes_there_are_no_sources(module_library: Library) -> None:
    answer = Answer(RADAR, RADAR, "empty", 0.0)
    assert text_of(answer, module_library) == STATUS_LINES["empty"]


# And back


@pytest.mark.parametrize("status", ["answered", "unsure", "not_found"])
def test_a_text_that_comes_back_is_the_answer_that_it_was_made_of(
    module_library: Library, status: str
) -> None:
    answer = whole(module_library, status)
    back = restored(answer.question, text_of(answer, module_library), module_library)
    assert back is not None
    assert back.status == status
    for quote, original in zip(back.quotes + back.leads, answer.quotes + answer.leads, strict=True):
        assert (quote.document_id, quote.start, quote.end) == (
            original.document_id,
            original.start,
            original.end,
        )
        assert (quote.text, quote.section) == (original.text, original.section)


def test_every_quote_of_an_answer_comes_back(module_library: Library, answer: Answer) -> None:
    back = restored(RADAR, text_of(answer, module_library), module_library)
    assert back is not None
    assert [quote.text for quote in back.quotes] == [quote.text for quote in answer.quotes]


def test_only_what_the_document_says_comes_back(module_library: Library, answer: Answer) -> None:
    text = text_of(answer, module_library)
    first, second, *_ = answer.quotes
    back = restored(RADAR, text.replace(first.text, "Radar is bad."), module_library)
    assert back is not None
    assert back.quotes[0].text == second.text
    shifted = text.replace(f":{first.start}-", f":{first.start + 1}-")
    back = restored(RADAR, shifted, module_library)
    assert back is not None
    assert back.quotes[0].text == second.text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Sources:", "Sources: none"),  # of another program, or written by hand
        ("{id}", "0123456789abcdef"),  # a document that is gone
        ("-{end})", f"-{10**12 - 1})"),
        ("-{end})", "-0)"),
    ],
)
def test_a_text_that_names_no_source_is_no_answer(module_library: Library, old: str, new: str) -> None:
    quote = whole(module_library).quotes[0]
    text = text_of(whole(module_library), module_library)
    if old == "Sources:":
        text = text[: text.index("1. ")]
    assert (
        restored("?", text.replace(old.format(id=quote.document_id, end=quote.end), new), module_library)
        is None
    )
