"""The language of a document, by the library `py3langid` (its method: Lui and Baldwin 2012, "langid.py")."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from index.document import BlockKind, Document
from index.embedding import Embedder

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

MIN_BYTES = 100
"""Of UTF-8, in which a Chinese character counts as much as three letters; less says too little."""

MIN_CONFIDENCE = 0.9
MAX_CHARS = 20_000
"""As much of a document as is looked at: sentences from all parts of it."""

PROSE: frozenset[BlockKind] = frozenset(
    {"paragraph", "list_item", "question", "answer", "quotation", "cue"}
)  # a table of names or a program says little about the language around it

NAMES = {
    "af": "Afrikaans",
    "am": "Amharic",
    "ar": "Arabic",
    "az": "Azerbaijani",
    "be": "Belarusian",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "ca": "Catalan",
    "cs": "Czech",
    "cy": "Welsh",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "eo": "Esperanto",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "ga": "Irish",
    "gl": "Galician",
    "gu": "Gujarati",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "ht": "Haitian Creole",
    "hu": "Hungarian",
    "hy": "Armenian",
    "id": "Indonesian",
    "is": "Icelandic",
    "it": "Italian",
    "ja": "Japanese",
    "ka": "Georgian",
    "kk": "Kazakh",
    "km": "Khmer",
    "kn": "Kannada",
    "ko": "Korean",
    "ky": "Kyrgyz",
    "la": "Latin",
    "lo": "Lao",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "mk": "Macedonian",
    "ml": "Malayalam",
    "mn": "Mongolian",
    "mr": "Marathi",
    "ms": "Malay",
    "my": "Burmese",
    "ne": "Nepali",
    "nl": "Dutch",
    "no": "Norwegian",
    "pa": "Punjabi",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "so": "Somali",
    "sq": "Albanian",
    "sr": "Serbian",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "tl": "Filipino",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "uz": "Uzbek",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
"""The languages that are told apart, by ISO 639. Of close relatives (Cantonese, Bavarian) there is one."""

_NO_LANGUAGE = "zxx"  # numbers, identifiers


def language_of(document: Document) -> str | None:
    """The ISO 639 code of the document's language (a key of NAMES), None where that is not sure."""
    sample = _sample(document)
    if len(sample.encode("utf-8", "replace")) < MIN_BYTES:
        return None
    language, confidence = _identifier().classify(sample)
    return language if language in NAMES and confidence >= MIN_CONFIDENCE else None


def foreign_line(name: str, language: str | None, embedder: Embedder) -> str | None:
    """What to tell about a document in a language that the model does not know; None where it is not sure."""
    known = None if language is None else embedder.languages
    if language is None or known is None or language in known:
        return None
    knows = ", ".join(sorted(NAMES.get(code, code) for code in known))
    return (
        f"{name} seems to be in {NAMES[language]}, and the model knows {knows}: answers may be poor; "
        f"QUOTH_MODEL names a multilingual model"
    )


def _sample(document: Document) -> str:
    spans = [
        (sentence.start, sentence.end)
        for sentence in document.sentences
        if document.blocks[sentence.block].kind in PROSE
    ]
    step = 1 + sum(end - start for start, end in spans) // MAX_CHARS
    return " ".join(document.text[start:end] for start, end in spans[::step])[:MAX_CHARS]


@cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # reading its model takes half a second

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([*NAMES, _NO_LANGUAGE])
    return identifier
