"""Document → passages: consecutive sentences of one section, the unit that is embedded and retrieved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from index.document import Block, Document

CHUNKING = "1"
"""Version of the rules below; a library embedded under another one has to be indexed again."""

TARGET_TOKENS = 120
"""Short blocks (list items, one-line paragraphs) are gathered up to this length, prefix not counted."""

PREFIX_SHARE = 3
"""At most this fraction (one third) of the model's window goes to headings and the question."""

CountTokens = Callable[[Sequence[str]], list[int]]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Passage:
    """`start:end` in the document. What is embedded is the prefix, a line break, and that text.

    The prefix is the heading path and, for an answer or a table's rows, the question or header that they
    belong to: it helps to find the passage and is no part of it. `spans` are the sentences in it, in
    document offsets; only a sentence longer than the model's window is divided between passages.
    """

    document_id: str
    start: int
    end: int
    section: int  # index into Document.sections
    prefix: str
    spans: tuple[Span, ...]

    def embedded_text(self, document: Document) -> str:
        return f"{self.prefix}\n{document.text[self.start : self.end]}"

    def embedded_spans(self) -> list[Span]:
        """The sentences as offsets into the embedded text."""
        shift = len(self.prefix) + 1 - self.start
        return [(start + shift, end + shift) for start, end in self.spans]


@dataclass(frozen=True, slots=True)
class _Unit:
    """The sentences of one block that go together under one prefix."""

    block: Block
    spans: tuple[Span, ...]
    tokens: int


def divide(document: Document, count_tokens: CountTokens, max_tokens: int) -> tuple[Passage, ...]:
    """The document's passages, in order. Every quotable sentence is in one; none crosses a heading.

    `max_tokens` is the model's window and `count_tokens` its tokenizer, special tokens included.
    """
    special = count_tokens([""])[0]
    window = max_tokens - special

    def count(texts: Sequence[str]) -> list[int]:
        return [tokens - special for tokens in count_tokens(texts)]

    passages = [
        passage
        for units in _gather(_units(document, count))
        for passage in _passages(document, units, count, window)
    ]
    return tuple(_fit(document, passages, count, window))


def _units(document: Document, count: CountTokens) -> Iterator[_Unit]:
    sentences = document.sentences
    lengths = count([document.text[sentence.start : sentence.end] for sentence in sentences])
    by_block: dict[int, list[int]] = {}
    for number, sentence in enumerate(sentences):
        by_block.setdefault(sentence.block, []).append(number)
    for block_number, numbers in by_block.items():
        block = document.blocks[block_number]
        if block.quotable:
            spans = tuple((sentences[number].start, sentences[number].end) for number in numbers)
            yield _Unit(block, spans, sum(lengths[number] for number in numbers))


def _gather(units: Iterator[_Unit]) -> Iterator[list[_Unit]]:
    """Neighbouring blocks of the same section and context, up to the target length."""
    gathered: list[_Unit] = []
    for unit in units:
        if gathered and not _belong_together(gathered, unit):
            yield gathered
            gathered = []
        gathered.append(unit)
    if gathered:
        yield gathered


def _belong_together(gathered: list[_Unit], unit: _Unit) -> bool:
    last = gathered[-1].block
    alike = (last.section, last.context) == (unit.block.section, unit.block.context)
    apart = "metadata" in (last.kind, unit.block.kind)
    return alike and not apart and sum(each.tokens for each in gathered) + unit.tokens <= TARGET_TOKENS


def _passages(document: Document, units: list[_Unit], count: CountTokens, window: int) -> list[Passage]:
    block = units[0].block
    prefix = _prefix(document, block, count, window // PREFIX_SHARE)
    spans = tuple(span for unit in units for span in unit.spans)
    return [Passage(document.id, spans[0][0], spans[-1][1], block.section, prefix, spans)]


def _prefix(document: Document, block: Block, count: CountTokens, limit: int) -> str:
    """Heading path and context, cut from the left (the outermost heading goes first) to the limit."""
    parts = [document.title, *document.sections[block.section].path]
    if block.context is not None:
        context = document.blocks[block.context]
        parts.append(document.text[context.start : context.end])
    prefix = " › ".join(dict.fromkeys(" ".join(part.split()) for part in parts))
    while prefix and count([prefix])[0] > limit:
        prefix = prefix[len(prefix) // 4 + 1 :]
    return prefix


def _fit(
    document: Document, passages: Sequence[Passage], count: CountTokens, window: int
) -> Iterator[Passage]:
    """Divide what is too long for the model between sentences, else between words, else anywhere."""
    lengths = count([passage.embedded_text(document) for passage in passages])
    for passage, length in zip(passages, lengths, strict=True):
        if length <= window or (passage.end - passage.start < 2 and not passage.prefix):
            yield passage
        else:
            yield from _fit(document, _halves(document, passage), count, window)


def _halves(document: Document, passage: Passage) -> list[Passage]:
    if len(passage.spans) > 1:
        half = _middle(passage.spans)
        return [_with(passage, passage.spans[:half]), _with(passage, passage.spans[half:])]
    (start, end) = passage.spans[0]
    if end - start < 2:  # the prefix alone fills the window
        return [replace(passage, prefix="")]
    middle = (start + end) // 2
    gap = document.text.rfind(" ", start + 1, middle)
    cut = gap if gap > start else middle
    rest = cut + len(document.text[cut:end]) - len(document.text[cut:end].lstrip())
    return [_with(passage, ((start, cut),)), _with(passage, ((rest, end),))]


def _middle(spans: Sequence[Span]) -> int:
    centre = (spans[0][0] + spans[-1][1]) / 2
    return max(1, min(len(spans) - 1, sum(end <= centre for _, end in spans)))


def _with(passage: Passage, spans: tuple[Span, ...]) -> Passage:
    return replace(passage, start=spans[0][0], end=spans[-1][1], spans=spans)
