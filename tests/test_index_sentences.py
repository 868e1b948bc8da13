from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.sentences import MAX_SENTENCE_CHARS, WINDOW_CHARS, sentence_spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text, 0, len(text))]


@pytest.mark.parametrize(
    "expected",
    [
        ["He works with Dr. Smith et al. and J. K. Rowling.", "She left."],
        ["The stack is Software 2.0.", "It cost $3.50 vs. $4.", "Then came 3.11."],
        ["“I will go,” she said.", "“Stay.”", "He stayed."],
        ["It was “magical.”", "The next one wasn't."],
        ["He agreed…", "And so on.", "Then it ended."],
        ["(It rained.)", "Then it stopped."],
        ["It begins on 9 May.", "Nobody knows why."],
        ["“I lose sleep in May.”", "May brings bright days."],
        ["Is it safe?", "No.", "Carers must come too.", "See No. 5 on Hill Road."],
        ["Some fell ill.", "Specialists came."],
        ["Bring photo ID.", "Without one, none."],
        ["It grew at 3,110 m.", "Anouk found it at 2.5 Mbit/s.", "Nobody else did."],
        ["Nothing was decided.", "Ms. Wirth will report.", "Dr. Lind won't."],
        ["(a) The sea moves in.", "Because of this, it floods.", "(b) Nothing happens."],
        ["She asked – why me? why now? – and left.", "Yahoo! is a firm.", "It fell!"],
        ["how are you?", "i am fine."],
        ["Bien sûr.", "Été comme hiver.", "Élan vital."],
        ["这是第一句。", "这是第二句。"],
        ["河水上涨。", "没有人在五月之前耕种！", "谁付钱？", "磨坊主说：“我付。”", "价格是3.5元。"],
        ["يرتفع النهر في الربيع.", "لا أحد يحرث قبل ذلك!", "من يدفع؟", "صاحب الطاحونة."],
        ["Река поднимается весной.", "А кто платит?", "Мельник, т. е. хозяин.", "Так решил г. Иванов!"],
        [
            "В 1962 г. мельницу продали.",
            "Она на ул. Мира.",
            "А. С. Пушкин писал об этом.",
            "Цена 5 руб. и 3 коп.",
        ],
        ["Ποιος πληρώνει;", "Ο μυλωνάς.", "Το 1962 μ.Χ. πουλήθηκε."],
        ["The end.", "Next\nline goes on.", "Done"],
    ],
)
def test_boundaries(expected: list[str]) -> None:
    joiner = "" if expected[0].endswith("。") else " "
    assert sentences(joiner.join(expected)) == expected


def test_a_bracket_that_closes_belongs_to_the_sentence_before() -> None:
    assert sentences("(He left. She stayed.) Next one.")[-1] == "Next one."
    assert sentences("It was so.) Next one.") == ["It was so.)", "Next one."]


@pytest.mark.parametrize("space", "\u0085\u00a0\u2003\u202f\u3000")
def test_wide_space_before_a_full_stop_is_read(space: str) -> None:
    assert sentences(f"It is vitamin A{space}. It is so.") == [f"It is vitamin A{space}.", "It is so."]


def test_offsets_count_from_the_beginning_of_the_text() -> None:
    text = "Heading\n\nOne. Two.\n\nEnd"
    assert [text[start:end] for start, end in sentence_spans(text, 9, 18)] == ["One.", "Two."]


def test_code_has_a_sentence_a_line() -> None:
    text = "if x:\n    y. Z\n\nend"
    assert [text[a:b] for a, b in sentence_spans(text, 0, len(text), by_line=True)] == [
        "if x:",
        "y. Z",
        "end",
    ]


def test_a_long_run_is_divided_between_words() -> None:
    pieces = sentences("word " * 1_000)
    assert " ".join(pieces) == ("word " * 1_000).strip()
    assert all(len(piece) <= MAX_SENTENCE_CHARS and piece.endswith("word") for piece in pieces)


def test_a_boundary_near_the_edge_of_a_window_is_found_all_the_same() -> None:
    sentence = "This sentence has a fixed length of characters, whatever happens to be around it."
    text = " ".join([sentence] * (3 * WINDOW_CHARS // len(sentence)))
    assert set(sentences(text)) == {sentence}


PIECES = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.sampled_from(
            [
                "It is. ",
                "No. ",
                "(a) ",
                "“Why?” ",
                "Ms. ",
                "… ",
                "\n",
                "\u200f",
                "K\u2003.",
                "\u1680",
                "Ё\u00a0",
                "9 May. ",
                ") ",
                "?! ",
                "é",
            ]
        ),
        st.integers(1, 2_000).map(lambda n: "x" * n),
    ),
    max_size=30,
).map("".join)


@settings(deadline=None)
@given(PIECES, st.booleans(), st.integers(0, 10))
def test_every_visible_character_is_in_exactly_one_sentence(text: str, by_line: bool, start: int) -> None:
    spans = sentence_spans(text, min(start, len(text)), len(text), by_line=by_line)
    at = min(start, len(text))
    for first, last in spans:
        assert at <= first < last <= len(text)
        assert not text[at:first].strip()
        assert text[first:last] == text[first:last].strip()
        assert by_line or last - first <= MAX_SENTENCE_CHARS
        at = last
    assert not text[at:].strip()


@pytest.mark.parametrize(
    "unit", ["x", "a ", "ы ", "т. е. ", "(A b. ", "“", "Is it? ", "ab\n", "… ", "He ran 3 m. "]
)
def test_time_grows_linearly(unit: str) -> None:
    text = (unit * 200_000)[:200_000]
    started = time.process_time()
    assert sentences(text)
    assert time.process_time() - started < 3
