"""The text of the HTML that stands in a Markdown file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

from index.document import one_line

# Each alternative stops at the next angle bracket, so that hostile input takes linear time too.
_TAG = re.compile(r"(<!--)|(-->)|<(?P<end>/?)(?P<name>[a-zA-Z][\w-]*)(?P<attributes>[^<>]*)>|<[!?][^<>]*>")
_ALT = re.compile(r"""\balt\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)

_COMMENT = "<!--"
_HIDDEN = frozenset({"script", "style", "template", "svg"})
INLINE = frozenset(
    "a abbr b bdi bdo cite code del dfn em font i img input ins kbd label mark q s samp small span strong "
    "sub sup time tt u var wbr".split()
)
_HEADING = re.compile(r"h[1-6]")


@dataclass(frozen=True, slots=True)
class HtmlText:
    """A run of text between block-level tags; `level` is 1 to 6 for a heading, else 0."""

    text: str
    level: int


def html_texts(html: str) -> list[HtmlText]:
    """The runs of text of a fragment, in order: without tags, comments, scripts and styles."""
    runs: list[HtmlText] = []
    pieces: list[str] = []
    level = 0
    for text, tag, following in _visible(html):
        pieces.append(text)
        if tag not in INLINE:
            if content := one_line(unescape("".join(pieces))):
                runs.append(HtmlText(content, level))
            pieces, level = [], following
    return runs


def _visible(html: str) -> Iterator[tuple[str, str, int]]:
    """Text with the tag after it, and the level of the heading that this tag opens (0 when it opens none).

    The last tag is "": the end of the fragment.
    """
    at = 0
    hidden = ""  # the tag or comment whose content is skipped
    for match in _TAG.finditer(html):
        name = (match["name"] or "").lower()
        if not hidden:
            alternative = _ALT.search(match["attributes"]) if name == "img" else None
            shown = (alternative[1] or alternative[2] or "") if alternative else ""
            level = int(name[1]) if _HEADING.fullmatch(name) and not match["end"] else 0
            yield html[at : match.start()] + shown, name or "a", level
            hidden = match[1] or (name if name in _HIDDEN and not match["end"] else "")
        elif hidden == _COMMENT if match[2] else match["end"] and name == hidden:
            hidden = ""
        at = match.end()
    yield "" if hidden else html[at:], "", 0
