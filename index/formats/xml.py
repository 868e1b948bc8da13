"""XML → a tree of elements whose names have no namespaces; depth is bounded and no entity expanded."""

from __future__ import annotations

import re

from lxml import etree
from lxml.etree import _Element as Element

from index.errors import UnreadableFileError

MAX_DEPTH = 256
"""libxml2 reads no deeper, so that whoever walks the tree may recurse."""

_UNKNOWN_NAME = re.compile(r"&(?!#|(?:lt|gt|amp|quot|apos);)")

__all__ = ["Element", "attribute", "integer", "parse_xml"]


def parse_xml(data: bytes, *, recover: bool = False) -> Element:
    """The root of an XML file; with `recover` what is malformed in it is mended where that can be done.

    Nothing outside the file is loaded and no entity expanded. Raises UnreadableFileError.
    """
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        recover=recover,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, LookupError, ValueError) as error:
        raise UnreadableFileError(_reason(parser)) from error
    if root is None or _is_too_deep(parser):
        raise UnreadableFileError(_reason(parser))
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and any(True for _ in dtd.iterentities()):
        raise UnreadableFileError("the XML in the file declares entities, which Quoth does not expand")
    if recover:
        root = _with_plain_text(root, parser)
    for element in root.iter(etree.Element):
        try:
            element.tag = _local(element.tag)
        except ValueError:  # "x:" and "x:1", which libxml2 reads
            element.tag = "nameless"
    return root


def attribute(element: Element | None, name: str) -> str | None:
    """The value of an attribute, whatever its namespace; None when it or the element is missing."""
    if element is None:
        return None
    return next((value for key, value in element.items() if _local(key) == name), None)


def integer(text: str | None) -> int | None:
    """The number that an attribute holds; None when it holds none, or one that no document needs."""
    return int(text) if text and re.fullmatch(r"[0-9]{1,9}", text) else None


def _with_plain_text(root: Element, parser: etree.XMLParser) -> Element:
    """The tree of a mended file without what libxml2 lets through and lxml cannot give back as text.

    That is halves of characters (`&#xD83C;`; two that belong together are joined) and the names of none
    (`AT&T;`, which stay as they are).
    """
    text = etree.tostring(root, encoding="utf-8").decode("utf-8", "surrogatepass")
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return etree.fromstring(_UNKNOWN_NAME.sub("&amp;", text), parser)


def _is_too_deep(parser: etree.XMLParser) -> bool:
    return any("depth" in entry.message for entry in parser.error_log)


def _reason(parser: etree.XMLParser) -> str:
    if _is_too_deep(parser):
        return f"the file is nested deeper than {MAX_DEPTH} levels"
    return "the file is damaged: it holds malformed XML"


def _local(name: str) -> str:
    return name.rpartition("}")[2].rpartition(":")[2]
