"""A question becomes quotes: question → hits → spans → Answer."""

from rag.answer import Answer, Quote, Turn
from rag.engine import Engine

__all__ = ["Answer", "Engine", "Quote", "Turn"]
