"""ODT: what only an OpenDocument text holds."""

from __future__ import annotations

import pytest
from office_files import blocks, odt, outline, read

from index.errors import UnreadableFileError


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


def test_a_table_without_a_header_does_not_take_that_of_the_table_before() -> None:
    cell = "<b:table-cell><t:p>{}</t:p></b:table-cell>"
    row = f"<b:table-row>{cell}{cell.format('x')}</b:table-row>"
    head = f"<b:table-header-rows>{row.format('Port')}</b:table-header-rows>"
    first = f"<b:table>{head}{row.format('a')}</b:table>"
    document = read(odt(f"{first}<b:table>{row.format('b')}{row.format('c')}</b:table>"), "a.odt")
    assert [block.kind for block in document.blocks] == ["table_header", *["table_row"] * 3]
    assert [block.context for block in document.blocks] == [None, 0, None, None]


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
