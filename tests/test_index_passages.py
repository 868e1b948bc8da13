from __future__ import annotations

import pytest
from conftest import document_of
from hypothesis import given, settings
from hypothesis import strategies as st

from index import Document
from index.embedding import Embedder, FakeEmbedder
from index.errors import DocumentError
from index.passages import TARGET_TOKENS, divide

LINES = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.sampled_from(
            ["A HEADING", "- an item", "Q: Why?", "A: Because it is. So there.", "", "Same sentence. " * 3]
        ),
        st.integers(1, 400).map(lambda n: "word " * n + "end."),
    ),
    max_size=30,
).map("\n".join)


def check(document: Document, embedder: Embedder) -> None:
    passages = divide(document, embedder.count_tokens, embedder.max_tokens)
    lengths = embedder.count_tokens([passage.embedded_text(document) for passage in passages])
    assert all(length <= embedder.max_tokens for length in lengths)
    for passage in passages:
        section = document.sections[passage.section]
        assert section.start <= passage.start < passage.end <= section.end
        assert (passage.start, passage.end) == (passage.spans[0][0], passage.spans[-1][1])
        text = passage.embedded_text(document)
        assert [text[start:end] for start, end in passage.embedded_spans()] == [
            document.text[start:end] for start, end in passage.spans
        ]
    covered = [offset for passage in passages for start, end in passage.spans for offset in range(start, end)]
    quotable = [
        offset
        for sentence in document.sentences
        if document.blocks[sentence.block].quotable
        for offset in range(sentence.start, sentence.end)
    ]
    missing = set(quotable) - set(covered)
    assert len(covered) == len(set(covered))
    assert set(covered) <= set(quotable)
    assert not "".join(document.text[offset] for offset in missing).strip()


@settings(max_examples=150, deadline=None)
@given(LINES, st.integers(12, 60))
def test_every_quotable_sentence_is_in_one_passage_that_fits(text: str, window: int) -> None:
    try:
        document = document_of(text)
    except DocumentError:
        return
    check(document, FakeEmbedder(max_tokens=window))


@pytest.mark.model
@settings(max_examples=25, deadline=None)
@given(text=LINES)
def test_passages_fit_the_real_window(embedder: Embedder, text: str) -> None:
    try:
        document = document_of(text)
    except DocumentError:
        return
    check(document, embedder)


@pytest.mark.model
def test_summary_fits_the_real_window(embedder: Embedder, summary: Document) -> None:
    check(summary, embedder)


def test_short_blocks_are_gathered_and_long_ones_stand_alone() -> None:
    embedder = FakeEmbedder()
    items = "\n".join(f"- item {number} of the list" for number in range(6))
    long = "\n\n".join("A sentence of seven words stands here. " * 14 for _ in range(2))
    document = document_of(f"A Title\n\nSome Heading\n\n{items}\n\nOther Heading\n\n{long}")
    passages = divide(document, embedder.count_tokens, embedder.max_tokens)
    assert [len(passage.spans) for passage in passages] == [6, 14, 14]
    assert TARGET_TOKENS < 2 * 14 * 7


def test_a_pair_is_one_unit_with_the_question_in_front(summary: Document) -> None:
    embedder = FakeEmbedder()
    passages = divide(summary, embedder.count_tokens, embedder.max_tokens)
    (radar,) = (passage for passage in passages if "Why remove Radar and LiDAR?" in passage.prefix)
    answer = summary.text[radar.start : radar.end]
    assert answer.startswith("Sensors aren’t free;")
    assert answer.endswith("because humans drive with it.")
    assert "Software 2.0 and the Tesla Data Engine › Digging Deeper › Why remove" in radar.prefix


def test_boilerplate_is_in_no_passage(summary: Document) -> None:
    embedder = FakeEmbedder()
    passages = divide(summary, embedder.count_tokens, embedder.max_tokens)
    assert not any("Click the image" in summary.text[passage.start : passage.end] for passage in passages)
    assert any("Reading time" in summary.text[passage.start : passage.end] for passage in passages)


def test_an_endless_heading_leaves_room_for_the_text() -> None:
    embedder = FakeEmbedder(max_tokens=40)
    document = document_of("# " + "long heading " * 100 + "\n\nThe text itself is here.\n", "test.md")
    (passage,) = divide(document, embedder.count_tokens, embedder.max_tokens)
    assert document.text[passage.start : passage.end] == "The text itself is here."
    assert embedder.count_tokens([passage.prefix])[0] - 2 <= (40 - 2) // 3
