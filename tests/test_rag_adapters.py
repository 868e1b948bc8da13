from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from index import Document, Library
from index.errors import DocumentNotFoundError, QuestionError
from rag import Engine
from rag.adapters import Piece, find

TALK = b"""1
00:12:31,000 --> 00:12:35,000
Cats sleep sixteen hours a day.

2
01:00:02,000 --> 01:00:09,000
Dogs sleep half the day.
"""
QUESTION = "How long do cats sleep?"

NOT_INSTALLED = "needs pip install 'quoth[adapters]', which is too large for every run"


@pytest.fixture
def talk(library: Library) -> Document:
    return library.add(TALK, name="talk.srt")


@pytest.fixture
def engine(library: Library, talk: Document) -> Engine:
    """Answers whatever is nearest."""
    return Engine(library, strict=0)


def passages(engine: Engine) -> list[Piece]:
    found = find(engine, QUESTION, None, 10, quotes=False)
    assert found
    return found


def test_a_passage_says_where_it_stands(engine: Engine, talk: Document) -> None:
    (piece,) = find(engine, QUESTION, [talk.id], 1, quotes=False)
    (hit,) = engine.search(QUESTION, limit=1)
    start, end = hit.stored.passage.start, hit.stored.passage.end
    assert piece.text == talk.text[start:end]
    assert piece.metadata == {
        "document_id": talk.id,
        "title": talk.title,
        "section": list(talk.sections[hit.stored.passage.section].path),
        "start": start,
        "end": end,
        "place": "12:31",
        "score": hit.score,
    }


def test_quotes_are_those_of_the_answer(engine: Engine, talk: Document) -> None:
    quotes = engine.ask(QUESTION).quotes
    assert quotes
    assert [(piece.text, piece.score) for piece in find(engine, QUESTION, None, 10, quotes=True)] == [
        (quote.text, quote.score) for quote in quotes
    ]
    assert find(engine, QUESTION, None, 10, quotes=True)[0].metadata == {
        "document_id": talk.id,
        "title": talk.title,
        "section": list(quotes[0].section),
        "start": quotes[0].start,
        "end": quotes[0].end,
        "place": quotes[0].place,
        "score": quotes[0].score,
    }


def test_no_quotes_where_the_documents_do_not_say(library: Library, talk: Document) -> None:
    assert find(Engine(library, strict=1), QUESTION, None, 10, quotes=True) == []


@pytest.mark.parametrize("quotes", [True, False])
def test_an_error_is_not_an_empty_result(engine: Engine, quotes: bool) -> None:
    with pytest.raises(QuestionError):
        find(engine, " ", None, 10, quotes)
    with pytest.raises(DocumentNotFoundError):
        find(engine, QUESTION, ["0" * 16], 10, quotes)


@pytest.mark.parametrize(
    ("adapter", "imported"),
    [
        ("langchain", "langchain_core.callbacks"),
        ("llamaindex", "llama_index.core.retrievers"),
        ("haystack", "haystack"),
    ],
)
def test_a_framework_that_is_missing(monkeypatch: pytest.MonkeyPatch, adapter: str, imported: str) -> None:
    monkeypatch.delitem(sys.modules, f"rag.adapters.{adapter}", raising=False)
    monkeypatch.setitem(sys.modules, imported, None)
    with pytest.raises(ModuleNotFoundError, match=rf"run: pip install 'quoth\[{adapter}\]'$"):
        import_module(f"rag.adapters.{adapter}")


# With the frameworks


def test_langchain(engine: Engine) -> None:
    pytest.importorskip("langchain_core", reason=NOT_INSTALLED)
    from rag.adapters.langchain import QuothRetriever

    found = QuothRetriever(engine=engine).invoke(QUESTION)
    assert [(each.id, each.page_content, each.metadata) for each in found] == [
        (piece.id, piece.text, piece.metadata) for piece in passages(engine)
    ]
    assert asyncio.run(QuothRetriever(engine=engine, limit=1).ainvoke(QUESTION)) == found[:1]
    (quote, *_) = QuothRetriever(engine=engine, quotes=True).invoke(QUESTION)
    assert quote.page_content == engine.ask(QUESTION).quotes[0].text
    with pytest.raises(DocumentNotFoundError):
        QuothRetriever(engine=engine, documents=["0" * 16]).invoke(QUESTION)


def test_llamaindex(engine: Engine) -> None:
    pytest.importorskip("llama_index.core", reason=NOT_INSTALLED)
    from rag.adapters.llamaindex import QuothRetriever

    found = QuothRetriever(engine).retrieve(QUESTION)
    assert [(each.node_id, each.text, each.metadata, each.score) for each in found] == [
        (piece.id, piece.text, piece.metadata, piece.score) for piece in passages(engine)
    ]
    assert found[0].node.start_char_idx == found[0].metadata["start"]
    assert found[0].node.end_char_idx == found[0].metadata["end"]
    assert asyncio.run(QuothRetriever(engine, limit=1).aretrieve(QUESTION)) == found[:1]
    (quote, *_) = QuothRetriever(engine, quotes=True).retrieve(QUESTION)
    assert quote.text == engine.ask(QUESTION).quotes[0].text
    with pytest.raises(DocumentNotFoundError):
        QuothRetriever(engine, documents=["0" * 16]).retrieve(QUESTION)


def haystack_pipeline(engine: Engine, **options: Any) -> Any:
    from haystack import Pipeline

    from rag.adapters.haystack import QuothRetriever

    pipeline = Pipeline()
    pipeline.add_component("quoth", QuothRetriever(engine, **options))
    return pipeline


def documents_of(pipeline: Any) -> Any:
    return pipeline.run({"quoth": {"query": QUESTION}})["quoth"]["documents"]


def test_haystack(engine: Engine) -> None:
    pytest.importorskip("haystack", reason=NOT_INSTALLED)
    found = documents_of(haystack_pipeline(engine))
    assert [(each.id, each.content, each.meta, each.score) for each in found] == [
        (piece.id, piece.text, piece.metadata, piece.score) for piece in passages(engine)
    ]
    (quote, *_) = documents_of(haystack_pipeline(engine, quotes=True))
    assert quote.content == engine.ask(QUESTION).quotes[0].text
    with pytest.raises(Exception, match="no document '0000000000000000' in the library"):
        documents_of(haystack_pipeline(engine, documents=["0" * 16]))


@pytest.mark.model
def test_a_haystack_pipeline_is_saved_and_loaded(own_library: Library) -> None:
    haystack = pytest.importorskip("haystack", reason=NOT_INSTALLED)
    talk = own_library.add(TALK, name="talk.srt")
    pipeline = haystack_pipeline(Engine(own_library, strict=0.1), documents=[talk.id], limit=1, quotes=True)
    loaded = haystack.Pipeline.loads(pipeline.dumps(), allowed_modules=["rag.adapters.haystack"])
    assert loaded.dumps() == pipeline.dumps()
    assert documents_of(loaded) == documents_of(pipeline)
    loaded.close()


@pytest.mark.parametrize(("chosen", "events"), [({}, "0"), ({"HAYSTACK_TELEMETRY_ENABLED": "true"}, "1")])
def test_haystack_sends_nothing_unless_told_to(tmp_path: Path, chosen: dict[str, str], events: str) -> None:
    """Also where it was imported first."""
    pytest.importorskip("haystack", reason=NOT_INSTALLED)
    program = """
import haystack, posthog
from index import Library
from index.embedding import FakeEmbedder
from rag import Engine
from rag.adapters.haystack import QuothRetriever
sent = []
posthog.capture = lambda **event: sent.append(event)
with Library.open("library", embedder=FakeEmbedder()) as library:
    pipeline = haystack.Pipeline()
    pipeline.add_component("quoth", QuothRetriever(Engine(library)))
    pipeline.run({"quoth": {"query": "Is anybody there?"}})
print(len(sent))
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HAYSTACK_")}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)} | chosen
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (result.stdout.strip(), result.stderr) == (events, "")
