from __future__ import annotations

import textwrap
import time
from pathlib import Path

import pytest
from conftest import document_of

from index import Document

FILES = Path(__file__).parent / "data" / "formats"
PROSE = (
    "The river rises slowly in the spring, when the snow in the upper valley melts, and by the end of "
    "April it covers the lower meadows. Nobody ploughs before then."
)


def outline(document: Document) -> list[str]:
    """Section paths, as a person reads them."""
    return [" › ".join(section.path) for section in document.sections]


def blocks(document: Document, section: str | None = None) -> list[tuple[str, str]]:
    return [
        (block.kind, document.text[block.start : block.end])
        for block in document.blocks
        if section is None or document.sections[block.section].heading == section
    ]


def kinds(document: Document) -> list[str]:
    return [block.kind for block in document.blocks]


def context(document: Document, number: int) -> str | None:
    """The text of the block that this one leans on."""
    of = document.blocks[number].context
    return None if of is None else document.text[document.blocks[of].start : document.blocks[of].end]


# The bundled summary: found by the same general rules as everything below.


def test_the_outline_of_the_bundled_summary(summary: Document) -> None:
    assert summary.title == "Hacking the Universe: Andre Karpathy on Software 2.0 and the AGI Frontier"
    assert outline(summary) == [
        "Introduction",
        "Highlights",
        "The Simple Math of Emergent Intelligence",
        "The Simple Math of Emergent Intelligence › From Dot Products to Poetry",
        "The Simple Math of Emergent Intelligence › Digging Deeper",
        "Physics as a Puzzle and the Fermi Paradox",
        "Physics as a Puzzle and the Fermi Paradox › Seeking the Universe’s Buffer Overflow",
        "Physics as a Puzzle and the Fermi Paradox › Digging Deeper",
        "Software 2.0 and the Tesla Data Engine",
        "Software 2.0 and the Tesla Data Engine › The Death of Manual Coding",
        "Software 2.0 and the Tesla Data Engine › Digging Deeper",
        "The AGI Horizon and Humanoid Robotics",
        "The AGI Horizon and Humanoid Robotics › Optimus as a Hedge for Intelligence",
        "The AGI Horizon and Humanoid Robotics › Digging Deeper",
        "Key Takeaways",
        "Q&A",
    ]


def test_the_blocks_of_the_bundled_summary(summary: Document) -> None:
    per_section = [
        [block.kind for block in summary.blocks if block.section == number]
        for number in range(len(summary.sections))
    ]
    pairs = ["question", "answer"]
    chapter = [[], ["paragraph"] * 3, pairs * 3]
    assert per_section == [
        ["metadata", "paragraph", "paragraph"],
        ["list_item"] * 4 + ["metadata", "boilerplate"],
        *chapter * 4,
        ["paragraph"] * 3,
        pairs * 7,
    ]
    assert blocks(summary)[1][1].startswith("In this far-reaching discussion")
    assert blocks(summary)[2][1].startswith("Core Question: Is the universe")
    assert blocks(summary)[7][1].startswith("Reading time: approx. 15 minutes")
    assert blocks(summary)[8][1].startswith("Want to take notes while watching? Click the image below")


def test_labels_of_the_bundled_summary_are_no_content(summary: Document) -> None:
    deeper = next(section for section in summary.sections if section.heading == "Digging Deeper")
    assert summary.text[deeper.start : deeper.heading_end] == "💡 Digging Deeper"
    assert {summary.text[block.label_start : block.start] for block in summary.blocks} >= {
        "A: ",
        "Q7: ",
        "- ",
    }
    assert context(summary, len(summary.blocks) - 1) == "Will AI become conscious?"


# Headings


def test_headings_with_and_without_blank_lines_around_them() -> None:
    expected = ["Introduction", "Where it rises", "Where it ends"]
    lines = ["The Slow River", PROSE, "Where it rises", PROSE, "Where it ends", PROSE]
    assert outline(document_of("\n".join(lines))) == expected
    assert outline(document_of("\n\n".join(lines))) == expected
    assert document_of("\n".join(lines)).title == "The Slow River"


def test_headings_in_scripts_without_case() -> None:
    prose = "春天上游山谷的积雪融化时，河水慢慢上涨。到四月底，它淹没了低洼的草地。在那之前没有人耕种。"
    assert outline(document_of(f"河流\n{prose}\n源头\n{prose}\n终点\n{prose}")) == [
        "Introduction",
        "源头",
        "终点",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "This is a short paragraph.",
        "so it went on for years",
        "first the meadows, then the mill,",
        "He agreed. They all left town",
        "Core Question: When does measuring an athlete stop helping her?",
        "Reading time: 5 minutes",
        "https://example.com/page",
        "***",
        "1848",
        "word " * 30,
    ],
)
def test_lines_that_are_no_headings(line: str) -> None:
    assert outline(document_of(f"The Title\n\n{PROSE}\n\n{line}\n\n{PROSE}")) == ["The Title"]


def test_two_headings_in_a_row_are_parent_and_child() -> None:
    text = f"Title\n\n{PROSE}\n\nThe Meadows\nWhy they flood\n\n{PROSE}\n\nThe Mill\nWho built it\n\n{PROSE}"
    assert outline(document_of(text)) == [
        "Introduction",
        "The Meadows",
        "The Meadows › Why they flood",
        "The Mill",
        "The Mill › Who built it",
    ]


def test_a_heading_that_repeats_belongs_below_the_others() -> None:
    season = f"{PROSE}\n\nReading\n\n- One."
    text = f"Title\n\n{PROSE}\n\nSpring\n\n{season}\n\nAutumn\n\n{season}"
    assert outline(document_of(text))[1:] == ["Spring", "Spring › Reading", "Autumn", "Autumn › Reading"]


def test_capitals_stand_above_title_case_and_short_ones_among_them() -> None:
    text = "\n\n".join(["Title", PROSE, "MEDICINES", PROSE, "Before the day", PROSE, "FAQ", PROSE])
    assert outline(document_of(text))[1:] == ["MEDICINES", "MEDICINES › Before the day", "FAQ"]


def test_numbered_headings_keep_their_numbers_and_nest() -> None:
    text = f"1. Water\n\n{PROSE}\n\n1.1 Where it is\n\n{PROSE}\n\n2. Fire\n\n{PROSE}\n\n3.2 Method\n{PROSE}"
    assert outline(document_of(text)) == [
        "1. Water",
        "1. Water › 1.1 Where it is",
        "2. Fire",
        "2. Fire › 3.2 Method",
    ]


def test_numbered_lines_one_after_the_other_are_a_list() -> None:
    document = document_of(f"Title\n\n{PROSE}\n\nWhat to do\n1. Call the mill\n2. Open the gate\n3) Go home")
    assert blocks(document, "What to do") == [
        ("list_item", "Call the mill"),
        ("list_item", "Open the gate"),
        ("list_item", "Go home"),
    ]


def test_numbered_questions_with_answers_are_pairs() -> None:
    document = document_of(
        f"Listeners asked\n\n1. Does it flood?\nEvery year.\n2. Who pays?\nThe mill does.\n\n{PROSE}"
    )
    assert kinds(document)[:4] == ["question", "answer", "question", "answer"]
    assert context(document, 3) == "Who pays?"


def test_underlined_marked_and_fenced_headings() -> None:
    underlined = document_of(
        f"The River\n=========\n\n{PROSE}\n\nIts end\n-------\n{PROSE}\n\nIts rise\n---\n{PROSE}"
    )
    assert (underlined.title, outline(underlined)) == ("The River", ["Introduction", "Its end", "Its rise"])
    assert "==" not in underlined.text
    marked = document_of(f"# The River\n{PROSE}\n\n## Its end\n{PROSE}\n\n### Far below\n{PROSE}")
    assert (marked.title, outline(marked)) == (
        "The River",
        ["Introduction", "Its end", "Its end › Far below"],
    )
    fenced = document_of(f"== 2011 ==\n{PROSE}\n\n== 2012 ==\n{PROSE}\n\n=== May ===\n{PROSE}")
    assert outline(fenced) == ["2011", "2012", "2012 › May"]


def test_underlined_headings_may_ask_and_nest_as_deep_as_their_lines() -> None:
    document = document_of(
        f"FAQ\n===\n\nWhy does it flood?\n------------------\n\n{PROSE}\n\nIn spring:\n~~~~~~~~~~\n\n{PROSE}"
        f"\n\nWho pays!\n---------\n\n{PROSE}"
    )
    assert outline(document) == ["Why does it flood?", "Why does it flood? › In spring:", "Who pays!"]


def test_a_byline_below_an_underlined_title_is_no_heading() -> None:
    document = document_of(
        f"The Line\n========\n\nBy Ada Lind\n\nI. The queue\n\n{PROSE}\n\nII. The rule\n\n{PROSE}"
    )
    assert outline(document) == ["Introduction", "I. The queue", "II. The rule"]
    assert blocks(document)[0] == ("metadata", "By Ada Lind")


@pytest.mark.parametrize("line", ["AUTHORS     who wrote it", "BUGS\tread this", "It is a port of the"])
def test_lines_of_a_table_and_beginnings_of_sentences_are_no_headings(line: str) -> None:
    assert outline(document_of(f"The Title\n\n{PROSE}\n\n{line}\n\n{PROSE}")) == ["The Title"]


@pytest.mark.parametrize("line", ["CHAPTER I     The mill", "2.    The mill"])
def test_a_number_may_stand_apart_from_its_heading(line: str) -> None:
    assert outline(document_of(f"The Title\n\n{PROSE}\n\n{line}\n\n{PROSE}")) == [
        "Introduction",
        " ".join(line.split()),
    ]


def test_comments_in_indented_code_are_no_headings() -> None:
    document = document_of(f"The Mill\n\n{PROSE}\n\n    # get the sources first\n\n{PROSE}")
    assert outline(document) == ["The Mill"]


def test_comments_in_a_configuration_are_no_headings() -> None:
    assert outline(document_of("# This file is read\n# when it starts\nport 80\n\nlines end so.")) == [
        "test.txt"
    ]


def test_the_symbol_before_a_heading_is_its_label() -> None:
    document = document_of(f"Title\n\n{PROSE}\n\n⏱️ The clock\n\n{PROSE}\n\n★★ Stars\n\n{PROSE}")
    assert outline(document)[1:] == ["The clock", "Stars"]


def test_verse_addresses_and_signatures_are_no_headings() -> None:
    verse = "I went down to the river\nAnd sat upon the stone\nThe water moved beside me\nAnd I was not alone"
    document = document_of(
        f"A Song\n\n{PROSE}\n\n{verse}\n\n{PROSE}\n\nYours sincerely,\nAda Lind\nHead of the mill"
    )
    assert outline(document) == ["A Song"]
    assert ("paragraph", verse) in blocks(document)


def test_a_line_that_ends_a_sentence_begun_above_it_is_no_heading() -> None:
    text = f"A River\n\n{PROSE}\n\n{PROSE} It ends at\nThe Old Mill\n\n{PROSE}"
    assert outline(document_of(text)) == ["A River"]


def test_a_question_below_its_name_is_one_paragraph() -> None:
    document = document_of(
        f"A River\n\n{PROSE}\n\nCore Question:\nCan a mill stand still?\n\nHighlights\n- One."
    )
    assert outline(document) == ["Introduction", "Highlights"]
    assert ("paragraph", "Core Question:\nCan a mill stand still?") in blocks(document)


def test_two_lines_of_dialogue_are_no_heading_and_body() -> None:
    answer = "With measles. I was seven, and shut up in a dark room for two weeks with a pack of cards."
    text = f"A River\n\n{PROSE}\n\nMaddox: How did it begin?\nVantongeren: {answer}\n\n{PROSE}"
    assert outline(document_of(text)) == ["A River"]


def test_two_lines_of_verse_are_no_heading_and_body() -> None:
    text = f"A River\n\n{PROSE}\n\nTwo roads diverged in a yellow wood\nAnd I took the other one.\n\n{PROSE}"
    assert outline(document_of(text)) == ["A River"]


# The top of the document


@pytest.mark.parametrize(
    ("top", "title", "metadata"),
    [
        ("The Pan\nAn explainer in five parts", "The Pan", ["An explainer in five parts"]),
        (
            "BOOK IN BRIEF\nThe Unfinished Night\nby Ada Lind",
            "The Unfinished Night",
            ["BOOK IN BRIEF", "by Ada Lind"],
        ),
        ("THE SIGNAL · Issue 118\nWhy She Counts", "Why She Counts", ["THE SIGNAL · Issue 118"]),
        ("THE SIGNAL, ISSUE 2\n\nWhy We Wait in Line", "Why We Wait in Line", ["THE SIGNAL, ISSUE 2"]),
        (
            "Minutes\n\nPresent: Lind, Moe\nChair: Ada Lind",
            "Minutes",
            ["Present: Lind, Moe", "Chair: Ada Lind"],
        ),
        ("Sponsored by Tern Tea.\nThe Pan", "The Pan", ["Sponsored by Tern Tea."]),
        ("Video: https://example.com/v\nThe Pan", "The Pan", ["Video: https://example.com/v"]),
        ("The Pan\n\nBy Ada Lind · 6 min read", "The Pan", ["By Ada Lind · 6 min read"]),
    ],
)
def test_the_title_and_what_stands_around_it(top: str, title: str, metadata: list[str]) -> None:
    document = document_of(f"{top}\n\n{PROSE}\n\nHow it is cast\n\n{PROSE}")
    assert document.title == title
    assert [text for kind, text in blocks(document) if kind == "metadata"] == metadata
    assert outline(document) == ["Introduction", "How it is cast"]


def test_a_line_between_title_and_first_heading_is_a_subtitle() -> None:
    document = document_of(f"The Tax\n\nFor the tax year 2024\n\nWho this is for\n\n{PROSE}")
    assert outline(document) == ["Introduction", "Who this is for"]
    assert blocks(document)[0] == ("metadata", "For the tax year 2024")


def test_a_call_to_action_is_never_the_title() -> None:
    document = document_of(f"Click here to subscribe\nThe Pan\n\n{PROSE}")
    assert (document.title, blocks(document)[0]) == ("The Pan", ("boilerplate", "Click here to subscribe"))


@pytest.mark.parametrize("first", ["Introduction", "1. The first step"])
def test_a_first_heading_that_names_no_document_is_no_title(first: str) -> None:
    document = document_of(f"{first}\n\n{PROSE}\n\nThe rest\n\n{PROSE}")
    assert (document.title, outline(document)) == ("test.txt", [first, "The rest"])


# Questions and answers


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Q: ", "A: "),
        ("Q1: ", "A1: "),
        ("Q1. ", "A. "),
        ("Question: ", "Answer: "),
        ("Q2) ", ""),
        ("Q: ", ""),
    ],
)
def test_labels_of_questions_and_answers(question: str, answer: str) -> None:
    document = document_of(
        f"{question}Does it flood?\n{answer}Every year.\n\nIn April.\n\n{question}Who pays?\n{answer}We do."
    )
    assert blocks(document) == [
        ("question", "Does it flood?"),
        ("answer", "Every year."),
        ("answer", "In April."),
        ("question", "Who pays?"),
        ("answer", "We do."),
    ]
    assert [context(document, number) for number in range(5)] == [
        None,
        *["Does it flood?"] * 2,
        None,
        "Who pays?",
    ]


def test_an_answer_ends_at_the_next_heading_and_keeps_its_list() -> None:
    document = document_of(f"Q: What do I get?\nA: These things.\n- A key\n- A map\n\nThe mill\n\n{PROSE}")
    assert kinds(document) == ["question", "answer", "list_item", "list_item", "paragraph"]
    assert context(document, 3) == "What do I get?"
    assert context(document, 4) is None


def test_an_answer_ends_at_a_notice() -> None:
    document = document_of(
        "Q: Does it flood?\nA: It does.\n\nClick below to subscribe.\n\nThe mill is closed."
    )
    assert kinds(document) == ["question", "answer", "boilerplate", "paragraph"]


def test_an_answer_without_a_question_keeps_its_label() -> None:
    assert blocks(document_of("A: So it is said.")) == [("paragraph", "A: So it is said.")]


def test_a_speaker_who_asks_is_answered_by_the_next() -> None:
    turns = ["Good morning.", "Hello.", "Does it flood?", "It does.", "Lovely.", "Yes."]
    text = "\n\n".join(f"{name}: {turn}" for name, turn in zip(["JO", "ANIL"] * 3, turns, strict=True))
    document = document_of(text)
    assert blocks(document)[2:5] == [
        ("question", "Does it flood?"),
        ("answer", "It does."),
        ("paragraph", "Lovely."),
    ]
    assert document.text[document.blocks[3].label_start : document.blocks[3].start] == "ANIL: "


def test_fields_of_records_keep_their_names() -> None:
    record = "Where: in wet meadows.\nStatus: declining. It has left the valley.\n"
    document = document_of(f"Flowers\n\n{PROSE}\n\nSaxifrage\n{record}\nThimble\n{record}\nPoppy\n{record}")
    assert ("paragraph", "Status: declining. It has left the valley.") in blocks(document)


# Lists, quotations, wrapped lines


@pytest.mark.parametrize("bullet", ["- ", "* ", "• ", "– ", "1. ", "1) ", "(a) ", "b) "])
def test_bullets(bullet: str) -> None:
    document = document_of(f"{PROSE}\n\n{bullet}The mill stands still.\n{bullet}The gate is open.\n")
    assert blocks(document)[1:] == [
        ("list_item", "The mill stands still."),
        ("list_item", "The gate is open."),
    ]
    assert document.text[document.blocks[1].label_start : document.blocks[1].start] == bullet


def test_nested_and_continued_items() -> None:
    document = document_of("- The mill\n  stands still.\n  - The wheel\n    is gone.\n- The gate is open.")
    assert blocks(document) == [
        ("list_item", "The mill\n  stands still."),
        ("list_item", "The wheel\n    is gone."),
        ("list_item", "The gate is open."),
    ]


def test_a_quotation_holds_no_markers_inside() -> None:
    document = document_of(f"{PROSE}\n\n> It was late,\n> and nobody came.\n> Then it rained.\n\n{PROSE}")
    assert blocks(document)[1] == ("quotation", "It was late,\nand nobody came.\nThen it rained.")
    assert document.text.count(">") == 1


def test_wrapped_lines_are_one_paragraph_and_sentences_run_across_them() -> None:
    text = "\n\n".join(
        ["The Slow River", *[textwrap.fill(PROSE * 2, 72)] * 3, "Its end", textwrap.fill(PROSE, 72)]
    )
    document = document_of(text)
    assert document.text == text
    assert outline(document) == ["Introduction", "Its end"]
    assert kinds(document) == ["paragraph"] * 4
    assert len(document.sentences) == 3 * 4 + 2
    first = document.sentences[0]
    assert " ".join(document.text[first.start : first.end].split()).endswith("covers the lower meadows.")


def test_a_wrapped_line_may_begin_with_a_capital_and_end_with_a_full_stop() -> None:
    names = "Anna met Bertha and Carl in Bergen. Dora, who came from Oslo with Erik, saw Frida. Gro left. "
    text = textwrap.fill((names + PROSE) * 4, 60)
    starts = [line[0] for line in text.split("\n")]
    assert any(start.isupper() for start in starts[1:])
    assert kinds(document_of(text)) == ["paragraph"]


def test_a_short_file_may_be_wrapped_too() -> None:
    text = textwrap.fill(f"{PROSE} And yet it was Mr. Berg, who is ninety, who stood there.", 72)
    assert sum(line[0].islower() for line in text.split("\n")) >= 2
    assert kinds(document_of(text)) == ["paragraph"]


def test_the_lines_of_a_timetable_are_apart() -> None:
    lines = ["10:30 Coffee", "11:00 Opening by the mayor", "12:00 Lunch"]
    document = document_of("\n".join(["Meeting of the Mill Society", "", "Programme for the day:", *lines]))
    assert blocks(document)[-3:] == [("paragraph", line) for line in lines]
    assert document.title == "Meeting of the Mill Society"


def test_in_other_files_every_line_is_a_paragraph() -> None:
    assert kinds(document_of(f"{PROSE}\n{PROSE}\nShort one.\n{PROSE}")) == ["paragraph"] * 4


def test_a_rule_is_dropped() -> None:
    document = document_of(f"{PROSE}\n\n-----\n\n{PROSE}\n* * *\n{PROSE}")
    assert kinds(document) == ["paragraph"] * 3
    assert "---" not in document.text


# Notices


@pytest.mark.parametrize(
    "call",
    [
        "Click below to hear the full episode, or forward this issue to a friend.",
        "Want more? Tap here for our free packing list.",
        "Subscribe below and we'll send you one book every Friday.",
        "Forwarded this by a friend? Subscribe at the bottom.",
        "Follow us on the usual networks!",
        "Download the app and skip the queue.",
        "You are receiving this because you signed up. Unsubscribe at any time.",
        "Share this with a friend who is always late.",
        "Share this post | Facebook | Mail",
        "Tweet this on Twitter.",
    ],
)
def test_invitations_are_boilerplate(call: str) -> None:
    document = document_of(f"{PROSE}\n\n{call}\n\n{PROSE}")
    assert blocks(document)[1] == ("boilerplate", call)
    assert not document.blocks[1].quotable


@pytest.mark.parametrize(
    "line",
    [
        "Tap the rim with a knuckle: a clear ring is good.",
        "Clicks are treacherous evidence.",
        "People share the press on Tuesdays.",
        "The newsletter has many subscribers.",
        "She forwards every letter to her sister.",
        "To unlock the door, press the button twice.",
        "Reading time fell by a third last year.",
        "Share on average a third of it.",
    ],
)
def test_prose_that_resembles_one_is_not(line: str) -> None:
    assert blocks(document_of(f"{PROSE}\n\n{line}\n\n{PROSE}"))[1] == ("paragraph", line)


def test_a_call_inside_a_paragraph_is_cut_out() -> None:
    document = document_of(
        f"{PROSE}\n\nThe show opens in October at the mill. Click below to reserve a place."
    )
    assert blocks(document)[1:] == [
        ("paragraph", "The show opens in October at the mill."),
        ("boilerplate", "Click below to reserve a place."),
    ]


def test_a_call_that_says_something_may_be_quoted() -> None:
    document = document_of(
        f"{PROSE}\n\nReading time: 4 minutes. Click below to hear the 84-minute conversation."
    )
    assert kinds(document)[1:] == ["metadata"]


# Files as people write them


@pytest.mark.parametrize(
    ("name", "title", "sections", "metadata"),
    [
        (
            "newsletter.txt",
            "The Tern Letter",
            ["Introduction", "WHY RIVERS MOVE", "THREE THINGS I LEARNED"],
            ["Issue 41 · 3 May 2026", "Hello friends,"],
        ),
        (
            "paper.txt",
            "Water Wheels and Their Efficiency",
            [
                "Introduction",
                "Abstract",
                "1 Introduction",
                "2 Method",
                "2 Method › 2.1 Wheels",
                "2 Method › 2.2 Measurement",
                "3 Results",
                "References",
            ],
            ["Ann Lind, Bo Moe", "University of Tern"],
        ),
        (
            "essay.txt",
            "Why We Stand in Line",
            ["Introduction", "I. The queue", "II. The rule", "III. The exception"],
            ["By Ann Lind"],
        ),
        (
            "minutes.txt",
            "Minutes of the Mill Society",
            [
                "Introduction",
                "1. Minutes of the last meeting",
                "2. Budget",
                "3. Open day",
                "4. Any other business",
            ],
            [
                "Date: 3 May 2026",
                "Time: 19:00 - 20:45",
                "Place: The old granary",
                "Present: Ann Lind (chair), Bo Moe, Carl Berg",
                "Apologies: Dora Holm",
            ],
        ),
    ],
)
def test_files_of_people(name: str, title: str, sections: list[str], metadata: list[str]) -> None:
    document = document_of((FILES / name).read_text("utf-8"), name)
    assert document.title == title
    assert outline(document) == sections
    assert [text for kind, text in blocks(document) if kind == "metadata"] == metadata


# Size


@pytest.mark.parametrize(
    "unit",
    [
        "A short line\n",
        "A short line\n\n",
        "Heading\n\nThis is the body of it.\n\n",
        "- an item\n",
        "1. One?\nIt is.\n",
        "Q: Why?\nA: So.\n",
        "JO: Is it?\nANN: It is.\n",
        "> quoted\n",
        "Head\n----\n\nBody.\n",
        "Click here to subscribe? Yes.\n",
        "One endless line of prose. ",
        ">",
        "== a ",
        PROSE + "\n",
    ],
)
def test_time_grows_linearly(unit: str) -> None:
    count = 100_000 // len(unit)
    started = time.process_time()
    document_of(PROSE + "\n\n" + unit * count)
    assert time.process_time() - started < 2
