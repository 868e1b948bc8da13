"""EPUB (2 and 3) → clean text with its parts: the files of the spine, in its order.

A file without headings of its own takes them from the book's table of contents.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Container, Iterator, Sequence
from html.entities import html5
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote

from lxml import etree

from index.document import Parsed, one_line
from index.errors import UnreadableFileError
from index.formats.archive import Archive
from index.formats.elements import bold_classes, page_number, read_elements
from index.formats.pieces import Piece, PieceList, compose
from index.formats.xml import Element, attribute, parse_xml

MAX_ENTRIES = 10_000
"""Entries of the table of contents, or of the list of pages, beyond these name nothing."""

MAX_NAME_CHARS = 300
"""A longer paragraph is never a chapter's name."""

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_BLOCKS = ("p", "div", "section", "article", "header", "td", "li", "blockquote", "body")
_ENTITY = re.compile(rb"&([A-Za-z][A-Za-z0-9]{0,30};)")


class _Package(NamedTuple):
    root: Element
    folder: str
    items: dict[str, Element]  # the manifest, by id

    def path(self, item: Element) -> str:
        """Where a file of the manifest lies in the archive."""
        return _resolve(self.folder, attribute(item, "href") or "")


class _Entry(NamedTuple):
    """An entry of the table of contents or of the list of pages, which points into a file."""

    fragment: str
    name: str
    level: int


_Entries = dict[str, list[_Entry]]
"""By the path of the file."""


def is_epub(data: bytes) -> bool:
    """Is this an EPUB? The first member of the archive says so, uncompressed."""
    return data.startswith(b"PK") and b"mimetypeapplication/epub+zip" in data[:200]


def parse_epub(data: bytes) -> Parsed:
    """The clean text and the parts of a book. Raises UnreadableFileError."""
    archive = Archive(data)
    package = _package(archive)
    paths = dict.fromkeys(_spine(package))
    _check_not_encrypted(archive, paths)
    chapters, pages = _contents(archive, package)
    bold = bold_classes("".join(_style_sheets(archive, package)))
    pieces = PieceList()
    for path in paths:
        tree = _parse_xhtml(archive.read(path))
        _mark_pages(tree, pages.get(path, ()))
        _name_chapters(tree, chapters.get(path, ()))
        read_elements(tree, pieces, bold)
    authors = ", ".join(_metadata(package, "creator"))
    shown = [Piece("metadata", f"Author: {authors}")] if authors else []
    return compose(pieces.pieces, next(_metadata(package, "title"), None), shown)


def _package(archive: Archive) -> _Package:
    rootfile = archive.xml(_CONTAINER).find(".//rootfile")
    path = attribute(rootfile, "full-path")
    if path is None:
        raise UnreadableFileError("the book is damaged: it does not say where its package is")
    root = archive.xml(path)
    items = {attribute(item, "id") or "": item for item in root.iterfind("manifest/item")}
    return _Package(root, posixpath.dirname(path), items)


def _metadata(package: _Package, name: str) -> Iterator[str]:
    for element in package.root.iterfind(f"metadata//{name}"):
        if text := one_line("".join(element.itertext())):
            yield text


def _spine(package: _Package) -> Iterator[str]:
    """The paths of the book's pages in reading order, without the page of the table of contents."""
    for reference in package.root.iterfind("spine/itemref"):
        item = package.items.get(attribute(reference, "idref") or "")
        if item is None or "html" not in (attribute(item, "media-type") or ""):
            continue
        if "nav" not in (attribute(item, "properties") or "").split():
            yield package.path(item)


def _style_sheets(archive: Archive, package: _Package) -> Iterator[str]:
    for item in package.items.values():
        if attribute(item, "media-type") == "text/css" and (path := package.path(item)) in archive:
            yield archive.read(path).decode(errors="replace")


def _check_not_encrypted(archive: Archive, paths: Container[str]) -> None:
    """Fonts may be encrypted, pages may not."""
    if _ENCRYPTION not in archive:
        return
    for reference in archive.xml(_ENCRYPTION).iter("CipherReference"):
        if _resolve("", attribute(reference, "URI") or "") in paths:
            raise UnreadableFileError("the book is encrypted (DRM)")


def _contents(archive: Archive, package: _Package) -> tuple[_Entries, _Entries]:
    """The table of contents and the list of pages, by file, of EPUB 3 or else of EPUB 2."""
    chapters: _Entries = {}
    pages: _Entries = {}
    for item in package.items.values():
        is_nav = "nav" in (attribute(item, "properties") or "").split()
        is_ncx = attribute(item, "media-type") == "application/x-dtbncx+xml"
        path = package.path(item)
        if (is_nav or is_ncx) and path in archive and not chapters:
            tree = _parse_xhtml(archive.read(path))
            for kind, tag, found in (("toc", "navPoint", chapters), ("page-list", "pageTarget", pages)):
                entries = _nav_entries(tree, kind) if is_nav else _ncx_entries(tree, tag)
                _gather(entries, posixpath.dirname(path), found)
    return chapters, pages


def _gather(entries: Iterator[tuple[str, str, int]], folder: str, by_file: _Entries) -> None:
    for source, name, level in islice(entries, MAX_ENTRIES):
        target, _, fragment = source.partition("#")
        place = _resolve(folder, target)
        by_file.setdefault(place, []).append(_Entry(unquote(fragment), one_line(name), level))


def _nav_entries(tree: Element, kind: str) -> Iterator[tuple[str, str, int]]:
    for nav in tree.iter("nav"):
        if kind in (attribute(nav, "type") or "").split():
            for link in nav.iter("a"):
                depth = max(1, sum(1 for _ in link.iterancestors("ol")))
                yield link.get("href", ""), "".join(link.itertext()), depth


def _ncx_entries(tree: Element, tag: str) -> Iterator[tuple[str, str, int]]:
    for point in tree.iter(tag):
        depth = 1 + sum(1 for _ in point.iterancestors(tag))
        source = attribute(point.find("content"), "src") or ""
        yield source, point.findtext("navLabel/text") or "", depth


def _parse_xhtml(data: bytes) -> Element:
    """A page, with the named characters of HTML, which no XML parser knows, and mended if it is malformed."""
    data = _ENTITY.sub(_character, data)
    try:
        return parse_xml(data)
    except UnreadableFileError:
        return parse_xml(data, recover=True)


def _character(match: re.Match[bytes]) -> bytes:
    """A named character by its number: after anything malformed libxml2 loses even `&lt;`."""
    name = match[1].decode()
    return "".join(f"&#{ord(character)};" for character in html5.get(name, f"&{name}")).encode()


def _name_chapters(tree: Element, chapters: Sequence[_Entry]) -> None:
    """Make the headings of a file without any: paragraphs that the table of contents names, or new ones."""
    body = tree.find("body")
    if body is None or not chapters or next(body.iter(*_HEADINGS), None) is not None:
        return
    places = _by_id(body)
    paragraphs = (one for one in body.iter("p", "div") if next(one.iterchildren("p", "div"), None) is None)
    named: dict[str, Element] = {}
    for paragraph in paragraphs:
        named.setdefault(_short_text(paragraph), paragraph)
    for chapter in chapters:
        if not chapter.name:
            continue
        heading = named.get(chapter.name.casefold())
        if heading is None:
            heading = etree.Element("h1")
            heading.text = chapter.name
            _insert(heading, _block(places.get(chapter.fragment, body)))
        heading.tag = f"h{min(chapter.level, len(_HEADINGS))}"


def _mark_pages(tree: Element, pages: Sequence[_Entry]) -> None:
    """Say where the pages begin that the list of pages names and the file itself does not."""
    body = tree.find("body")
    if body is None or not pages:
        return
    places = _by_id(body)
    for fragment, name in {page.fragment: page.name for page in pages}.items():
        target = places.get(fragment) if fragment else body
        if target is None or page_number(target) is not None:
            continue
        mark = etree.Element("span", role="doc-pagebreak", title=name)
        if target is body:
            _insert(mark, body)
        else:
            target.addprevious(mark)


def _by_id(body: Element) -> dict[str, Element]:
    return {place: element for element in body.iter() if (place := attribute(element, "id"))}


def _short_text(element: Element) -> str:
    """What a paragraph says, unless it is longer than any heading."""
    pieces, length = [], 0
    for text in element.itertext():
        pieces.append(text)
        length += len(text)
        if length > MAX_NAME_CHARS:
            return ""
    return one_line("".join(pieces)).casefold()


def _block(element: Element) -> Element:
    """The block that an element stands in, or itself."""
    while element.tag not in _BLOCKS and (parent := element.getparent()) is not None:
        element = parent
    return element


def _insert(heading: Element, block: Element) -> None:
    """Before a block, or as the first thing of the body."""
    if block.tag != "body":
        block.addprevious(heading)
    else:
        heading.tail, block.text = block.text, None
        block.insert(0, heading)


def _resolve(folder: str, reference: str) -> str:
    return posixpath.normpath(posixpath.join("/", folder, unquote(reference)))
