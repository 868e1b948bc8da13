"""The page: the conversation on the left, the document on the right.

Three `gr.HTML` components (conversation, reader, notice) are painted by the scripts of the same names in
`static/`. Their values are plain data; only a document comes as HTML, escaped in `ui/render.py`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar

from anyio.to_thread import run_sync as in_thread
from fastapi import FastAPI
from pydantic import TypeAdapter, ValidationError

from index import Document, DocumentRecord, Library, QuothError
from index.document import one_line
from index.errors import DocumentNotFoundError
from index.feedback import Verdict
from rag import Answer, Engine, Quote, Turn
from rag.feedback import give_feedback
from rag.record import to_json
from ui.render import TurnView, document_view, markdown, sentence_id, turn_view
from ui.startup import Startup

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read at the import: else Python calls home
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import gradio as gr

log = logging.getLogger(__name__)

TITLE = "Quoth"

ALL_DOCUMENTS = ""
"""The choice that asks every document."""

MAX_KEPT_ANSWERS = 50
MAX_WAITING_QUESTIONS = 8
PROGRESS_SECONDS = 0.2

STRICT_STORAGE_KEY = "quoth-strict"
STORAGE_KEY = "quoth-conversation"
"""Fixed, as is the secret made from it: so that the conversation survives a restart of the server. It hides
nothing, for who can read the browser's storage can read this file; what comes back is validated."""

LOADING = "Loading the model… A question that you ask now is answered as soon as it can be."
GONE_CHAT = "The documents of this chat are no longer in the library, or do not say what it quotes."
NO_SUCH_DOCUMENT = "The document of this address is not in the library."
STAGES = {"read": "reading", "embed": "indexing", "store": "saving"}

Tone = Literal["", "busy", "good", "bad"]
Json = dict[str, Any]
Update = Any  # a component's new value, or what gr.update and gr.skip make

_ANSWERS = TypeAdapter(list[Answer])
_VERDICT: TypeAdapter[Verdict] = TypeAdapter(Verdict)

T = TypeVar("T")


def mount_page(app: FastAPI, library: Library, engine: Engine, startup: Startup, max_upload_mb: int) -> None:
    """Serve the page at the application's root."""
    gr.mount_gradio_app(
        app,
        build_page(library, engine, startup),
        path="/",
        theme=gr.themes.Base(
            font=[gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif"],
            font_mono=[gr.themes.LocalFont("IBM Plex Mono", weights=(400,)), "monospace"],
        ),
        # Not as css=: Gradio splits and prefixes selectors, which breaks :is() and rules on the body.
        head=f"<style>{_static('page.css')}{_static('toolbar.css')}</style><script>{_static('page.js')}</script>",
        footer_links=[],
        app_kwargs={"openapi_url": None},
        run_history=False,
        ssr_mode=False,
        show_error=False,
        max_file_size=f"{max_upload_mb}mb",
    )


def build_page(library: Library, engine: Engine, startup: Startup) -> gr.Blocks:
    """The components and what happens when they are used."""
    handlers = Handlers(library, engine, startup)
    page = gr.Blocks(title=TITLE, fill_height=True, fill_width=True, analytics_enabled=False)
    with page:
        answers = gr.BrowserState([], storage_key=STORAGE_KEY, secret=STORAGE_KEY)
        strict = gr.BrowserState(None, storage_key=STRICT_STORAGE_KEY, secret=STORAGE_KEY)
        exported = gr.JSON(visible=False)
        with gr.Row(elem_id="top"):
            gr.HTML(_static("brand.html"), elem_id="brand", apply_default_css=False, js_on_load=None)
            documents = gr.Dropdown(
                label="Document",
                show_label=False,
                container=False,
                filterable=False,
                elem_id="documents",
            )
            upload = gr.UploadButton("Upload", size="sm", elem_id="upload")
            read = gr.Button("Read", size="sm", elem_id="read")
            toolbar = _painted("toolbar", handlers.toolbar_value(None))
        with gr.Row(elem_id="panes"):
            with gr.Column(elem_id="left"):
                conversation = _painted("conversation", conversation_value(()), "turn")
                notice = _painted("notice", notice_value())
                question = gr.Textbox(
                    label="Your question",
                    show_label=False,
                    container=False,
                    placeholder="Ask about the document…",
                    submit_btn="Ask",
                    max_lines=6,
                    autofocus=True,
                    elem_id="question",
                )
            with gr.Column(elem_id="right"):
                reader = _painted("reader", None)

        options: Json = {"show_progress": "hidden", "api_visibility": "private"}
        # Gradio would refuse documents that were added after its own session began: the handlers check.
        unchecked: Json = {**options, "preprocess": False}
        page.load(
            handlers.open_page,
            [answers, strict],
            [documents, reader, conversation, toolbar, notice],
            concurrency_limit=None,
            **options,
        )
        asking = gr.on(
            [question.submit, conversation.submit],
            handlers.ask,
            [question, documents, answers, strict],
            [conversation, question, answers, notice],
            concurrency_limit=MAX_WAITING_QUESTIONS,
            **unchecked,
        )
        documents.select(handlers.open_document, documents, [reader, notice], **unchecked)
        reader.select(handlers.open_cited, documents, [documents, reader, notice], **unchecked)
        upload.upload(handlers.add, upload, [documents, reader, notice], **options)
        begun = [conversation, question, answers, toolbar, notice]
        toolbar.clear(None, cancels=[asking], **options).then(
            handlers.start_over, [answers, strict], begun, **options
        )
        toolbar.select(handlers.reopen, [answers, strict], begun, **options)
        toolbar.change(handlers.choose_strict, None, [strict, toolbar], **options)
        toolbar.download(handlers.export, answers, [exported, notice], **options).then(
            None, exported, js="(file) => window.quoth.download(file)", **options
        )
        conversation.like(handlers.rate, answers, notice, **options)
        read.click(None, js="() => window.quoth.openReader()", **options)
    return page


class Handlers:
    """What happens when a person uses the page. Everything that comes from the browser is checked here."""

    def __init__(self, library: Library, engine: Engine, startup: Startup) -> None:
        self._library = library
        self._engine = engine
        self._startup = startup

    async def open_page(
        self, stored: object, strict: object, request: gr.Request
    ) -> AsyncIterator[tuple[Update, ...]]:
        """At once what there is already; the rest as it gets loaded."""
        wanted = request.query_params.get("doc")
        answers = await in_thread(self._restore, stored)
        turns = await in_thread(self._turns, answers)
        documents, reader = await in_thread(self._open, wanted)
        news = await in_thread(self._news, wanted)
        yield documents, reader, conversation_value(turns), self.toolbar_value(strict), news
        if self._startup.ready:
            return
        if reader is None:
            await self._startup.filled()
            yield *await in_thread(self._open, wanted), gr.skip(), gr.skip(), self._news()
        await self._startup.finished()
        yield *(gr.skip() for _ in range(4)), await in_thread(self._news, wanted)

    async def ask(
        self, typed: str, document_id: str | None, stored: object, strict: object, event: gr.EventData
    ) -> AsyncIterator[tuple[Update, ...]]:
        """At once the question, then its answer; a question that fails goes back into its field.

        A script may send the question, say that it is to be asked without the conversation (`alone`), or that
        it takes the place of an earlier one and all that came after (`replaces`, its number).
        """
        given = _given(event, "question", str)
        question, field = (typed, "") if given is None else (given, gr.skip())
        alone = _given(event, "alone", str) is not None
        if not isinstance(question, str) or not question.strip():
            yield gr.skip(), gr.skip(), gr.skip(), gr.skip()
            return
        answers = (await in_thread(self._restore, stored))[: _given(event, "replaces", int)]
        turns = await in_thread(self._turns, answers)
        yield conversation_value(turns, question), field, gr.skip(), self._news()
        try:
            await self._startup.finished()
            history = () if alone else answers
            answer = await in_thread(self._answer, question, document_id, history, self._strictness(strict))
        except Exception as error:
            yield conversation_value(turns), question, gr.skip(), bad_news(error)
            return
        answers = [*answers, answer][-MAX_KEPT_ANSWERS:]
        turns = await in_thread(self._turns, answers)
        yield conversation_value(turns), gr.skip(), _dumped(answers), self._news()

    async def add(self, path: str) -> AsyncIterator[tuple[Update, ...]]:
        """Add an uploaded file to the library, telling how far it is, and open it."""
        source, progress = Path(path), AddProgress(Path(path).name)
        adding = asyncio.create_task(in_thread(self._add, source, progress))
        while not adding.done():
            yield gr.skip(), gr.skip(), notice_value("busy", str(progress))
            await asyncio.wait([adding], timeout=PROGRESS_SECONDS)
        try:
            document = adding.result()
        except Exception as error:
            yield gr.skip(), gr.skip(), bad_news(error)
            return
        opened = await in_thread(self._open, document.id)
        yield *opened, notice_value("good", f"Added “{one_line(document.title)}”.")

    def open_document(self, document_id: str) -> tuple[Update, Update]:
        """Show the chosen document; the choice of all documents leaves the open one."""
        if document_id == ALL_DOCUMENTS:
            return gr.skip(), gr.skip()
        try:
            return document_view(self._library.document(document_id)), self._news()
        except Exception as error:
            return gr.skip(), bad_news(error)

    def open_cited(self, chosen: str | None, event: gr.EventData) -> tuple[Update, Update, Update]:
        """Show the document of a citation, and choose it unless all documents are being asked."""
        document_id = _given(event, "document") or ""
        reader, news = self.open_document(document_id)
        stays = chosen == ALL_DOCUMENTS or reader == gr.skip()
        return gr.skip() if stays else document_id, reader, news

    def start_over(self, stored: object, strict: object) -> tuple[Update, ...]:
        """An empty conversation; the one that ended goes to the browser's list."""
        return self._begun([], stored, strict, self._news())

    def reopen(self, stored: object, strict: object, event: gr.EventData) -> tuple[Update, ...]:
        """An earlier conversation from the browser's list, as far as its documents still say what it quotes."""
        answers = self._restore(_given(event, "answers", list))
        news = self._news() if answers else notice_value("bad", GONE_CHAT)
        return self._begun(answers, stored, strict, news)

    def _begun(self, answers: list[Answer], stored: object, strict: object, news: Json) -> tuple[Update, ...]:
        toolbar = self.toolbar_value(strict, self._restore(stored))
        return conversation_value(self._turns(answers)), "", _dumped(answers), toolbar, news

    def export(self, stored: object, event: gr.EventData) -> tuple[Json, Update]:
        """The conversation as a file that the browser saves; empty when there is none."""
        answers = self._restore(stored)
        if not answers:
            return {}, notice_value("bad", "There is nothing to export yet: ask a question first.")
        documents = self._documents_of(answers)
        if _given(event, "form", str) == "json":
            text = json.dumps(to_json(answers, documents), ensure_ascii=False, indent=1)
            return _file("json", "application/json", text), self._news()
        return _file("md", "text/markdown", markdown(answers, documents)), self._news()

    def choose_strict(self, event: gr.EventData) -> tuple[float, Update]:
        """How sure an answer has to be, from the browser's settings."""
        strict = self._strictness(_given(event, "strict", float))
        return strict, self.toolbar_value(strict)

    def toolbar_value(self, strict: object, ended: Sequence[Answer] = ()) -> Json:
        """The settings that can be chosen and the chosen one, and the conversation that ended just now."""
        usual = self._engine.strict
        values = {
            usual / 2: "Answer more readily",
            usual: "Balanced",
            (1 + usual) / 2: "Abstain more readily",
        }
        return {
            "strict": self._strictness(strict),
            "strictness": [{"value": value, "label": label} for value, label in values.items()],
            "ended": _dumped(ended),
        }

    def _strictness(self, chosen: object) -> float:
        """What the browser kept, if it is a number from 0 to 1, else what the server was started with."""
        known = isinstance(chosen, int | float) and 0 <= chosen <= 1
        return float(chosen) if known else self._engine.strict  # type: ignore[arg-type]

    def rate(self, stored: object, event: gr.EventData) -> Update:
        """Keep what a person says about an answer."""
        try:
            answer = self._restore(stored)[_given(event, "turn", int) or 0]
            verdict = _VERDICT.validate_python(_given(event, "verdict", str))
            give_feedback(self._library, self._engine, answer, verdict, selected=self._picked(event))
        except (IndexError, ValidationError):
            return notice_value("bad", "That answer is no longer in this conversation.")
        except Exception as error:
            return bad_news(error)
        return self._news()

    def _picked(self, event: gr.EventData) -> tuple[str, int, int] | None:
        """The sentence that a person marked in the reader."""
        document_id, picked = _given(event, "document", str), _given(event, "sentence", str)
        if document_id is None or picked is None:
            return None
        document = self._library.document(document_id)
        number = next((at for at in range(len(document.sentences)) if sentence_id(at) == picked), -1)
        sentence = document.sentences[number]
        return document_id, sentence.start, sentence.end

    def _news(self, wanted: str | None = None) -> Json:
        """How the loading goes; once it is over, whether the document that the address names is there."""
        if not self._startup.ready:
            error = self._startup.error
            return bad_news(error) if error else notice_value("busy", LOADING)
        known = wanted is None or wanted in (record.id for record in self._library.documents())
        return notice_value() if known else notice_value("bad", NO_SUCH_DOCUMENT)

    def _open(self, wanted: str | None) -> tuple[Update, Update]:
        """The list of documents and the reader, with the wanted document open or else the first."""
        records = self._library.documents()
        ids = [record.id for record in records]
        shown = wanted if wanted in ids else next(iter(ids), None)
        choices = gr.update(choices=_choices(records), value=shown)
        return choices, document_view(self._library.document(shown)) if shown else None

    def _add(self, source: Path, progress: AddProgress) -> Document:
        try:
            return self._library.add(source, progress=progress)
        finally:
            source.unlink()  # the upload was a copy, and the library has its own
            source.parent.rmdir()

    def _answer(
        self, question: str, document_id: str | None, answers: Sequence[Answer], strict: float
    ) -> Answer:
        self._engine.load()  # nothing to do, unless the background could not
        history = [Turn(answer.question, answer) for answer in answers]
        return self._engine.ask(question, [document_id] if document_id else None, history, strict=strict)

    def _turns(self, answers: Sequence[Answer]) -> list[TurnView]:
        documents = self._documents_of(answers)
        return [turn_view(answer, documents) for answer in answers]

    def _documents_of(self, answers: Iterable[Answer]) -> dict[str, Document]:
        ids = {quote.document_id for answer in answers for quote in (*answer.quotes, *answer.leads)}
        return {document_id: self._library.document(document_id) for document_id in ids}

    def _restore(self, stored: object) -> list[Answer]:
        """The conversation that the browser kept, without what is not (any more) true."""
        try:
            answers = _ANSWERS.validate_python(stored)
        except ValidationError:
            return []
        return [answer for answer in answers[-MAX_KEPT_ANSWERS:] if self._holds(answer)]

    def _holds(self, answer: Answer) -> bool:
        """Whether every quote stands in its document, word for word."""
        try:
            documents = self._documents_of([answer])
        except DocumentNotFoundError:
            return False
        quotes = (*answer.quotes, *answer.leads)
        return 0 <= answer.confidence <= 1 and all(_is_true(quote, documents) for quote in quotes)


class AddProgress:
    """How far the adding of a file is: written by one thread, read by another."""

    def __init__(self, name: str) -> None:
        self._line = f"Adding {name}"
        self._step = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        share = f" {100 * done // total} %" if total > 1 else ""
        self._step = f": {STAGES.get(stage, stage)}{share}"

    def __str__(self) -> str:
        return f"{self._line}{self._step}…"


def conversation_value(turns: Sequence[TurnView], pending: str | None = None) -> Json:
    """What the conversation shows: finished turns, and the question that is being answered."""
    return {"turns": list(turns), "pending": pending}


def notice_value(tone: Tone = "", text: str = "") -> Json:
    """One line of news above the question field; an empty one shows nothing."""
    return {"tone": tone, "text": text}


def bad_news(error: Exception) -> Json:
    """The line for an error: its own if Quoth raised it on purpose, else only that the log has it."""
    if isinstance(error, QuothError):
        message = str(error)
        return notice_value("bad", message[:1].upper() + message[1:])
    log.error("The page met an unexpected error", exc_info=error)
    return notice_value("bad", "Something went wrong; the server's log says what.")


def _is_true(quote: Quote, documents: Mapping[str, Document]) -> bool:
    document = documents[quote.document_id]
    spans = [span for span in ((quote.start, quote.end), quote.context) if span]
    return quote.is_exact(document) and all(0 <= start < end <= len(document.text) for start, end in spans)


def _choices(records: Sequence[DocumentRecord]) -> list[tuple[str, str]]:
    each = [(one_line(record.title), record.id) for record in records]
    return [("All documents", ALL_DOCUMENTS), *each] if len(each) > 1 else each


def _given(event: gr.EventData, name: str, kind: type[T]) -> T | None:
    """A value of this kind that a script sent with its event; None when it sent none."""
    value = event._data.get(name) if isinstance(event._data, dict) else None
    return value if isinstance(value, kind) and not isinstance(value, bool) else None


def _dumped(answers: Sequence[Answer]) -> Any:
    """Answers as the browser keeps them."""
    return _ANSWERS.dump_python(list(answers), mode="json")


def _file(suffix: str, media_type: str, text: str) -> Json:
    return {"name": f"quoth-conversation.{suffix}", "type": media_type, "text": text}


def _painted(name: str, value: object, *before: str) -> gr.HTML:
    """A component that its script paints, with the scripts `before` it in front; the template stays empty, so
    that no text is ever run as one.
    """
    script = "\n".join(_static(f"{each}.js") for each in (*before, name))
    return gr.HTML(value, html_template="", js_on_load=script, apply_default_css=False, elem_id=name)


def _static(name: str) -> str:
    return files("ui").joinpath("static", name).read_text("utf-8")
