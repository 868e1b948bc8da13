"""What every door of the server shares: one library, one line of questions, one line of adding."""

from __future__ import annotations

from dataclasses import dataclass

from index import Library
from rag.async_engine import AsyncEngine
from ui.settings import Settings
from ui.startup import Startup


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a running server; belongs to one event loop."""

    library: Library
    engine: AsyncEngine
    startup: Startup
    settings: Settings
