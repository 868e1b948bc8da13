"""PDFs: reading order, paragraphs, headings, pages; and files that are damaged, locked or hostile."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import outcome

from index import Document
from index.document import assemble
from index.errors import EmptyDocumentError, UnreadableFileError
from index.formats import parse, pdf, pdfium
from index.formats.layout import Run
from index.formats.pdf import parse_runs

DATA = Path(__file__).parent / "data"
GARDEN = (DATA / "formats" / "garden.libreoffice-columns.pdf").read_bytes()
GAUGES = (DATA / "formats" / "gauges.chromium.pdf").read_bytes()

Drawn = tuple[str, float, float, float, bool]  # text, left, baseline, size, bold


def pdf_of(pages: Iterable[Sequence[Drawn]]) -> bytes:
    """A PDF with lines of Helvetica at given places, in the given order."""
    pages = list(pages)
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(len(pages)))
    fonts = "/Font << /F0 3 0 R /F1 4 0 R >>"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>",
    ]
    for number, lines in enumerate(pages):
        drawn = (f"/F{bold:d} {size} Tf 1 0 0 1 {x} {y} Tm ({text}) Tj" for text, x, y, size, bold in lines)
        content = "BT " + " ".join(drawn) + " ET"
        box = "/MediaBox [0 0 600 800]"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R {box} /Contents {6 + 2 * number} 0 R /Resources << {fonts} >> >>"
        )
        objects.append(f"<< /Length {len(content)} >> stream\n{content}\nendstream")
    body = "".join(f"{number} 0 obj {text} endobj\n" for number, text in enumerate(objects, 1))
    return f"%PDF-1.4\n{body}trailer << /Root 1 0 R >>\nstartxref\n0\n%%EOF\n".encode()


def lines(texts: Iterable[str], *, left: float = 60, top: float = 700, size: float = 10) -> list[Drawn]:
    return [(text, left, top - 12 * number, size, False) for number, text in enumerate(texts)]


def document_of(data: bytes) -> Document:
    return assemble(parse(data, "x.pdf"), document_id="test", name="x.pdf")


def blocks(document: Document, kind: str) -> list[str]:
    return [document.text[block.start : block.end] for block in document.blocks if block.kind == kind]


def letters(text: str) -> str:
    return "".join(re.findall(r"[^\W_]", text))


def test_two_columns_read_as_the_text_that_they_were_made_of() -> None:
    """Order, hyphenation at the ends of lines, running heads and page numbers, all at once."""
    source = parse((DATA / "authored_dev" / "f-garden_year.md").read_bytes(), "garden.md")
    assert letters(parse(GARDEN, "garden.pdf").text) == letters(source.text)


def test_two_columns_have_the_paragraphs_and_headings_of_their_source() -> None:
    source = (DATA / "authored_dev" / "f-garden_year.md").read_bytes()
    made = assemble(parse(source, "garden.md"), document_id="x", name="garden.md")
    read = document_of(GARDEN)
    assert read.title == made.title
    assert [section.heading for section in read.sections] == [section.heading for section in made.sections]
    sentences = {made.text[sentence.start : sentence.end] for sentence in made.sentences}
    found = [read.text[sentence.start : sentence.end] in sentences for sentence in read.sentences]
    assert sum(found) > 0.9 * len(found)


def test_words_divided_at_the_ends_of_lines_are_whole() -> None:
    words = set(
        re.findall(r"\w+", parse((DATA / "authored_dev" / "f-garden_year.md").read_bytes(), "x.md").text)
    )
    assert set(re.findall(r"\w+", document_of(GARDEN).text)) <= words


def test_every_page_is_a_place() -> None:
    document = document_of(GARDEN)
    assert [place.label for place in document.places] == ["p. 1", "p. 2", "p. 3"]
    assert document.place_of(document.text.index("Our soil")) == "p. 1"
    assert document.place_of(document.text.index("Leave the sunflower")) == "p. 3"


def test_a_paragraph_goes_on_over_the_page_and_has_both_places() -> None:
    document = document_of(GARDEN)
    (block,) = [block for block in document.blocks if document.text.startswith("Garlic goes in", block.start)]
    assert document.text[block.start : block.end].endswith("clubroot dislikes alkaline soil.")
    assert (document.place_of(block.start), document.place_of(block.end - 1)) == ("p. 2", "p. 3")


def test_a_report_keeps_its_structure() -> None:
    document = document_of(GAUGES)
    assert document.title == "Tide gauges of the northern harbours"
    headings = ["1 What is measured", "2 The stations", "3 Reading the file", "4 Questions"]
    assert [section.heading for section in document.sections][1:] == headings
    assert blocks(document, "table_header") == ["Harbour | Since | Mean range"]
    assert blocks(document, "table_row")[1] == "Norholm | 1951 | 187 cm"
    assert blocks(document, "code") == [
        "station,time,height\nSKA,2024-03-01T06:00,151\nSKA,2024-03-01T06:06,154"
    ]
    assert blocks(document, "list_item")[0] == "Drop the lines without a height."
    (answer,) = [block for block in document.blocks if document.text.startswith("Ice lifts", block.start)]
    assert answer.context is not None
    question = document.blocks[answer.context]
    assert document.text[question.start : question.end] == "Why are there gaps in February?"


def test_columns_that_the_file_goes_back_and_forth_between() -> None:
    left = [
        "The eel is born in the sea and",
        "swims up the river when it is",
        "small as a needle. It stays for",
        "ten years in the upper river.",
    ]
    right = [
        "Then it turns to silver and its",
        "eyes grow large. One night in",
        "autumn it swims back down to",
        "the sea to spawn and to die.",
    ]
    rows = zip(lines(left), lines(right, left=230), strict=True)
    document = document_of(pdf_of([[line for row in rows for line in row]]))
    assert document.text == " ".join(left) + "\n\n" + " ".join(right)


def test_a_table_is_not_read_as_columns() -> None:
    rows = [("Town", "Level"), ("Emmen", "5 m"), ("Aarau", "4 m"), ("Brugg", "4 m"), ("Stilli", "3 m")]
    drawn = [
        (text, x, 700 - 20 * number, 10, number == 0)
        for number, row in enumerate(rows)
        for text, x in zip(row, (60, 320), strict=True)
    ]
    document = document_of(pdf_of([drawn]))
    assert document.text == "\n".join(" | ".join(row) for row in rows)
    assert [block.kind for block in document.blocks] == ["table_header"] + ["table_row"] * 4


def test_running_heads_and_page_numbers_are_left_out_whatever_they_count() -> None:
    pages = [
        [
            (f"Chapter {1 + number // 3}: Eels", 60, 760, 9, False),
            *lines([f"Page {number} says this about eels.", f"And this {number} times."]),
            (str(number + 11), 300, 40, 9, False),
        ]
        for number in range(6)
    ]
    text = document_of(pdf_of(pages)).text
    assert "Chapter" not in text
    assert not re.search(r"\b1\d\b", text)
    assert text.count("says this") == 6


@pytest.mark.parametrize(
    ("foot", "is_number"),
    [("7", True), ("- xiv -", True), ("Page 3 of 12", True), ("Civil", False), ("1924 to 1926", False)],
)
def test_on_a_single_page_only_a_number_at_the_foot_is_left_out(foot: str, is_number: bool) -> None:
    drawn = [*lines(["Eels swim at night.", "So do crabs."]), (foot, 300, 40, 10, False)]
    assert (foot not in document_of(pdf_of([drawn])).text) == is_number


def test_a_hyphen_that_belongs_to_the_word_stays() -> None:
    texts = ["A well-known river, the Aare, is", "the longest of all: a well-", "known fact is its under-"]
    texts += ["ground course, and Ann-", "Lise knows it."]
    text = document_of(pdf_of([lines(texts)])).text
    assert text.endswith("a well-known fact is its underground course, and Ann-Lise knows it.")


def test_headings_by_size_weight_and_number() -> None:
    drawn = [
        ("Eels", 60, 740, 20, True),
        ("1 Life", 60, 700, 14, True),
        *lines(["Eels are born in the sea, and nobody has seen it."], top=680),
        ("1.1 Youth", 60, 650, 14, True),
        *lines(["They are as clear as glass then."], top=630),
        ("Food", 60, 600, 10, True),
        *lines(["They eat at night, and then a lot."], top=580),
    ]
    document = document_of(pdf_of([drawn]))
    assert document.title == "Eels"
    assert [section.path for section in document.sections] == [
        ("1 Life",),
        ("1 Life", "1.1 Youth"),
        ("1 Life", "1.1 Youth", "Food"),
    ]


def test_names_on_a_title_page_are_no_headings() -> None:
    drawn = [
        ("A Book of Eels", 60, 740, 24, True),
        ("Ann Lind", 60, 700, 14, True),
        ("Basel", 60, 670, 12, True),
        ("1 Life", 60, 600, 14, True),
        ("1.1 Youth", 60, 570, 14, True),
        *lines(["Eels are born in the sea, and nobody has seen it."], top=550),
    ]
    document = document_of(pdf_of([drawn]))
    assert document.title == "A Book of Eels"
    assert blocks(document, "metadata") == ["Ann Lind", "Basel"]
    assert document.sections[-1].path == ("1 Life", "1.1 Youth")


def test_a_scan_is_refused_in_one_line() -> None:
    with pytest.raises(
        EmptyDocumentError, match=r"^x\.pdf: the PDF holds no text, only pictures; .*OCR"
    ) as caught:
        document_of(pdf_of([[], []]))
    assert "\n" not in str(caught.value)


def test_an_encrypted_pdf_is_refused() -> None:
    with pytest.raises(UnreadableFileError, match=r"locked\.pdf: the PDF is encrypted"):
        parse((DATA / "formats" / "locked.libreoffice.pdf").read_bytes(), "locked.pdf")


@pytest.mark.parametrize(
    "data", [b"%PDF-1.7\n", b"%PDF-1.7\n%\xe2\xe3", b"%PDF-" + bytes(5_000), GARDEN[:900]]
)
def test_a_damaged_pdf_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableFileError, match=r"x\.pdf: the PDF is damaged"):
        parse(data, "x.pdf")


def test_a_pdf_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MAX_SECONDS", 0)
    with pytest.raises(UnreadableFileError, match="takes longer than 0 seconds"):
        parse(GAUGES, "x.pdf")


def test_a_pdf_that_wants_too_much_memory_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MAX_MEMORY", 1)
    with pytest.raises(UnreadableFileError, match="needs more memory"):
        parse(GAUGES, "x.pdf")


def test_a_pdf_that_crashes_pdfium_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "crash.py"
    program.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(pdf, "_PROGRAM", program)
    with pytest.raises(UnreadableFileError, match=r"^x\.pdf: the PDF is damaged"):
        parse(GAUGES, "x.pdf")


def test_a_pdf_with_too_much_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdfium, "MAX_CHARACTERS", 500)
    assert "error" in list(pdfium.records(GAUGES))[-1]


TEXTS = [
    "Eels swim",
    "•",
    "1.",
    "in the well-",
    "known river.",
    "2 Food",
    "Q: Why?",
    "A: So",
    "7",
    "....... 3",
]
RUNS = st.builds(
    Run,
    st.sampled_from(TEXTS),
    st.integers(0, 500).map(float),
    st.integers(500, 900).map(float),
    st.integers(0, 60).map(lambda step: 12.0 * step),
    st.sampled_from([9.0, 10.0, 14.0]),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([0.0, 0.0, 1.0]),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.lists(RUNS, max_size=25), min_size=1, max_size=3))
def test_text_anywhere_on_a_page_keeps_the_invariants(pages: list[list[Run]]) -> None:
    labels = [f"p. {number}" for number in range(len(pages))]
    with mock.patch.object(pdf, "read_runs", return_value=("", labels, pages)):
        outcome(b"%PDF-", "x.pdf")


@pytest.mark.parametrize("text", ["." * 100_000 + " x" * 9, "a" * 100_000, "-" * 100_000, "1. " * 50_000])
def test_a_long_line_takes_linear_time(text: str) -> None:
    started = time.process_time()
    assert parse_runs(
        "", ["p. 1"], [[Run(text, 50, 500, 100, 10, 0, 0), Run("eels", 50, 90, 88, 10, 0, 0)]]
    ).text
    assert time.process_time() - started < 3


def test_type_of_no_size_and_text_nowhere_do_no_harm() -> None:
    drawn = [("Eels swim at night.", 50, 700, 0, False), ("So do crabs.", 1e38, 1e38, 10, False)]
    parse(pdf_of([[*drawn, ("Herons do not.", 50, 650, 10, False)]]), "x.pdf")


def test_a_page_of_many_thousand_lines_takes_linear_time() -> None:
    runs = [Run(f"eels number {n} swim", 50, 500, 8.0 * -n, 10, 0, 0) for n in range(20_000)]
    heads = [Run(f"Head {n}", 50, 500, -30.0 * n, 14, 1, 0) for n in range(20_000)]
    cells = [Run("x", 20.0 * n, 20.0 * n + 5, 100, 10, 0, 0) for n in range(20_000)]
    started = time.process_time()
    for page in (runs, heads, cells):
        assert parse_runs("", ["p. 1"], [page]).text
    assert time.process_time() - started < 10
