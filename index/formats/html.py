"""A saved web page → clean text with its parts: the main content, without what surrounds it.

Navigation, menus, cookie banners, footers and hidden elements are known by their elements, roles and names
and by how much of their text is links. Parsing is libxml2's, which is fast, mends what is malformed, and
tells each element as it comes, so that depth and number can be limited before they cost anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from index.document import Parsed, one_line
from index.errors import UnreadableFileError
from index.formats.decoding import decode
from index.formats.elements import read_elements
from index.formats.pieces import Piece, PieceList, compose
from index.formats.xml import Element

MAX_DEPTH = 1_000
"""A page that is nested deeper is refused; browsers stop at about 500."""

MAX_ELEMENTS = 1_000_000
"""A page of more elements is refused; the longest that people write have half of that."""

MIN_MAIN = 0.25
"""The share of a page's text that <main> or the articles hold when they are its content."""

MIN_KEPT = 0.1
"""When less of a page's text is left, it consists of links and is read whole."""

MAX_NOISE_CHARS = 2_000
"""A longer text outside of links is no notice or side bar, whatever its name."""

MIN_DENSITY = 0.4
"""The share of a menu's text that is links, if it is called one; twice as much, if it is called nothing."""

MAX_LINK_CHARS = 30
"""The links of a menu are no longer than this on average."""

MAX_TITLE_CHARS = 500

_SNIFFED_BYTES = 4_096
_BEGINNING = re.compile(
    rb"(?>\s+|<\?xml[^>]*>|<!--.*?-->)*+<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_CHARSET = re.compile(
    rb"""<meta\b[^>]*?\bcharset\s*=\s*["']?\s*([\w.:-]+)|<\?xml\b[^>]*?\bencoding=["']([\w.-]+)""",
    re.IGNORECASE,
)

_DROPPED = frozenset(
    "script style template svg noscript iframe object embed audio video canvas select textarea datalist "
    "input dialog nav".split()
)
_KEPT_ATTRIBUTES = frozenset("class role href alt style start type value colspan rowspan".split())
_NEVER_AROUND = frozenset("html head title body main article h1 h2 h3 h4 h5 h6".split())
_MENUS = frozenset("ul ol dl div section table tr td p form".split())
_ROLES = frozenset(
    "navigation contentinfo search menu menubar dialog alertdialog toolbar tablist complementary".split()
)
_NOISE = frozenset(
    "cookie cookies consent gdpr ccpa onetrust popup modal overlay lightbox newsletter subscribe signup "
    "share sharing social advert advertisement ads promo skip skiplink noprint editsection headerlink "
    "permalink breadcrumb breadcrumbs pagination pager catlinks printfooter".split()
)
_MENU_NAMES = frozenset(
    "nav navbar navbox navigation menu menubar sidebar footer colophon toolbar toc contents related "
    "recommended".split()
)
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_FOR_SCREEN_READERS = re.compile(r"\b(?:sr-only|visually-?hidden|screen-reader-text)\b", re.IGNORECASE)
_WORD = re.compile(r"[a-z]+|[A-Z][a-z]*")
_SEPARATOR = re.compile(r"\s+[|·•–—»:-]+\s+")
_TAG = re.compile(r"[a-z][a-z0-9-]*")
_ILLEGAL = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")  # in lxml's trees, or for us


def is_html(data: bytes) -> bool:
    """Does a file begin as a web page does, in an encoding that keeps ASCII?"""
    return _BEGINNING.match(data[:_SNIFFED_BYTES].removeprefix(b"\xef\xbb\xbf")) is not None


def parse_html(data: bytes) -> Parsed:
    """The clean text and the parts of a web page.

    Raises NotTextError, and UnreadableFileError when the page is nested too deep or has too many elements.
    """
    source = decode(data, _declared_encoding(data))
    page = _read(source, prunes=True)
    pieces = page.pieces()
    if sum(len(piece.content) for piece in pieces) < MIN_KEPT * page.total:
        pieces = _read(source, prunes=False).pieces()
    return compose(pieces, _title(page, pieces))


def _declared_encoding(data: bytes) -> str | None:
    match = _CHARSET.search(data[:_SNIFFED_BYTES])
    return (match[1] or match[2]).decode("ascii", "replace") if match else None


def _read(source: str, *, prunes: bool) -> _Page:
    page = _Page(prunes=prunes)
    parser = etree.HTMLParser(target=page, huge_tree=True)
    parser.feed(source)
    parser.close()
    return page


def _title(page: _Page, pieces: Sequence[Piece]) -> str | None:
    """What the page calls itself, without the name of the site where a heading says what that is."""
    title = one_line(page.title) if len(page.title) <= MAX_TITLE_CHARS else ""
    headings = {*page.headings(), *(piece.content for piece in pieces if piece.kind == "heading")}
    names = {heading.casefold() for heading in headings}
    *segments, _ = _SEPARATOR.split(title)
    return next((segment for segment in segments if segment.casefold() in names), title) or None


@dataclass(slots=True)
class _Open:
    """An open element, and what has been counted in it so far."""

    tag: str
    role: str
    names: str  # class and id
    text: int = 0  # characters
    linked: int = 0  # characters in links
    links: int = 0
    anchors: int = 0  # links to a place on a page
    is_around: bool = False  # something that no menu or notice holds

    @property
    def is_content(self) -> bool:
        return self.tag in ("main", "article") or self.role == "main"

    @property
    def density(self) -> float:
        """The share of the text that is links (0 to 1)."""
        return self.linked / self.text if self.text else 0.0

    def add(self, inner: _Open) -> None:
        self.text += inner.text
        self.linked += inner.text if self.tag == "a" else inner.linked
        self.links += inner.links
        self.anchors += inner.anchors
        self.is_around |= inner.is_around or inner.is_content or inner.tag == "h1"


class _Page:
    """Makes a tree of the elements as libxml2 tells them; what is hidden or stands around the content is not
    in it.
    """

    def __init__(self, *, prunes: bool) -> None:
        self.title = ""
        self.total = 0  # characters that are not hidden
        self._prunes = prunes
        self._builder = etree.TreeBuilder()
        self._root: Element | None = None
        self._open: list[_Open] = []
        self._has_root = False
        self._elements = 0
        self._hidden = 0  # open elements, from the outermost hidden one on
        self._content_depth = 0  # open <main> and <article>
        self._contents: list[tuple[Element, _Open]] = []  # the outermost <main> and <article>

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise UnreadableFileError(f"the page has more than {MAX_ELEMENTS:,} elements")
        if len(self._open) + self._hidden >= MAX_DEPTH:
            raise UnreadableFileError(f"the page is nested deeper than {MAX_DEPTH:,} levels")
        if self._hidden or tag in _DROPPED or (len(self._open) > 1 and _is_hidden(attributes)):
            self._hidden += 1
            return
        tag = tag if _TAG.fullmatch(tag) else "span"
        kept = {name: _legal(value) for name, value in attributes.items() if name in _KEPT_ATTRIBUTES}
        self._builder.start(tag, kept)
        self._has_root = True
        names = f"{attributes.get('class', '')} {attributes.get('id', '')}"
        self._open.append(_Open(tag, attributes.get("role", ""), names))
        self._content_depth += self._open[-1].is_content

    def data(self, text: str) -> None:
        if self._hidden or not self._open:
            return
        text = _legal(text)
        self._builder.data(text)
        length = len(text.strip())
        self._open[-1].text += length
        self.total += length
        if self._open[-1].tag == "title":
            self.title += text

    def end(self, _: str) -> None:
        if self._hidden:
            self._hidden -= 1
            return
        inner = self._open.pop()
        self._content_depth -= inner.is_content
        element = self._builder.end(inner.tag)
        if inner.tag == "a":
            inner.linked, inner.links, inner.anchors = inner.text, 1, int("#" in element.get("href", ""))
        if self._open:
            self._open[-1].add(inner)
        if self._prunes and _is_around(inner, element, in_content=self._content_depth > 0):
            element.clear()
            element.set("hidden", "")
        elif inner.is_content and not self._content_depth:
            self._contents.append((element, inner))

    def close(self) -> None:
        if self._has_root and not self._open:  # else the page holds nothing, or was refused
            self._root = self._builder.close()

    def headings(self) -> list[str]:
        """The texts of the page's <h1>."""
        found = [] if self._root is None else self._root.iter("h1")
        texts = (one_line("".join(heading.itertext())) for heading in found)
        return [text for text in texts if text]

    def pieces(self) -> list[Piece]:
        pieces = PieceList()
        for element in self._content():
            read_elements(element, pieces)
        return pieces.pieces

    def _content(self) -> list[Element]:
        """The <main> of the page, or its articles, if most of the text stands there; else all of it."""
        mains = [(element, inner) for element, inner in self._contents if inner.tag != "article"]
        for chosen in (mains, self._contents):
            if self._prunes and sum(inner.text for _, inner in chosen) > MIN_MAIN * self.total:
                return [element for element, _ in chosen]
        return [] if self._root is None else [self._root]


def _legal(text: str) -> str:
    return _ILLEGAL.sub("", text)


def _is_hidden(attributes: Mapping[str, str]) -> bool:
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or _HIDDEN_STYLE.search(attributes.get("style", "")) is not None
        or _FOR_SCREEN_READERS.search(attributes.get("class", "")) is not None
    )


def _is_around(inner: _Open, element: Element, *, in_content: bool) -> bool:
    """Does an element stand around the content of a page: a menu, a notice, a button, the foot?"""
    if inner.tag in _NEVER_AROUND or inner.is_around:
        return False
    if inner.tag == "a":
        return inner.text <= 2 and element.get("href", "").startswith("#")
    if inner.tag == "button":
        return not "".join(element.itertext()).strip().endswith("?")
    if inner.role in _ROLES or inner.tag in ("footer", "header", "aside"):
        return not in_content or inner.density > MIN_DENSITY
    names = {word.lower() for word in _WORD.findall(inner.names)}
    if names & _NOISE and inner.text - inner.linked < MAX_NOISE_CHARS:
        return True
    if names & _MENU_NAMES and inner.density > MIN_DENSITY:
        return True
    return inner.tag in _MENUS and _is_menu(inner, in_content=in_content)


def _is_menu(inner: _Open, *, in_content: bool) -> bool:
    """Four or more links and little else: a table of contents, or a menu outside of the content."""
    if inner.links < 4 or inner.density < 2 * MIN_DENSITY:
        return False
    are_short = inner.linked < MAX_LINK_CHARS * inner.links
    return inner.anchors == inner.links or (are_short and not in_content)
