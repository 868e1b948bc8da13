"""Plain text: headings are bare lines, list items and questions are known by their labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from index.document import Parsed, Part
from index.formats.lines import Item, Page, ends_sentence, read_page
from index.formats.notices import notices
from index.formats.outline import Outline, find_outline
from index.formats.parts import PartList
from index.formats.speech import compose_speech
from index.formats.transcript import find_transcript, opens_with_time

MAX_VERSE_CHARS = 60
"""Lines up to this length that break off without punctuation are verse, an address or a signature."""

_SPEECH = (
    "What is said stands here, in a paragraph that is long enough to be prose and ends with a full stop."
)


def parse_text(source: str) -> Parsed:
    """The parts of a plain text with `\\n` line ends.

    Offsets are into `Parsed.text`, which is `source` without underlines, rules and the ">" of a quotation's
    further lines, and in a transcript without the times: these are its places.
    """
    transcript = find_transcript(source)
    if transcript is None:
        return _parse_prose(source)
    speech = compose_speech(transcript.cues)
    return _below(transcript.head, speech) if transcript.head.strip() else speech


def _parse_prose(source: str) -> Parsed:
    page = read_page(source)
    outline = find_outline(page)
    parts = PartList(page.text)
    for number, item in _join_verse(page, outline):
        start, label = _heading_start(item)
        if number == outline.title:
            parts.title(start, item.end, label)
        elif number in outline.levels:
            parts.heading(start, item.end, outline.levels[number], label)
        elif number in outline.masthead:
            parts.metadata(item.label_start, item.end)
        else:
            _add_item(parts, item)
    return Parsed(page.text, tuple(parts.parts))


def _below(head: str, speech: Parsed) -> Parsed:
    """What is said, below the lines that stand before it."""
    opening = _parse_prose(f"{head}\n\n{_SPEECH}")  # a heading is one by what it heads
    above = [part for part in opening.parts if part.end <= opening.text.rindex(_SPEECH)]
    text = opening.text.removesuffix(_SPEECH)
    below = (_shift(part, len(text), len(above)) for part in speech.parts)
    places = (replace(place, start=place.start + len(text)) for place in speech.places)
    return Parsed(text + speech.text, (*above, *below), speech.title, tuple(places))


def _shift(part: Part, by: int, number: int) -> Part:
    """The part with its text `by` characters and its context `number` parts further on."""
    return replace(
        part,
        start=part.start + by,
        end=part.end + by,
        label_start=None if part.label_start is None else part.label_start + by,
        context=None if part.context is None else part.context + number,
    )


def _heading_start(item: Item) -> tuple[int, int | None]:
    """Where the content and the label of a heading begin: "## " is a label, "3. " is content."""
    has_label = item.level > 0 and item.label_start < item.start
    return (item.start, item.label_start) if has_label else (item.label_start, None)


def _add_item(parts: PartList, item: Item) -> None:
    label = item.label_start if item.label_start < item.start else None
    if item.kind == "question":
        parts.question(item.start, item.end, label)
    elif item.kind in ("bullet", "number"):
        parts.list_item(item.start, item.end, label)
    elif item.kind == "quotation":
        parts.quotation(item.start, item.end, label)
    elif item.kind == "turn":
        parts.end_answer()
        parts.paragraph(item.start, item.end, label)
    elif item.kind == "answer" and parts.has_question:
        parts.paragraph(item.start, item.end, label)
    else:
        parts.paragraph(item.label_start, item.end)


def _join_verse(page: Page, outline: Outline) -> Iterator[tuple[int, Item]]:
    """Items with the index of their first line: short lines that break off are joined to the next."""
    number = 0
    while number < len(page.items):
        first, item = number, page.items[number]
        number += 1
        while number < len(page.items) and _goes_on(page, outline, number):
            item = item._replace(end=page.items[number].end)
            number += 1
        yield first, item


def _goes_on(page: Page, outline: Outline, number: int) -> bool:
    """Does an item continue the one before it, as a line of verse or after a colon?"""
    line, following = page.items[number - 1], page.items[number]
    if line.kind != "plain" or following.kind != "plain" or following.after_blank or following.lines > 1:
        return False
    if outline.has_role(number - 1) or outline.has_role(number) or line.end - line.start > MAX_VERSE_CHARS:
        return False
    if any(kind for item in (line, following) for kind, _, _ in notices(page.text, item.start, item.end)):
        return False
    if opens_with_time(page.content(number)):
        return False
    introduces = page.text[line.end - 1] == ":"
    is_short = following.end - following.start <= MAX_VERSE_CHARS
    return introduces or (is_short and not ends_sentence(page.text, line.start, line.end))
