"""EPUB: the package around the pages, and the pages, read as HTML."""

from __future__ import annotations

import re

import pytest
from office_files import blocks, epub, outline, read

from index.document import Document
from index.errors import UnreadableFileError
from index.formats.numbering import numeral


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


def test_a_mended_page_loses_no_character() -> None:
    page = "<p>AT&T; bought<br> &nothing;</p><p>for &#xD83C;&#xDF31; &amp; &lt; &#60; &#233;.<br>"
    assert read(epub({"a.html": page}), "a.epub").text == "AT&T; bought\n&nothing;\n\nfor 🌱 & < < é."


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


def places(document: Document) -> dict[str, str | None]:
    """Where each sentence stands, by its first word."""
    return {
        document.text[each.start : each.end].split()[0]: document.place_of(each.start)
        for each in document.sentences
    }


def test_pages_of_the_printed_book_are_places() -> None:
    page = (
        "<p>Before any page.</p>"
        '<p><span epub:type="pagebreak" title="xi"/>Roman.</p><p>Still there.</p>'
        '<div role="doc-pagebreak" aria-label="Page 12. "></div><p>Twelve is here.</p>'
        '<p>Across the edge <span role="doc-pagebreak">13</span> of a page.</p>'
        '<p>After it.</p><span class="pagebreak" title="Part two"/>'
        "<table><tr><td>a</td><td>b</td></tr>"
        '<tr><td>c</td><td>d<span role="doc-pagebreak" title="14"/></td></tr></table>'
        '<pre>x\n<span role="doc-pagebreak" title="15"/>y</pre>'
    )
    document = read(epub({"a.html": page, "b.html": "<p>Next.</p>"}), "a.epub")
    assert places(document) == {
        "Before": None,
        "Roman.": "p. xi",
        "Still": "p. xi",
        "Twelve": "p. 12",
        "Across": "pp. 12–13",
        "After": "p. 13",
        "a": "p. 13",
        "c": "pp. 13–14",
        "x": "pp. 14–15",
        "y": "pp. 14–15",
        "Next.": "p. 15",
    }


NCX_PAGES = "</navMap><pageList><pageTarget>{}</pageTarget></pageList><navMap>".format
NCX_PAGE = '<navLabel><text>{1}</text></navLabel><content src="{0}"/>'.format


def test_the_list_of_pages_names_those_that_the_file_does_not() -> None:
    pages = {
        "a.html": '<p id="p1">One. <b id="p2">Two</b> too.</p>'
        '<p id="p3" role="doc-pagebreak" title="9"/><p>Nine.</p>',
        "b.html": "<p>Three.</p>",
    }
    targets = [
        ("a.html#p1", "1"),
        ("a.html#p2", "2"),
        ("a.html#p3", "3"),
        ("a.html#gone", "4"),
        ("b.html", "10"),
    ]
    ncx = "".join(NCX_PAGES(NCX_PAGE(*target)) for target in targets)
    point = '<navPoint><navLabel><text>{1}</text></navLabel><content src="{0}"/></navPoint>'
    book = epub(pages, contents=point.format("b.html", "Three") + ncx)
    expected = {"One.": "pp. 1–2", "Two": "pp. 1–2", "Nine.": "p. 9", "Three.": "p. 10"}
    assert places(read(book, "a.epub")) == expected
    links = "".join(f'<li><a href="{target}">{name}</a></li>' for target, name in targets)
    toc = '<nav epub:type="toc"><a href="b.html">Three</a></nav>'
    nav = f'{toc}<nav epub:type="page-list"><ol>{links}</ol></nav>'
    item = '<item id="nav" properties="nav" href="nav.html" media-type="application/xhtml+xml"/>'
    more = {"OPS/nav.html": f"<html><body>{nav}</body></html>"}
    assert places(read(epub(pages, items=item, more=more), "a.epub")) == expected


def test_lists_terms_questions_and_quotations_of_a_page() -> None:
    page = (
        '<ol start="3" type="i"><li>a<ul><li>b</li></ul></li><li value="9"><p>c</p><p>more of c</p></li></ol>'
        "<dl><dt>Neap</dt><dd>A low tide.</dd><dt>Is it so?</dt><dd>It is.</dd></dl>"
        "<details><summary>Who says so?</summary>Ann does.</details>"
        "<blockquote><p>We <q>keep</q> it<br/>so.</p></blockquote>"
        "<figure><figcaption>The mill.</figcaption></figure>"
    )
    assert blocks(read(epub({"a.html": page}), "a.epub")) == [
        ("list_item", "iii. a"),
        ("list_item", "- b"),
        ("list_item", "ix. c"),
        ("list_item", "more of c"),
        ("list_item", "Neap"),
        ("list_item", "A low tide."),
        ("question", "Is it so?"),
        ("list_item", "It is."),
        ("question", "Who says so?"),
        ("answer", "Ann does."),
        ("quotation", "We “keep” it\nso."),
        ("answer", "The mill."),
    ]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("<tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr>", ["A | B", "1 | 2"]),
        ("<thead><tr><td>A</td><td>B</td></tr></thead><tr><td>1</td><td>2</td></tr>", ["A | B", "1 | 2"]),
        (
            "<tr><td><b>A</b></td><td class='bold'>B</td></tr><tr><td>1</td><td>2</td></tr>",
            ["A | B", "1 | 2"],
        ),
        ("<tr><td>A</td><td>B</td></tr><tr><th>1</th><td>2</td></tr>", ["", "A | B", "1 | 2"]),
        (
            "<tr><td rowspan='2'>1</td><td>2</td></tr><tr><td>3</td></tr><tr><td>4</td><td>5</td></tr>",
            ["", "1 | 2", "1 | 3", "4 | 5"],
        ),
    ],
)
def test_header_and_rows_of_a_table_on_a_page(table: str, expected: list[str]) -> None:
    css = '<item id="css" href="s.css" media-type="text/css"/>'
    book = epub(
        {"a.html": f"<table>{table}</table>"},
        items=css,
        more={"OPS/s.css": "p, td.bold { font-weight: 700 }"},
    )
    found = blocks(read(book, "a.epub"))
    header = [text for kind, text in found if kind == "table_header"] or [""]
    assert [*header, *(text for kind, text in found if kind == "table_row")] == expected


@pytest.mark.parametrize(
    ("number", "style", "text"),
    [
        *((1, "1", "1"), (1, "a", "a"), (26, "a", "z"), (27, "A", "AA"), (702, "a", "zz"), (703, "a", "aaa")),
        *((4, "i", "iv"), (1994, "I", "MCMXCIV"), (4000, "i", "4000"), (0, "a", "0"), (-3, "i", "-3")),
    ],
)
def test_numerals(number: int, style: str, text: str) -> None:
    assert numeral(number, style) == text


def test_an_encrypted_book_is_refused_and_one_with_encrypted_fonts_is_read() -> None:
    encrypted = '<e><EncryptedData><CipherData><CipherReference URI="{}"/></CipherData></EncryptedData></e>'
    pages = {"a b.html": "<p>It is so.</p>"}
    fonts = {"META-INF/encryption.xml": encrypted.format("OPS/font.otf")}
    assert read(epub(pages, more=fonts), "a.epub").text == "It is so."
    with pytest.raises(UnreadableFileError, match="encrypted"):
        read(epub(pages, more={"META-INF/encryption.xml": encrypted.format("OPS/a%20b.html")}), "a.epub")
