"""Saved web pages: what is read, what is left out, and what hostile ones do."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import outcome

from index import Document
from index.document import assemble
from index.errors import EmptyDocumentError, UnreadableFileError
from index.formats import html, parse

FILES = Path(__file__).parent / "data" / "formats"
PAGES = ("npm-audit.html", "node-string_decoder.html", "rust-book-traits.html")

PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>The flood | River Weekly</title>
<script>if (a < b) document.write("<p>From a script.</p>")</script><style>p { color: red }</style></head>
<body>
<header><h1>River Weekly</h1><nav><a href="/">Home</a> <a href="/news">News</a></nav></header>
<div id="cookie-consent"><p>We use cookies. Do you agree?</p><button>Accept</button></div>
<ul class="menu"><li><a href="/a">Fish</a><li><a href="/b">Boats</a></ul>
<main>
  <nav class="breadcrumb"><a href="/">Home</a> › Floods</nav>
  <article>
    <h1>The flood</h1>
    <p class="byline">By Ann Lind</p>
    <p>The river rose by <b>two metres</b> in a&nbsp;night. Nobody was hurt &amp; no bridge fell.</p>
    <h2 id="causes">Causes<a class="headerlink" href="#causes">¶</a></h2>
    <ul><li>Rain fell for six days.<li>The meadows were full:<ul><li>of water,</li><li>of mud.</li></ul></ul>
    <blockquote><p>I have never seen so much water.</p></blockquote>
    <pre><code>level = 2
  alarm()</code></pre>
    <table><thead><tr><th>Town</th><th>Level</th></tr></thead>
      <tr><td>Emmen</td><td>5 m</td></tr><tr><td>Aarau</td><td>4 m</td></tr></table>
    <p hidden>Hidden by an attribute.</p><p style="display: none">Hidden by a style.</p>
    <span class="visually-hidden">Only for screen readers.</span><div aria-hidden="true">Decoration.</div>
    <h2>Questions</h2>
    <details><summary>Is the water safe?</summary><p>It is not; boil it.</p></details>
    <p><b>Who pays?</b> The canton pays.</p>
    <div class="share-buttons">Share this with <a href="#">friends</a></div>
  </article>
</main>
<aside><h3>Related</h3><a href="/x">Another flood</a></aside>
<footer><p>Copyright River Weekly. Contact us at any time.</p></footer>
</body></html>"""


def page(source: str | bytes, name: str = "page.html") -> Document:
    data = source.encode() if isinstance(source, str) else source
    return assemble(parse(data, name), document_id="test", name=name)


def outline(document: Document) -> list[tuple[int, str]]:
    return [(section.level, section.heading) for section in document.sections]


def blocks(document: Document, kind: str) -> list[str]:
    return [document.text[block.start : block.end] for block in document.blocks if block.kind == kind]


def context(document: Document, text: str) -> str | None:
    (block,) = [block for block in document.blocks if document.text[block.start : block.end] == text]
    if block.context is None:
        return None
    return document.text[document.blocks[block.context].start : document.blocks[block.context].end]


def test_a_page_is_its_main_content_with_its_structure() -> None:
    document = page(PAGE)
    assert document.title == "The flood"
    assert [heading for _, heading in outline(document)] == ["Introduction", "Causes", "Questions"]
    assert blocks(document, "metadata") == ["By Ann Lind"]
    assert blocks(document, "paragraph")[0] == (
        "The river rose by two metres in a night. Nobody was hurt & no bridge fell."
    )
    items = ["Rain fell for six days.", "The meadows were full:", "of water,", "of mud."]
    assert blocks(document, "list_item") == items
    assert blocks(document, "quotation") == ["I have never seen so much water."]
    assert blocks(document, "code") == ["level = 2\n  alarm()"]


def test_a_row_of_a_table_has_its_header() -> None:
    assert context(page(PAGE), "Emmen | 5 m") == context(page(PAGE), "Aarau | 4 m") == "Town | Level"


def test_an_answer_has_its_question() -> None:
    assert context(page(PAGE), "It is not; boil it.") == "Is the water safe?"
    assert context(page(PAGE), "The canton pays.") == "Who pays?"


@pytest.mark.parametrize(
    "text",
    [
        "River Weekly", "Home", "cookies", "Accept", "Fish", "script", "color", "Hidden", "screen readers",
        "Decoration", "Share", "Related", "Another", "Copyright", "¶",
    ],
)  # fmt: skip
def test_what_surrounds_the_content_is_left_out(text: str) -> None:
    assert text not in page(PAGE).text


def test_without_semantic_elements_a_menu_is_known_by_its_links() -> None:
    menu = "".join(f'<td><a href="{name}.html">{name}</a></td>' for name in ("Home", "Shop", "News", "Help"))
    document = page(f"<table><tr>{menu}</tr></table><h1>Eels</h1><p>Eels swim at night.</p>")
    assert document.text == "Eels\n\nEels swim at night."


def test_a_table_of_contents_is_left_out() -> None:
    entries = "".join(
        f'<li><a href="#q{n}">Why does the eel of river {n} swim at night?</a>' for n in range(5)
    )
    prose = "Eels swim at night. " * 10
    assert "Why" not in page(f"<main><ul>{entries}</ul><p>{prose}</p></main>").text


def test_a_page_of_nothing_but_links_is_read_whole() -> None:
    links = "".join(f'<li><a href="{n}.html">Chapter {n}</a>' for n in range(20))
    assert len(blocks(page(f"<h1>Contents</h1><ul>{links}</ul>"), "list_item")) == 20


@pytest.mark.parametrize(
    ("title", "heading", "expected"),
    [
        ("Eels - A fish book", "Eels", "Eels"),
        ("A fish book: eels", "A fish book", "A fish book: eels"),
        ("River Weekly", "Eels", "River Weekly"),
        ("", "Eels", "Eels"),
    ],
)
def test_the_title_is_without_the_name_of_the_site(title: str, heading: str, expected: str) -> None:
    source = f"<title>{title}</title><h1>{heading}</h1><p>They swim.</p><h2>Food</h2><p>They eat.</p>"
    assert page(source).title == expected


@pytest.mark.parametrize(
    ("encoding", "declaration"),
    [
        ("windows-1251", '<meta charset="windows-1251">'),
        ("koi8-r", '<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">'),
        ("utf-8", '<meta charset="iso-8859-1">'),  # it is not what it says
        ("utf-16", ""),
    ],
)
def test_the_encoding_is_the_declared_one_unless_the_bytes_say_otherwise(
    encoding: str, declaration: str
) -> None:
    text = "Это река."
    assert page(f"<html>{declaration}<p>{text}".encode(encoding)).text == text


def test_latin_1_is_what_browsers_make_of_it() -> None:
    assert page("<meta charset=iso-8859-1><p>“Größe” – 5 €".encode("cp1252")).text == "“Größe” – 5 €"


@pytest.mark.parametrize("name", PAGES)
def test_real_pages_hold_no_navigation(name: str) -> None:
    document = page((FILES / name).read_bytes(), name)
    assert not re.search(
        r"Table of contents|Edit this page|Previous chapter|View on GitHub|Toggle", document.text
    )


def test_the_outline_of_real_pages() -> None:
    npm, node, rust = (page((FILES / name).read_bytes(), name) for name in PAGES)
    assert (npm.title, node.title, rust.title) == (
        "npm-audit",
        "String decoder",
        "C - Derivable Traits - The Rust Programming Language",
    )
    headings = [heading for _, heading in outline(npm)]
    assert headings[1:4] == ["Synopsis", "Description", "Package lock"]
    assert "npm audit [fix|signatures]" in blocks(npm, "code")
    assert [heading for _, heading in outline(node)][-1] == "stringDecoder.write(buffer)"
    assert "The Debug trait enables debug formatting in format strings" in rust.text


@pytest.mark.parametrize(
    "source",
    [
        "<div>" * 100_000 + "words",
        "<ul><li>" * 50_000 + "words",
        "<b><i>" * 50_000 + "words",
        "<table><tr><td>" * 30_000 + "words",
    ],
)
def test_deep_nesting_is_refused(source: str) -> None:
    with pytest.raises(UnreadableFileError, match=r"page\.html: .* nested deeper than 1,000 levels"):
        page(source)


def test_too_many_elements_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "MAX_ELEMENTS", 100)
    with pytest.raises(UnreadableFileError, match="more than 100 elements"):
        page("<p>x" * 200)


@pytest.mark.parametrize(
    "source",
    [
        "<p>" + "word " * 400_000,  # one line of 2 MB
        "".join(f"<h{n % 6 + 1}>Head {n}</h{n % 6 + 1}><p>It is so." for n in range(4_000)),
        "<p " + " ".join(f"a{n}=b" for n in range(20_000)) + ">words",
        "<p>words" + "&amp;" * 200_000,
        "<p>words" + "<" * 200_000,
        "<p>words" + "</b>" * 100_000,
        "<p>words" + "<!--" * 100_000,
        '<p class="' + "nav-" * 200_000 + '">words',
        "<table><tr>" + "<td rowspan=1000 colspan=1000>x" * 1_000,
        "<!---->" * 580 + "<p>words",  # looks as if a page began at last
        "<title>" + "eel " * 100_000 + "</title><p>words",
        '<!DOCTYPE html [<!ENTITY a "aa"><!ENTITY b "&a;&a;&a;">]><p>&b;&b;',
    ],
    ids=lambda source: source[:12],
)
def test_hostile_pages_take_linear_time(source: str) -> None:
    started = time.process_time()
    assert page(source).sentences
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "source", ["<p>", "<html></html>", "<!-- x -->", "</p>", "<script>x</script>", "<h1>Eels</h1>"]
)
def test_a_page_that_says_nothing_is_refused(source: str) -> None:
    with pytest.raises(EmptyDocumentError, match=r"page\.html: "):
        page(source)


def test_a_carriage_return_that_is_spelled_out_is_none() -> None:
    assert blocks(page("<pre>one&#13;&#10;two</pre>"), "code") == ["one\ntwo"]


def test_characters_that_xml_forbids_do_no_harm() -> None:
    assert page(
        "<p title='\x01'>one &#1;two&#xFFFF; three <o:p>four</o:p> <a<b>five" + " and so on" * 9
    ).sentences


TOKENS = st.one_of(
    st.sampled_from(
        """
        <p> </p> <div> </div> <b> </b> <h1> <h2> </h2> <ul> <li> </ul> <ol start=3> <dl> <dt> <dd> <table>
        <tr> <td> <td colspan=3 rowspan=2> <th> </table> <br> <a href=#x> </a> <pre> </pre> <blockquote>
        </blockquote> <q> </q> <details> <summary> <nav> </nav> <main> </main> <article> <img alt="eels">
        <!-- --> <script> </script> <code> <title> </title> <button> hidden> &lt; &#0; &#13; &nbsp; \x01 Why?
        It's so. Eels swim.
        """.split()
    ),
    st.text(max_size=8),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(TOKENS, max_size=40).map(" ".join))
def test_any_soup_of_tags_keeps_the_invariants(source: str) -> None:
    outcome(source.encode("utf-8", "replace"), "page.html")
