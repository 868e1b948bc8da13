from __future__ import annotations

import codecs
import contextlib
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.errors import DocumentError, EmptyDocumentError, NotTextError, UnsupportedFormatError
from index.formats import PARSERS, parse
from index.formats.decoding import decode

CURLY = "She said “it’s 5 €” – naïve… café"


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
@pytest.mark.parametrize("text", [CURLY, "日本語 👍🏽 e\u0301", "x"])
def test_unicode_with_and_without_a_mark(mark: bytes, encoding: str, text: str) -> None:
    assert decode(mark + text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_when_it_is_evident(encoding: str) -> None:
    assert decode(CURLY.encode(encoding)) == CURLY


@pytest.mark.parametrize("text", [CURLY, "naïve", "é", "“x”", "Straße, Größe, Übermut"])
def test_windows_1252_also_when_short(text: str) -> None:
    assert decode(text.encode("cp1252")) == text


def test_bytes_that_windows_1252_leaves_undefined_do_no_harm() -> None:
    assert decode(b"caf\xe9 \x81 bar") == "café \x81 bar"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "Привет! Это обычный текст на русском языке, достаточно длинный, чтобы узнать кодировку."),
        ("shift_jis", "これは日本語の文章です。文字コードを推測できるように、少し長い文章を書いています。"),
    ],
)
def test_another_script_in_its_usual_encoding(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_one_damaged_byte_does_not_turn_utf_8_into_gibberish() -> None:
    assert decode("Größe, Übermut, “Straße”".encode() + b"\xff") == "Größe, Übermut, “Straße”\ufffd"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_every_line_end_becomes_one(end: str) -> None:
    assert decode(f"a{end}b{end}{end}c".encode()) == "a\nb\n\nc"


def test_other_code_points_stay_as_they_are() -> None:
    text = "e\u0301 \u00e9 \ufb01 \u200d \u200f \ufeff\ttab"
    assert decode(text.encode()) == text


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04\x14\x00", "ZIP"),
        (b"\x89PNG\r\n\x1a\n\x00", "PNG"),
        (b"\x7fELF\x02\x01", "program"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"SQLite format 3\x00", "SQLite"),
        (b"a line\x00with a zero byte", "binary"),
        (bytes(range(1, 32)) * 20, "binary"),
        (codecs.BOM_UTF16_LE + random.Random(1).randbytes(999), "UTF-16"),
    ],
)
def test_what_is_no_text_is_refused_in_one_line_that_names_it(data: bytes, what: str) -> None:
    with pytest.raises(NotTextError, match=what) as caught:
        parse(data, "notes.txt")
    assert str(caught.value).startswith("notes.txt: ")
    assert all(suffix in str(caught.value) for suffix in PARSERS)
    assert "\n" not in str(caught.value)


def test_random_bytes_are_refused() -> None:
    for seed in range(20):
        with pytest.raises(NotTextError):
            decode(random.Random(seed).randbytes(5_000))


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([*PARSERS, ""]))
def test_no_bytes_crash_a_parser(data: bytes, suffix: str) -> None:
    with contextlib.suppress(DocumentError):
        assert parse(data, f"file{suffix}").text


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs", "Cc"])))
def test_utf_8_always_comes_back(text: str) -> None:
    expected = text.removeprefix("\ufeff").replace("\u2028", "\n").replace("\u2029", "\n")
    assert decode(text.encode()) == expected


def test_an_unknown_suffix_is_refused_with_the_list_of_those_known() -> None:
    with pytest.raises(UnsupportedFormatError, match=r"scan\.xyz: .*\.xyz") as caught:
        parse(b"words", "scan.xyz")
    assert all(suffix in str(caught.value) for suffix in PARSERS)


@pytest.mark.parametrize("name", ["README", "NOTES.TXT", "v1.2", "notes.2024", "a.b.text", "x.Markdown"])
def test_names_that_are_read(name: str) -> None:
    assert "one sentence" in parse(b"Here is one sentence.", name).text


@pytest.mark.parametrize(
    "data", [b"", b" \r\n\t\n", codecs.BOM_UTF8, b"\xef\xbb\xbf\n", b"---\n***\n", b"\xe2\x80\x8b"]
)
@pytest.mark.parametrize("suffix", [".txt", ".md"])
def test_a_file_without_text_is_refused(data: bytes, suffix: str) -> None:
    with pytest.raises(EmptyDocumentError, match=f"empty{suffix}"):
        parse(data, f"empty{suffix}")


@pytest.mark.parametrize("suffix", [".txt", ".md"])
def test_a_document_of_one_word(suffix: str) -> None:
    (part,) = parse(b"Hello", f"one{suffix}").parts
    assert (part.kind, part.start, part.end) == ("paragraph", 0, 5)


def test_fifty_megabytes_take_linear_time() -> None:
    data = b"caf\xe9 and a line of text\r\n" * 400_000  # 10 MB
    started = time.process_time()
    assert decode(data).count("\n") == 400_000
    assert time.process_time() - started < 5
