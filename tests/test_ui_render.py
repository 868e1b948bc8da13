"""What the browser gets: escaped HTML whose sentences are the document's, and answers as plain values."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from index.document import Block, Document, Parsed, Part, assemble, one_line
from index.formats import parse
from rag.answer import Answer, Quote
from ui.render import (
    confidence_words,
    document_html,
    document_view,
    example_questions,
    markdown,
    outline,
    turn_view,
)

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "${alert(1)}",
    "{{constructor}}",
    "`${alert(1)}`",
    '" onmouseover="alert(1)',
    "</span></section>",
    "&lt;b&gt; & &amp;",
    "<!--",
    "]]>",
]
KINDS = [
    "paragraph",
    "list_item",
    "question",
    "answer",
    "quotation",
    "code",
    "table_row",
    "metadata",
    "heading",
]

texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40),
    st.sampled_from(
        ["One sentence. And 😀 another!", "Hard\nwrapped words.", "שלום עולם.", "e\u0301 combined."]
    ),
)


class Page(HTMLParser):
    """The elements of some HTML: every tag with its attributes, every span's text by its id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.sentences: dict[str, str] = {}
        self.text = ""
        self.outside = ""  # text that is in no sentence
        self._open: list[str | None] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)
        values = dict(attrs)
        self._open.append(values.get("id") if values.get("class") == "s" else None)

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data
        sentence = next(filter(None, self._open), None)
        if sentence:
            self.sentences[sentence] = self.sentences.get(sentence, "") + data
        else:
            self.outside += data


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A document of drawn blocks, its title and headings as hostile as its text."""
    text, parts = "", []
    for kind, label, content in draw(
        st.lists(
            st.tuples(st.sampled_from(KINDS), st.sampled_from(["", "- ", "Q: ", "<b>: "]), texts), min_size=1
        )
    ):
        if not content.strip():
            continue
        content = content.strip()
        start = len(text)
        text += label + content + "\n"
        inner = start + len(label)
        parts.append(Part(kind, inner, inner + len(content), 1 + len(parts) % 3, start if label else None))
    title = draw(st.one_of(st.none(), texts))
    return assemble(Parsed(text, tuple(parts), title), document_id="drawn", name=draw(texts))


def sentence_texts(document: Document) -> dict[str, str]:
    return {f"s-{n}": document.text[s.start : s.end] for n, s in enumerate(document.sentences)}


@given(documents())
def test_every_sentence_is_one_span_with_exactly_its_text(document: Document) -> None:
    assert Page(document_html(document)).sentences == sentence_texts(document)


@given(documents())
def test_no_text_of_a_document_becomes_markup(document: Document) -> None:
    page = Page(document_html(document))
    expected = {"section", "p", "ul", "li", "div", "blockquote", "pre", "span", "h2", "h3", "h4", "h5", "h6"}
    assert set(page.tags) <= expected
    assert page.attributes <= {"class", "dir", "id", "style"}
    assert page.tags.count("section") == len(document.sections)


def test_the_bundled_summary_reads_as_it_is_written(summary: Document) -> None:
    page = Page(document_html(summary))
    assert list(page.sentences.values()) == list(sentence_texts(summary).values())
    assert page.tags.count("li") == 4  # the highlights
    assert [entry["heading"] for entry in outline(summary)] == [s.heading for s in summary.sections]
    assert "Introduction" not in page.outside  # a section without a heading shows none
    assert "Q7:" in page.outside  # labels are shown, but are no part of a sentence


def test_headings_keep_their_rank_below_the_title() -> None:
    text = "Top\nDeep\nBody."
    parts = (Part("heading", 0, 3, 1), Part("heading", 4, 8, 9), Part("paragraph", 9, 14))
    page = Page(document_html(assemble(Parsed(text, parts), document_id="x", name="x.txt")))
    assert [tag for tag in page.tags if tag.startswith("h")] == ["h2", "h3", "h6"]


def test_examples_are_the_documents_own_questions(summary: Document) -> None:
    questions = {block_text(summary, block) for block in summary.blocks if block.kind == "question"}
    examples = example_questions(summary)
    assert len(examples) == 4
    assert set(examples) <= questions


def test_examples_come_from_headings_where_there_are_no_questions() -> None:
    text = "Alpha\nText one.\nBeta\nText two."
    parts = (
        Part("heading", 0, 5, 1),
        Part("paragraph", 6, 15),
        Part("heading", 16, 20, 1),
        Part("paragraph", 21, 30),
    )
    document = assemble(Parsed(text, parts), document_id="x", name="x.txt")
    assert example_questions(document) == (
        "What does it say about “Alpha”?",
        "What does it say about “Beta”?",
    )


def test_a_document_view_is_titled_on_one_line() -> None:
    document = assemble(
        Parsed("Body.", (Part("paragraph", 0, 5),), "Two\nlines"), document_id="x", name="x.txt"
    )
    assert document_view(document)["title"] == "Two lines"


def test_what_stands_between_sentences_and_before_them_is_kept() -> None:
    text = "Q: One?  Two\nlines?"
    document = assemble(
        Parsed(text, (Part("question", 3, len(text), label_start=0),), "T"), document_id="x", name=""
    )
    assert Page(document_html(document)).text == "T" + text


def test_lists_keep_their_nesting_and_tables_their_cells() -> None:
    source = b"# T\n\n- one\n  - two\n\n| Bee | Count |\n|---|---|\n| Honey | 12 |\n"
    document = assemble(parse(source, "t.md"), document_id="x", name="t.md")
    html = document_html(document)
    assert re.findall(r"--depth: (\d)", html) == ["0", "1"]
    assert re.findall(r'class="cell">(\w+)<', html) == ["Bee", "Count", "Honey", "12"]
    assert Page(html).sentences == sentence_texts(document)


# Answers


def block_text(document: Document, block: Block) -> str:
    return document.text[block.start : block.end]


def quote_of(
    document: Document, sentence: int, focus: str = "", context: tuple[int, int] | None = None
) -> Quote:
    start, end = document.sentences[sentence].start, document.sentences[sentence].end
    text = document.text[start:end]
    at = start + text.index(focus) if focus else 0
    return Quote(
        document.id,
        start,
        end,
        text,
        document.section_of(sentence).path,
        (at, at + len(focus)) if focus else None,
        0.9,
        context,
    )


@pytest.fixture
def repeated() -> Document:
    """A document in which one sentence stands twice, after an emoji."""
    text = "😀 Bees dance. They sleep at night. Bees dance."
    return assemble(Parsed(text, (Part("paragraph", 0, len(text)),)), document_id="bees", name="bees.txt")


def answered(document: Document, *quotes: Quote, question: str = "What do bees do?") -> Answer:
    return Answer(question, question, "answered", 0.9, quotes)


def test_a_quote_is_shown_in_three_pieces_around_its_focus(repeated: Document) -> None:
    answer = answered(repeated, quote_of(repeated, 1, "sleep"))
    (quote,) = turn_view(answer, {"bees": repeated})["quotes"]
    assert (quote["before"], quote["focus"], quote["after"]) == ("They ", "sleep", " at night.")


def test_a_repeated_sentence_is_cited_where_it_was_found(repeated: Document) -> None:
    answer = answered(repeated, quote_of(repeated, 2))
    (quote,) = turn_view(answer, {"bees": repeated})["quotes"]
    assert quote["sentences"] == ["s-2"]


def test_no_offset_reaches_the_browser(repeated: Document) -> None:
    answer = answered(repeated, quote_of(repeated, 1, "sleep", context=(0, 13)))
    (quote,) = turn_view(answer, {"bees": repeated})["quotes"]
    assert [value for value in quote.values() if isinstance(value, int)] == [quote["n"]]


def test_a_context_is_shown_with_its_kind(summary: Document) -> None:
    number = next(n for n, s in enumerate(summary.sentences) if summary.blocks[s.block].kind == "answer")
    question = summary.blocks[summary.block_of(number).context or 0]
    quote = quote_of(summary, number, context=(question.start, question.end))
    (view,) = turn_view(answered(summary, quote), {summary.id: summary})["quotes"]
    assert view["context"] == {"kind": "question", "text": block_text(summary, question)}


def test_a_context_that_is_on_screen_is_not_repeated(repeated: Document) -> None:
    first, second = quote_of(repeated, 0), quote_of(repeated, 1, context=(0, 13))
    views = turn_view(answered(repeated, first, second), {"bees": repeated})["quotes"]
    assert views[1]["context"] is None


def test_a_context_that_only_says_the_question_again_is_left_out(repeated: Document) -> None:
    quote = quote_of(repeated, 1, context=(0, 13))
    answer = answered(repeated, quote, question="😀 bees DANCE?")
    assert turn_view(answer, {"bees": repeated})["quotes"][0]["context"] is None


def test_the_searched_question_is_shown_only_where_it_differs(repeated: Document) -> None:
    same = Answer("Why?", "Why? ", "not_found", 0.1)
    other = Answer("Why?", "Why do bees dance?", "not_found", 0.1)
    assert turn_view(same, {})["resolved"] == ""
    assert turn_view(other, {})["resolved"] == "Why do bees dance?"


@pytest.mark.parametrize(
    ("confidence", "words"),
    [
        (1.0, "High confidence"),
        (0.85, "High confidence"),
        (0.84, "Good confidence"),
        (0.0, "Very low confidence"),
    ],
)
def test_confidence_has_a_name(confidence: float, words: str) -> None:
    assert confidence_words(confidence) == words


# Export


def shown_text(source: str, tag: str) -> list[str]:
    """The text of every element of this tag that CommonMark makes of the source."""
    texts: list[str] = []
    tokens = MarkdownIt("commonmark").parse(source)
    for token, inline in pairwise(tokens):
        if token.tag == tag and token.nesting == 1:
            assert {child.type for child in inline.children or ()} <= {"text", "text_special"}, (
                inline.children
            )
            texts.append("".join(child.content for child in inline.children or ()))
    return texts


@given(texts.filter(lambda text: any(character.isalnum() for character in text)))
def test_exported_text_shows_as_it_is(content: str) -> None:
    text = content.strip()
    document = assemble(Parsed(text, (Part("code", 0, len(text)),)), document_id="x", name="x.txt")
    quote = Quote("x", 0, len(text), text, ("Section",), None, 0.9)
    source = markdown([answered(document, quote, question=content)], {"x": document})
    assert shown_text(source, "h2") == [one_line(content)]
    assert f"{one_line(text)}[^1]" in shown_text(source, "p")


def test_the_export_cites_every_quote_once(summary: Document) -> None:
    documents = {summary.id: summary}
    first = answered(summary, quote_of(summary, 3), quote_of(summary, 5))
    second = Answer("Which GPU?", "Which GPU?", "not_found", 0.1, leads=(quote_of(summary, 3),))
    source = markdown([first, second], documents)
    assert [source.count(f"[^{n}]") for n in (1, 2, 3, 4)] == [2, 2, 2, 0]
    assert "The document does not say." in source
    assert f"[^1]: {summary.title}: {' › '.join(first.quotes[0].section)}" in source
