"""Questions with known answers → metrics with confidence intervals.

Two kinds of input: a SQuAD 2.0 file (each article is one document: its title, then its paragraphs), and a
folder of documents with `NAME.jsonl` beside each (one question a line with the sentences that answer it).
Every question is asked of its own document alone, and stays in the denominator whatever comes back.
"""

from __future__ import annotations

import json
import re
import string
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index import Document, Library
from index.document import nearest_occurrence
from index.embedding import Embedder
from index.errors import QuestionError, QuothError
from index.formats import PARSERS
from index.formats.markdown import clean_inline
from rag.answer import Answer, Quote
from rag.engine import Engine
from rag.reader import NEVER, OperatingPoint, Reader, Reading
from rag.reader.trained import TrainedReader
from rag.retrieval import Retrieved
from rag.selection import select

Span = tuple[int, int]
FloatVector = NDArray[np.float64]

RESAMPLES = 1_000
COVERAGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
RECALL_AT = (1, 3, 5)
CONFIDENCE_BINS = 10

EVERYTHING_LEADS = OperatingPoint(NEVER, NEVER)
"""Under it the three best quotes are given, whatever the confidence."""

_LINE_END = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")


class EvaluationError(QuothError):
    """The evaluation data cannot be read."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with what answers it; no answers when the document does not say."""

    text: str
    kind: str
    answers: tuple[str, ...]  # alternatives, best first
    paragraph: int | None = None  # SQuAD: which paragraph the answers stand in
    answer_start: tuple[int, ...] = ()  # SQuAD: offset of each answer in its paragraph


@dataclass(frozen=True, slots=True)
class Article:
    """One document to add, and its questions."""

    name: str
    content: bytes
    questions: tuple[Question, ...]
    paragraphs: tuple[Span, ...] = ()  # SQuAD: where each paragraph stands in the document's text


@dataclass(frozen=True, slots=True)
class Gold:
    """What answers a question, in offsets of the document."""

    answers: tuple[Span, ...]
    paragraphs: tuple[Span, ...]


# Reading the data


def load_articles(path: Path) -> list[Article]:
    """A SQuAD 2.0 file or a folder of authored documents. Raises EvaluationError."""
    try:
        articles = list(_authored(path) if path.is_dir() else _squad(path))
    except OSError as error:
        raise EvaluationError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(
            f"{path} is neither a SQuAD 2.0 file nor a folder of documents with questions ({error!r})"
        ) from error
    if not any(article.questions for article in articles):
        raise EvaluationError(f"{path} holds no questions")
    return articles


def _squad(path: Path) -> Iterator[Article]:
    for article in json.loads(path.read_text("utf-8"))["data"]:
        title = article["title"]
        contexts = [paragraph["context"] for paragraph in article["paragraphs"]]
        text, spans = title, []
        for context in contexts:
            text += "\n\n"
            context = _LINE_END.sub(lambda end: " " * (len(end[0]) - 1) + "\n", context)  # offsets stay
            spans.append((len(text), len(text) + len(context)))
            text += context
        questions = (
            _squad_question(entry, number)
            for number, paragraph in enumerate(article["paragraphs"])
            for entry in paragraph["qas"]
        )
        yield Article(f"{title}.txt", text.encode(), tuple(questions), tuple(spans))


def _squad_question(entry: dict[str, Any], paragraph: int) -> Question:
    answers = [] if entry.get("is_impossible") else entry["answers"]
    return Question(
        entry["question"],
        "answerable" if answers else "unanswerable",
        tuple(answer["text"] for answer in answers),
        paragraph,
        tuple(answer["answer_start"] for answer in answers),
    )


def _authored(folder: Path) -> Iterator[Article]:
    for file in sorted(folder.iterdir()):
        questions = file.with_suffix(".jsonl")
        if file.suffix in PARSERS and file != questions and questions.exists():
            lines = [line for line in questions.read_text("utf-8").splitlines() if line.strip()]
            yield Article(
                file.name,
                file.read_bytes(),
                tuple(map(_authored_question, map(json.loads, lines), [file.suffix] * len(lines))),
            )


def _authored_question(entry: dict[str, Any], suffix: str) -> Question:
    clean = cleaner(suffix)
    return Question(entry["q"], entry["kind"], tuple(clean(answer) for answer in entry["evidence"]))


def cleaner(suffix: str) -> Callable[[str], str]:
    """What turns a sentence of a file of this kind into one of the document's text."""
    return clean_inline if suffix in (".md", ".markdown") else str


def gold_of(document: Document, article: Article, question: Question) -> Gold:
    """Where the question's answers stand in the document."""
    if question.paragraph is not None:
        start, end = article.paragraphs[question.paragraph]
        spans = zip(question.answer_start, question.answers, strict=True)
        placed = [_place(document, text, start + at) for at, text in spans]
        answers = tuple(span for span in placed if span is not None)
        return Gold(answers, ((start, end),) if answers else ())
    found = (_find(document, answer) for answer in question.answers)
    answers = tuple(span for span in found if span is not None)
    blocks = (document.block_of(document.sentence_index(start)) for start, _ in answers)
    return Gold(answers, tuple((block.start, block.end) for block in blocks))


def _place(document: Document, answer: str, expected: int) -> Span | None:
    """Where the answer stands: where it is expected, or nearest to that (reading a file may drop a rule)."""
    start = nearest_occurrence(document.text, answer, expected)
    return None if start is None else (start, start + len(answer))


def _find(document: Document, answer: str) -> Span | None:
    """Where the evidence stands, white space aside (evidence is unique in its document)."""
    pattern = r"\s+".join(re.escape(word) for word in answer.split())
    match = re.search(pattern, document.text)
    return None if match is None else match.span()


# Asking


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question asked."""

    question: Question
    status: str
    confidence: float
    hit_at: tuple[bool, bool]  # a right quote (or lead) first; among the three best, shown or not
    recall_at: tuple[bool, ...]  # a gold paragraph among the first 1, 3, 5 retrieved
    f1: float
    exact_match: float
    exact_quotes: bool  # every quote stands at its offsets
    seconds: float

    @property
    def answerable(self) -> bool:
        return bool(self.question.answers)

    @property
    def held(self) -> bool:
        """Whether the first quote (or lead) answers: what the confidence speaks of."""
        return self.answerable and self.hit_at[0]

    @property
    def right(self) -> bool:
        """Answered rightly, or rightly abstained."""
        answered = self.status == "answered"
        return answered and self.hit_at[0] if self.answerable else not answered


def evaluate(
    path: Path,
    *,
    embedder: Embedder | None = None,
    reader: Reader | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Add every document of the data to a new library, ask every question, report.

    `progress(done, total)` counts questions. Raises EvaluationError, and ModelError when there is no model.
    """
    articles = load_articles(path)
    total = sum(len(article.questions) for article in articles)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder, Library.open(folder, embedder=embedder) as library:
        watched = _Watched(reader or TrainedReader())
        engine = Engine(library, reader=watched)
        engine.load()
        for article in articles:
            document = library.add(article.content, name=article.name)
            for question in article.questions:
                outcomes.append(_ask(engine, watched, document, article, question))
                if progress:
                    progress(len(outcomes), total)
    return Report(path.name, len(articles), tuple(outcomes))


class _Watched:
    """A reader that keeps what it was given and what it said last."""

    def __init__(self, inner: Reader) -> None:
        self.inner = inner
        self.forget()

    def forget(self) -> None:
        self.retrieved: Retrieved | None = None
        self.reading = Reading((), 0.0)

    @property
    def fingerprint(self) -> str:
        return self.inner.fingerprint

    @property
    def operating_point(self) -> OperatingPoint:
        return self.inner.operating_point

    def load(self) -> None:
        self.inner.load()

    def read(self, retrieved: Retrieved, quoted: Sequence[Quote] = (), another: bool = False) -> Reading:
        self.retrieved, self.reading = retrieved, self.inner.read(retrieved, quoted, another)
        return self.reading


def _ask(
    engine: Engine, watched: _Watched, document: Document, article: Article, question: Question
) -> Outcome:
    watched.forget()
    started = time.perf_counter()
    answer = _answer(engine, document, question)
    seconds = time.perf_counter() - started
    gold = gold_of(document, article, question)
    shown = answer.quotes or answer.leads
    _, ordered = select(watched.reading, EVERYTHING_LEADS)
    right = [is_right(quote, gold) for quote in ordered]
    return Outcome(
        question,
        answer.status,
        answer.confidence,
        (any(right[:1]), any(right)),
        _recall(watched.retrieved, gold),
        *_focus_score(document, shown, question),
        all(quote.is_exact(document) for quote in shown),
        seconds,
    )


def _answer(engine: Engine, document: Document, question: Question) -> Answer:
    try:
        return engine.ask(question.text, documents=[document.id])
    except QuestionError:  # blank or too long: it stays in the denominator, unanswered
        return Answer(question.text, question.text, "not_found", 0.0)


def is_right(quote: Quote, gold: Gold) -> bool:
    """Whether the quote overlaps an answer and lies in the answer's paragraph."""
    inside = any(overlap((quote.start, quote.end), paragraph) for paragraph in gold.paragraphs)
    return inside and any(overlap((quote.start, quote.end), answer) for answer in gold.answers)


def overlap(one: Span, other: Span) -> bool:
    """Whether two half-open ranges share a character."""
    return one[0] < other[1] and other[0] < one[1]


def _recall(retrieved: Retrieved | None, gold: Gold) -> tuple[bool, ...]:
    hits = retrieved.hits if retrieved else ()
    spans = [(hit.stored.passage.start, hit.stored.passage.end) for hit in hits]
    return tuple(
        any(overlap(span, paragraph) for span in spans[:k] for paragraph in gold.paragraphs)
        for k in RECALL_AT
    )


def _focus_score(document: Document, shown: Sequence[Quote], question: Question) -> tuple[float, float]:
    """Best F1 and exact match of the first quote's focus (the quote itself without one) over the answers."""
    if not shown or not question.answers:
        return 0.0, 0.0
    start, end = shown[0].focus or (shown[0].start, shown[0].end)
    predicted = document.text[start:end]
    return (
        max(token_f1(predicted, answer) for answer in question.answers),
        float(max(normalise(predicted) == normalise(answer) for answer in question.answers)),
    )


# Metrics


def normalise(text: str) -> str:
    """Lower case, without punctuation, articles and extra white space (SQuAD's official script)."""
    kept = "".join(char for char in text.lower() if char not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def token_f1(predicted: str, answer: str) -> float:
    """Harmonic mean of token precision and recall, 0 to 1 (SQuAD, Rajpurkar et al. 2016)."""
    ours, theirs = normalise(predicted).split(), normalise(answer).split()
    if not ours or not theirs:
        return float(ours == theirs)
    common = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * common / (len(ours) + len(theirs))


def auroc(scores: FloatVector, positive: NDArray[np.bool_]) -> float:
    """Chance that a positive scores above a negative, ties half (Mann and Whitney 1947); nan without both."""
    positives, negatives = scores[positive], np.sort(scores[~positive])
    if not len(positives) or not len(negatives):
        return float("nan")
    below = np.searchsorted(negatives, positives, "left") + np.searchsorted(negatives, positives, "right")
    return float(below.sum() / (2 * len(positives) * len(negatives)))


def _bins(confidence: FloatVector, held: NDArray[np.bool_]) -> list[tuple[float, float, int]]:
    tenths = np.minimum((confidence * CONFIDENCE_BINS).astype(int), CONFIDENCE_BINS - 1)
    return [
        (float(confidence[inside].mean()), float(held[inside].mean()), int(inside.sum()))
        for each in range(CONFIDENCE_BINS)
        if (inside := tenths == each).any()
    ]


def _calibration_error(confidence: FloatVector, held: NDArray[np.bool_]) -> float:
    """Expected calibration error over equal bins (Naeini et al. 2015): 0 is calibrated."""
    return sum(abs(stated - share) * n for stated, share, n in _bins(confidence, held)) / len(confidence)


def bootstrap(metric: Callable[[NDArray[np.int64]], float], n: int, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of a metric over resampled questions (Efron 1979)."""
    generator = np.random.default_rng(seed)
    values = [metric(generator.integers(0, n, n)) for _ in range(RESAMPLES)]
    if np.isnan(values).all():
        return float("nan"), float("nan")
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric with its 95 % bootstrap interval."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Report:
    """What an evaluation found."""

    data: str
    n_documents: int
    outcomes: tuple[Outcome, ...]

    def measures(self) -> list[Measure]:
        """Every metric with its interval."""
        n = len(self.outcomes)
        every = np.arange(n)
        return [
            Measure(name, metric(every), *bootstrap(metric, n)) for name, metric in self._metrics().items()
        ]

    def _metrics(self) -> dict[str, Callable[[NDArray[np.int64]], float]]:
        outcomes = self.outcomes
        answerable = np.array([each.answerable for each in outcomes])
        confidence = np.array([each.confidence for each in outcomes])
        right = np.array([each.right for each in outcomes], dtype=float)
        held = np.array([each.held for each in outcomes])

        def share(values: Iterable[float], among: NDArray[np.bool_]) -> Callable[[NDArray[np.int64]], float]:
            column = np.array(list(values), dtype=float)
            return lambda at: float(column[at][among[at]].mean()) if among[at].any() else float("nan")

        answered_rightly, abstained = share(right, answerable), share(right, ~answerable)
        return {
            **{
                f"paragraph recall@{k}": share((each.recall_at[at] for each in outcomes), answerable)
                for at, k in enumerate(RECALL_AT)
            },
            "sentence hit@1": share((each.hit_at[0] for each in outcomes), answerable),
            "sentence hit@3": share((each.hit_at[1] for each in outcomes), answerable),
            "focus F1": share((each.f1 for each in outcomes), answerable),
            "focus exact match": share((each.exact_match for each in outcomes), answerable),
            "abstention AUROC": lambda at: auroc(confidence[at], answerable[at]),
            "calibration error": lambda at: _calibration_error(confidence[at], held[at]),
            "answered rightly": answered_rightly,
            "rightly abstained": abstained,
            "balanced mean": lambda at: (answered_rightly(at) + abstained(at)) / 2,
            "exact quotes": share(
                (each.exact_quotes for each in outcomes), np.ones(len(outcomes), dtype=bool)
            ),
        }

    def risk_coverage(self) -> list[tuple[float, float]]:
        """(coverage, risk): answering only the surest share of all questions, how many of those are wrong."""
        surest = sorted(self.outcomes, key=lambda each: -each.confidence)
        wrong = np.cumsum([not each.held for each in surest])
        counts = [max(1, round(coverage * len(surest))) for coverage in COVERAGES]
        return [
            (coverage, float(wrong[count - 1] / count))
            for coverage, count in zip(COVERAGES, counts, strict=True)
        ]

    def reliability(self) -> list[tuple[float, float, int]]:
        """(mean confidence stated, share that held, number of questions) per tenth of confidence."""
        confidence = np.array([each.confidence for each in self.outcomes])
        return _bins(confidence, np.array([each.held for each in self.outcomes]))

    def by_kind(self) -> dict[str, tuple[int, float]]:
        """Per kind of question its number and the share right: hit@1, or abstained when unanswerable."""
        kinds: dict[str, list[bool]] = {}
        for each in self.outcomes:
            kinds.setdefault(each.question.kind, []).append(each.hit_at[0] if each.answerable else each.right)
        return {kind: (len(right), sum(right) / len(right)) for kind, right in sorted(kinds.items())}

    def latency(self) -> dict[str, float]:
        """Milliseconds of `Engine.ask`: p50 and p95."""
        p50, p95 = np.percentile([each.seconds for each in self.outcomes], [50, 95])
        return {"p50_ms": 1000 * float(p50), "p95_ms": 1000 * float(p95)}

    def to_json(self) -> dict[str, Any]:
        """Everything above, as plain values."""
        return {
            "data": self.data,
            "documents": self.n_documents,
            "questions": len(self.outcomes),
            "unanswerable": sum(not each.answerable for each in self.outcomes),
            "measures": {
                each.name: {
                    "value": _finite(each.value),
                    "low": _finite(each.low),
                    "high": _finite(each.high),
                }
                for each in self.measures()
            },
            "risk_coverage": [{"coverage": c, "risk": r} for c, r in self.risk_coverage()],
            "reliability": [
                {"confidence": stated, "held": share, "n": n} for stated, share, n in self.reliability()
            ],
            "by_kind": {kind: {"n": n, "right": right} for kind, (n, right) in self.by_kind().items()},
            "latency": self.latency(),
        }


def _finite(value: float) -> float | None:
    """JSON has no nan."""
    return value if np.isfinite(value) else None
