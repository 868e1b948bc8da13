"""DOCX: what only a Word document holds."""

from __future__ import annotations

import pytest
from office_files import blocks, docx, item, level, outline, p, read, style, tc, tr


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
    places = [(0, 1), (1, 1), (1, 1), (2, 1), (0, 1), (1, 1), (0, 2), (0, 2), (0, 3), (1, 3), (0, 99)]
    body = "".join(item(text, *place) for text, place in zip("abcdefghijk", places, strict=True))
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


def test_a_quotation_in_bold_type_is_no_heading() -> None:
    styles = style("Intense Quote", "<w:rPr><w:b/></w:rPr>")
    body = p("It is so.") + p("We never stop", '<w:pStyle w:val="Intense Quote"/>') + p("So it is.")
    assert blocks(read(docx(body, styles), "a.docx"))[1] == ("quotation", "We never stop")


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
