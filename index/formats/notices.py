"""Sentences about the document rather than of it: reading times, sponsors, invitations to click.

The rules are conservative, since a call to action is never quoted: a sentence counts as one only when it
opens with the call. An unrecognised one costs a little noise, a wrongly recognised one costs an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from index.sentences import sentence_spans

NoticeKind = Literal["metadata", "boilerplate"]

MAX_NOTICE_CHARS = 600
"""A longer paragraph is prose: it isn't searched for notices."""

MAX_ASIDE_CHARS = 60
"""A sentence up to this length beside a reading time or a sponsor is metadata as well ("Issue 131.")."""

_MEDIUM = (
    r"(?:issue|edition|episode|newsletter|digest|letter|notice|post|article|story|page|show|podcast|video)"
)
_THING = r"(?:image|picture|photo|banner|button|link|code|heart|icon|logo|video|thumbs[- ]up|map|stars?)"

_DATE = r"(?:\d|Jan|Feb|March|April|May|June|July|Aug|Sept|Oct|Nov|Dec)"

# How a call to action begins. Case is ignored.
_CALL = re.compile(
    rf"""(?:please\s+)?(?:
        (?:click|tap|press)\s+(?:here|below|subscribe|(?:on\s+)?the\s+{_THING}\s+(?:below|above|here))\b
      | scan\s+the\s+{_THING}\s+(?:below|above|here)\b
      | (?:un)?subscribe\s+(?:here|below|now|today|for\s+free|at\s+(?:any\s+time|the\s+bottom)|any\s*time
            |using\s+the|to\s+(?:our|the|my|this|get|receive)\b|for\s+our|and\s+we|[.!(])
      | (?:un)?subscribe[.!]?$
      | sign\s+up\s+(?:here|below|now|today)\b
      | sign\s+up\s+(?:for|to)\s+(?:our|my|the)\s+(?:free\s+)?(?:newsletter|mailing|e-?mail)\b
      | reply\s+[A-Z]+\s+to\s+this\s+message\b
      | (?:forward|share|send)\s+(?:this|the)(?:\s+{_MEDIUM})?\s+(?:to|with|on)\b
      | (?:forward|share)\s+(?:this|the)(?:\s+{_MEDIUM})?\s*(?:[.!]?$|[|:·])
      | (?:share|tweet)\s+(?:this\s+)?(?:on|via)\s+(?:facebook|twitter|x|linkedin|reddit|whatsapp|e-?mail)\b
      | (?:follow|find|join|like)\s+us\s+on\b
      | support\s+(?:the|our|this)\s+(?:show|podcast|newsletter|work)\s*!
      | (?:download|get|install)\s+(?:the|our)\s+(?:free\s+)?app\b
      | you(?:['’]re|\s+are)\s+(?:receiving|getting)\s+this\b
      | to\s+(?:stop\s+receiving|unsubscribe\s+from)\s+(?:this|these|our)\b
      | (?:was\s+this\s+)?forwarded\s+(?:this|to\s+you)\b
      | not\s+(?:yet\s+)?a\s+subscriber\b
      | if\s+(?:a\s+friend|someone)\s+forwarded\s+this\b
    )""",
    re.VERBOSE | re.IGNORECASE,
)

# How metadata begins.
_METADATA = re.compile(
    rf"""(?:
        (?:estimated\s+|approx(?:imate|\.)?\s+)?reading\s+time(?:\s+saved)?\s*[:(–—-]
      | (?:an?\s+)?[\w½]+[- ]min(?:ute)?s?[- ]read\b
      | (?:[\w½]+\s+){{1,3}}min(?:ute)?s?\s+to\s+read\b
      | (?:(?:this|the|today['’]s)\s+(?:week['’]s\s+)?{_MEDIUM}\s+(?:is|was)\s+)?
        (?:sponsored|supported|brought\s+to\s+you)\s+by\b
      | sponsor\s*:
      | (?:last\s+(?:updated|revised|modified|changed?)\b|(?:updated|revised)(?:\s+on|\s+in|\s*:)?\s+{_DATE})
      | (?:copyright\b|©|\(c\))\s*(?:©|\(c\))?\s*[\d(<\[]
      | all\s+rights\s+reserved\b
      | (?:use|enter)\s+(?:the\s+|promo\s+)?code\s+[A-Z]
    )""",
    re.VERBOSE | re.IGNORECASE,
)

# A call that also says something (opening hours, a length, a second clause) may be what a person asks for.
_INFORMATIVE = re.compile(r"[\d;]")

_LINK_LINE = re.compile(r"[^.!?]{0,100}?\s*<?(?:https?://|www\.)\S+", re.IGNORECASE)

# What a site's generator puts something in the place of (Hugo, Jekyll): "{{< figure … >}}".
_PLACEHOLDER = re.compile(r"\{(?:\{[<%].{0,200}[%>]\}|%.{0,200}%)\}")

# Any notice holds one of these, in lower case; most lines hold none, and are done with.
_HINTS = (
    *("click", "tap ", "press ", "scan ", "subscri", "sign up", "reply ", "forward", "share ", "send "),
    *("us on", "support", " app", "receiving", "getting this", "read", "sponsor", "brought", "updated"),
    *("revised", "last ", "code ", "://", "www.", "copyright", "©", "(c)", "all rights", "tweet "),
    *("{{", "{%"),
)

_OPENING = re.compile(r"[\W_]*")


def notices(text: str, start: int, end: int) -> list[tuple[NoticeKind | None, int, int]]:
    """Divide the paragraph `text[start:end]` into runs of sentences of one kind (None is ordinary prose).

    Runs are (kind, start, end): offsets into `text`, disjoint, ordered, covering every non-space character.
    """
    if end - start > MAX_NOTICE_CHARS or not _may_hold_notice(text[start:end].lower()):
        return [(None, start, end)]
    if _LINK_LINE.fullmatch(text, start, end):
        return [("metadata", start, end)]
    if _PLACEHOLDER.fullmatch(text, start, end):
        return [("boilerplate", start, end)]
    spans = sentence_spans(text, start, end)
    kinds = [_kind(text, *span) for span in spans]
    kinds = list(_spread(text, spans, kinds))
    kinds = [_keep_informative(text, kind, *span) for kind, span in zip(kinds, spans, strict=True)]
    return _runs(spans, kinds)


def _may_hold_notice(paragraph: str) -> bool:
    return any(map(paragraph.__contains__, _HINTS))


def _kind(text: str, start: int, end: int) -> NoticeKind | None:
    opening = _OPENING.match(text, start, end)
    at = opening.end() if opening else start
    if _CALL.match(text, at, end):
        return "boilerplate"
    return "metadata" if _METADATA.match(text, at, end) else None


def _spread(
    text: str, spans: list[tuple[int, int]], kinds: list[NoticeKind | None]
) -> Iterator[NoticeKind | None]:
    """A question that a call answers belongs to the call ("Enjoyed this? Subscribe below.")."""
    for (start, end), kind, following in zip(spans, kinds, [*kinds[1:], None], strict=True):
        if kind is None and following == "boilerplate" and text[end - 1] == "?":
            yield "boilerplate"
        elif kind is None and "metadata" in kinds and end - start <= MAX_ASIDE_CHARS:
            yield "metadata"
        else:
            yield kind


def _keep_informative(text: str, kind: NoticeKind | None, start: int, end: int) -> NoticeKind | None:
    return "metadata" if kind == "boilerplate" and _INFORMATIVE.search(text, start, end) else kind


def _runs(
    spans: list[tuple[int, int]], kinds: list[NoticeKind | None]
) -> list[tuple[NoticeKind | None, int, int]]:
    runs: list[tuple[NoticeKind | None, int, int]] = []
    for kind, (start, end) in zip(kinds, spans, strict=True):
        if runs and runs[-1][0] == kind:
            runs[-1] = (kind, runs[-1][1], end)
        else:
            runs.append((kind, start, end))
    return runs
