"""Whether a question leans on the conversation before it: cues that a person would name.

Each is a plain fact about its words ("it" before any noun, "and" at the beginning, nothing but "why") or
about what retrieval finds for it as it stands. `rag.conversation` weighs them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from index.analysis import STOP_WORDS, stem, topic_terms, words
from rag.answer import Quote
from rag.reader.features import closeness
from rag.retrieval import Hit, Retrieved

CUES = (
    "connective",
    "opener",
    "what_about",
    "correction",
    "return",
    "personal_early",
    "personal_late",
    "it_early",
    "it_late",
    "it_of_nothing",
    "pointing_early",
    "pointing_late",
    "there",
    "other_early",
    "other_late",
    "more_without_than",
    "topics_0",
    "topics_1",
    "topics_2",
    "topics_3",
    "topics_many",
    "name",
    "new_name",
    "known_share",
    "new_topics",
    "the_known",
    "the_new",
    "short",
    "length",
    "ends_in_preposition",
    "first_person",
    "best_sentence",
    "closest_passage",
    "quote_similarity",
)
"""In the order of their weights. "early" is before any word that carries a topic, "late" after one."""

CUES_OF_WORDS = CUES[: CUES.index("best_sentence")]
"""Those that need no search."""

PRONOUN_CUES = (
    "personal_early",
    "it_early",
    "pointing_early",
    "personal_late",
    "it_late",
    "pointing_late",
    "there",
)

CONNECTIVES = frozenset("and or but then also plus".split())
_OPENERS = frozenset("so ok okay well hm hmm ah oh".split())
_PERSONAL = frozenset("he she him her hers his they them their theirs himself herself themselves".split())
_IT = frozenset("it its itself itll itd".split())
_POINTING = frozenset("this that these those thats".split())
_OTHER = frozenset(
    """one ones other others another same else instead again either neither both latter former rest next
    previous otherwise afterwards though anyway exactly alone""".split()
)
_MORE = frozenset(
    "more less fewer better worse older younger bigger smaller cheaper longer shorter higher lower".split()
)
_AUXILIARIES = frozenset(
    """is are was were be been being isnt arent wasnt werent do does did has have had will would can could
    should may might""".split()
)
_PREPOSITIONS = frozenset("for with from by to about of at on in".split())
_BEFORE_A_CLAUSE = frozenset(
    """say said says saying think thinks thought believe believes claim claims claimed know knows knew show
    shows showed so true sure proof evidence fact idea mean means meant find found argue argues argued feel
    feels hope hopes admit admits explain explains suggest suggests agree agrees likely possible clear
    way""".split()
)
_BEFORE_POINTING = frozenset("to for of about from with by in on after before do than like why and".split())
_AFTER_POINTING = frozenset(
    """? . , ! ; : in on at for from with by to of and or but as than then too also again still really already
    only""".split()
)
_EMPTY = frozenset(
    """many much long get happen happened happens mean say said go come really still ever even yet back thing
    things way no yes""".split()
)
_NO_TOPIC = STOP_WORDS | CONNECTIVES | _OPENERS | _PERSONAL | _IT | _POINTING | _OTHER | _MORE | _EMPTY

_LEAD_IN = r"^\W*(?:(?:and|so|but|ok(?:ay)?)\W+)*"
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[?!.,;:]")
_WHAT_ABOUT = re.compile(_LEAD_IN + r"(?:what|how)\s+(?:about|of)\b", re.IGNORECASE)
_CORRECTION = re.compile(
    r"^\W*(?:no|nope|not|sorry|actually|oh)\b\W+|\b(?:i|we)\s+(?:meant?|wanted)\b", re.IGNORECASE
)
_ANOTHER = re.compile(
    r"""^\W*(?:(?:and|so|but|then|okay|ok|what|who|where|which|how|why|any\w*|some\w*|is|are|was|were|there)\W+)*
    (?:else|others?|another|(?<=any\ )more)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_IT_OF_NOTHING = re.compile(
    r"""\bit(?:'s)?\s+(?:(?:is|was|be|been|still|really|ever|always)\s+)*
    (?:true|possible|ok|okay|allowed|necessary|safe|legal|worth|normal|likely|easy|hard|better|important
       |raining?|rains?|snows?|takes?|took|matters?|that|time|too\ late)\b
    .*\b(?:to|that|if|when|for)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_THERE_IS = re.compile(
    r"\b(?:is|are|was|were|isn't|aren't|been|be)\s+there\b|\bthere(?:'s)?\s+(?:is|are|was|were|been|be|any)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<=[^.!?\s] )(?!I\b)[A-Z][\w'-]+")
_DEFINITE = re.compile(r"\b(?:the|this|that|these|those)\s+([\w'-]+(?:\s+[\w'-]+)?)", re.IGNORECASE)
_RETURN = re.compile(
    _LEAD_IN
    + r"""(?:(?:(?:going|coming|getting|to\ come)\ )?back\ (?:to|on)|returning\ to|about)\s+
    (?P<topic>[^:,?!–—]{2,60}?)(?:\s+again)?\s*(?:[:,–—]|\s-\s)\s*(?P<rest>.*\w.*)$""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_BACK = re.compile(_LEAD_IN + r"(?:(?:going|coming|getting)\s+)?back\s+to\b|\bagain\W*$", re.IGNORECASE)


def plain(text: str) -> str:
    """The text with straight apostrophes."""
    return text.replace("’", "'")


def return_to(question: str) -> tuple[str, str] | None:
    """Of "back to the bridge: who paid for it?" what it returns to, and what is asked about that."""
    found = _RETURN.match(plain(question))
    return (found["topic"].strip(), found["rest"].strip()) if found else None


def asks_for_another(question: str) -> bool:
    """Whether what was quoted is not to be quoted again: "what else?", "are there others?"."""
    return bool(_ANOTHER.search(question))


def cues_of(
    question: str, before: Sequence[str], retrieved: Retrieved, quoted: Collection[Quote]
) -> dict[str, float]:
    """Every cue by name, 0 to 1 or near it.

    `before` are the questions and quotes that the question may lean on, `retrieved` what is found for it as
    it stands, `quoted` what the turn before quoted.
    """
    return cues_of_words(question, before) | cues_of_what_is_found(retrieved, quoted)


def cues_of_what_is_found(retrieved: Retrieved, quoted: Collection[Quote]) -> dict[str, float]:
    """The cues that need a search."""
    return {
        "best_sentence": max((float(hit.sentence_similarities.max()) for hit in retrieved.hits), default=0.0),
        "closest_passage": max((_closeness(hit) for hit in retrieved.hits), default=0.0),
        "quote_similarity": max((_similarity(quote, retrieved.hits) for quote in quoted), default=0.0),
    }


def _closeness(hit: Hit) -> float:
    return closeness(hit.similarity, hit.bm25, hit.sentence_similarities)


def _similarity(quote: Quote, hits: Sequence[Hit]) -> float:
    """Of the question and a quote, where its passage is among the hits; else 0."""
    for hit in hits:
        if hit.document.id == quote.document_id:
            for span, similarity in zip(hit.stored.passage.spans, hit.sentence_similarities, strict=True):
                if span[0] < quote.end and quote.start < span[1]:
                    return float(similarity)
    return 0.0


def cues_of_words(question: str, before: Sequence[str]) -> dict[str, float]:
    """All the others."""
    question = plain(question)
    tokens = [token.lower() for token in _TOKEN.findall(question)]
    spoken = [token.replace("'", "") for token in tokens if token[0].isalnum()]
    known = {term for text in before for term in topic_terms(text)}
    topics = {stem(word) for word in spoken if word not in _NO_TOPIC}
    names = {stem(word) for name in _NAME.findall(question) for word in words(name)}
    definite = [
        {stem(word) for word in words(match[1]) if word not in _NO_TOPIC}
        for match in _DEFINITE.finditer(question)
    ]
    found = dict.fromkeys(CUES_OF_WORDS, 0.0) | dict.fromkeys(_pointers(question, tokens), 1.0)
    found["topics_many" if len(topics) > 3 else f"topics_{len(topics)}"] = 1.0
    return found | {
        "connective": float(bool(spoken) and spoken[0] in CONNECTIVES),
        "opener": float(bool(spoken) and spoken[0] in _OPENERS),
        "what_about": float(bool(_WHAT_ABOUT.search(question))),
        "correction": float(bool(_CORRECTION.search(question))),
        "return": float(bool(_BACK.search(question))),
        "more_without_than": float(not _MORE.isdisjoint(spoken) and "than" not in spoken),
        "name": float(bool(names)),
        "new_name": float(bool(names - known)),
        "known_share": len(topics & known) / len(topics) if topics else 0.5,
        "new_topics": min(4, len(topics - known)) / 4,
        "the_known": float(any(heads & known for heads in definite)),
        "the_new": float(any(heads and not heads & known for heads in definite)),
        "short": float(len(spoken) <= 4),
        "length": min(len(spoken), 15) / 15,
        "ends_in_preposition": float(bool(spoken) and spoken[-1] in _PREPOSITIONS),
        "first_person": float(not {"i", "my", "me", "we", "our"}.isdisjoint(spoken)),
    }


def _pointers(question: str, tokens: Sequence[str]) -> set[str]:
    """The cues of single words that may point back, by where they stand."""
    of_nothing, there_is = bool(_IT_OF_NOTHING.search(question)), bool(_THERE_IS.search(question))
    found = set()
    place = "early"
    for at, token in enumerate(tokens):
        word = token.replace("'", "")
        previous = tokens[at - 1].replace("'", "") if at else ""
        after = tokens[at + 1].replace("'", "") if at + 1 < len(tokens) else "?"
        if word in _PERSONAL:
            found.add(f"personal_{place}")
        elif word in _IT or token == "it's":
            found.add("it_of_nothing" if of_nothing else f"it_{place}")
        elif word in _POINTING:
            if not (word == "that" and _joins_clauses(previous, after, place)):
                found.add(f"pointing_{place}")
        elif word == "there":
            if not there_is or (after in "?.," and previous not in _AUXILIARIES):
                found.add("there")
        elif word in _OTHER:
            found.add(f"other_{place}")
        elif word[0].isalnum() and word not in _NO_TOPIC:
            place = "late"
    return found


def _joins_clauses(previous: str, after: str, place: str) -> bool:
    """Whether "that" between these words only joins ("he said that …", "the man that won")."""
    if after in _AFTER_POINTING or previous in _AUXILIARIES:
        return False
    if previous in _BEFORE_A_CLAUSE:
        return after not in _AUXILIARIES
    return place == "late" and previous not in _BEFORE_POINTING
