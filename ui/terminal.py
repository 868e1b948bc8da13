"""Documents and answers as lines of text: wrapped and emphasised on a terminal, plain in a pipe."""

from __future__ import annotations

import re
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Column, Table
from rich.text import Text

from index import Document, DocumentRecord, FeedbackRecord
from index.library import Progress
from rag.answer import Answer, Quote, Status
from rag.feedback import answer_of
from rag.verification import VERDICTS, Check

if TYPE_CHECKING:
    from rag.conversation.evaluation import ConversationReport
    from rag.evaluation import Measure, Report
    from rag.retrieval import Found
    from ui.outputs import PlacedText

PROGRESS_AFTER_SECONDS = 1.0

_VERDICT: dict[Status, str] = {
    "unsure": "Nothing here answers this for certain.",
    "not_found": "No sentence here answers this.",
    "empty": "There is no document to search. Add one: quoth add FILE",
}
_SMALL_TALK = "Happy to help. Ask anything about the documents."
_LEADS: dict[Status, str] = {
    "unsure": "What may answer it (not confirmed):",
    "not_found": "The nearest sentences (not an answer):",
}
_SPACE = re.compile(r"\s+")
# What a terminal obeys instead of showing it: a document may hold escape sequences.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    console.soft_wrap = not console.is_terminal  # rich would wrap a pipe at 80 columns
    return console


def printable(text: str) -> str:
    """One line that is safe to show: white space as single spaces, control characters as U+FFFD."""
    return _CONTROL.sub("\ufffd", _SPACE.sub(" ", text))


def print_line(text: str) -> None:
    """One line, made safe to show."""
    _console().print(printable(text))


def print_failure(text: str) -> None:
    """One line on stderr that says what went wrong."""
    click.echo(f"quoth: {printable(text)}", err=True)


def print_answer(answer: Answer, documents: Mapping[str, Document]) -> None:
    """Quotes with their sections, or the verdict and the leads. `documents` holds every cited one by id."""
    console = _console()
    if answer.resolution == "chitchat":
        console.print(_SMALL_TALK)
        return
    if answer.resolved_question != answer.question:
        console.print(f"Understood as: {printable(answer.resolved_question)}", style="dim")
    if answer.status in _VERDICT:
        console.print(_VERDICT[answer.status])
    if answer.leads:
        console.print(f"\n{_LEADS[answer.status]}")
    for number, quote in enumerate(_contexts_once(answer.quotes), start=1):
        _print_quote(console, quote, documents[quote.document_id], f"[{number}] ")
    for lead in _contexts_once(answer.leads):
        _print_quote(console, lead, documents[lead.document_id], "  - ")
    if answer.quotes:
        console.print(f"Confidence: {answer.confidence:.0%}", style="dim")


def _contexts_once(quotes: Sequence[Quote]) -> Iterator[Quote]:
    """The quotes, without the context that an earlier one was printed with."""
    printed = set()
    for quote in quotes:
        context = (quote.document_id, quote.context)
        yield replace(quote, context=None) if context in printed else quote
        printed.add(context)


def _print_quote(console: Console, quote: Quote, document: Document, marker: str) -> None:
    """Marker and quote, what it leans on before it, its section path and title below it."""
    text = _emphasised(quote)
    if quote.context is not None:
        start, end = quote.context
        text = Text.assemble((f"({printable(document.text[start:end])}) ", "dim"), text)
    _print_indented(console, text, marker)
    citation = _citation(quote.section, quote.place, document.title)
    _print_indented(console, Text(citation, style="cyan"), " " * len(marker))


def _emphasised(quote: Quote) -> Text:
    """The quote with its focus in bold."""
    start, end = quote.focus or (quote.start, quote.start)
    before, focus, after = (
        printable(quote.text[first - quote.start : last - quote.start])
        for first, last in ((quote.start, start), (start, end), (end, quote.end))
    )
    return Text.assemble(before, (focus, "bold"), after)


def _citation(section: Sequence[str], place: str | None, title: str) -> str:
    """`Section › Subsection, place · Title`, the title only where it is not the section."""
    path = ", ".join(filter(None, [" › ".join(map(printable, section)), printable(place or "")]))
    title = printable(title)
    return path if title == path else f"{path} · {title}"


def _print_indented(console: Console, text: Text, marker: str) -> None:
    """The text behind its marker; further lines of it, on a terminal, stand under the first."""
    width = console.width - len(marker) if console.is_terminal else None
    lines = [text] if width is None else text.wrap(console, max(width, 20))
    for number, line in enumerate(lines):
        line.rstrip()
        console.print(Text(" " * len(marker) if number else marker) + line)


def print_passages(passages: Sequence[Found]) -> None:
    """Each passage with its score, its section and its document."""
    console = _console()
    for number, found in enumerate(passages, start=1):
        marker = f"[{number}] "
        _print_indented(console, Text(printable(found.text)), marker)
        citation = f"{_citation(found.section, found.place, found.title)}  {found.score:.2f}"
        _print_indented(console, Text(citation, style="cyan"), " " * len(marker))
    if not passages:
        console.print("There is no passage to search. Add a document: quoth add FILE")


def print_placed(placed: PlacedText) -> None:
    """Where it stands, what stands before, the piece itself behind ">", what stands after."""
    console = _console()
    console.print(Text(_citation(placed.section, placed.place, placed.title), style="cyan"))
    for text, marker, style in (
        (placed.before, "  ", "dim"),
        (placed.text, "> ", "bold"),
        (placed.after, "  ", "dim"),
    ):
        for line in filter(None, (printable(each).strip() for each in text.splitlines())):
            _print_indented(console, Text(line, style=style), marker)


def print_outline(document: Document, record: DocumentRecord) -> None:
    """Title, id and counts, then the sections by depth, each with the number of sentences right below it."""
    console = _console()
    console.print(Text(printable(document.title), style="bold"))
    console.print(f"{record.id}  {record.n_sentences:,} sentences, {record.n_characters:,} characters")
    for section, count in zip(document.sections, document.sentence_counts(), strict=True):
        heading = Text.assemble(printable(section.heading), (f"  {count}", "dim"))
        _print_indented(console, heading, "  " * len(section.path))


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table with a header on a terminal, tab-separated rows without one in a pipe."""
    console = _console()
    table = Table(*(Column(name, overflow="fold") for name in header), box=None, pad_edge=False)
    for row in rows:
        cells = [printable(cell) for cell in row]
        if console.is_terminal:
            table.add_row(*cells)
        else:
            click.echo("\t".join(cells))  # rich would turn the tabs into spaces
    if console.is_terminal:
        console.print(table)


def print_checks(checks: Sequence[Check]) -> None:
    """A row for each quote that was verified, and how many came out how."""
    print_table(
        ("Verdict", "Turn", "Quote", "Stands in", "Where"),
        [
            (each.verdict, f"{each.turn} ({each.kind})", each.quote.text, *_whereabouts(each))
            for each in checks
        ],
    )
    counts = Counter(check.verdict for check in checks)
    found = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    print_line(f"{len(checks)} quotes: {found}" if checks else "There is no quote to verify.")


def _whereabouts(check: Check) -> tuple[str, str]:
    """The document that a quote was looked for in, and where it, or what is most like it, stands there."""
    if check.now is None:
        title = check.quote.title or check.quote.document_id
        return title, "" if check.verdict == "missing" else "no sentence is like it"
    where = f"{check.now.start}:{check.now.end}"
    if check.verdict == "changed":
        where = f"most like it: {where} {check.now.text}"
    return check.now.title, where


def print_feedback(records: Sequence[FeedbackRecord]) -> None:
    """A row for each, with the sentence that answers the question by it, if any."""
    answers = [answer_of(record) for record in records]
    print_table(
        ("Number", "Given", "Verdict", "Question", "Answer"),
        [
            (str(r.number), r.given[:10], r.verdict, r.resolved_question, answer.text if answer else "")
            for r, answer in zip(records, answers, strict=True)
        ],
    )


def print_report(report: Report) -> None:
    """The tables of an evaluation."""
    latency = report.latency()
    print_line(f"{report.data}: {report.n_documents} documents, {len(report.outcomes)} questions")
    print_line(f"a question takes {latency['p50_ms']:.0f} ms (p50), {latency['p95_ms']:.0f} ms (p95)")
    _print_measures(report.measures())
    print_table(
        ("Kind of question", "Number", "Right"),
        [(kind, str(number), f"{right:.3f}") for kind, (number, right) in report.by_kind().items()],
    )
    print_table(
        ("Coverage", "Risk"),
        [(f"{coverage:.0%}", f"{risk:.3f}") for coverage, risk in report.risk_coverage()],
    )


def print_conversation_report(report: ConversationReport) -> None:
    """The tables of an evaluation of conversations."""
    print_line(f"{report.data}: {report.n_documents} documents, {len(report.outcomes)} turns")
    _print_measures(report.measures())
    print_table(
        ("Type of turn", "Answerable", "hit@1", "stand-alone", "no history", "Decided rightly"),
        [
            (kind, str(count), *(f"{share:.3f}" for share in shares))
            for kind, count, *shares in report.by_kind()
        ],
    )


def _print_measures(measures: Iterable[Measure]) -> None:
    print_table(
        ("Measure", "Value", "95 % interval"),
        [(each.name, f"{each.value:.3f}", f"{each.low:.3f} to {each.high:.3f}") for each in measures],
    )


def lines() -> Iterator[str]:
    """What a person types, line by line, with a prompt on a terminal; until an empty line or the end."""
    console = _console(stderr=True)
    prompt = "> " if sys.stdin.isatty() else ""
    while True:
        if prompt:
            console.print(prompt, end="")
        line = sys.stdin.readline().strip()
        if not line:
            return
        yield line


@contextmanager
def progress(label: str) -> Iterator[Progress]:
    """A bar on stderr while the block runs, from the first second on; none when stderr is no terminal."""
    console = _console(stderr=True)
    bar = Bar(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = bar.add_task(printable(label), total=None)

    def update(stage: str, done: int, total: int) -> None:
        bar.update(task, description=printable(f"{label}: {stage}"), completed=done, total=total or None)

    timer = threading.Timer(PROGRESS_AFTER_SECONDS, bar.start)
    timer.start()
    try:
        yield update
    finally:
        timer.cancel()
        timer.join()  # it may be starting the bar right now
        bar.stop()
