"""Every setting once: its default, its environment variable (QUOTH_ and the name in capitals), its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_data_path
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from index import Library
from index.embedding import Embedder, SentenceTransformerEmbedder
from index.errors import QuothError
from rag import Engine
from rag.async_engine import SECONDS, WAITING, WORKERS
from rag.reader import Reader
from rag.reader.trained import TrainedReader

_ENV_PREFIX = "QUOTH_"
_SHOWN = {"": "empty", "None": "empty", "False": "off", "True": "on"}

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class SettingsError(QuothError):
    """An environment variable or a command-line option holds a value that cannot be used."""


def _listed(value: object) -> object:
    """Names with commas between them, as an environment variable holds them."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]


def _default_library() -> Path:
    return user_data_path("quoth", appauthor=False) / "library"


class Settings(BaseSettings):
    """Read from the environment (an empty variable counts as unset); command-line options override."""

    model_config = SettingsConfigDict(env_prefix=_ENV_PREFIX, env_ignore_empty=True, frozen=True)

    library: Annotated[Path, AfterValidator(Path.expanduser)] = Field(
        default_factory=_default_library, description="Folder of the library."
    )
    host: str = Field("127.0.0.1", min_length=1, description="Address that the page listens on.")
    port: int = Field(7860, ge=0, le=65535, description="Port of the page; 0 picks a free one.")
    model: str = Field(
        "",
        description="Folder or hub name of another sentence-transformers model; empty for the bundled one.",
    )
    max_document_mb: int = Field(64, ge=1, le=1024, description="Largest file that is accepted, in MB.")
    max_question_chars: int = Field(
        5_000, ge=1, le=100_000, description="Longest question that is accepted, in characters."
    )
    strict: float = Field(
        0.5,
        ge=0,
        le=1,
        description="How sure an answer has to be: 0 answers whatever is nearest, 1 never answers.",
    )
    threads: int = Field(
        0, ge=0, le=256, description="CPU threads of the models; 0 for one a core, at most 4."
    )
    token: SecretStr = Field(
        SecretStr(""),
        description="Secret that every request has to bring; needed where other machines reach the server.",
    )
    token_file: Path | None = Field(None, description="File that holds the token instead.")
    hosts: Names = Field((), description="Further host names that the server is reached by, with commas.")
    origins: Names = Field(
        (), description="Origins of other sites whose pages may use the server (CORS), with commas."
    )
    max_request_kb: int = Field(
        1_024, ge=16, le=65_536, description="Largest request that is no upload, in KB."
    )
    max_documents: int = Field(1_000, ge=1, description="Most documents that a question may name.")
    max_history: int = Field(100, ge=0, description="Most earlier turns that a question may come with.")
    max_batch: int = Field(32, ge=1, le=1_000, description="Most questions in one request.")
    request_seconds: float = Field(
        SECONDS, gt=0, description="Time that a request may take, and a tenth of what an upload may."
    )
    workers: int = Field(WORKERS, ge=1, le=64, description="Questions that are answered at the same time.")
    queue: int = Field(WAITING, ge=0, le=10_000, description="Questions that may wait in line behind those.")
    max_jobs: int = Field(16, ge=1, le=1_000, description="Uploads that may wait to be added.")
    rate: int = Field(
        6_000, ge=0, description="Requests a minute that one client may send; 0 for any number."
    )
    mcp_add: bool = Field(False, description="Let language models that use MCP add documents.")
    drain_seconds: float = Field(
        10, ge=0, le=600, description="Time that a server which is stopped gives to what it is doing."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="How the server logs: text for warnings alone, json with a line a request too."
    )
    debug: bool = Field(False, description="Show the traceback of an unexpected error, and more log lines.")


def load_settings(**options: Any) -> Settings:
    """The settings from the environment, overridden by the options that are not None.

    Raises SettingsError, whose one line names every option or variable at fault with its value.
    """
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        faults = [
            _fault(str(detail["loc"][0]), detail["msg"], detail["input"], given) for detail in error.errors()
        ]
        raise SettingsError("; ".join(faults)) from None


def token(settings: Settings) -> str:
    """The secret that every request has to bring; empty when there is none. Raises SettingsError."""
    if settings.token_file is None:
        return settings.token.get_secret_value()
    try:
        held = settings.token_file.read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"cannot read the token file {settings.token_file}: {error}") from None
    if not held:
        raise SettingsError(f"the token file {settings.token_file} is empty; write the token into it")
    return held


def embedder(settings: Settings) -> Embedder:
    """The model that the settings name; it loads when it is first needed."""
    return SentenceTransformerEmbedder(settings.model, threads=settings.threads)


def reader(settings: Settings) -> Reader:
    """The reader; it loads when it is first needed."""
    return TrainedReader(threads=settings.threads)


def open_engine(settings: Settings, library: Library) -> Engine:
    """An engine over the library, as the settings describe it; its models load when they are first needed."""
    return Engine(
        library,
        reader=reader(settings),
        max_question_chars=settings.max_question_chars,
        strict=settings.strict,
    )


def open_library(settings: Settings) -> Library:
    """The library that the settings describe. Raises what `Library.open` raises."""
    return Library.open(
        settings.library,
        embedder=embedder(settings),
        max_document_bytes=settings.max_document_mb * 2**20,
    )


def env_name(setting: str) -> str:
    """The environment variable of a setting: `port` → `QUOTH_PORT`."""
    return _ENV_PREFIX + setting.upper()


def option_name(setting: str) -> str:
    """The command-line option of a setting: `max_document_mb` → `--max-document-mb`."""
    return "--" + setting.replace("_", "-")


def default_text(setting: str) -> str:
    """The default as a person reads it in the help and in the README."""
    field = Settings.model_fields[setting]
    if field.default_factory is not None:
        return "in the user's data folder"
    return value_text(field.default)


def value_text(value: object) -> str:
    """A setting's value as a person reads it."""
    text = ",".join(value) if isinstance(value, tuple) else str(value)
    return _SHOWN.get(text, text)


def _fault(setting: str, reason: str, value: object, given: dict[str, Any]) -> str:
    source = option_name(setting) if setting in given else env_name(setting)
    return f"{source} is {str(value)!r}: {reason[0].lower()}{reason[1:]}"
