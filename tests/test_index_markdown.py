from __future__ import annotations

import time
from pathlib import Path

import pytest
from conftest import document_of

from index import Document
from index.formats.markdown import clean_inline

FILES = Path(__file__).parent / "data" / "formats"
PROSE = "The river rises slowly in the spring, when the snow melts. It covers the lower meadows by April."


def markdown(text: str) -> Document:
    return document_of(text, "test.md")


def outline(document: Document) -> list[str]:
    return [" › ".join(section.path) for section in document.sections]


def blocks(document: Document) -> list[tuple[str, str]]:
    """Kind of each block and its text with its label."""
    return [(block.kind, document.text[block.label_start : block.end]) for block in document.blocks]


def context(document: Document, number: int) -> str | None:
    of = document.blocks[number].context
    return None if of is None else document.text[document.blocks[of].start : document.blocks[of].end]


# Clean text


@pytest.mark.parametrize(
    ("source", "clean"),
    [
        ("*a* **b** ***c*** `d*e` ~~f~~", "a b c d*e f"),
        (
            "[a *link*](https://example.com 'title') and <https://example.com>",
            "a link and https://example.com",
        ),
        ("![alt *text*](image.png)", "alt text"),
        ("&amp; &copy; &#8364; \\* \\_", "& © € * _"),
        ("a&#13;b &#0;", "a b \ufffd"),
        ("<b>bold</b> H<sub>2</sub>O <!-- note -->.", "bold H2O ."),
        ("a\nsoft  \nhard\\\nbreak<br>tag", "a soft\nhard\nbreak\ntag"),
        ("an unclosed *star and [bracket", "an unclosed *star and [bracket"),
        ("“Curly” – 😀 e\u0301", "“Curly” – 😀 e\u0301"),
    ],
)
def test_inline_markup_is_gone_and_its_text_kept(source: str, clean: str) -> None:
    assert clean_inline(source) == clean
    assert markdown(f"{source}\n\n{PROSE}").text == f"{clean}\n\n{PROSE}"


def test_blocks_and_their_labels() -> None:
    source = """# River

Text with
soft breaks.

- one
- two

  more of two
  - nested
    1. deep
3. three
4. four

> quoted
> words

```python
if x:

    y = 1
```

    indented code

***

End."""
    assert blocks(markdown(source)) == [
        ("paragraph", "Text with soft breaks."),
        ("list_item", "- one"),
        ("list_item", "- two"),
        ("list_item", "more of two"),
        ("list_item", "- nested"),
        ("list_item", "1. deep"),
        ("list_item", "3. three"),
        ("list_item", "4. four"),
        ("quotation", "quoted words"),
        ("code", "if x:\n\n    y = 1"),
        ("code", "indented code"),
        ("paragraph", "End."),
    ]


def test_a_table_row_leans_on_its_header() -> None:
    document = markdown("# T\n\n| Trail | km |\n|---|---:|\n| **Mill** | 2.7 |\n| Ford | 4 |\n\nAfter it.")
    assert blocks(document) == [
        ("table_header", "Trail | km"),
        ("table_row", "Mill | 2.7"),
        ("table_row", "Ford | 4"),
        ("paragraph", "After it."),
    ]
    assert context(document, 1) == context(document, 2) == "Trail | km"
    assert "Mill | 2.7\nFord | 4" in document.text
    assert not document.blocks[0].quotable


def test_a_table_without_a_header_has_rows_alone() -> None:
    document = markdown("| c |\n|---|\n| d |\n\nThe next has none.\n\n| | |\n|---|---|\n| a | b |")
    assert [block.kind for block in document.blocks] == [
        "table_header",
        "table_row",
        "paragraph",
        "table_row",
    ]
    assert context(document, 3) is None


def test_html_blocks_keep_their_text() -> None:
    document = markdown(
        "<h1 align='center'>River &amp; Mill</h1>\n\n<div>One <b>line</b>.<p>Another.</p>\n"
        "<!-- hidden --><script>alert('x')</script><style>p {}</style></div>\n\n"
        "<details><summary>More</summary>\n\n"
        "**Bold** text.\n\n</details>"
    )
    assert document.title == "River & Mill"
    assert blocks(document) == [
        ("paragraph", "One line."),
        ("paragraph", "Another."),
        ("paragraph", "More"),
        ("paragraph", "Bold text."),
    ]


def test_footnotes_stand_at_the_end() -> None:
    document = markdown("It floods.[^1] Often.\n\n[^1]: Says *Lind*.\n\nThe end.")
    assert blocks(document) == [
        ("paragraph", "It floods. Often."),
        ("paragraph", "The end."),
        ("paragraph", "[1] Says Lind."),
    ]


# Title and headings


@pytest.mark.parametrize(
    ("source", "title", "paths"),
    [
        (
            "# River\n\n{p}\n\n## Rise\n\n{p}\n\n#### End\n\n{p}",
            "River",
            ["Introduction", "Rise", "Rise › End"],
        ),
        ("River\n=====\n\nRise\n----\n\n{p}", "River", ["Rise"]),
        ("# River\n\n# Rise\n\n{p}\n\n# End\n\n{p}", "River", ["Rise", "End"]),
        ("# Rise\n\n{p}\n\n# End\n\n{p}", "test.md", ["Rise", "End"]),
        ("# Introduction\n\n{p}\n\n## Rise\n\n{p}", "test.md", ["Introduction", "Introduction › Rise"]),
        ("{p}\n\n# River\n\n{p}", "River", ["River"]),
        ("{p}\n\n## Rise\n\n{p}", "test.md", ["Introduction", "Rise"]),
        ("## River\n\n{p}\n\n### Rise\n\n{p}", "River", ["Introduction", "Rise"]),
        ("# 🌊 *The* `River`\n\n{p}\n\n## 💡 Rise\n\n{p}", "The River", ["Introduction", "Rise"]),
        ("{p}", "test.md", ["test.md"]),
        ("---\ntitle: Sea\n---\n# River\n\n{p}\n\n## Rise\n\n{p}", "Sea", ["Introduction", "Rise"]),
    ],
)
def test_title_and_outline(source: str, title: str, paths: list[str]) -> None:
    document = markdown(source.replace("{p}", PROSE))
    assert (document.title, outline(document)) == (title, paths)


def test_a_line_in_bold_that_heads_a_paragraph_is_a_heading() -> None:
    document = markdown(
        f"# R\n\n## Rise\n\n{PROSE}\n\n**In the spring**\n\n{PROSE}\n\n**Never** in May.\n\n{PROSE}"
    )
    assert outline(document) == ["Rise", "Rise › In the spring"]


@pytest.mark.parametrize("line", ["**Brass, steel, paper**", "**It was late.**", "**Port · Tram · Ship**"])
def test_other_bold_lines_are_not(line: str) -> None:
    assert outline(markdown(f"# R\n\n## Rise\n\n{PROSE}\n\n{line}\n\n{PROSE}")) == ["Rise"]
    assert outline(markdown(f"# R\n\n## Rise\n\n**Brass and steel**\n\n{PROSE}")) == ["Rise"]


# Front matter and metadata


def test_a_post_with_front_matter_and_html() -> None:
    document = markdown((FILES / "post.hugo.md").read_text("utf-8"))
    assert (document.title, outline(document)) == (
        "Why rivers move",
        ["Introduction", "Setext heading", "What people did"],
    )
    assert ("boilerplate", "Share this post | Twitter | Mail") in blocks(document)
    assert ("paragraph", "A bend of the river at Moe, 1962.") in blocks(document)


def test_front_matter_gives_title_and_metadata() -> None:
    fields = (
        'layout: x\ntitle: "The *River*: a\n  life"\nauthor: Ada Lind\ndate: 2024-02-30\ntags: [mill, flood]'
    )
    document = markdown(f"---\n{fields}\n---\n{PROSE}")
    assert document.title == "The *River*: a life"
    assert blocks(document) == [
        ("metadata", "Author: Ada Lind"),
        ("metadata", "Date: 2024-02-30"),
        ("metadata", "Tags: mill, flood"),
        ("paragraph", PROSE),
    ]


def test_front_matter_in_toml_and_placeholders_of_a_site() -> None:
    document = markdown(
        f'+++\ntitle = "The River"\ndate = 2026-05-03\ntags = ["mill", "flood"]\n+++\n\n'
        f'{{{{< figure src="a.png" >}}}}\n\n{PROSE}\n\n{{% include share.html %}}'
    )
    assert document.title == "The River"
    assert blocks(document) == [
        ("metadata", "Date: 2026-05-03"),
        ("metadata", "Tags: mill, flood"),
        ("boilerplate", '{{< figure src="a.png" >}}'),
        ("paragraph", PROSE),
        ("boilerplate", "{% include share.html %}"),
    ]


@pytest.mark.parametrize(
    "header",
    [
        "---\na: [\n---\n",
        "---\njust words\n---\n",
        "---\n- a\n- b\n---\n",
        "---\n" + "[" * 1_000 + "\n---\n",
        "---\na: &x [*x]\n---\n",
        "---\ntitle: 1\nno end\n",
        "---\n!!python/object:os.system x\n---\n",
        "---\n---\n",
        "+++\ntitle = \n+++\n",
        "+++\njust words\n+++\n",
    ],
)
def test_malformed_front_matter_does_no_harm(header: str) -> None:
    document = markdown(f"{header}\n{PROSE}")
    assert document.text.endswith(PROSE)
    if "just words" in header:
        assert "just words" in document.text


def test_byline_and_date_below_the_title_are_metadata() -> None:
    document = markdown(
        f"# R\n\n*By Ada Lind · 7 min read*\n\n**Issued:** May\n**Status:** final\n\n{PROSE}\n\n*No end*"
    )
    assert blocks(document) == [
        ("metadata", "By Ada Lind · 7 min read"),
        ("metadata", "Issued: May"),
        ("metadata", "Status: final"),
        ("paragraph", PROSE),
        ("paragraph", "No end"),
    ]


def test_a_line_that_is_all_the_document_says_is_no_metadata() -> None:
    assert blocks(markdown("# R\n\nHello")) == [("paragraph", "Hello")]


def test_a_wrapped_paragraph_in_italics_is_one() -> None:
    document = markdown(f"# R\n\n{PROSE}\n\n*It is told in\nBergen only.*\n\n*One line.*\n*Another line.*")
    assert [text for _, text in blocks(document)][1:] == [
        "It is told in Bergen only.",
        "One line.",
        "Another line.",
    ]


def test_invitations_are_boilerplate_in_every_kind_of_block() -> None:
    call = "*Enjoyed this? [Subscribe](https://example.com) below.*"
    document = markdown(f"# R\n\n{PROSE}\n\n{call}\n\n> {call}\n\n- {call}")
    assert [block.kind for block in document.blocks] == ["paragraph", *["boilerplate"] * 3]


# Questions and answers


@pytest.mark.parametrize(
    "pair",
    [
        "**Does it flood?**\nEvery year.",
        "**Does it flood?**\n\nEvery year.",
        "**Does it flood?** Every year.",
        "**Q: Does it flood?**\nA: Every year.",
        "**Q:** Does it flood?\n\n**A:** Every year.",
        "Q1: Does it flood?\nA1: Every year.",
        "> Q: Does it flood?\n>\n> A: Every year.",
    ],
)
def test_questions_and_their_answers(pair: str) -> None:
    document = markdown(f"# FAQ\n\n{PROSE}\n\n{pair}\n\n{PROSE}\n\n## Else\n\n{PROSE}")
    found = [(block.kind, document.text[block.start : block.end]) for block in document.blocks]
    assert found[1:3] == [("question", "Does it flood?"), ("answer", "Every year.")]
    assert found[3:] == [("answer", PROSE), ("paragraph", PROSE)]
    assert [context(document, number) for number in (2, 3, 4)] == ["Does it flood?", "Does it flood?", None]


def test_questions_in_a_list() -> None:
    document = markdown("# R\n\n1. **Does it flood?** Yes.\n2. **Who pays?** The mill.\n3. Nothing else.")
    assert blocks(document) == [
        ("question", "1. Does it flood?"),
        ("list_item", "Yes."),
        ("question", "2. Who pays?"),
        ("list_item", "The mill."),
        ("list_item", "3. Nothing else."),
    ]
    assert [context(document, number) for number in (1, 3, 4)] == ["Does it flood?", "Who pays?", None]


def test_a_heading_that_asks_stays_a_heading() -> None:
    assert outline(markdown(f"# FAQ\n\n## Does it flood?\n\n{PROSE}")) == ["Does it flood?"]


def test_turns_of_a_transcript() -> None:
    lines = ["**JO:** Does it flood?", "**ANN:** It does."] * 3
    document = markdown("# Talk\n\n" + "\n\n".join(lines))
    assert [block.kind for block in document.blocks] == ["question", "answer"] * 3
    assert document.text[document.blocks[0].label_start : document.blocks[0].start] == "JO: "


# Hostile files


@pytest.mark.parametrize("marker", ["> ", "- ", "> 1. "])
def test_deep_nesting_is_read_without_loss(marker: str) -> None:
    document = markdown(f"{PROSE}\n\n{marker * 100_000}deep words here\n\n{PROSE}")
    assert "deep words here" in document.text


def test_deep_nesting_by_indentation() -> None:
    levels = "".join(f"{'  ' * level}- level {level}\n" for level in range(300))
    document = markdown(levels)
    assert all(f"level {level}" in document.text for level in range(300))


@pytest.mark.parametrize(
    "unit",
    [
        "[",
        "![",
        "[a](",
        "*a ",
        "`a ``b ",
        "<a ",
        "<div><!-- ",
        "&amp;",
        "\\",
        "# H\n",
        "> q\n",
        "|a|b|\n",
        "^[",
        "[^a]",
    ],
)
def test_time_is_bounded(unit: str) -> None:
    started = time.process_time()
    markdown(f"{PROSE}\n\n{unit * (20_000 // len(unit))}")
    assert time.process_time() - started < 4


def test_many_open_brackets_take_no_longer_than_other_characters() -> None:
    started = time.process_time()
    assert "[" * 100_000 in markdown(f"{PROSE} {'[' * 100_000}").text
    assert time.process_time() - started < 3


SAID = "\n\n".join(
    (
        "**{} Ann:** Why did you *ever* choose rivers?",
        "**{} Jo Berg:** They [move](https://example.org). A river that stands still is a lake.",
        "**{} Ann:** And what did you find in the valley of the tern?",
        "**{} Jo Berg:** A mill that nobody had seen for a hundred years.",
    )
)


def test_a_transcript_with_bold_times_is_one() -> None:
    source = "---\ntitle: Rivers\n---\n# Episode 12\n\nA talk about rivers.\n\n## Transcript\n\n"
    document = document_of(source + SAID.format("0:02", "0:07", "0:13", "1:02:21"), "talk.md")
    said = [
        (document.text[each.start : each.end], document.place_of(each.start)) for each in document.sentences
    ]
    assert said == [
        ("A talk about rivers.", None),
        ("Why did you ever choose rivers?", "0:02"),
        ("They move.", "0:07"),
        ("A river that stands still is a lake.", "0:07"),
        ("And what did you find in the valley of the tern?", "0:13"),
        ("A mill that nobody had seen for a hundred years.", "1:02:21"),
    ]
    assert document.title == "Rivers"
    assert [block.kind for block in document.blocks[1:]] == ["question", "answer", "question", "answer"]
    assert document.sections[-1].path == ("Transcript",)


def test_a_timetable_in_bold_is_a_list() -> None:
    source = "# Programme\n\n" + "\n\n".join(
        f"**{hour}:30 Coffee** in room {hour}, with tea." for hour in range(9, 15)
    )
    document = document_of(source, "day.md")
    assert document.places == ()
    assert len(document.blocks) == 6
