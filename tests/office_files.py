"""Builds and reads the files of word processors and books, for the tests of their parsers."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from io import BytesIO

from index import Document
from index.document import assemble
from index.formats import parse


def read(data: bytes, name: str) -> Document:
    """The document that a file becomes."""
    return assemble(parse(data, name), document_id="test", name=name)


def outline(document: Document) -> list[tuple[str, ...]]:
    return [section.path for section in document.sections if section.heading_end > section.heading_start]


def blocks(document: Document) -> list[tuple[str, str]]:
    """Kind of each block and its text with its label."""
    return [(block.kind, document.text[block.label_start : block.end]) for block in document.blocks]


def zipped(members: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = BytesIO()
    with zipfile.ZipFile(data, "w", method) as out:
        for name, content in members.items():
            out.writestr(name, content)
    return data.getvalue()


def stored(data: bytes) -> bytes:
    """The same archive without compression: nothing in it is suspicious for its ratio."""
    with zipfile.ZipFile(BytesIO(data)) as source:
        return zipped({name: source.read(name) for name in source.namelist()}, zipfile.ZIP_STORED)


def docx(body: str, styles: str = "", numbering: str = "", notes: str = "", title: str = "") -> bytes:
    """A Word document with this body; namespaces as in the strict form, which Word reads and writes too."""
    parts = {"styles": styles, "numbering": numbering, "footnotes": notes}
    wrapped = {name: f'<w:{name} xmlns:w="x">{content}</w:{name}>' for name, content in parts.items()}
    relation = '<Relationship Type="x/{0}" Target="{1}"/>'
    core = f'<c:p xmlns:c="c" xmlns:d="d"><d:title>{title}</d:title></c:p>'
    return zipped(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": "<R>"
            + relation.format("officeDocument", "word/document.xml")
            + relation.format("core-properties", "docProps/core.xml")
            + "</R>",
            "docProps/core.xml": core,
            "word/document.xml": f'<w:document xmlns:w="x" xmlns:mc="m"><w:body>{body}</w:body></w:document>',
            "word/_rels/document.xml.rels": "<R>"
            + "".join(relation.format(name, f"{name}.xml") for name in parts)
            + "</R>",
            **{f"word/{name}.xml": content for name, content in wrapped.items()},
        }
    )


def p(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def tc(text: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{p(text)}</w:tc>"


def tr(*cells: str, properties: str = "") -> str:
    return f"<w:tr><w:trPr>{properties}</w:trPr>{''.join(cells)}</w:tr>"


def item(text: str, level: int, list_id: int) -> str:
    return p(text, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{list_id}"/></w:numPr>')


def level(number: int, form: str, text: str, start: int = 1) -> str:
    said = "".join(f'<w:{name} w:val="{value}"/>' for name, value in [("numFmt", form), ("lvlText", text)])
    return f'<w:lvl w:ilvl="{number}"><w:start w:val="{start}"/>{said}</w:lvl>'


def style(name: str, properties: str = "", based: str = "") -> str:
    base = f'<w:basedOn w:val="{based}"/>' if based else ""
    return f'<w:style w:styleId="{name}"><w:name w:val="{name}"/>{base}{properties}</w:style>'


def odt(text: str, styles: str = "", manifest: str = "") -> bytes:
    namespaces = " ".join(f'xmlns:{prefix}="{prefix}"' for prefix in ("o", "t", "s", "f", "b", "d", "x"))
    content = (
        f"<o:document-content {namespaces}><o:automatic-styles>{styles}</o:automatic-styles>"
        f"<o:body><o:text>{text}</o:text></o:body></o:document-content>"
    )
    members = {"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content}
    return zipped({**members, "META-INF/manifest.xml": f"<m>{manifest}</m>"})


def epub(
    pages: Mapping[str, str],
    *,
    spine: str | None = None,
    contents: str = "",
    metadata: str = "",
    items: str = "",
    more: Mapping[str, str] | None = None,
) -> bytes:
    """A book of pages by name, each the inside of its body; `contents` is the inside of an NCX navMap."""
    items += "".join(
        f'<item id="{name}" href="{name}" media-type="application/xhtml+xml"/>' for name in pages
    )
    references = "".join(f'<itemref idref="{name}"/>' for name in pages) if spine is None else spine
    package = (
        f'<package xmlns:dc="dc"><metadata>{metadata}</metadata><manifest>{items}'
        '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/></manifest>'
        f"<spine>{references}</spine></package>"
    )
    members = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<c><rootfiles><rootfile full-path="OPS/p.opf"/></rootfiles></c>',
        "OPS/p.opf": package,
        "OPS/toc.ncx": f"<ncx><navMap>{contents}</navMap></ncx>",
        **{f"OPS/{name}": f"<html><body>{body}</body></html>" for name, body in pages.items()},
    }
    return zipped(members | dict(more or {}))
