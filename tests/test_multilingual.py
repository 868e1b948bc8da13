"""Another model, named in the settings: a tiny one that is made on the spot and knows three more scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import GERMAN

from index import Library
from index.embedding import FakeEmbedder
from ui.cli import cli

pytestmark = pytest.mark.model

TEXTS = {
    "zh": "春天河水上涨。没有人在五月之前耕种！磨坊主付钱修理轮子。磨坊多年前就卖掉了。",
    "ar": "يرتفع النهر في الربيع. لا أحد يحرث قبل شهر مايو. صاحب الطاحونة يدفع ثمن العجلة.",
    "ru": "Весной река поднимается. Никто не пашет до мая. Мельник платит за новое колесо.",
}
QUESTIONS = {"zh": "谁付钱修理轮子？", "ar": "من يدفع ثمن العجلة؟", "ru": "Кто платит за новое колесо?"}
WINDOW = 64


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sentence-transformers model: random weights, a tokenizer trained on TEXTS."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("model")
    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator(TEXTS.values(), vocab_size=300, show_progress=False)
    BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=WINDOW).save_pretrained(folder / "body")
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=300,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=WINDOW,
    )
    BertModel(shape).save_pretrained(folder / "body")
    built = SentenceTransformer(modules=[Transformer(str(folder / "body")), Pooling(shape.hidden_size)])
    built.model_card_data.set_language(["en", *TEXTS])
    built.save(str(folder / "whole"))
    return folder / "whole"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    for language, text in TEXTS.items():
        (tmp_path / f"{language}.txt").write_text(text, encoding="utf-8")
    return {language: tmp_path / f"{language}.txt" for language in TEXTS}


@pytest.fixture(autouse=True)
def named(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUOTH_MODEL", str(model))
    monkeypatch.setenv("QUOTH_LIBRARY", str(tmp_path / "library"))


def quoth(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, arguments, prog_name="quoth")
    assert result.exit_code == code, result.output
    return result


def test_documents_in_its_languages_are_added_and_found(files: dict[str, Path]) -> None:
    added = quoth("add", "--json", *map(str, files.values()))
    assert added.stderr == ""
    ids = {entry["language"]: entry["id"] for entry in json.loads(added.stdout)}
    assert set(ids) == set(TEXTS)
    for language, question in QUESTIONS.items():
        answer = json.loads(quoth("ask", "--json", "--document", ids[language], question, code=3).stdout)
        assert answer["status"] == "unsure"  # the reader does not know these letters
        assert {each["text"] for each in answer["leads"]} & {
            "磨坊主付钱修理轮子。",
            *TEXTS[language].split(". ")[2:],
        }
    assert "ok" in quoth("doctor").stdout


def test_a_language_that_its_card_does_not_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "fluss.txt").write_text(GERMAN, encoding="utf-8")
    told = quoth("add", str(tmp_path / "fluss.txt")).stderr
    assert "in German, and the model knows Arabic, Chinese, English, Russian:" in told


def test_a_library_of_another_model_is_embedded_again(files: dict[str, Path], tmp_path: Path) -> None:
    with Library.open(tmp_path / "library", embedder=FakeEmbedder()) as library:
        library.add_bundled()
        library.add(files["zh"])
    assert "quoth reindex" in quoth("ask", QUESTIONS["zh"], code=1).stderr
    assert quoth("reindex").stdout == "2 documents embedded again\n"
    assert "磨坊主付钱修理轮子。" in quoth("ask", QUESTIONS["zh"], code=3).stdout
