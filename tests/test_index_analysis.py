from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from index import Library
from index.analysis import stem, terms, topic_terms, words

STARTS = ("gener", "organ", "rel", "hope", "conflat", "troubl", "siz", "act", "commun")
MIDDLES = ("", "at", "iz", "ion", "al")
ENDINGS = ("ing", "ed", "ational", "fulness", "ly", "ies", "ement", "s", "ousli")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Software 2.0, again", ["software", "2.0", "again"]),
        ("a balance of £3,412", ["a", "balance", "of", "3412"]),
        ("Karpathy’s café isn’t open", ["karpathy", "cafe", "isnt", "open"]),
        ("vision-only C++", ["vision", "only", "c"]),
        ("中文字", ["中", "文", "字"]),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_documents_and_questions_meet_in_the_same_terms() -> None:
    assert terms("removing the sensors") == terms("Removed THE sensor")


OTHER_SCRIPTS = pytest.mark.parametrize(
    ("text", "question"),
    [
        ("河水在春天上涨。没有人在五月之前耕种！", "春天"),
        ("يرتفع النهر في الرَّبيع. لا أحد يحرث قبل ذلك!", "الربيع؟"),
        ("Река поднимается весной. Мельницу продали в мае.", "МЕЛЬНИЦУ"),
        ("नदी वसंत में बढ़ती है।", "वसंत"),
    ],
)


@OTHER_SCRIPTS
def test_words_of_other_scripts_are_terms_as_they_are(text: str, question: str) -> None:
    assert topic_terms(question)
    assert set(topic_terms(question)) <= set(terms(text))


@OTHER_SCRIPTS
def test_full_text_finds_words_of_other_scripts(library: Library, text: str, question: str) -> None:
    document = library.add(f"The mill stands still.\n\n{text}".encode(), name="river.txt")
    library.add(b"Nobody comes to the mill.", name="mill.txt")
    found = library.matching(topic_terms(question), 5)
    ids = [number for number, _ in found]
    assert [stored.passage.document_id for stored in library.passages(ids)] == [document.id]


def test_topic_terms_are_distinct_and_without_stop_words() -> None:
    assert topic_terms("Why did Tesla remove the radar, the radar?") == ["tesla", "remov", "radar"]


def test_a_question_of_stop_words_keeps_them() -> None:
    assert topic_terms("What is it about?") == ["what", "is", "it", "about"]


def test_threads_that_stem_at_once_agree() -> None:
    words = [f"{start}{middle}{end}" for start in STARTS for middle in MIDDLES for end in ENDINGS]
    expected = [stem.__wrapped__(word) for word in words]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: [stem.__wrapped__(word) for word in words], range(4)))
    finally:
        sys.setswitchinterval(before)
    assert found == [expected] * 4
