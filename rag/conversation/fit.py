"""Fits how a follow-up is recognised: python -m rag.conversation.fit

A logistic regression over the cues of `cues.py`, on the later turns of the conversations in `talks/`, whose
documents stand in `rag/reader/authored`. What was quoted for a turn is taken to be its first evidence. Prints
how often the decision is right for documents that were left out (five folds).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.progress import track
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from index import Document, Library
from rag.answer import Quote
from rag.conversation import WEIGHTS, is_small_talk
from rag.conversation.cues import CUES, CUES_OF_WORDS, cues_of, return_to
from rag.conversation.talk import Spoken, Talk, load_talks
from rag.evaluation import overlap
from rag.reader.linear import Coefficients
from rag.reader.train import AUTHORED, TALKS
from rag.retrieval import retrieve

RIDGE = 1 / 0.3
FOLDS = 5


def examples(library: Library, talk: Talk) -> Iterator[tuple[list[float], bool]]:
    """The cues of each later turn of a document's conversations, and whether it leans on what was before."""
    document = library.add(talk.content, name=talk.name)
    for turns in talk.conversations:
        for number, turn in enumerate(turns[1:], 1):
            before = [each for each in turns[:number] if not is_small_talk(each.question)]
            if before and turn.kind != "chitchat" and return_to(turn.question) is None:
                texts = [text for each in before[-2:] for text in (each.question, *each.answers[:1])]
                retrieved = retrieve(library, turn.question, [document.id])
                cues = cues_of(turn.question, texts, retrieved, _quotes(document, before[-1]))
                yield [cues[name] for name in CUES], turn.leans


def _quotes(document: Document, turn: Spoken) -> list[Quote]:
    """The first evidence of a turn, as it would have been quoted."""
    quotes = []
    for answer in turn.answers[:1]:
        start = document.text.find(answer)
        span = (start, start + len(answer))
        quotes = [
            Quote(document.id, each.start, each.end, document.text[each.start : each.end], ("",), None, 1.0)
            for each in document.sentences
            if overlap((each.start, each.end), span)
        ]
    return quotes[:1]


def _model() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=1 / RIDGE, max_iter=5_000))


def _fitted(matrix: Any, wanted: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The weights of these cues, the first columns of the matrix."""
    scaler, regression = _model().fit(matrix[:, : len(names)], wanted)
    weights = Coefficients(scaler.mean_, scaler.scale_, regression.coef_[0], float(regression.intercept_[0]))
    return weights.to_json(names)


@click.command()
def main() -> None:
    """Fit the weights on rag/conversation/talks and put them in place."""
    rows, leans, groups = [], [], []
    with tempfile.TemporaryDirectory() as folder, Library.open(folder) as library:
        for talk in track(list(load_talks(TALKS, AUTHORED)), description="reading conversations"):
            for row, answer in examples(library, talk):
                rows.append(row)
                leans.append(answer)
                groups.append(talk.name)
    matrix, wanted = np.array(rows), np.array(leans)
    found = cross_val_predict(_model(), matrix, wanted, groups=groups, cv=GroupKFold(FOLDS))
    click.echo(f"{len(rows):,} turns; decided rightly on documents left out: {np.mean(found == wanted):.3f}")
    weights = {"all": _fitted(matrix, wanted, CUES), "words": _fitted(matrix, wanted, CUES_OF_WORDS)}
    file = Path(__file__).with_name(WEIGHTS)
    file.write_text(json.dumps(weights, indent=1) + "\n", "utf-8")
    click.echo(f"the weights are in {file}")


if __name__ == "__main__":
    main()
