"""What a page that is open already still waits for: the library's content and the models."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

from anyio.to_thread import run_sync as in_thread

from index import Library, QuothError
from index.errors import ModelError
from rag import Engine
from rag.async_engine import EngineBusyError

log = logging.getLogger(__name__)

MODEL_WAIT_SECONDS = 60.0
"""That a question waits for the models."""

POLL_SECONDS = 0.05
"""How often a waiting request looks whether loading is done; events would bind this to one event loop."""


class ModelLoadingError(EngineBusyError):
    """The models were not loaded in the time that a request waits for them."""


class Startup:
    """Adds the bundled summary to a new library and loads the models, in a thread of its own.

    `error` is what a person is told when that failed, else None.
    """

    def __init__(self, library: Library, engine: Engine) -> None:
        self.error: QuothError | None = None
        self._library = library
        self._engine = engine
        self._filled = threading.Event()
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._run, name="quoth-startup", daemon=True)

    @property
    def ready(self) -> bool:
        """True when questions are answered without waiting."""
        return self._finished.is_set() and self._engine.ready

    def start(self) -> None:
        """Begin in the background."""
        self._thread.start()

    def ended(self, timeout: float) -> bool:
        """Whether nothing runs in the background any more; waits for that at most `timeout` seconds."""
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    async def prepare(self) -> None:
        """What a question waits for: that loading is over. What the background could not load is loaded now.

        Raises ModelLoadingError and ModelError.
        """
        if self.ready:
            return
        if not await self.finished(MODEL_WAIT_SECONDS):
            raise ModelLoadingError("The models are still being loaded: ask again in a moment.")
        await in_thread(self._engine.load)

    def _run(self) -> None:
        try:
            self._library.add_bundled()
            self._filled.set()
            self._engine.load()
        except QuothError as error:
            self.error = error
        except Exception:
            log.exception("Loading failed")
            self.error = ModelError("Quoth could not load its models; the log says why.")
        finally:
            self._filled.set()
            self._finished.set()

    async def filled(self, timeout: float | None = None) -> bool:
        """Wait until the library holds what it starts with; False when the time (in seconds) ran out."""
        return await _wait(self._filled.is_set, timeout)

    async def finished(self, timeout: float | None = None) -> bool:
        """Wait until loading is over, well or not; False when the time (in seconds) ran out."""
        return await _wait(self._finished.is_set, timeout)


async def _wait(condition: Callable[[], bool], timeout: float | None) -> bool:
    try:
        async with asyncio.timeout(timeout):
            while not condition():
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        return False
    return True
