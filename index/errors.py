"""Everything that Quoth raises on purpose: one tree, so that a program can catch what it can handle.

The message of each is one line for a person: what was wrong, where, and what to do about it.
"""


class QuothError(Exception):
    """Base of every error that Quoth raises on purpose."""


class DocumentError(QuothError):
    """A file cannot become a document."""


class SourceNotFoundError(DocumentError):
    """The path does not exist, is a folder, or cannot be read."""


class UnsupportedFormatError(DocumentError):
    """No parser for this kind of file."""


class NotTextError(DocumentError):
    """The bytes are no text in any encoding that Quoth reads."""


class UnreadableFileError(DocumentError):
    """The file is damaged, protected by a password, or would unpack to more than Quoth reads."""


class EmptyDocumentError(DocumentError):
    """The file holds no sentence that could be quoted."""


class DocumentTooLargeError(DocumentError):
    """The file is larger than the limit."""


class QuestionError(QuothError):
    """The question is blank or too long, or what came with it (history, strictness, limit) cannot be used."""


class TitleError(QuothError):
    """A document cannot be called this."""


class RecordError(QuothError):
    """A file holds no conversation of Quoth, or one that this version cannot read."""


class FeedbackError(QuothError):
    """What somebody said about an answer cannot be kept: it names no sentence, is malformed or too large."""


class DocumentNotFoundError(QuothError):
    """No document with this id is in the library."""


class LibraryError(QuothError):
    """The library folder cannot be used."""


class LibraryUnreadableError(LibraryError):
    """The folder cannot be created, read or written, or the database in it is damaged."""


class LibraryDamagedError(LibraryUnreadableError):
    """The database is no database any more."""


class LibraryGoneError(LibraryError):
    """The folder was moved or deleted while the library was open."""


class LibraryFullError(LibraryError):
    """The disk with the library is full."""


class LibraryMissingError(LibraryError):
    """The folder holds no library."""


class LibraryNotEmptyError(LibraryError):
    """A backup would take the place of documents, and nobody said that it may."""


class BackupError(QuothError):
    """A backup cannot be written or read, or what it holds is damaged."""


class LibraryTooNewError(LibraryError):
    """The library was written by a newer version of Quoth."""


class LibraryBusyError(LibraryError):
    """Another process is writing to the library and did not finish in time."""


class ModelMismatchError(LibraryError):
    """The library was embedded with another model or another chunking."""


class ModelError(QuothError):
    """A model cannot be loaded."""


class WeightsDamagedError(ModelError):
    """The weights on disk are not the pinned ones."""
