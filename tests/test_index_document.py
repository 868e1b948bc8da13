"""The invariants of a document, on generated files of every format."""

from __future__ import annotations

import re

import pytest
from conftest import document_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from invariants import check_invariants

from index import Document
from index.document import Parsed, Part, Place, assemble
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
    check_invariants(parsed, name)


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
