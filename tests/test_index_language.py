from __future__ import annotations

from pathlib import Path

import pytest
from conftest import GERMAN, document_of

from index.embedding import FakeEmbedder, SentenceTransformerEmbedder
from index.language import foreign_line, language_of

RUSSIAN = (
    "Весной река поднимается, и никто не пашет до мая. Мельницу продали давно, но её колесо всё ещё "
    "вращается, когда вода стоит достаточно высоко."
)
CHINESE = "春天河水上涨，没有人在五月之前耕种。磨坊多年前就卖掉了，但是水位够高的时候，它的轮子仍然在转动。"
ARABIC = (
    "يرتفع النهر في الربيع، ولا أحد يحرث قبل شهر مايو. بيعت الطاحونة منذ سنوات، لكن عجلتها ما زالت تدور "
    "عندما يكون الماء مرتفعا بما يكفي."
)
NAMES = "\n".join(f"{first} {last}" for first in ("Jürgen", "Søren", "Łukasz") for last in ("Müller", "Ås"))
ENGLISH = sorted((Path(__file__).parent.parent / "rag" / "reader").glob("authored*/*.md"))


@pytest.mark.parametrize(
    ("text", "language"), [(GERMAN, "de"), (RUSSIAN, "ru"), (CHINESE, "zh"), (ARABIC, "ar")]
)
def test_the_language_of_a_document(text: str, language: str) -> None:
    assert language_of(document_of(text)) == language


@pytest.mark.parametrize(
    "text", ["Der Fluss steigt im Frühling.", "磨坊卖掉了。", NAMES, "3 4 5 6 7 8 9\n" * 20]
)
def test_what_says_too_little_has_no_language(text: str) -> None:
    assert language_of(document_of(text)) is None


def test_code_and_tables_do_not_count() -> None:
    code = "```\n" + "for each of the words in the text, print what is left of it\n" * 20 + "```\n"
    table = "| name | what it is |\n| --- | --- |\n" + "| mill | an old house by the river |\n" * 20
    assert language_of(document_of(f"{code}\n{GERMAN}\n\n{table}", "notes.md")) == "de"


def test_a_long_document_is_in_the_language_of_most_of_it() -> None:
    licence = "Permission is granted to whoever reads this text to copy it. " * 400
    assert language_of(document_of(licence + "\n\n" + GERMAN * 600)) == "de"


@pytest.mark.parametrize("path", ENGLISH[::10], ids=lambda path: path.stem)
def test_english_documents_are_english(path: Path) -> None:
    assert language_of(document_of(path.read_text(encoding="utf-8"), path.name)) == "en"


def knows(*codes: str) -> FakeEmbedder:
    embedder = FakeEmbedder()
    embedder.languages = frozenset(codes)
    return embedder


def test_the_line_names_both_languages() -> None:
    assert foreign_line("notes.md", "de", knows("en")) == (
        "notes.md seems to be in German, and the model knows English: answers may be poor; "
        "QUOTH_MODEL names a multilingual model"
    )
    assert "the model knows English, French, xy:" in (foreign_line("", "de", knows("fr", "xy", "en")) or "")


def test_where_nothing_is_known_there_is_no_line() -> None:
    assert foreign_line("notes.md", None, knows("en")) is None
    assert foreign_line("notes.md", "de", FakeEmbedder()) is None
    assert foreign_line("notes.md", "de", knows("en", "de")) is None


def test_the_bundled_model_knows_english() -> None:
    assert SentenceTransformerEmbedder().languages == {"en"}


@pytest.mark.model
@pytest.mark.parametrize(
    ("card", "languages"),
    [
        ("---\nlanguage: en\n---\n# Model", {"en"}),
        ("---\nlanguage:\n- en\n- pt-BR\n- nb\n---\n", {"en", "pt", "nb", "no"}),
        ("---\nlanguage: no\n---\n", {"no"}),
        ("---\nlanguage:\n- multilingual\n- de\n---\n", None),
        ("---\nlanguage: English\n---\n", None),
        ("---\nlicense: mit\n---\n", None),
        ("# A model", None),
        (None, None),
    ],
)
def test_another_model_knows_what_its_card_says(
    tmp_path: Path, card: str | None, languages: set[str] | None
) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(card, encoding="utf-8")
    assert SentenceTransformerEmbedder(str(tmp_path)).languages == languages
