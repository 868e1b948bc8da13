"""A file becomes a searchable document: file → Document → Passage → vectors + full text."""

from index.document import Block, Document, Section, Sentence
from index.errors import QuothError
from index.feedback import Excerpt, Feedback, FeedbackRecord
from index.library import Library
from index.store import DocumentRecord

__all__ = [
    "Block",
    "Document",
    "DocumentRecord",
    "Excerpt",
    "Feedback",
    "FeedbackRecord",
    "Library",
    "QuothError",
    "Section",
    "Sentence",
]
