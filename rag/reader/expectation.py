"""What kind of answer a question wants, and where a sentence has such a thing: cheap evidence that a person
would use ("when" wants a time, "how many" a number, "who" a name)."""

from __future__ import annotations

import re
from typing import Literal

Expectation = Literal["time", "number", "name", "reason", "manner", "definition", "none"]

_UNIT = (
    r"(?:seconds?|minutes?|hours?|days?|nights?|weeks?|fortnights?|months?|years?|decades?|centur(?:y|ies))"
)
_NUMERAL = r"""(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|
    sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|
    thousand|million|billion|dozen|half|third|quarter|twice|once|double|none)"""
_MONTH = r"""(?:January|February|March|April|May|June|July|August|September|October|November|December)"""
_DAY = r"(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"


def _compiled(pattern: str, flags: int = re.IGNORECASE) -> re.Pattern[str]:
    return re.compile(pattern, flags | re.VERBOSE)


# Asked from the top; the first that matches says what is wanted.
_QUESTIONS: dict[Expectation, re.Pattern[str]] = {
    "reason": _compiled(
        r"\b(?:why|how\ come|what\ for|what\ (?:is|was|are|were)\ the\ (?:reason|cause|purpose))\b"
    ),
    "time": _compiled(
        r"\bwhen\b | \b(?:what|which)\ (?:\w+\ )?(?:year|date|day|month|time|century|decade|season)\b"
    ),
    "number": _compiled(
        r"""\bhow\ (?:many|much|long|far|old|big|large|tall|high|deep|heavy|often|fast|wide|hot|cold)\b
        | \b(?:what|which)\ (?:\w+\ )?(?:number|percentage|percent|share|amount|price|cost|size|age|rate|
          proportion|population|distance|length)\b"""
    ),
    "name": _compiled(
        r"""\b(?:who|whom|whose|where)\b
        | \b(?:what|which)\ (?:\w+\ )?(?:person|man|woman|author|king|leader|name|company|team|engineer|city|
          country|place|town|state|region|river)\b"""
    ),
    "manner": _compiled(r"\bhow\b"),
    "definition": _compiled(
        r"""\b(?:what\ (?:is|are|was|were|does|do|did)\b.*\b(?:mean|stand\ for|called)|defin\w*|meaning\ of)\b
        | ^\s*what\ (?:is|are)\ [\w\s.“”"'’-]{1,40}\?*\s*$"""
    ),
}

_ANSWERS: dict[Expectation, re.Pattern[str]] = {
    "time": _compiled(
        rf"""(?:\b{_DAY},?\ )?(?:\b\d{{1,2}}(?:st|nd|rd|th)?\ (?:of\ )?)?\b{_MONTH}\b
             (?:\ \d{{1,2}}(?:st|nd|rd|th)?\b)?(?:,?\ \d{{4}})?
        | \b{_DAY}s?\b | \b(?:1\d{{3}}|20\d{{2}})s?\b | \b\d{{1,2}}(?:st|nd|rd|th)\ century\b
        | \b\d{{1,2}}(?:[:.]\d{{2}})?\ ?(?:am|pm|a\.m\.|p\.m\.) | \b\d{{1,2}}:\d{{2}}\b
        | \b(?:\d+|{_NUMERAL}|an?|several|few)\ {_UNIT}(?:\ (?:ago|later|earlier|before|after))?\b
        | \b(?:spring|summer|autumn|winter|midnight|noon|yesterday|today|tomorrow)\b
        | \b(?:daily|weekly|monthly|yearly)\b"""
    ),
    "number": _compiled(
        rf"""(?:[$€£¥]\ ?)?\b\d+(?:[.,]\d+)*(?:\ ?(?:%|per\ ?cent|million|billion|thousand|hundred|
             km|cm|mm|kg|mg|g|m|°C|degrees|metres|meters|miles)(?!\w))?(?:\ {_UNIT}\b)?
        | \b{_NUMERAL}(?:[-\ ]{_NUMERAL})*\b(?:\ (?:{_UNIT}|per\ ?cent)\b)?"""
    ),
    "name": _compiled(
        r"""\b(?!(?:The|Then|This|That|These|In|At|On|When|After|But|And|As|For|His|Her|Its|Q|A)\b)
             [A-Z][\w’'-]+(?:\ (?:(?:of|de|van|von|the)\ )?[A-Z][\w’'-]*)+
        | (?<=[\w,;]\ )\b[A-Z][\w’'-]+""",
        0,
    ),
    "reason": _compiled(
        r"""\b(?:because|since|due\ to|owing\ to|so\ that|in\ order\ to|as\ a\ result|thanks\ to|caused?\ by|
            which\ is\ why|the\ reason|lest|otherwise)\b[^.;]*
        | \bto\ (?:avoid|keep|prevent|make|let|save|stop|protect|reduce|get)\b[^.;]*
        | \b(?:as|for)\ (?:it|they|the|he|she|we|an?|this|that|there)\b[^.;]*"""
    ),
    "manner": _compiled(r"\b(?:by|through|using|with|via)\ [^,.;]+"),
    "definition": _compiled(
        r"\b(?:is|are|was|were|means?|refers?\ to|stands?\ for|called|describes?|known\ as)\ [^.;]+"
    ),
}

KINDS: tuple[Expectation, ...] = tuple(_ANSWERS)


def expectation(question: str) -> Expectation:
    """What kind of answer the question wants ("none" when its form does not say)."""
    return next((wanted for wanted, pattern in _QUESTIONS.items() if pattern.search(question)), "none")


def mentions(wanted: Expectation, sentence: str) -> list[tuple[int, int]]:
    """Where the sentence has such a thing, as offsets into it, in order."""
    pattern = _ANSWERS.get(wanted)
    return [] if pattern is None else [match.span() for match in pattern.finditer(sentence)]
