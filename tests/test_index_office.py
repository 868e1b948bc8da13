"""DOCX, ODT, RTF and EPUB: files made by real programs, what only such files hold, and hostile ones."""

from __future__ import annotations

import re
import time
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_index_document import check_contexts, check_coverage, check_look_ups, check_ranges

from index import Document
from index.document import assemble, check_parts
from index.errors import EmptyDocumentError, UnreadableFileError
from index.formats import archive, parse
from index.formats.docx import is_docx
from index.formats.epub import is_epub
from index.formats.odt import is_odt
from index.formats.rtf import is_rtf

DATA = Path(__file__).parent / "data"
SOURCES = {
    "river": DATA / "formats" / "river.md",
    "garden": DATA / "authored_dev" / "f-garden_year.md",
    "tram": DATA / "authored_dev" / "l-06_tram_incident.md",
}
FILES = sorted(
    file for suffix in ("docx", "odt", "rtf", "epub") for file in (DATA / "formats").glob(f"*.{suffix}")
)
WRITTEN = [
    file for file in FILES if file.name != "river.libreoffice.epub" and not file.name.startswith("tides")
]
PROSE = [file for file in WRITTEN if not file.name.startswith("river")]
RIVER = [
    DATA / "formats" / f"river.{name}"
    for name in ("pandoc.docx", "pandoc.odt", "libreoffice.odt", "libreoffice.rtf")
]
TIDES = [file for file in FILES if file.name.startswith("tides")]

RISES = "The river rises slowly in the spring, when the snow melts. It covers the lower meadows by April."

SECONDS = 30
"""More than any hostile file takes on a slow and busy machine."""


def read(data: bytes, name: str) -> Document:
    """The document that a file becomes."""
    parsed = parse(data, name)
    return assemble(parsed, document_id="test", name=name)


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


# Files made by real programs


@pytest.mark.parametrize("file", WRITTEN, ids=lambda file: file.name)
def test_title_and_headings_are_those_of_the_source(file: Path) -> None:
    source = SOURCES[file.name.partition(".")[0]]
    expected = read(source.read_bytes(), source.name)
    found = read(file.read_bytes(), file.name)
    assert found.title == expected.title
    assert outline(found) == outline(expected)


@pytest.mark.parametrize("file", PROSE, ids=lambda file: file.name)
def test_no_word_of_the_source_is_lost(file: Path) -> None:
    source = SOURCES[file.name.partition(".")[0]]
    text = read(source.read_bytes(), source.name).text.replace("'", "’")
    assert re.findall(r"[\w’]+", read(file.read_bytes(), file.name).text) == re.findall(r"[\w’]+", text)


@pytest.mark.parametrize("file", RIVER, ids=lambda file: file.name)
def test_all_kinds_of_blocks(file: Path) -> None:
    assert blocks(read(file.read_bytes(), file.name)) == [
        ("metadata", "Ann Lind"),
        ("metadata", "9 May 2026"),
        ("paragraph", RISES),
        ("paragraph", "[1] Measured at the mill since 1911."),
        ("list_item", "- a rope of twenty metres"),
        ("list_item", "- boots"),
        ("list_item", "- rubber ones for the ford"),
        ("list_item", "- dry ones for the hut"),
        ("list_item", "They must be waterproof."),
        ("list_item", "- a lamp"),
        ("paragraph", "Then, in this order:"),
        ("list_item", "1. Call the ranger."),
        ("list_item", "2. Cross before noon."),
        ("list_item", "a. Go in pairs."),
        ("list_item", "b. Keep the rope tight."),
        ("list_item", "3. Report back."),
        ("table_header", "Trail | Length (km) | Open"),
        ("table_row", "Mill | 2.7 | April to October"),
        ("table_row", "Ford | 4 | May to June"),
        ("question", "When does the ford close?"),
        ("answer", "It closes on the last day of June, and earlier after heavy rain."),
        ("question", "Q: Are dogs allowed?"),
        ("answer", "A: Yes, on a lead."),
        ("quotation", "Nobody has drowned here since the bridge was built. We mean to keep it so."),
        ("paragraph", "The gauge is read with this program:"),
        ("code", 'def level(mm):\n    if mm > 900:\n\n        return "closed"'),
        ("paragraph", "Line one of the address\nLine two of the address"),
        ("paragraph", "Ω is the symbol for resistance, 你好 means hello, and H2O is water."),
    ]


@pytest.mark.parametrize("file", TIDES, ids=lambda file: file.name)
def test_tables_lists_quotations_and_code_of_a_word_processor(file: Path) -> None:
    document = read(file.read_bytes(), file.name)
    assert document.title == "Tides of the Bay"
    assert outline(document) == [("Gauges",), ("Rules",), ("Rules", "At night"), ("Who to ask?",)]
    assert blocks(document)[1:] == [
        ("table_header", "Port | Tide | Height (m)"),
        ("table_row", "Northquay | Spring | 7.4"),
        ("table_row", "Northquay | Neap | 3.1"),
        ("table_row", "Saltholm | not measured since the storm"),
        ("paragraph", "All heights are above the lowest tide."),
        ("list_item", "1. Leave before the bell."),
        ("list_item", "2. Carry:"),
        ("list_item", "- a tide table"),
        ("list_item", "- a whistle"),
        ("list_item", "3. Never cross alone."),
        ("quotation", "The bay does not wait, and it does not call twice."),
        ("code", "bell = high - 150\nif bell < now:\n    stay()"),
        ("question", "Is there a guide?"),
        ("answer", "Two guides walk from Northquay each morning in summer."),
    ]
    assert "\n  - a tide table\n" in document.text
    assert all(document.blocks[number].context == 1 for number in (2, 3, 4))


def test_headings_that_are_no_headings_come_from_table_of_contents_and_bold_type() -> None:
    file = DATA / "formats" / "river.libreoffice.epub"
    paths = outline(read(file.read_bytes(), file.name))
    assert [path[-1] for path in paths if path[-1] != "Section 1"] == [
        "Spring",
        "What to pack",
        "Distances",
        "Questions",
        "Words of the ranger",
        "Naïve café – “quotes”",
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_format_is_known_by_its_content(file: Path) -> None:
    data = file.read_bytes()
    known = {".docx": is_docx(data), ".odt": is_odt(data), ".rtf": is_rtf(data), ".epub": is_epub(data)}
    assert [suffix for suffix, is_known in known.items() if is_known] == [file.suffix]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"words", b"{\\rt", zipped({"a.txt": "word/document"})])
def test_other_files_are_known_as_none_of_them(data: bytes) -> None:
    assert [known for known in (is_docx, is_odt, is_rtf, is_epub) if known(data)] == []


# DOCX


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


def test_numbers_of_items_are_counted_as_word_shows_them() -> None:
    numbering = (
        f'<w:abstractNum w:abstractNumId="7">{level(0, "decimal", "%1.", 3)}{level(1, "lowerLetter", "(%2)")}'
        f"{level(2, 'upperRoman', '%1-%3')}</w:abstractNum>"
        f'<w:abstractNum w:abstractNumId="8">{level(0, "bullet", "x")}{level(1, "none", "")}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>'
        '<w:num w:numId="2"><w:abstractNumId w:val="7"/><w:lvlOverride w:ilvl="0">'
        '<w:startOverride w:val="1"/></w:lvlOverride></w:num>'
        '<w:num w:numId="3"><w:abstractNumId w:val="8"/></w:num>'
    )
    told = [
        ("a", 0, 1),
        ("b", 1, 1),
        ("c", 1, 1),
        ("d", 2, 1),
        ("e", 0, 1),
        ("f", 1, 1),
        ("g", 0, 2),
        ("h", 0, 2),
    ]
    body = "".join(item(*one) for one in [*told, ("i", 0, 3), ("j", 1, 3), ("k", 0, 99)])
    assert [text for _, text in blocks(read(docx(body, numbering=numbering), "a.docx"))] == [
        *("3. a", "(a) b", "(b) c", "3-I d", "4. e", "(a) f", "1. g", "2. h"),
        *("- i", "j", "k"),
    ]


def test_headings_by_name_by_outline_level_and_by_what_a_style_is_based_on() -> None:
    styles = (
        style("heading 1", "<w:pPr><w:numPr><w:numId w:val='1'/></w:numPr></w:pPr>")
        + style("Chapter", based="heading 1")
        + style("Loop", based="Loop")
        + style("Part", "<w:pPr><w:outlineLvl w:val='1'/></w:pPr>")
    )
    numbering = (
        f'<w:abstractNum w:abstractNumId="1">{level(0, "decimal", "%1")}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>'
    )
    styled = [
        ("heading 1", "One"),
        ("Loop", "So."),
        ("Part", "Of one"),
        ("Chapter", "Two"),
        ("Loop", "It is so."),
    ]
    body = "".join(p(text, f'<w:pStyle w:val="{name}"/>') for name, text in styled)
    body += p("Three", '<w:outlineLvl w:val="2"/>') + p("It ends.", '<w:outlineLvl w:val="9"/>')
    document = read(docx(body, styles, numbering), "a.docx")
    assert outline(document) == [("1 One",), ("1 One", "Of one"), ("2 Two",), ("2 Two", "Three")]
    assert blocks(document) == [("paragraph", text) for text in ("So.", "It is so.", "It ends.")]


def test_a_note_stands_at_the_end_of_the_section_that_refers_to_it() -> None:
    reference = '<w:p><w:r><w:t>It is so.</w:t><w:footnoteReference w:id="5"/></w:r></w:p>'
    heading = p("Next", '<w:outlineLvl w:val="0"/>')
    notes = f'<w:footnote w:id="5">{p("Says the mill.")}{p("So says Ann.")}</w:footnote>'
    document = read(docx(reference + p("More of it.") + heading + p("The end."), notes=notes), "a.docx")
    assert [text for _, text in blocks(document)] == [
        *("It is so.", "More of it.", "[1] Says the mill.", "So says Ann.", "The end."),
    ]


def test_what_a_reader_does_not_see_is_not_there_and_what_he_sees_is_there_once() -> None:
    box = f"<w:txbxContent>{p('In a box.')}</w:txbxContent>"
    body = (
        "<mc:AlternateContent/><w:p>"
        "<w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:ins><w:r><w:t>new </w:t></w:r></w:ins>"
        "<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:moveFrom><w:r><w:t>gone</w:t></w:r></w:moveFrom>"
        "<w:r><w:instrText>PAGE</w:instrText><w:t>words</w:t><w:noBreakHyphen/><w:t>so</w:t><w:tab/></w:r>"
        "<w:hyperlink><w:r><w:t>linked</w:t></w:r></w:hyperlink>"
        f"<mc:AlternateContent/><w:r><mc:AlternateContent/><mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>"
        "</mc:AlternateContent></w:r></w:p>"
        '<w:sdt><w:sdtPr><w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj></w:sdtPr>'
        f"<w:sdtContent>{p('Contents')}</w:sdtContent></w:sdt>"
        f"<w:sdt><w:sdtContent>{p('Filled in.')}</w:sdtContent></w:sdt>"
        + p("Chapter 1 … 4", '<w:pStyle w:val="toc 1"/>')
    )
    document = read(docx(body, style("toc 1")), "a.docx")
    assert document.text == "new words\u2011so linked\n\nIn a box.\n\nFilled in."


def test_rows_of_a_table_that_marks_its_first_row_and_of_one_that_does_not() -> None:
    rows = tr(tc("Port"), tc("Tide")) + tr(tc("Northquay", '<w:vMerge w:val="restart"/>'), tc("7.4"))
    rows += tr(tc("", "<w:vMerge/>"), tc("3.1"))
    marked = style("Grid", '<w:tblStylePr w:type="firstRow"/>')
    table = '<w:tbl><w:tblPr><w:tblStyle w:val="Grid"/>{}</w:tblPr>' + rows + "</w:tbl>"
    both = (
        table.format('<w:tblLook w:val="04A0"/>') + p("Between.") + table.format('<w:tblLook w:val="0480"/>')
    )
    document = read(docx(both, marked), "a.docx")
    assert [kind for kind, _ in blocks(document)] == [
        *("table_header", "table_row", "table_row", "paragraph", "table_row", "table_row", "table_row"),
    ]
    assert blocks(document)[2] == ("table_row", "Northquay | 3.1")
    assert document.blocks[1].context == 0
    assert document.blocks[4].context is None


def test_a_table_that_only_divides_the_page_is_paragraphs() -> None:
    inner = f"<w:tbl>{tr(tc('a'), tc('b'))}{tr(tc('c'), tc('d'))}</w:tbl>"
    one_row = f"<w:tbl>{tr(tc('Left side.'), tc('Right side.'))}</w:tbl>"
    outer = f"<w:tbl><w:tr><w:tc>{p('Above.')}{inner}</w:tc></w:tr></w:tbl>"
    assert blocks(read(docx(one_row + outer), "a.docx")) == [
        *(("paragraph", "Left side."), ("paragraph", "Right side."), ("paragraph", "Above.")),
        *(("table_row", "a | b"), ("table_row", "c | d")),
    ]


@pytest.mark.parametrize(
    ("body", "title", "expected"),
    [
        (p("River", '<w:pStyle w:val="Title"/>') + p("It is so."), "Old name", "River"),
        (p("It is so."), "The River", "The River"),
        (p("It is so."), "Microsoft Word - draft3.doc", "a.docx"),
        (p("It is so."), "Document1", "a.docx"),
    ],
)
def test_the_title_is_that_of_the_text_or_else_that_of_the_properties(
    body: str, title: str, expected: str
) -> None:
    assert read(docx(body, style("Title"), title=title), "a.docx").title == expected


def test_a_title_in_the_middle_is_a_heading_above_the_others() -> None:
    body = "".join(
        p(f"Part {number}", '<w:pStyle w:val="Title"/>')
        + p("Chapter", '<w:outlineLvl w:val="0"/>')
        + p("It is so.")
        for number in "12"
    )
    assert outline(read(docx(body, style("Title")), "a.docx")) == [
        ("Chapter",),
        ("Part 2",),
        ("Part 2", "Chapter"),
    ]


def test_bullets_that_were_typed_by_hand_are_labels() -> None:
    body = "".join(
        f"<w:p><w:r><w:t>{marker}</w:t><w:tab/><w:t>{text}</w:t></w:r></w:p>"
        for marker, text in [("•", "one"), ("2.", "two"), ("Total", "three")]
    )
    assert blocks(read(docx(body), "a.docx")) == [
        ("list_item", "- one"),
        ("list_item", "2. two"),
        ("paragraph", "Total three"),
    ]


# ODT


def odt(text: str, styles: str = "", manifest: str = "") -> bytes:
    namespaces = " ".join(f'xmlns:{prefix}="{prefix}"' for prefix in ("o", "t", "s", "f", "b", "d", "x"))
    content = (
        f"<o:document-content {namespaces}><o:automatic-styles>{styles}</o:automatic-styles>"
        f"<o:body><o:text>{text}</o:text></o:body></o:document-content>"
    )
    members = {"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content}
    return zipped({**members, "META-INF/manifest.xml": f"<m>{manifest}</m>"})


def test_lists_go_on_where_they_say_so() -> None:
    styles = (
        '<t:list-style s:name="L"><t:list-level-style-number t:level="1" s:num-format="1" s:num-suffix="."/>'
        '<t:list-level-style-number t:level="2" s:num-format="a" s:num-suffix=")" t:display-levels="2"/>'
        "</t:list-style>"
    )
    text = (
        '<t:list x:id="one" t:style-name="L"><t:list-item><t:p>a</t:p><t:p>more of a</t:p>'
        "<t:list><t:list-item><t:p>b</t:p></t:list-item></t:list></t:list-item></t:list><t:p>Between.</t:p>"
        '<t:list t:continue-list="one" t:style-name="L"><t:list-header><t:p>c</t:p></t:list-header>'
        "<t:list-item><t:p>d</t:p></t:list-item>"
        '<t:list-item t:start-value="9"><t:p>e</t:p></t:list-item></t:list>'
        '<t:list t:style-name="L"><t:list-item><t:p>f</t:p></t:list-item></t:list>'
        "<t:list><t:list-item><t:p>g</t:p></t:list-item></t:list>"
    )
    assert [text for _, text in blocks(read(odt(text, styles), "a.odt"))] == [
        *("1. a", "more of a", "1.a) b", "Between.", "c", "2. d", "9. e", "1. f", "- g"),
    ]


def test_text_of_spans_spaces_notes_and_frames_in_an_odt() -> None:
    styles = '<s:style s:family="text" s:name="B"><s:text-properties f:font-weight="bold"/></s:style>'
    text = (
        "<t:tracked-changes><t:p>old</t:p></t:tracked-changes>"
        "<t:table-of-content><t:p>Contents</t:p></t:table-of-content>"
        "<t:p>  It \n is<t:s t:c='3'/>so.<t:note><t:note-citation>7</t:note-citation>"
        "<t:note-body><t:p>Says Ann.</t:p></t:note-body></t:note>"
        "<o:annotation><t:p>Really?</t:p></o:annotation>"
        "<d:frame><d:text-box><t:p>In a box.</t:p></d:text-box></d:frame></t:p>"
        '<t:p><t:span t:style-name="B">Is it so?</t:span></t:p><t:p>Yes,<t:line-break/>it is.</t:p>'
        '<t:section t:display="none"><t:p>hidden</t:p></t:section><t:section><t:p>The end.</t:p></t:section>'
    )
    document = read(odt(text, styles), "a.odt")
    assert document.text == "It is so.\n\nIn a box.\n\nIs it so?\n\nYes,\nit is.\n\nThe end.\n\n[7] Says Ann."
    assert [block.kind for block in document.blocks][2:4] == ["question", "answer"]


def test_an_empty_cell_that_stands_for_a_billion_is_a_hundred() -> None:
    empty = "<b:table-cell b:number-columns-repeated='999999999'/>"
    row = f"<b:table-row>{empty}<b:table-cell><t:p>y</t:p></b:table-cell></b:table-row>"
    document = read(odt(f"<b:table>{row}{row}</b:table>"), "a.odt")
    assert document.text.count("|") == 200


def test_numbers_of_headings_in_an_odt() -> None:
    outlines = (
        '<t:outline-style><t:outline-level-style t:level="1" s:num-format="1"/>'
        '<t:outline-level-style t:level="2" s:num-format="1" t:display-levels="2"/></t:outline-style>'
    )
    headings = [(1, "One"), (2, "Of one"), (2, "Of one too"), (1, "Two"), (2, "Of two")]
    text = "".join(
        f'<t:h t:outline-level="{level}">{name}</t:h><t:p>It is so.</t:p>' for level, name in headings
    )
    assert [path[-1] for path in outline(read(odt(text, outlines), "a.odt"))] == [
        *("1 One", "1.1 Of one", "1.2 Of one too", "2 Two", "2.1 Of two"),
    ]


def test_an_encrypted_odt_is_refused() -> None:
    with pytest.raises(UnreadableFileError, match=r"a\.odt: .*password"):
        read(odt("<t:p>words</t:p>", manifest="<file-entry><encryption-data/></file-entry>"), "a.odt")


# RTF


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r"caf\'e9 \u8211\'96 \u8220\'93so\u8221\'94", "café – “so”"),
        (r"\uc0\u937 x {\uc2\u937 ??}y", "Ωx Ωy"),
        (r"\u-10179?\u-8704? so", "😀 so"),
        (r"\u-10179? alone", "\ufffd alone"),
        (r"{\listtext\u-10179?\'31.}alone", "\ufffd1. alone"),
        (r"{\fonttbl{\f1\fcharset204 A;}}{\f1 \'e4\'e0.} \'e4", "да. ä"),
        (r"\ansicpg1251 \'e4\'e0.", "да."),
        (r"{\fonttbl{\f1\fcharset128 A;}}\f1 \'93\'fa\'96\'7b.", "日本."),
        (r"a\emdash b\~c\_d\-e \{f\} \\", "a—b\u00a0c\u2011de {f} \\"),
        (r"one{\v hidden}{\deleted gone} two", "one two"),
        (r"{\header top}{\*\unknown no}{\pict 89ab}{\field{\*\fldinst LINK}{\fldrslt shown}} so", "shown so"),
        ("a{\\bin5 \\par{} b", "a b"),
        (r"a\line b\par\pard ", "a\nb"),
        ("line\r\n ends mean\n nothing", "line ends mean nothing"),
        ("no end{\\b of it", "no endof it"),
        ("a}b", "a"),
    ],
)
def test_text_of_an_rtf(body: str, text: str) -> None:
    assert read(f"{{\\rtf1\\ansi {body}}}".encode(), "a.rtf").text == text


def test_styles_lists_notes_and_tables_of_an_rtf() -> None:
    source = (
        r"{\rtf1\ansi{\info{\title The River}{\author Ann}}"
        r"{\stylesheet{\s0 Normal;}{\s1 heading 1;}{\s2\sbasedon1 Chapter;}"
        r"{\s3\outlinelevel1 Part;}{\s4 Quote;}}"
        r"\pard\s2 Spring\par\pard It rises.{\super\chftn{\footnote\pard Says Ann.}} So it does.\par"
        r"\pard\s3 Floods\par{\listtext 1.\tab}\pard\ls1 one\par{\listtext\'95\tab}\pard\ls1\ilvl1 two\par"
        r"\pard\s4 We keep it so.\par"
        r"\trowd\trhdr\cellx1\cellx2\intbl Port\cell Tide\cell\row"
        r"\trowd\cellx1\cellx2\intbl North\cell 7.4\cell\row"
        r"\trowd\clvmrg\cellx1\cellx2\intbl\cell 3.1\cell\row\pard\s1 Autumn\par\pard The end.\par}"
    )
    document = read(source.encode(), "a.rtf")
    assert document.title == "The River"
    assert outline(document) == [("Spring",), ("Spring", "Floods"), ("Autumn",)]
    assert blocks(document) == [
        ("paragraph", "It rises. So it does."),
        ("paragraph", "[1] Says Ann."),
        ("list_item", "1. one"),
        ("list_item", "- two"),
        ("quotation", "We keep it so."),
        ("table_header", "Port | Tide"),
        ("table_row", "North | 7.4"),
        ("table_row", "North | 3.1"),
        ("paragraph", "The end."),
    ]


# EPUB


def epub(
    pages: Mapping[str, str],
    *,
    spine: str | None = None,
    contents: str = "",
    metadata: str = "",
    more: Mapping[str, str] | None = None,
) -> bytes:
    """A book of pages by name, each the inside of its body; `contents` is the inside of an NCX navMap."""
    items = "".join(f'<item id="{name}" href="{name}" media-type="application/xhtml+xml"/>' for name in pages)
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


def test_pages_are_read_in_the_order_of_the_spine_and_each_once() -> None:
    pages = {"a.html": "<p>Second.</p>", "b.html": "<p>First.</p>", "c.html": "<p>Not in the spine.</p>"}
    spine = '<itemref idref="b.html"/><itemref idref="a.html"/><itemref idref="b.html"/><itemref idref="x"/>'
    metadata = (
        "<dc:title>The Book</dc:title><dc:creator>Ann Lind</dc:creator><dc:creator>Jo Berg</dc:creator>"
    )
    document = read(epub(pages, spine=spine, metadata=metadata), "a.epub")
    assert document.title == "The Book"
    assert document.text == "Author: Ann Lind, Jo Berg\n\nFirst.\n\nSecond."


def test_the_table_of_contents_names_chapters_without_headings() -> None:
    pages = {
        "a.html": "<p class='x'>Spring</p><p>It rises.</p><p id='f'>It floods.</p>",
        "b.html": "<p>It falls.</p>",
        "c.html": "<h2>Winter</h2><p>It freezes.</p>",
    }
    point = '<navPoint><navLabel><text>{1}</text></navLabel><content src="{0}"/>{2}</navPoint>'
    contents = point.format("a.html", "Spring", point.format("a.html#f", "Floods", ""))
    contents += point.format("b.html", "Autumn", "") + point.format("c.html", "Something else", "")
    document = read(epub(pages, contents=contents), "a.epub")
    assert outline(document) == [("Spring",), ("Spring", "Floods"), ("Autumn",), ("Autumn", "Winter")]
    assert (
        document.text
        == "Spring\n\nIt rises.\n\nFloods\n\nIt floods.\n\nAutumn\n\nIt falls.\n\nWinter\n\nIt freezes."
    )


def test_pages_are_mended_where_they_are_no_xml() -> None:
    document = read(epub({"a.html": "<p>Caf&eacute;&nbsp;&amp;<br>tea <b>here</p><p>Next."}), "a.epub")
    assert re.findall(r"\w+", document.text) == ["Café", "tea", "here", "Next"]


def test_links_to_notes_and_marks_of_pages_are_not_text() -> None:
    page = (
        '<p>It is so.<sup><a href="#n1">1</a></sup> And<a href="#n2" role="doc-noteref">2</a> more.'
        '<span role="doc-pagebreak">17</span> See <a href="#x">page 4</a>, 10<sup>3</sup> m.</p>'
        '<nav><p>Menu</p></nav><p hidden="hidden">no</p><pre>  if x:\n    y</pre>'
        '<img alt="A mill by the river"/>'
    )
    document = read(epub({"a.html": page}), "a.epub")
    assert document.text == (
        "It is so. And more. See page 4, 103 m.\n\n  if x:\n    y\n\nA mill by the river"
    )


def test_an_encrypted_book_is_refused_and_one_with_encrypted_fonts_is_read() -> None:
    encrypted = '<e><EncryptedData><CipherData><CipherReference URI="{}"/></CipherData></EncryptedData></e>'
    pages = {"a b.html": "<p>It is so.</p>"}
    fonts = {"META-INF/encryption.xml": encrypted.format("OPS/font.otf")}
    assert read(epub(pages, more=fonts), "a.epub").text == "It is so."
    with pytest.raises(UnreadableFileError, match="encrypted"):
        read(epub(pages, more={"META-INF/encryption.xml": encrypted.format("OPS/a%20b.html")}), "a.epub")


# Hostile files


def stored(data: bytes) -> bytes:
    """The same archive without compression: nothing in it is suspicious for its ratio."""
    with zipfile.ZipFile(BytesIO(data)) as source:
        return zipped({name: source.read(name) for name in source.namelist()}, zipfile.ZIP_STORED)


def nested(before: str, after: str = "", depth: int = 100_000, text: str = "It is so.") -> str:
    return before * depth + text + after * depth


ENTITIES = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
)
ZEROS = zipped({"word/document.xml": bytes(20 * 2**20), "mimetype": "application/epub+zip"})
HOSTILE = {
    "zeros": (ZEROS, "docx", "times its size"),
    "entries": (
        zipped({str(n): "" for n in range(archive.MAX_ENTRIES + 1)}),
        "odt",
        "more than 10,000 files",
    ),
    "no archive": (b"PK\x03\x04words", "odt", "damaged"),
    "cut off": (docx(p("It is so."))[:-40], "docx", "damaged"),
    "no text at all": (b"It is so.", "docx", "damaged"),
    "no rich text": (b"It is so.", "rtf", "no rich text"),
    "old office": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and so on", "docx", "password"),
    "no body": (zipped({"word/document.xml": "<document/>"}), "docx", "no body"),
    "no content": (zipped({"mimetype": "x"}), "odt", "lacks 'content.xml'"),
    "a spreadsheet": (zipped({"content.xml": "<d><body><spreadsheet/></body></d>"}), "odt", "no body"),
    "no package": (zipped({"META-INF/container.xml": "<c/>"}), "epub", "package"),
    "malformed": (zipped({"word/document.xml": "<document><body>"}), "docx", "malformed"),
    "entities": (
        zipped({"content.xml": f"{ENTITIES}]><d><body><text><p>&j;</p></text></body></d>"}),
        "odt",
        "entities|malformed",
    ),
    "entity from a file": (
        epub(
            {},
            more={
                "OPS/p.opf": '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><package>&a;</package>'
            },
        ),
        "epub",
        "entities",
    ),
    "path trick": (
        epub({}, more={"META-INF/container.xml": '<c><rootfile full-path="../../../etc/passwd"/></c>'}),
        "epub",
        "lacks",
    ),
    "deep docx": (stored(docx(nested("<w:ins>", "</w:ins>"))), "docx", "nested deeper than 256"),
    "deep odt": (
        stored(odt(nested("<t:list><t:list-item>", "</t:list-item></t:list>"))),
        "odt",
        "nested deeper than 256",
    ),
    "deep epub": (stored(epub({"a.html": nested("<div>", "</div>")})), "epub", "nested deeper than 256"),
    "deep rtf": (nested("{", "}").replace("{", "{\\rtf1 ", 1).encode(), "rtf", "nested deeper than 10,000"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_one_line_and_soon(name: str) -> None:
    data, suffix, message = HOSTILE[name]
    began = time.process_time()
    with pytest.raises(UnreadableFileError, match=message) as caught:
        parse(data, f"file.{suffix}")
    assert time.process_time() - began < SECONDS
    assert str(caught.value).startswith(f"file.{suffix}: ")
    assert "\n" not in str(caught.value)


def test_members_that_are_compressed_otherwise_are_refused() -> None:
    data = zipped({"content.xml": bytes(10_000)}, zipfile.ZIP_BZIP2)
    with pytest.raises(UnreadableFileError, match="compressed"):
        parse(data, "a.odt")


def test_a_hundred_thousand_titles_take_seconds() -> None:
    styled = '<w:p><w:pPr><w:pStyle w:val="Title"/></w:pPr><w:r><w:t>{}</w:t></w:r></w:p>'
    body = "".join(map(styled.format, range(100_000))) + p("It is so.")
    began = time.process_time()
    assert parse(docx(body, style("Title")), "a.docx").text.endswith("99999\n\nIt is so.")
    assert time.process_time() - began < SECONDS


def test_a_password_is_named_as_the_reason() -> None:
    data = bytearray(docx(p("It is so.")))
    for place in [match.start() for match in re.finditer(rb"PK\x01\x02", data)]:
        data[place + 8] |= 1
    with pytest.raises(UnreadableFileError, match="password"):
        parse(bytes(data), "a.docx")


def test_what_an_archive_unpacks_to_is_bounded_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    data = docx(p("It is so."))
    assert parse(data, "a.docx").text == "It is so."
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 400)
    with pytest.raises(UnreadableFileError, match="unpacks to more"):
        parse(data, "a.docx")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (
            docx(
                nested("<w:ins>", "</w:ins>", 240, "<w:r><w:t>It is so.</w:t></w:r>").join(
                    ("<w:p>", "</w:p>")
                )
            ),
            "a.docx",
        ),
        (docx(nested("<w:tbl><w:tr><w:tc>", "</w:tc></w:tr></w:tbl>", 80, p("It is so."))), "a.docx"),
        (
            odt(nested("<t:list><t:list-item>", "</t:list-item></t:list>", 120, "<t:p>It is so.</t:p>")),
            "a.odt",
        ),
        (odt(f"<t:p>{nested('<t:span>', '</t:span>', 240)}</t:p>"), "a.odt"),
        (epub({"a.html": nested("<div>", "</div>", 250)}), "a.epub"),
        (epub({"a.html": nested("<table><tr><td>", "</td></tr></table>", 80)}), "a.epub"),
        (nested("{", "}", 9_000).replace("{", "{\\rtf1 ", 1).encode(), "a.rtf"),
    ],
)
def test_what_is_nested_as_deep_as_can_be_is_read(data: bytes, name: str) -> None:
    assert read(data, name).text.strip("- ") == "It is so."


LONG = "It is so. " * 1_000
RESTART = '<w:vMerge w:val="restart"/>'
REFERENCE = '<w:footnoteReference w:id="5"/>'
TALL = f"<td rowspan='999'>{LONG}</td>"
AMPLIFIED = {
    "docx": stored(
        docx(f"<w:tbl>{tr(tc(LONG, RESTART), tc('x'))}{tr(tc('', '<w:vMerge/>'), tc('x')) * 10_000}</w:tbl>")
    ),
    "odt": odt(
        f"<b:table><b:table-row><b:table-cell b:number-rows-spanned='9999'><t:p>{LONG}</t:p></b:table-cell>"
        f"<b:table-cell/></b:table-row>{'<b:table-row><b:table-cell/></b:table-row>' * 10_000}</b:table>"
    ),
    "rtf": (
        f"{{\\rtf1\\trowd\\cellx1\\cellx2 {LONG}\\cell x\\cell\\row"
        + "\\trowd\\clvmrg\\cellx1\\cellx2\\cell x\\cell\\row" * 10_000
        + "}"
    ).encode(),
    "epub": epub(
        {
            "a.html": f"<table><tr>{TALL * 100}</tr>{'<tr><td/><td/></tr>' * 900}</table>",
        }
    ),
    "note": docx(
        f"<w:p><w:r><w:t>So.</w:t>{REFERENCE * 10_000}</w:r></w:p>",
        notes=f'<w:footnote w:id="5">{p(LONG)}</w:footnote>',
    ),
    "marker": docx(
        item("It is so.", 0, 1) * 1_000,
        numbering=f'<w:abstractNum w:abstractNumId="1">{level(0, "decimal", LONG * 100)}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>',
    ),
}


@pytest.mark.parametrize("name", AMPLIFIED)
def test_what_is_said_once_and_meant_often_stays_small(name: str) -> None:
    parsed = parse(AMPLIFIED[name], f"file.{name if name in MANY else 'docx'}")
    assert "It is so. It is so." in parsed.text or name == "marker"
    assert len(parsed.text) < 3_000_000


HEADINGS = range(100_000)
MANY = {
    "docx": lambda: docx(
        "".join(p(f"H{n}", f'<w:outlineLvl w:val="{n % 9}"/>') for n in HEADINGS) + p("End.")
    ),
    "odt": lambda: odt(
        "".join(f'<t:h t:outline-level="{n % 9}">H{n}</t:h>' for n in HEADINGS) + "<t:p>End.</t:p>"
    ),
    "rtf": lambda: (
        "{\\rtf1" + "".join(f"\\pard\\outlinelevel{n % 9} H{n}\\par" for n in HEADINGS) + "\\pard End.}"
    ).encode(),
    "epub": lambda: epub(
        {"a.html": "".join(f"<h{n % 6 + 1}>H{n}</h{n % 6 + 1}>" for n in HEADINGS) + "<p>End.</p>"}
    ),
}


@pytest.mark.parametrize("suffix", MANY)
def test_a_hundred_thousand_headings_take_seconds(suffix: str) -> None:
    data = MANY[suffix]()
    began = time.process_time()
    parsed = parse(data, f"file.{suffix}")
    assert time.process_time() - began < SECONDS
    assert sum(part.kind == "heading" for part in parsed.parts) >= len(HEADINGS) - 1


# Mutated real files

SEEDS = {file.name: file.read_bytes() for file in FILES}
MARKS = rb"""< > </w:p> <w:p> </p> " &amp; &#0; &#13; &#8232; -1 999999999
    { } \par \row \cell \u55357? \footnote \' \* \bin99"""
INSERTED = st.one_of(st.binary(max_size=12), st.sampled_from(MARKS.split()))
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), INSERTED), min_size=1, max_size=6)


def edited(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """At each place (a share of the length), so many bytes replaced by others."""
    for share, length, inserted in edits:
        at = int(share * len(data))
        data = data[:at] + inserted + data[at + length :]
    return data


def mutated(name: str, member: float, edits: list[tuple[float, int, bytes]]) -> bytes:
    """A real file with edits in it, or in one member of its archive; member 0 is the archive itself."""
    data = SEEDS[name]
    if name.endswith(".rtf") or not member:
        return edited(data, edits)
    with zipfile.ZipFile(BytesIO(data)) as source:
        members = {info.filename: source.read(info) for info in source.infolist()}
    texts = [path for path in members if path.endswith(("ml", "rels", "opf", "ncx", "css"))]
    path = texts[min(int(member * len(texts)), len(texts) - 1)]
    return zipped({**members, path: edited(members[path], edits)}, zipfile.ZIP_STORED)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(SEEDS)), st.one_of(st.just(0.0), st.floats(0.01, 1)), EDITS)
def test_mutated_files_are_refused_or_keep_the_invariants(
    name: str, member: float, edits: list[tuple[float, int, bytes]]
) -> None:
    try:
        parsed = parse(mutated(name, member, edits), name)
    except (UnreadableFileError, EmptyDocumentError):
        return
    check_parts(parsed)
    document = assemble(parsed, document_id="test", name=name)
    assert "\r" not in document.text
    check_ranges(document)
    check_coverage(document, parsed)
    check_contexts(document)
    check_look_ups(document)
