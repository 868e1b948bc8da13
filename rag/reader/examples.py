"""Training examples for the reader: questions, the passages that retrieval finds for them, and what is right.

Sources are what `rag.evaluation` reads. A document is held out of training by its name, so that the reader's
scores on held-out documents are those of documents it never saw: the calibration is fitted on these.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from index import Document, Library
from index.embedding import SentenceTransformerEmbedder
from rag.evaluation import Article, Gold, gold_of, overlap
from rag.reader.encoding import ToRead
from rag.reader.features import EVIDENCE, candidates_of, closeness, evidence_matrix, worth_reading
from rag.reader.scoring import passages_of
from rag.retrieval import Hit, Retrieved, retrieve

Span = tuple[int, int]

VERSION = 3
"""Of everything below: examples made by another version are made again."""

WINDOWS = 8
"""Passages kept for a question: those that the reader will see, and a right one whatever its rank."""

OTHER_DOCUMENTS = 4
"""Of a source of short documents, this many of a question's passages are from other documents."""

HELD_OUT_SHARE = 7
"""One document in so many is kept from the training of the network."""

MAX_FOCUS_CHARS = 120
"""A longer answer is a sentence, not a part of one: it teaches no focus."""


SWAPPED = "swapped"
"""Kind of a question that was answerable before a word of it was exchanged (rag/reader/swaps.py)."""

UNANSWERABLE = frozenset({"unanswerable", "near_miss", "false_premise", "not_covered", "off_topic"})
"""Kinds of question that have no answer in their document."""

OWN = "own"
"""Kind of a question that the document asks and answers itself."""


@dataclass(frozen=True, slots=True)
class Window:
    """A passage as the reader sees it: embedded text, the sentences in it, and which of them are right."""

    text: str
    spans: tuple[Span, ...]
    right: tuple[bool, ...]
    focus: tuple[Span, ...]  # where short answers stand in the text
    evidence: bytes  # what retrieval knows of each sentence: (n_sentences, n_evidence) in float16

    def to_read(self) -> ToRead:
        """As the network gets it."""
        rows = np.frombuffer(self.evidence, dtype=np.float16).reshape(len(self.spans), -1)
        return ToRead(self.text, self.spans, rows.astype(np.float32))

    @property
    def closeness(self) -> float:
        """As `rag.reader.features.closeness` of the hit."""
        columns = dict(zip(EVIDENCE, self.to_read().evidence.T, strict=True))
        similarity, lexical = columns["passage_similarity"][0], columns["passage_bm25"][0]
        return closeness(float(similarity), float(lexical), columns["sentence_similarity"])


@dataclass(frozen=True, slots=True)
class Example:
    """One question with its windows, best retrieved first."""

    question: str
    kind: str
    source: str
    document: str
    answerable: bool
    windows: tuple[Window, ...]

    def to_read(self) -> list[Window]:
        """The windows that the reader reads, closest first."""
        return worth_reading(self.windows, lambda window: window.closeness, lambda window: len(window.text))

    @property
    def usable(self) -> bool:
        """Whether the right sentence is among the windows, where there is one."""
        return bool(self.windows) and self.answerable == any(any(window.right) for window in self.windows)


def held_out(name: str) -> bool:
    """Whether this document's questions are kept from the training of the network."""
    return zlib.crc32(name.encode()) % HELD_OUT_SHARE == 0


def examples_of(
    articles: Sequence[Article],
    source: str,
    folder: Path,
    *,
    pooled: bool = False,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Iterator[Example]:
    """Every question of a source, its document embedded into a library at `folder` (kept there).

    A pooled source has one passage a document or a few: its wrong passages come from all of its documents.
    `progress(stage, done, total)` counts documents.
    """
    embedder = SentenceTransformerEmbedder(threads=1)  # sources are prepared side by side
    with Library.open(folder, embedder=embedder) as library:
        documents = []
        for article in articles:
            documents.append(library.add(article.content, name=article.name))
            progress("embedding", len(documents), len(articles))
        for number, (article, document) in enumerate(zip(articles, documents, strict=True)):
            progress("asking", number, len(articles))
            for text, kind, gold in asked_of(article, document):
                retrieved = _retrieved(library, text, document, pooled)
                rows = evidence_matrix(retrieved, candidates_of(retrieved.hits))
                read = passages_of(retrieved.hits, rows)
                pairs = zip(retrieved.hits, read, strict=True)
                windows = tuple(_kept([_window(hit, each, document, gold) for hit, each in pairs]))
                yield Example(text, kind, source, article.name, kind not in UNANSWERABLE, windows)


def asked_of(article: Article, document: Document) -> Iterator[tuple[str, str, Gold]]:
    """Each question of the article with its kind and what answers it, then the document's own."""
    for question in article.questions:
        yield question.text, question.kind, gold_of(document, article, question)
    yield from own_questions(document)


def own_questions(document: Document) -> Iterator[tuple[str, str, Gold]]:
    """The questions that the document answers itself: they teach what a matching question in it is worth."""
    answers: dict[int, list[Span]] = {}
    for block in document.blocks:
        if block.context is not None and document.blocks[block.context].kind == "question":
            answers.setdefault(block.context, []).append((block.start, block.end))
    for number, spans in answers.items():
        question = document.blocks[number]
        yield document.text[question.start : question.end], OWN, Gold(tuple(spans), tuple(spans))


def _retrieved(library: Library, question: str, document: Document, pooled: bool) -> Retrieved:
    own = retrieve(library, question, [document.id])
    if not pooled:
        return own
    everywhere = retrieve(library, question)
    others = [hit for hit in everywhere.hits if hit.document.id != document.id][:OTHER_DOCUMENTS]
    found = {hit.stored.id for hit in everywhere.hits}
    missed = [hit for hit in own.hits if hit.stored.id not in found]
    kept = [hit for hit in everywhere.hits if hit in others or hit.document.id == document.id]
    return Retrieved(everywhere.query, (*kept, *missed))


def _kept(windows: Sequence[Window]) -> list[Window]:
    right = next((window for window in windows if any(window.right)), None)
    first = list(windows[:WINDOWS])
    if right is not None and not any(any(window.right) for window in first):
        first[-1] = right
    return first


def _window(hit: Hit, read: ToRead, document: Document, gold: Gold) -> Window:
    passage = hit.stored.passage
    answers = gold.answers if hit.document.id == document.id else ()
    right = tuple(any(overlap(span, answer) for answer in answers) for span in passage.spans)
    shift = len(passage.prefix) + 1 - passage.start
    short = [
        (start + shift, end + shift)
        for start, end in answers
        if end - start <= MAX_FOCUS_CHARS and passage.start <= start and end <= passage.end
    ]
    evidence = read.evidence.astype(np.float16).tobytes()
    return Window(read.text, tuple(read.spans), right, tuple(short), evidence)
