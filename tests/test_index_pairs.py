"""Tables and records: exports of questions with their answers, and rows."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import document_of
from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import outcome

from index import Document
from index.document import assemble
from index.errors import DocumentError
from index.formats import parse

FILES = Path(__file__).parent / "data" / "formats"
PAIRS = [("How do I pay?", "By card."), ("When does it come?", "On Monday.")]


def blocks(document: Document) -> list[tuple[str, str]]:
    return [(block.kind, document.text[block.label_start : block.end]) for block in document.blocks]


def asked(document: Document) -> list[tuple[str, str]]:
    """Each answer with its question."""
    found = []
    for block in document.blocks:
        if block.context is not None:
            question = document.blocks[block.context]
            assert question.kind == "question"
            found.append(
                (document.text[question.start : question.end], document.text[block.start : block.end])
            )
    return found


# Questions and answers


@pytest.mark.parametrize(
    "names",
    [
        ("question", "answer"),
        ("Question", "ANSWER"),
        ("q", "a"),
        ("Question text", "Answer_text"),
        ("prompt", "response"),
        ("title", "body"),
        ("instruction", "output"),
    ],
)
@pytest.mark.parametrize("name", ["faq.csv", "faq.tsv", "faq.json", "faq.jsonl"])
def test_pairs_by_the_names_of_their_columns(names: tuple[str, str], name: str) -> None:
    records = [{"id": number, **dict(zip(names, pair, strict=True))} for number, pair in enumerate(PAIRS)]
    rows = [["id", *names], *([str(number), *pair] for number, pair in enumerate(PAIRS))]
    text = {
        "faq.csv": "\n".join(",".join(row) for row in rows),
        "faq.tsv": "\n".join("\t".join(row) for row in rows),
        "faq.json": json.dumps(records, indent=2),
        "faq.jsonl": "\n".join(map(json.dumps, records)),
    }[name]
    assert asked(document_of(text, name)) == PAIRS


def test_the_first_of_several_columns_counts() -> None:
    document = document_of("Question 1,Question 2,Answer\nPay?,When?,Yes.\n", "faq.csv")
    assert asked(document) == [("Pay?", "Yes.")]


def test_a_column_of_categories_becomes_headings() -> None:
    document = document_of(
        "Category;Question;Answer\nBilling;Pay?;Yes.\nBilling;How?;So.\nAccount;Close?;Write.\n;Who?;We.",
        "faq.csv",
    )
    assert [section.path for section in document.sections] == [("Billing",), ("Account",)]
    assert len(asked(document)) == 4


def test_titles_that_ask_nothing_are_headings() -> None:
    document = document_of(
        'title,body\nReset your password,"Open it.\nPress Reset."\nWhat is a token?,A word.', "help.csv"
    )
    assert [section.heading for section in document.sections] == ["Reset your password"]
    assert blocks(document) == [
        ("paragraph", "Open it."),
        ("paragraph", "Press Reset."),
        ("question", "What is a token?"),
        ("answer", "A word."),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "How do I pay?,By card.\nWhen does it come?,On Monday.",
        "Frage,Antwort\nHow do I pay?,By card.\nWhen does it come?,On Monday.",
        "Nr,Frage,Antwort\n1,How do I pay?,By card.\n2,When does it come?,On Monday.",
        'How do I pay? ,By card.\n"When does\n\nit come? ","\nOn Monday. "',
        "Frage,Antwort\nHow do I pay?,By card.\nWhen does it come?,On Monday.\n ,Nothing asks for this.",
    ],
)
def test_a_column_that_asks_is_one_of_questions(text: str) -> None:
    assert asked(document_of(text, "faq.csv")) == PAIRS


def test_an_answer_keeps_its_paragraphs_and_its_list() -> None:
    answer = "You need\n\n- the receipt\n- the box\n\n<b is no markup. So."
    document = document_of(json.dumps([{"question": "What?", "answer": answer}]), "faq.json")
    assert blocks(document) == [
        ("question", "What?"),
        ("answer", "You need"),
        ("list_item", "- the receipt"),
        ("list_item", "- the box"),
        ("answer", "<b is no markup. So."),
    ]
    assert [block.context for block in document.blocks] == [None, 0, 0, 0, 0]


def test_an_answer_in_html_is_read_without_it() -> None:
    answer = "<p>By <b>card</b> &amp; cash.</p><ul><li>Visa</li></ul><script>alert()</script>"
    document = document_of(json.dumps([{"question": "How?", "answer": answer}]), "faq.json")
    assert asked(document) == [("How?", "By card & cash."), ("How?", "Visa")]


@pytest.mark.parametrize(
    "value",
    [
        {"faqs": [{"category": "Pay", "questions": [{"q": "How?", "a": "So."}]}]},
        {"data": {"title": "Pay", "items": [{"question": "How?", "answer": ["So."]}]}},
        [{"section": "Pay", "prompt": "How?", "completion": "So."}],
        {"name": "Pay", "mainEntity": [{"name": "How?", "acceptedAnswer": {"text": "<p>So.</p>"}}]},
        {"category": "Pay", "How?": "So."},
    ],
)
@pytest.mark.parametrize("indent", [None, 0, 2])
def test_json_as_programs_export_it(value: Any, indent: int | None) -> None:
    document = document_of(json.dumps(value, indent=indent), "faq.json")
    assert asked(document) == [("How?", "So.")]
    assert document.sections[0].heading == "Pay"


def test_escapes_become_what_can_be_stored() -> None:
    document = document_of('[{"q": "How\\ud800?", "a": "So\\u0000.\\r\\nYes\\ud83d\\ude00."}]', "faq.json")
    assert document.text.encode() == "How??\n\nSo\ufffd.\nYes😀.".encode().replace(b"\n\n", b"\n", 1)


def test_files_of_programs() -> None:
    def read(name: str) -> Document:
        return assemble(parse((FILES / name).read_bytes(), name), document_id="x", name=name)

    assert asked(read("library.faq.csv")) == [
        ("What is the card?", "The card lets you borrow tools."),
        ("What is the card?", "It is made of wood."),
        ("Who can get one?", "Anyone who lives in the town. Bring"),
        ("Who can get one?", "a bill with your address"),
        ("Who can get one?", "a photo"),
        ("What does it cost?", "Twelve a year."),
        ("What does it cost?", "Under 18 it is free."),
    ]
    assert asked(read("library.faq.json"))[-1] == ("What if I lose it?", "It takes a week.")
    assert read("library.faq.json").sections[0].heading == "The tool library"
    assert asked(read("library.faq.jsonl"))[0] == ("Is there a limit?", "Five tools at once.")
    releases = read("debian.distro-info.csv")
    assert blocks(releases)[0][1].startswith("version | codename | series")
    assert ("table_row", "10 | Buster | buster") in [(kind, text[:20]) for kind, text in blocks(releases)]


# Tables


def test_rows_lean_on_the_header() -> None:
    document = document_of('Trail,"Length, km",Open\nMill,2.7,"all\nyear"\n\nFord,4\n', "trails.csv")
    assert blocks(document) == [
        ("table_header", "Trail | Length, km | Open"),
        ("table_row", "Mill | 2.7 | all year"),
        ("table_row", "Ford | 4"),
    ]
    assert [block.context for block in document.blocks] == [None, 0, 0]


@pytest.mark.parametrize("delimiter", list(",;\t|"))
def test_what_divides_cells_is_found(delimiter: str) -> None:
    rows = [["Trail", "Note"], ["Mill", "a b"], ["Ford", "c"]]
    document = document_of("\n".join(delimiter.join(row) for row in rows), "trails.csv")
    assert document.text == "Trail | Note\nMill | a b\nFord | c"


def test_a_spreadsheet_may_say_what_divides_its_cells() -> None:
    assert document_of("sep=;\nTrail;Note, short\nMill;x\n", "t.csv").text == "Trail | Note, short\nMill | x"


def test_a_table_of_numbers_has_no_header() -> None:
    document = document_of("1848,Mill\n1962,Ford\n", "trails.csv")
    assert blocks(document) == [("table_row", "1848 | Mill"), ("table_row", "1962 | Ford")]


def test_records_without_questions_are_a_table() -> None:
    document = document_of('{"trail": "Mill", "km": 2.7}\n\n{"trail": "Ford", "open": true}\n', "t.jsonl")
    assert document.text == "trail | km | open\nMill | 2.7 |\nFord |  | yes"


# Files that are refused, and hostile ones


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.json", "hello", "line 1 is no JSON"),
        ("x.jsonl", '{"q": "a?", "a": "b"}\n{"q": "a?"', "line 2 is no JSON"),
        ("x.json", '[\n{"q": "a?"\n', "line 3 is no JSON"),
        ("x.json", '{"a": {"b": [1, 2]}}', "no list of records"),
        ("x.json", "[" * 100_000, "nested too deep"),
        ("x.json", '{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deep"),
        ("x.json", "1" * 100_000, "too many digits"),
        ("x.csv", "a," * 100_000, "100,001 columns|100,000 cells"),
        ("x.csv", ",".join("a" * 2_000), "2,000 columns"),
        ("x.csv", '"a","b\n' * 1_000_000, "field larger|cells"),
        ("x.csv", 'a,b\n"' + "x" * 1_000_000, "field larger"),
        ("x.csv", "a" * 5_000_000, "field larger"),
        ("x.csv", "a,b\n" * 30 + "\0,c\n", "binary"),
        ("x.csv", "\n\n", "nothing in this file"),
        ("x.json", "", "line 1 is no JSON"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(name: str, text: str, message: str) -> None:
    started = time.process_time()
    with pytest.raises(DocumentError, match=message) as caught:
        document_of(text, name)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(name)
    assert time.process_time() - started < 3


def test_deep_answers_do_no_harm() -> None:
    answer = "[" * 500 + '"deep"' + "]" * 500
    document = document_of(f'{{"q": "a?", "a": {answer}}}\n{{"q": "b?", "a": "c"}}', "x.jsonl")
    assert asked(document) == [("b?", "c")]


def test_records_that_share_no_key_fill_no_memory() -> None:
    records = [{f"k{number}": 1} for number in range(900)] + [{"k": 1}] * 6_000
    with pytest.raises(DocumentError, match="different keys"):
        document_of(json.dumps(records), "x.json")


CELLS = st.one_of(
    st.sampled_from(
        ["", "question", "Answer", "category", "Why?", "So. It is.", "- a\n- b", "<p>x</p>", '"', "1.5"]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12),
)
TABLES = st.tuples(st.lists(st.lists(CELLS, max_size=4), max_size=6), st.sampled_from(list(",;\t|"))).map(
    lambda table: "\n".join(table[1].join(row) for row in table[0])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), CELLS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(st.sampled_from(["question", "answer", "q", "a", "category", "text"]), CELLS), inner
        ),
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=150)
@given(st.one_of(TABLES, VALUES.map(json.dumps)), st.sampled_from(["x.csv", "x.tsv", "x.json", "x.jsonl"]))
def test_any_table_and_any_json_is_read_or_refused(text: str, name: str) -> None:
    outcome(text.encode(), name)
