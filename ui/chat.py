"""The page: the conversation on the left, the document on the right.

The `gr.HTML` components (library, conversation, reader, adding, notice) are painted by the scripts of the
same names in `static/`. Their values are plain data; only a document comes as HTML, escaped in
`ui/render.py`. How documents are added, renamed and removed is in `ui/documents.py`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Literal, TypeVar

from anyio.to_thread import run_sync as in_thread
from fastapi import FastAPI
from pydantic import TypeAdapter, ValidationError

from index import Document
from index.errors import DocumentNotFoundError, FeedbackError
from index.feedback import Verdict
from rag import Answer, Quote, Turn
from rag.feedback import give_feedback
from rag.record import to_json
from ui.documents import ALL, asked, listed, missing, settled
from ui.errors import error_line
from ui.render import TurnView, document_view, markdown, sentence_id, turn_view
from ui.service import Service

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read at the import: else Python calls home
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import gradio as gr

TITLE = "Quoth"

STYLES = ("page.css", "library.css", "toolbar.css")

MAX_KEPT_ANSWERS = 50
MAX_WAITING_QUESTIONS = 8

STRICT_STORAGE_KEY = "quoth-strict"
STORAGE_KEY = "quoth-conversation"
CHOICE_STORAGE_KEY = "quoth-documents"
"""Fixed, as is the secret made from it: so that the conversation survives a restart of the server. It hides
nothing, for who can read the browser's storage can read this file; what comes back is validated."""

LOADING = "Loading the model… A question that you ask now is answered as soon as it can be."
GONE_ANSWER = "That answer is no longer in this conversation."
GONE_CHAT = "The documents of this chat are no longer in the library, or do not say what it quotes."
NO_SUCH_DOCUMENT = "The document of this address is not in the library."

Tone = Literal["", "busy", "good", "bad"]
Json = dict[str, Any]
Update = Any  # a component's new value, or what gr.update and gr.skip make

_ANSWERS = TypeAdapter(list[Answer])
_VERDICT: TypeAdapter[Verdict] = TypeAdapter(Verdict)

T = TypeVar("T")


def mount_page(app: FastAPI, service: Service) -> None:
    """Serve the page at the application's root."""
    gr.mount_gradio_app(
        app,
        build_page(service),
        path="/",
        theme=gr.themes.Base(
            font=[gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif"],
            font_mono=[gr.themes.LocalFont("IBM Plex Mono", weights=(400,)), "monospace"],
        ),
        # Not as css=: Gradio splits and prefixes selectors, which breaks :is() and rules on the body.
        head=f"<style>{''.join(map(_static, STYLES))}</style><script>{_static('page.js')}</script>",
        footer_links=[],
        app_kwargs={"openapi_url": None},
        run_history=False,
        ssr_mode=False,
        show_error=False,
        max_file_size=f"{service.settings.max_document_mb}mb",
    )


def build_page(service: Service) -> gr.Blocks:
    """The components and what happens when they are used."""
    handlers = Handlers(service)
    page = gr.Blocks(title=TITLE, fill_height=True, fill_width=True, analytics_enabled=False)
    with page:
        answers = gr.BrowserState([], storage_key=STORAGE_KEY, secret=STORAGE_KEY)
        strict = gr.BrowserState(None, storage_key=STRICT_STORAGE_KEY, secret=STORAGE_KEY)
        kept_choice = gr.BrowserState("", storage_key=CHOICE_STORAGE_KEY, secret=STORAGE_KEY)
        exported = gr.JSON(visible=False)
        with gr.Row(elem_id="top"):
            gr.HTML(_static("brand.html"), elem_id="brand", apply_default_css=False, js_on_load=None)
            library_panel = _painted("library", ALL, documents=None)
            read = gr.Button("Read", size="sm", elem_id="read")
            toolbar = _painted("toolbar", handlers.toolbar_value(None))
        with gr.Row(elem_id="panes"):
            with gr.Column(elem_id="left"):
                conversation = _painted("conversation", conversation_value(()), "turn")
                _painted("adding", None)
                notice = _painted("notice", notice_value())
                question = gr.Textbox(
                    label="Your question",
                    show_label=False,
                    container=False,
                    placeholder="Ask a question…",
                    submit_btn="Ask",
                    max_lines=6,
                    autofocus=True,
                    elem_id="question",
                )
            with gr.Column(elem_id="right"):
                reader = _painted("reader", None)

        options: Json = {"show_progress": "hidden", "api_visibility": "private"}
        page.load(
            handlers.open_page,
            [answers, kept_choice, strict],
            [library_panel, reader, conversation, toolbar, notice, answers],
            concurrency_limit=None,
            **options,
        )
        asking = gr.on(
            [question.submit, conversation.submit],
            handlers.ask,
            [question, library_panel, answers, strict],
            [conversation, question, answers, notice],
            concurrency_limit=MAX_WAITING_QUESTIONS,
            **options,
        )
        reader.select(handlers.open_document, None, [reader, notice], trigger_mode="multiple", **options)
        library_panel.input(None, library_panel, kept_choice, js="(choice) => choice", **options)
        begun = [conversation, question, answers, toolbar, notice]
        toolbar.clear(None, cancels=[asking], **options).then(
            handlers.start_over, [answers, strict], begun, **options
        )
        toolbar.select(handlers.reopen, [answers, strict], begun, cancels=[asking], **options)
        toolbar.apply(handlers.choose_strict, None, [strict, toolbar], trigger_mode="multiple", **options)
        toolbar.download(handlers.export, answers, [exported, notice], **options).then(
            None, exported, js="(file) => window.quoth.download(file)", **options
        )
        conversation.like(
            handlers.rate, [answers, library_panel], notice, trigger_mode="multiple", **options
        ).success(None, notice, js="(news) => window.quoth.tell('rated', news)", **options)
        read.click(None, js="() => window.quoth.openReader()", **options)
    return page


class Handlers:
    """What happens when a person uses the page. Everything that comes from the browser is checked here."""

    def __init__(self, service: Service) -> None:
        self._library = service.library
        self._line = service.engine
        self._engine = service.engine.engine
        self._startup = service.startup

    async def open_page(
        self, stored: object, kept_choice: object, strict: object, request: gr.Request
    ) -> AsyncIterator[tuple[Update, ...]]:
        """At once what there is already; the rest as it gets loaded."""
        wanted = request.query_params.get("doc")
        choice = wanted or kept_choice
        answers = list((await in_thread(self._restore, stored)).values())
        turns = await in_thread(self._turns, answers)
        panel, reader = await in_thread(self._open, choice)
        news = await in_thread(self._news, wanted)
        toolbar = self.toolbar_value(strict)
        yield panel, reader, conversation_value(turns), toolbar, news, _dumped(answers)
        if self._startup.ready:
            return
        if reader is None:
            await self._startup.filled()
            yield *await in_thread(self._open, choice), gr.skip(), gr.skip(), self._news(), gr.skip()
        await self._startup.finished()
        yield *(gr.skip() for _ in range(4)), await in_thread(self._news, wanted), gr.skip()

    async def ask(
        self, typed: str, choice: object, stored: object, strict: object, event: gr.EventData
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
        kept = await in_thread(self._restore, stored)
        replaced = _given(event, "replaces", int)
        answers = [answer for place, answer in kept.items() if replaced is None or place < replaced]
        turns = await in_thread(self._turns, answers)
        yield conversation_value(turns, question), field, gr.skip(), self._news()
        try:
            await self._startup.finished()
            history = [] if alone else [Turn(answer.question, answer) for answer in answers]
            answer = await self._line.ask(question, asked(choice), history, strict=self._strictness(strict))
        except Exception as error:
            turns = await in_thread(self._turns, kept.values())
            yield conversation_value(turns), question, _dumped(kept.values()), bad_news(error)
            return
        answers = [*answers, answer][-MAX_KEPT_ANSWERS:]
        turns = await in_thread(self._turns, answers)
        yield conversation_value(turns), gr.skip(), _dumped(answers), self._news()

    def open_document(self, event: gr.EventData) -> tuple[Update, Update]:
        """Show a document, or none when none is named."""
        document_id = _given(event, "document", str)
        try:
            shown = document_view(self._library.document(document_id)) if document_id else None
        except Exception as error:
            return gr.skip(), bad_news(error)
        return shown, self._news()

    def start_over(self, stored: object, strict: object) -> tuple[Update, ...]:
        """An empty conversation; the one that ended goes to the browser's list."""
        return self._begun([], stored, strict)

    def reopen(self, stored: object, strict: object, event: gr.EventData) -> tuple[Update, ...]:
        """An earlier conversation from the browser's list, without what its documents do not say any more; it
        leaves the list when nothing of it is missing."""
        given = _given(event, "answers", list) or []
        answers = self._restore(given).values()
        if not answers:
            turns = self._turns(self._restore(stored).values())
            return conversation_value(turns), gr.skip(), gr.skip(), gr.skip(), notice_value("bad", GONE_CHAT)
        whole = len(answers) == len(given)
        return self._begun(answers, stored, strict, _given(event, "id", str) if whole else None)

    def _begun(
        self, answers: Collection[Answer], stored: object, strict: object, reopened: str | None = None
    ) -> tuple[Update, ...]:
        toolbar = self.toolbar_value(strict, self._restore(stored).values(), reopened)
        return conversation_value(self._turns(answers)), "", _dumped(answers), toolbar, self._news()

    def export(self, stored: object, event: gr.EventData) -> tuple[Json, Update]:
        """The conversation as a file that the browser saves; empty when there is none."""
        answers = self._restore(stored).values()
        if not answers:
            return {}, notice_value("bad", "There is nothing to export yet: ask a question first.")
        documents = self._documents_of(answers)
        if _given(event, "form", str) == "json":
            return _file("json", "application/json", to_json(answers, documents)), self._news()
        return _file("md", "text/markdown", markdown(answers, documents)), self._news()

    def choose_strict(self, event: gr.EventData) -> tuple[float, Update]:
        """How sure an answer has to be, from the browser's settings."""
        strict = self._strictness(_given(event, "strict", float))
        return strict, self.toolbar_value(strict)

    def toolbar_value(
        self, strict: object, ended: Iterable[Answer] = (), reopened: str | None = None
    ) -> Json:
        """The settings that can be chosen and the chosen one; the conversation that ended just now, and the
        id of the one in the browser's list that goes on instead."""
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
            "reopened": reopened,
        }

    def _strictness(self, chosen: object) -> float:
        """What the browser kept, if it is a number from 0 to 1, else what the server was started with."""
        known = isinstance(chosen, int | float) and 0 <= chosen <= 1
        return float(chosen) if known else self._engine.strict  # type: ignore[arg-type]

    def rate(self, stored: object, choice: object, event: gr.EventData) -> Update:
        """Keep what a person says about an answer."""
        try:
            rated = self._restore(stored).get(_given(event, "turn", int) or 0)
            verdict = _VERDICT.validate_python(_given(event, "verdict", str))
            if rated is None:
                return notice_value("bad", GONE_ANSWER)
            give_feedback(
                self._library,
                self._engine,
                rated,
                verdict,
                documents=asked(choice) or (),
                selected=self._picked(event),
            )
        except ValidationError:
            return notice_value("bad", "There is no such verdict on an answer.")
        except Exception as error:
            return bad_news(error)
        return self._news()

    def _picked(self, event: gr.EventData) -> tuple[str, int, int] | None:
        """The sentence that a person marked in the reader."""
        document_id, picked = _given(event, "document", str), _given(event, "sentence", str)
        if document_id is None or picked is None:
            return None
        sentences = self._library.document(document_id).sentences
        number = next((at for at in range(len(sentences)) if sentence_id(at) == picked), None)
        if number is None:
            raise FeedbackError("that sentence is not in the document; choose one of its text")
        return document_id, sentences[number].start, sentences[number].end

    def _news(self, wanted: str | None = None) -> Json:
        """How the loading goes; once it is over, whether the document that the address names is there."""
        if not self._startup.ready:
            error = self._startup.error
            return bad_news(error) if error else notice_value("busy", LOADING)
        if wanted and missing(wanted, [record.id for record in self._library.documents()]):
            return notice_value("bad", NO_SUCH_DOCUMENT)
        return notice_value()

    def _open(self, choice: object) -> tuple[Update, Update]:
        """The panel with what is left of the choice, and the reader with its first document."""
        records = self._library.documents()
        shown, choice = settled(choice, [record.id for record in records])
        panel = gr.update(value=choice, documents=listed(records))
        return panel, document_view(self._library.document(shown)) if shown else None

    def _turns(self, answers: Collection[Answer]) -> list[TurnView]:
        documents = self._documents_of(answers)
        return [turn_view(answer, documents) for answer in answers]

    def _documents_of(self, answers: Iterable[Answer]) -> dict[str, Document]:
        ids = {quote.document_id for answer in answers for quote in (*answer.quotes, *answer.leads)}
        return {document_id: self._library.document(document_id) for document_id in ids}

    def _restore(self, stored: object) -> dict[int, Answer]:
        """The conversation that the browser kept, by place, without what is not (any more) true."""
        try:
            answers = _ANSWERS.validate_python(stored)
        except ValidationError:
            return {}
        recent = enumerate(answers[-MAX_KEPT_ANSWERS:])
        return {place: answer for place, answer in recent if self._holds(answer)}

    def _holds(self, answer: Answer) -> bool:
        """Whether every quote stands in its document, word for word."""
        try:
            documents = self._documents_of([answer])
        except DocumentNotFoundError:
            return False
        quotes = (*answer.quotes, *answer.leads)
        return 0 <= answer.confidence <= 1 and all(_is_true(quote, documents) for quote in quotes)


def conversation_value(turns: Sequence[TurnView], pending: str | None = None) -> Json:
    """What the conversation shows: finished turns, and the question that is being answered."""
    return {"turns": list(turns), "pending": pending}


def notice_value(tone: Tone = "", text: str = "") -> Json:
    """One line of news above the question field; an empty one shows nothing."""
    return {"tone": tone, "text": text}


def bad_news(error: Exception) -> Json:
    """The line for an error."""
    return notice_value("bad", error_line(error))


def _is_true(quote: Quote, documents: Mapping[str, Document]) -> bool:
    document = documents[quote.document_id]
    spans = [span for span in ((quote.start, quote.end), quote.context) if span]
    return quote.is_exact(document) and all(0 <= start < end <= len(document.text) for start, end in spans)


def _given(event: gr.EventData, name: str, kind: type[T]) -> T | None:
    """A value of this kind that a script sent with its event; None when it sent none."""
    value = event._data.get(name) if isinstance(event._data, dict) else None
    return value if isinstance(value, kind) and not isinstance(value, bool) else None


def _dumped(answers: Iterable[Answer]) -> Any:
    """Answers as the browser keeps them."""
    return _ANSWERS.dump_python(list(answers), mode="json")


def _file(suffix: str, media_type: str, text: str) -> Json:
    return {"name": f"quoth-conversation.{suffix}", "type": media_type, "text": text}


def _painted(name: str, value: object, *before: str, **props: Any) -> gr.HTML:
    """A component that its script paints, with the scripts `before` it in front; the template stays empty, so
    that no text is ever run as one.
    """
    script = "\n".join(_static(f"{each}.js") for each in (*before, name))
    return gr.HTML(value, html_template="", js_on_load=script, apply_default_css=False, elem_id=name, **props)


def _static(name: str) -> str:
    return files("ui").joinpath("static", name).read_text("utf-8")
