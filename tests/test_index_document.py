"""The invariants of a document, on generated files of every format."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import pytest
from conftest import document_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from index import Document
from index.document import Parsed, Part, Place, assemble, check_parts
from index.errors import EmptyDocumentError
from index.formats import parse

LINES = st.one_of(
    st.sampled_from(
        [
            "",
            "",
            "The Meadows",
            "THE MEADOWS",
            "💡 Digging Deeper",
            "3.2 Method",
            "# Heading",
            "## *Sub* heading #",
            "=====",
            "-----",
            "* * *",
            "```",
            "    indented",
            "\ttab",
            "- item",
            "  - nested item.",
            "1. first",
            "2) Second one?",
            "Q: Why is it so?",
            "Q1.",
            "A: Because it is. So there.",
            "A:",
            "JO: Is it?",
            "ANN: It is.",
            "> quoted words",
            ">>",
            "| a | b |",
            "|---|---|",
            "**Bold question?** Answer.",
            "**Bold**",
            "<div>html</div>",
            "<!--",
            "[^1]: note",
            "text[^1] here",
            "Reading time: 5 minutes. Click below to subscribe.",
            "---",
            "title: x",
            "It is the same sentence. It is the same sentence.",
            "It is the same sentence.",
            "Yes… “No.” (Maybe.) Ms. Lind left on 9 May. So did 👩🏽‍🚀 and e\u0301\u0323.",
            "هذا نص باللغة العربية. وهذه جملة ثانية؟",
            "\u200fשלום עולם.\u200e",
            "一个句子。另一个句子！",
            "the line goes on in lower case and breaks off before the end of what it",
            "\u00a0",
            "\u200b",
            "\ufeff",
            "\x1b[1m",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40),
    st.integers(1, 1_000).map(lambda n: "word " * n),
)
FILES = st.tuples(
    st.lists(LINES, max_size=25),
    st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
    st.booleans(),
).map(lambda parts: parts[1].join(parts[0]) + parts[1] * parts[2])
NAMES = st.sampled_from(["file.txt", "file.md"])


def visible(text: str) -> set[int]:
    return {offset for offset, character in enumerate(text) if not character.isspace()}


def offsets(ranges: Iterable[tuple[int, int]]) -> list[int]:
    return [offset for start, end in ranges for offset in range(start, end)]


def check_ranges(document: Document) -> None:
    """Sentences, blocks and sections lie in order inside each other and inside the text."""
    at = document.sections[0].start if document.sections else 0
    assert not document.sections or document.sections[-1].end == len(document.text)
    for section in document.sections:
        assert section.start == at <= section.heading_start <= section.heading_end <= section.end
        assert section.path[-1] == section.heading
        assert all(heading.strip() for heading in section.path)
        at = section.end
    at = 0
    for block in document.blocks:
        section = document.sections[block.section]
        assert at <= block.label_start <= block.start < block.end <= section.end
        assert block.label_start >= section.heading_end
        at = block.end
    at = 0
    for number, sentence in enumerate(document.sentences):
        block = document.block_of(number)
        assert max(at, block.start) <= sentence.start < sentence.end <= block.end
        assert (
            document.text[sentence.start : sentence.end].strip()
            == document.text[sentence.start : sentence.end]
        )
        at = sentence.end


def check_coverage(document: Document, parsed: Parsed) -> None:
    """Each visible character of a block is in just one sentence, every other in a title, heading or label."""
    in_blocks = offsets((block.start, block.end) for block in document.blocks)
    in_sentences = offsets((sentence.start, sentence.end) for sentence in document.sentences)
    assert max(Counter(in_sentences).values(), default=1) == 1
    assert visible(document.text) & {*in_blocks} == visible(document.text) & {*in_sentences}
    titles = (part for part in parsed.parts if part.kind == "title")
    in_titles = offsets(
        (part.start if part.label_start is None else part.label_start, part.end) for part in titles
    )
    in_headings = offsets((section.start, section.heading_end) for section in document.sections)
    in_labels = offsets((block.label_start, block.start) for block in document.blocks)
    assert visible(document.text) <= {*in_blocks, *in_titles, *in_headings, *in_labels}


def check_contexts(document: Document) -> None:
    """What a block leans on stands before it and is a question or a header."""
    for number, block in enumerate(document.blocks):
        if block.context is not None:
            assert block.context < number
            expected = "table_header" if block.kind == "table_row" else "question"
            assert document.blocks[block.context].kind == expected
        assert block.kind != "answer" or block.context is not None
        assert block.quotable == (block.kind not in ("question", "table_header", "boilerplate"))


def check_look_ups(document: Document) -> None:
    for number, sentence in enumerate(document.sentences):
        assert document.sentence_index(sentence.start) == document.sentence_index(sentence.end - 1) == number
        assert list(document.sentences_between(sentence.start, sentence.end)) == [number]
        section = document.section_of(number)
        assert section.start <= sentence.start < sentence.end <= section.end


@settings(deadline=None, max_examples=250)
@given(FILES, NAMES)
@example("Q: Why?\nA: So.\n\n- item\n\n| a |\n|---|\n| b |", "file.md")
@example("Title\n=====\n\nJO: Is it?\nANN: It is.\nJO: Is it?\nANN: It is.\nJO: Is it?\nANN: No.", "file.txt")
@example("---\n---\n", "file.md")
@example("# T\n\n1.\n\nSome words\n\nIt is so.", "file.md")
@example("# T\n\n[^1]\n\n[^1]: Some words", "file.md")
@example("- <h2>T</h2>\n\nIt is so.[^1]\n\n[^1]: **Bold**\n\n    It is so.", "file.md")
def test_every_document_keeps_the_invariants(source: str, name: str) -> None:
    try:
        parsed = parse(source.encode(), name)
    except EmptyDocumentError:
        return
    check_parts(parsed)
    document = assemble(parsed, document_id="test", name=name)
    assert document.title.strip()
    assert "\n" not in document.title
    assert "\r" not in document.text
    check_ranges(document)
    check_coverage(document, parsed)
    check_contexts(document)
    check_look_ups(document)


@settings(deadline=None, max_examples=150)
@given(FILES)
def test_plain_text_loses_no_word(source: str) -> None:
    try:
        text = parse(source.encode(), "file.txt").text
    except EmptyDocumentError:
        return
    assert re.findall(r"\w+", text) == re.findall(r"\w+", source)


WORDS = st.lists(
    st.sampled_from("river mill meadow flood ground *spring* **autumn** `code` winter".split()), min_size=1
)
BLOCKS = st.lists(
    st.tuples(st.sampled_from(["", "- ", "> ", "## ", "1. ", "- > ", "  - ", "| ", "Q: ", "<p>"]), WORDS),
    min_size=1,
)


@settings(deadline=None, max_examples=150)
@given(BLOCKS, st.sampled_from(["\n", "\n\n"]))
def test_markdown_loses_no_word(pieces: list[tuple[str, list[str]]], gap: str) -> None:
    source = gap.join(marker + " ".join(words) for marker, words in pieces)
    expected = [word.strip("*`") for _, words in pieces for word in words]
    try:
        text = parse(source.encode(), "file.md").text
    except EmptyDocumentError:
        return
    assert re.findall(r"[a-z]{2,}", text) == expected


def test_the_same_sentence_twice_has_two_places() -> None:
    document = document_of("It is so. Nobody knows.\n\nIt is so. Nobody knows.")
    assert len({(sentence.start, sentence.end) for sentence in document.sentences}) == 4


@pytest.mark.parametrize(
    "parts",
    [
        (Part("paragraph", 0, 3), Part("paragraph", 2, 5)),
        (Part("paragraph", 0, 6),),
        (Part("paragraph", 0, 2),),
        (Part("paragraph", 3, 5),),
        (Part("paragraph", 2, 2),),
        (Part("paragraph", 3, 5, label_start=4),),
    ],
)
def test_parts_that_overlap_or_leave_text_out_are_a_defect(parts: tuple[Part, ...]) -> None:
    with pytest.raises(ValueError, match=r"part|text"):
        assemble(Parsed("one 2", parts), document_id="test", name="x")


def paged() -> Document:
    places = (Place(4, "p. 1"), Place(9, "p. 2"))
    return assemble(
        Parsed("one two. three.", (Part("paragraph", 0, 15),), places=places), document_id="x", name="x"
    )


@pytest.mark.parametrize(
    ("offset", "place"), [(0, None), (4, "p. 1"), (8, "p. 1"), (9, "p. 2"), (14, "p. 2")]
)
def test_an_offset_stands_at_the_last_place_before_it(offset: int, place: str | None) -> None:
    assert paged().place_of(offset) == place


@pytest.mark.parametrize("starts", [(3, 2), (2, 2), (-1,), (6,)])
def test_places_out_of_order_or_outside_are_a_defect(starts: tuple[int, ...]) -> None:
    places = tuple(Place(start, "p. 1") for start in starts)
    with pytest.raises(ValueError, match="places"):
        assemble(Parsed("one 2", (Part("paragraph", 0, 5),), places=places), document_id="x", name="x")
