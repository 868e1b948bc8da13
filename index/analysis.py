"""Text to index terms, one analyzer for documents and questions alike: words, lower case, accents
folded, English stems (Snowball, Porter 2001) by the library `snowballstemmer`."""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import lru_cache

from snowballstemmer import stemmer

_WORD = re.compile(r"\d+(?:[.,]\d+)+|[^\W_]+(?:'[^\W_]+)*")
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_PLACED_WORD = re.compile(
    rf"""{_IDEOGRAPH.pattern}
    | \d+(?:[.,]\d+)+
    | (?:(?!{_IDEOGRAPH.pattern})[^\W_][\u0300-\u036f]*)+ (?:['’][^\W_]+)*""",
    re.VERBOSE,
)
_POSSESSIVE = re.compile(r"'s$")
MAX_TERM_CHARS = 64

_ENGLISH = stemmer("english")
_STEMMING = threading.Lock()  # a stemmer keeps its word in itself while it works

# Words that carry no topic. Question words are here too: they say what kind of answer is wanted, and
# `rag.reader` looks at them there.
STOP_WORDS = frozenset(
    """a about all also am an and any are arent as at be because been being but by can cant could couldnt did
    didnt do does doesnt doing dont for from had hadnt has hasnt have havent having he her hers him his how i
    im ive if in into is isnt it its itself just me my no nor not of off on once only or our ours please she
    should so some such tell than that thats the their them then there theres these they theyre this those
    through to too us very was wasnt we were werent what whats when where which while who whom whose why will
    with wont would wouldnt you youre your yours""".split()
)


def words(text: str) -> list[str]:
    """The words of the text in order, in lower case, without accents, apostrophes and possessive endings.

    A decimal number is one word ("2.0"), a thousands separator is dropped ("3,412" is "3412"). Scripts
    written without spaces between words (Chinese, Japanese) give one word per character.
    """
    folded = unicodedata.normalize("NFKD", text.lower())
    folded = "".join(char for char in folded if not unicodedata.combining(char))
    spaced = _IDEOGRAPH.sub(r" \g<0> ", folded).replace("’", "'")
    return [_plain(word)[:MAX_TERM_CHARS] for word in _WORD.findall(spaced)]


def term_spans(text: str) -> list[tuple[int, int, str]]:
    """Where each word of the text stands, as offsets into it, with its index term."""
    found = _PLACED_WORD.finditer(text)
    return [(match.start(), match.end(), term) for match in found if (term := _term(match[0]))]


@lru_cache(maxsize=100_000)
def _term(word: str) -> str:
    return next(iter(terms(word)), "")


def _plain(word: str) -> str:
    return _POSSESSIVE.sub("", word).replace("'", "").replace(",", "")


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """The English stem of a lower-case word; digits and other scripts stay as they are."""
    with _STEMMING:
        stemmed: str = _ENGLISH.stemWord(word)
    return stemmed


def terms(text: str) -> list[str]:
    """The text's index terms in order, stop words included."""
    return [stem(word) for word in words(text)]


def topic_terms(text: str) -> list[str]:
    """The distinct terms that carry the topic, in order of first use: what full text is asked for.

    A text of nothing but stop words ("What is it about?") gives all of its terms.
    """
    found = [stem(word) for word in words(text) if word not in STOP_WORDS]
    return list(dict.fromkeys(found or terms(text)))
