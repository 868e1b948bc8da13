"""What is true of every document, whatever file it comes from."""

from __future__ import annotations

from collections.abc import Iterable

from index import Document
from index.document import Parsed, assemble, check_parts
from index.errors import DocumentError
from index.formats import parse


def outcome(data: bytes, name: str) -> str:
    """What becomes of a file: "read", or the name of the error. Whatever else is raised is a defect."""
    try:
        parsed = parse(data, name)
    except DocumentError as error:
        message = str(error)
        assert message.startswith(f"{name}: ")
        assert len(message.splitlines()) == 1
        return type(error).__name__
    check_invariants(parsed, name)
    return "read"


def check_invariants(parsed: Parsed, name: str) -> None:
    """Raises ValueError or AssertionError."""
    check_parts(parsed)
    document = assemble(parsed, document_id="test", name=name)
    assert document.title.strip()
    assert "\n" not in document.title
    assert "\r" not in document.text
    for text in (document.title, document.text, *(place.label for place in document.places)):
        text.encode()  # no half of a surrogate pair, which the database does not take
    check_ranges(document)
    check_coverage(document, parsed)
    check_contexts(document)
    check_look_ups(document)


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
    """Each visible character of a block is in a sentence, every other in a title, heading or label."""
    visible = int.from_bytes(not character.isspace() for character in document.text)
    length = len(document.text)
    in_blocks = covered(((block.start, block.end) for block in document.blocks), length)
    in_sentences = covered(((sentence.start, sentence.end) for sentence in document.sentences), length)
    assert visible & in_blocks == visible & in_sentences
    titles = ((part.outer_start, part.end) for part in parsed.parts if part.kind == "title")
    headings = ((section.start, section.heading_end) for section in document.sections)
    labels = ((block.label_start, block.start) for block in document.blocks)
    assert visible & ~(in_blocks | covered((*titles, *headings, *labels), length)) == 0


def covered(ranges: Iterable[tuple[int, int]], length: int) -> int:
    """The characters in some ranges of a text of this length, a byte each."""
    marks = bytearray(length)
    for start, end in ranges:
        marks[start:end] = b"\1" * (end - start)
    return int.from_bytes(marks)


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
