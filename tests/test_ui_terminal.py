from __future__ import annotations

import re
import threading
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index import Document, DocumentRecord
from index.document import Parsed, Part, assemble
from rag.answer import Answer, Quote, Status
from ui import terminal

TEXT = "Sensors\nWhy was radar removed?\nIt disagreed with the cameras, and the cameras were right."
COLUMNS = 40


@pytest.fixture(autouse=True)
def in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(COLUMNS))


@pytest.fixture
def document() -> Document:
    """A heading, a question and its answer."""
    question, answer = TEXT.index("Why"), TEXT.index("It")
    parts = (
        Part("heading", 0, 7, level=1),
        Part("question", question, answer - 1),
        Part("answer", answer, len(TEXT), context=1),
    )
    return assemble(Parsed(TEXT, parts), document_id="d1", name="A [bold] name.txt")


@pytest.fixture
def quote(document: Document) -> Quote:
    sentence, question = document.sentences[-1], document.blocks[0]
    start, end = sentence.start, sentence.end
    focus = (start + len("It "), start + len("It disagreed"))
    section, context = ("Sensors", "Why [not]"), (question.start, question.end)
    return Quote(document.id, start, end, TEXT[start:end], section, focus, 0.9, context)


def printed(answer: Answer, document: Document, capsys: pytest.CaptureFixture[str]) -> str:
    terminal.print_answer(answer, {document.id: document})
    return capsys.readouterr().out


def test_in_a_pipe_a_quote_is_one_plain_line_and_its_citation_another(
    document: Document, quote: Quote, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = Answer("q", "q", "answered", 0.9, quotes=(quote,))
    assert printed(answer, document, capsys) == (
        "[1] (Why was radar removed?) It disagreed with the cameras, and the cameras were right.\n"
        "    Sensors › Why [not] · A [bold] name.txt\n"
        "Confidence: 90%\n"
    )


def test_a_question_of_the_source_stands_before_its_first_quote_only(
    document: Document, quote: Quote, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = printed(Answer("q", "q", "answered", 0.9, quotes=(quote, quote)), document, capsys)
    assert shown.count("Why was radar removed?") == 1
    assert "[2] It disagreed" in shown


@pytest.mark.usefixtures("on_a_terminal")
def test_on_a_terminal_lines_fit_and_the_focus_is_bold(
    document: Document, quote: Quote, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = printed(Answer("q", "q", "answered", 0.9, quotes=(quote,)), document, capsys)
    assert "\x1b[1mdisagreed\x1b[0m" in shown
    lines = re.sub(r"\x1b\[[\d;]*m", "", shown).splitlines()
    assert len(lines) > 3
    assert all(len(line) <= COLUMNS and line.startswith(("[1] ", "    ")) for line in lines[:-1])


@pytest.mark.usefixtures("on_a_terminal")
def test_no_color_is_respected(
    document: Document, quote: Quote, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Answer("q", "q", "answered", 0.9, quotes=(quote,))
    colour = re.compile(r"\x1b\[[\d;]*3\d")
    assert colour.search(printed(answer, document, capsys))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colour.search(printed(answer, document, capsys))


@pytest.mark.parametrize(
    ("status", "verdict", "label"),
    [
        ("unsure", "Nothing here answers this for certain.", "What may answer it (not confirmed):"),
        ("not_found", "No sentence here answers this.", "The nearest sentences (not an answer):"),
    ],
)
def test_leads_are_labelled_and_not_numbered_like_quotes(
    status: Status,
    verdict: str,
    label: str,
    document: Document,
    quote: Quote,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = printed(Answer("q", "q", status, 0.1, leads=(quote,)), document, capsys).splitlines()
    assert lines[:3] == [verdict, "", label]
    assert lines[3].startswith("  - ")
    assert "[1]" not in "".join(lines)


def test_an_empty_library_gets_the_command_that_fills_it(
    document: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "quoth add" in printed(Answer("q", "q", "empty", 0.0), document, capsys)


@given(st.text())
def test_printable_text_is_one_line_without_control_characters(text: str) -> None:
    shown = terminal.printable(text)
    assert not [c for c in shown if unicodedata.category(c) == "Cc"]
    assert len(shown.splitlines()) <= 1


def test_an_escape_sequence_in_a_document_does_not_reach_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = "\x1b]0;owned\x07A sentence\x9b31m stands here."
    hostile = assemble(Parsed(text, (Part("paragraph", 0, len(text)),)), document_id="d1", name="\x1b[2J.txt")
    (sentence,) = hostile.sentences
    lead = Quote(
        "d1", sentence.start, sentence.end, text[sentence.start : sentence.end], ("\x1b[2J",), None, 0.1
    )
    shown = printed(Answer("q", "q", "unsure", 0.1, leads=(lead,)), hostile, capsys)
    assert not set(shown) & {"\x1b", "\x07", "\x9b"}


def test_the_outline_counts_every_sentence_once(
    document: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sum(document.sentence_counts()) == len(document.sentences)
    record = DocumentRecord("d1", document.title, document.name, "2026-11-23T00:00:00+00:00", 2, len(TEXT))
    terminal.print_outline(document, record)
    title, counts, *sections = capsys.readouterr().out.splitlines()
    assert title == "A [bold] name.txt"
    assert counts == f"d1  2 sentences, {len(TEXT)} characters"
    assert sections == ["  Sensors  2"]


def test_a_table_in_a_pipe_is_tab_separated_whatever_the_cells_hold(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal.print_table(("Id", "Title"), [("1", "a\tb\nc " + "long " * 50), ("2", "[red]x")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["1", "2"]
    assert [len(line.split("\t")) for line in lines] == [2, 2]
    assert lines[1] == "2\t[red]x"


@pytest.mark.usefixtures("on_a_terminal")
def test_a_table_on_a_terminal_has_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_table(("Id", "Title"), [("1", "Notes")])
    assert "Title" in capsys.readouterr().out.splitlines()[0]


def test_progress_stays_out_of_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.progress("notes.md") as update:
        update("embed", 1, 2)
        time.sleep(terminal.PROGRESS_AFTER_SECONDS + 0.2)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


@pytest.mark.usefixtures("on_a_terminal")
def test_progress_on_a_terminal_names_file_and_stage_after_a_second(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with terminal.progress("notes [1].md") as update:
        update("embed", 1, 2)
        time.sleep(terminal.PROGRESS_AFTER_SECONDS + 0.2)
    captured = capsys.readouterr()
    assert "notes [1].md: embed" in captured.err
    assert captured.out == ""


@pytest.mark.usefixtures("on_a_terminal")
def test_what_is_quick_shows_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.progress("notes.md"):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("on_a_terminal")
def test_progress_ends_when_the_work_fails() -> None:
    before = threading.active_count()
    with pytest.raises(ValueError, match="bad"), terminal.progress("notes.md"):
        raise ValueError("bad")
    assert threading.active_count() == before
