"""Which format a file has: what it holds counts, then its name."""

from __future__ import annotations

import pytest
from test_index_html import FILES
from test_index_pdf import GARDEN, GAUGES, lines, pdf_of

from index.errors import DocumentError, NotTextError, UnreadableFileError, UnsupportedFormatError
from index.formats import DETECTED, MARKED, PARSERS, parse

PAGE = b"<!DOCTYPE html><html><body><nav>Menu</nav><p>Eels <b>swim</b> at night.</p></body></html>"


@pytest.mark.parametrize("name", ["x.pdf", "x.txt", "x.md", "x.docx"])
def test_a_pdf_is_one_whatever_it_is_called(name: str) -> None:
    assert parse(GAUGES, name).text == parse(GAUGES, "report.pdf").text


def test_a_pdf_may_begin_with_other_bytes() -> None:
    assert (
        parse(b"\r\n\0junk\n" + pdf_of([lines(["Eels swim at night."])]), "x.txt").text
        == "Eels swim at night."
    )


@pytest.mark.parametrize("name", ["x.html", "x.htm", "x.xhtml", "x.txt", "x.md", "x.pdf", "x.php", "x"])
@pytest.mark.parametrize(
    "start", [b"", b"\xef\xbb\xbf", b"\n\t", b'<?xml version="1.0"?>\n', b"<!-- saved from (0022) -->\r\n"]
)
def test_a_web_page_is_one_whatever_it_is_called(name: str, start: bytes) -> None:
    assert parse(start + PAGE, name).text == "Eels swim at night."


def test_a_web_page_without_its_usual_beginning_is_known_by_its_name() -> None:
    assert parse(b"<p>Eels &amp; herons.", "x.html").text == "Eels & herons."
    assert parse("<html><p>Eels".encode("utf-16"), "x.htm").text == "Eels"


@pytest.mark.parametrize(
    "text",
    [
        "<html> is the outermost element of a page, and <p> a paragraph."[1:],
        "About <!DOCTYPE html> and other beginnings.",
        "PDF files begin with %PDF-1.7 or the like.",
    ],
)
def test_a_text_about_a_format_is_a_text(text: str) -> None:
    assert parse(text.encode(), "x.txt").text == text


def test_markdown_with_html_in_it_is_markdown() -> None:
    parsed = parse(b"<p align=center>Eels</p>\n\n# Herons\n\nThey *stand* still.\n", "x.md")
    assert parsed.text.endswith("They stand still.")


@pytest.mark.parametrize("suffix", sorted(MARKED))
def test_a_text_that_is_called_something_else_is_read_as_text(suffix: str) -> None:
    assert parse(b"Eels swim at night.", f"x{suffix}").text == "Eels swim at night."


@pytest.mark.parametrize("name", ["x.md", "x.html", "x.txt", "x"])
@pytest.mark.parametrize(
    "data", [b"\x89PNG\r\n\x1a\n" + bytes(99), b"\x7fELF\x02" + bytes(99), bytes(range(256)) * 9]
)
def test_a_binary_that_nothing_reads_is_refused_with_what_is_read(name: str, data: bytes) -> None:
    with pytest.raises(NotTextError, match=rf"^{name}: this is .*; Quoth reads ") as caught:
        parse(data, name)
    assert all(suffix in str(caught.value) for suffix in PARSERS)


@pytest.mark.parametrize(
    "file", ["river.pandoc.docx", "river.pandoc.odt", "river.pandoc.epub", "river.pandoc.rtf"]
)
@pytest.mark.parametrize("name", ["x.txt", "x.html", "x.zip", "x"])
def test_a_book_or_letter_is_one_whatever_it_is_called(file: str, name: str) -> None:
    data = (FILES / file).read_bytes()
    assert parse(data, name).text == parse(data, file).text


@pytest.mark.parametrize("name", ["x.pdf", "x.docx", "x.odt", "x.epub"])
def test_a_binary_that_is_not_what_its_name_says_is_refused(name: str) -> None:
    with pytest.raises(UnreadableFileError, match=f"^{name}: "):
        parse(b"\x89PNG\r\n\x1a\n" + bytes(99), name)


def test_an_unknown_name_is_refused_unless_the_content_is_known() -> None:
    with pytest.raises(UnsupportedFormatError, match=r"x\.php: no parser for \.php; Quoth reads .*\.pdf"):
        parse(b"Eels swim.", "x.php")


def test_what_looks_like_a_pdf_and_is_none_is_refused_in_one_line() -> None:
    with pytest.raises(UnreadableFileError, match=r"^x\.txt: the PDF is damaged") as caught:
        parse(b"%PDF-1.7\n" + GARDEN[:50], "x.txt")
    assert "\n" not in str(caught.value)


def test_the_tables_agree() -> None:
    assert {suffix for _, suffix in DETECTED} <= PARSERS.keys()
    assert {suffix for _, suffix in DETECTED} >= MARKED


@pytest.mark.parametrize("suffix", PARSERS)
@pytest.mark.parametrize("data", [b"", b"\0", b"\xff\xfe", b"%PDF-", b"<html", b"PK\x03\x04", b"\n" * 999])
def test_what_is_next_to_nothing_is_refused_not_crashed_on(suffix: str, data: bytes) -> None:
    with pytest.raises(DocumentError, match=rf"^x\{suffix}: "):
        parse(data, f"x{suffix}")
