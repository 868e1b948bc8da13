from __future__ import annotations

from dataclasses import replace

import pytest

from index import Document, Library
from rag import Answer
from rag.record import CitedQuote, Record
from rag.verification import Check, verify

BEES = """Bees

Dances

A bee dances to tell where food is. The dance lasts a minute. 🐝 Others follow.

Winter

The dance lasts a minute. Bees keep warm in a cluster.
"""


@pytest.fixture
def bees(library: Library) -> Document:
    return library.add(BEES.encode(), name="bees.txt")


def quote_of(document: Document, sentence: int) -> CitedQuote:
    start, end = document.sentences[sentence].start, document.sentences[sentence].end
    section = document.section_of(sentence).path
    text = document.text[start:end]
    return CitedQuote(
        document.id, start, end, text, section, None, 0.5, title=document.title, name=document.name
    )


def check(quote: CitedQuote, library: Library) -> Check:
    answer = Answer("?", "?", "answered", 0.5, (quote,))
    (checked,) = verify(Record(1, "", (answer,)), library)  # type: ignore[arg-type]
    assert checked.quote == quote
    if checked.now is not None:
        document = library.document(checked.now.document_id)
        assert document.text[checked.now.start : checked.now.end] == checked.now.text
    return checked


def test_every_sentence_is_right_where_it_stands(library: Library, bees: Document) -> None:
    for sentence in range(len(bees.sentences)):
        quote = quote_of(bees, sentence)
        checked = check(quote, library)
        assert checked.verdict == "right"
        assert checked.now is not None
        assert (checked.now.start, checked.now.section) == (quote.start, quote.section)


def test_other_offsets_in_the_same_document_are_moved_to_the_nearest_place(
    library: Library, bees: Document
) -> None:
    early, late = (quote_of(bees, number) for number in (1, 3))
    assert early.text == late.text
    for quote, expected in (
        (replace(late, start=late.start + 1, end=late.end + 1), late),
        (replace(early, start=0, end=5), early),
        (replace(early, end=early.end + 1), early),
    ):
        checked = check(quote, library)
        assert checked.verdict == "moved"
        assert checked.now is not None
        assert (checked.now.start, checked.now.end) == (expected.start, expected.end)


@pytest.mark.parametrize("name", ["bees.txt", "renamed.txt"])
def test_a_new_version_of_the_document_that_still_says_it(
    library: Library, bees: Document, name: str
) -> None:
    quote = quote_of(bees, 4)
    library.remove(bees.id)
    newer = library.add(BEES.replace("lasts a minute", "lasts an hour").encode(), name=name)
    checked = check(quote, library)
    assert checked.verdict == "moved"
    assert checked.now is not None
    assert (checked.now.document_id, checked.now.text) == (newer.id, quote.text)


def test_a_new_version_that_says_something_else_is_changed(library: Library, bees: Document) -> None:
    quote = quote_of(bees, 4)
    library.remove(bees.id)
    library.add(BEES.replace("keep warm in", "stay warm within").encode(), name="bees.txt")
    checked = check(quote, library)
    assert checked.verdict == "changed"
    assert checked.now is not None
    assert checked.now.text == "Bees stay warm within a cluster."
    assert checked.now.section == ("Winter",)


@pytest.mark.parametrize(
    ("old", "new"), [("cluster", "clusters"), ("in a", "in  a"), ("Bees", "bees"), ("a", "а")]
)
def test_one_character_of_difference_is_a_change(
    library: Library, bees: Document, old: str, new: str
) -> None:
    quote = quote_of(bees, 4)
    checked = check(replace(quote, text=quote.text.replace(old, new, 1)), library)
    assert checked.verdict == "changed"
    assert checked.now is not None
    assert (checked.now.start, checked.now.end) == (quote.start, quote.end)


@pytest.mark.parametrize("sentence", [1, 3])
def test_of_equal_sentences_the_nearest_is_most_alike(
    library: Library, bees: Document, sentence: int
) -> None:
    quote = quote_of(bees, sentence)
    checked = check(replace(quote, text="The dance lasts a second."), library)
    assert checked.verdict == "changed"
    assert checked.now is not None
    assert checked.now.start == quote.start


def test_a_document_goes_before_its_namesakes_and_of_those_the_newest(
    library: Library, bees: Document
) -> None:
    quote = quote_of(bees, 4)
    newer, newest = (library.add(f"{BEES}\nVersion {number}.".encode(), name="bees.txt") for number in (2, 3))
    assert check(quote, library).verdict == "right"
    library.remove(bees.id)
    for version in (newest, newer):
        checked = check(quote, library)
        assert checked.verdict == "moved"
        assert checked.now is not None
        assert checked.now.document_id == version.id
        library.remove(version.id)


def test_a_forged_quote_with_no_word_of_the_document(library: Library, bees: Document) -> None:
    checked = check(replace(quote_of(bees, 0), text="Wholly invented!"), library)
    assert (checked.verdict, checked.now) == ("changed", None)


def test_a_removed_document_is_missing_whatever_others_say(library: Library, bees: Document) -> None:
    library.remove(bees.id)
    library.add(BEES.replace("Bees\n", "Wasps\n", 1).encode(), name="wasps.txt")
    for quote in (quote_of(bees, 0), replace(quote_of(bees, 0), title="", name="")):
        checked = check(quote, library)
        assert (checked.verdict, checked.now) == ("missing", None)


def test_a_renamed_document_is_the_same(library: Library, bees: Document) -> None:
    library.rename(bees.id, "All about bees")
    assert check(quote_of(bees, 0), library).verdict == "right"


def test_quotes_and_leads_of_every_turn_are_checked_in_order(library: Library, bees: Document) -> None:
    first, second, third = (quote_of(bees, number) for number in range(3))
    turns = (
        Answer("?", "?", "answered", 0.5, (first, second)),
        Answer("?", "?", "not_found", 0.1),
        Answer("?", "?", "unsure", 0.3, leads=(third,)),
    )
    checks = verify(Record(1, "", turns), library)  # type: ignore[arg-type]
    assert [(each.turn, each.kind, each.quote) for each in checks] == [
        (1, "quote", first),
        (1, "quote", second),
        (3, "lead", third),
    ]
