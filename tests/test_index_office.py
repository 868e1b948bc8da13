"""DOCX, ODT, RTF and EPUB: files made by real programs, hostile ones, and real ones mutated."""

from __future__ import annotations

import re
import time
import zipfile
from pathlib import Path

import pytest
from office_files import blocks, docx, epub, item, level, odt, outline, p, read, stored, style, tc, tr, zipped

from index.errors import UnreadableFileError
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

SECONDS = 20
"""More than any hostile file takes on a slow and busy machine."""


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


# Hostile files


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
    "a picture": (b"\x89PNG\r\n\x1a\n", "docx", "damaged"),
    "no rich text": (b"\x89PNG\r\n\x1a\n", "rtf", "no rich text"),
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


def test_many_titles_take_seconds() -> None:
    styled = '<w:p><w:pPr><w:pStyle w:val="Title"/></w:pPr><w:r><w:t>{}</w:t></w:r></w:p>'
    body = "".join(map(styled.format, range(50_000))) + p("It is so.")
    began = time.process_time()
    assert parse(docx(body, style("Title")), "a.docx").text.endswith("49999\n\nIt is so.")
    assert time.process_time() - began < SECONDS


def test_time_grows_linearly_with_what_stands_in_a_cell() -> None:
    cell = f"<td>{'<p>It is so.</p>' * 200_000}</td>"
    data = stored(epub({"a.html": f"<table><tr><td>a</td>{cell}</tr><tr><td>b</td><td>c</td></tr></table>"}))
    began = time.process_time()
    assert parse(data, "a.epub").text.startswith("a | It is so. It is so.")
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
