"""The training run on a handful of questions: it learns, stops and goes on, and exports what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from index.embedding import bundled_folder
from rag.reader import training
from rag.reader.encoding import Encoder, ToRead, batch_of
from rag.reader.examples import SWAPPED, Example, Window
from rag.reader.export import export, quantise
from rag.reader.features import EVIDENCE
from rag.reader.network import CUT_OFF, Dropout, Network
from rag.reader.scoring import SentenceScorer, checksum
from rag.reader.training import Epoch, Recipe, TrainingError, read_log, train

pytestmark = pytest.mark.model

SENTENCES = (
    ("Who guards the house?", "Dogs guard the house."),
    ("How long do cats sleep?", "Cats sleep sixteen hours a day."),
    ("What do foxes eat?", "Foxes eat mice and berries."),
    ("When do owls hunt?", "Owls hunt at night."),
)
FOCUS = ((0, 4),)
NOISE = np.random.default_rng(0).normal(size=(len(SENTENCES), 1, len(EVIDENCE))).astype(np.float16)
for name in ("sentence_similarity", "passage_similarity", "passage_bm25"):
    NOISE[..., EVIDENCE.index(name)] = 0.0  # all are equally near: all are read

RECIPE = Recipe(
    questions_per_step=4,
    warm_up_steps=1,
    averaging=0.5,
    dropout=0.05,
    epochs=(Epoch({"toy": 16.0}, wrong_windows=2),),
)


def examples() -> list[Example]:
    """Four questions, each with the four sentences as windows."""
    return [
        Example(
            question,
            "fact",
            "toy",
            "toy.txt",
            True,
            tuple(
                Window(
                    text, ((0, len(text)),), (text == answer,), FOCUS if text == answer else (), row.tobytes()
                )
                for (_, text), row in zip(SENTENCES, NOISE, strict=True)
            ),
        )
        for question, answer in SENTENCES
    ]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(bundled_folder() / "tokenizer.json")


def run(work: Path, encoder: Encoder, recipe: Recipe = RECIPE, *, threads: int = 2) -> Network:
    work.mkdir(exist_ok=True)
    measured: dict[str, Sequence[Example]] = {"toy": examples()}
    folder = bundled_folder()
    return train(recipe, examples(), measured, encoder, folder, work, measure_every=2, threads=threads)


def assert_equal(one: Network, other: Network) -> None:
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_it_learns_and_goes_on_after_a_stop(
    tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path / "whole", encoder)
    rows = list(read_log(tmp_path / "whole" / "training.csv"))
    assert [row["step"] for row in rows] == list(range(1, 17))
    assert rows[-1]["sentence_loss"] < 0.7 * rows[0]["sentence_loss"]
    assert rows[-1]["toy hit@1"] >= 0.75

    stop_after(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", encoder)
    monkeypatch.undo()
    assert_equal(whole, run(tmp_path / "stopped", encoder))
    logged = list(read_log(tmp_path / "stopped" / "training.csv"))
    assert [row["step"] for row in logged] == list(range(1, 17))


def stop_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the step after these."""
    step = training._step
    done: list[int] = []

    def stopped(*arguments: object) -> tuple[float, float]:
        if len(done) == steps:
            raise KeyboardInterrupt
        done.append(1)
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "_step", stopped)


def test_a_run_goes_on_with_more_than_it_began_with(
    tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    longer = replace(RECIPE, epochs=(*RECIPE.epochs, Epoch({"toy": 4.0}, wrong_windows=1)))
    stop_after(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "begun", encoder)
    monkeypatch.undo()
    assert_equal(run(tmp_path / "whole", encoder, longer), run(tmp_path / "begun", encoder, longer))


def test_dropout_hides_whole_dimensions_while_training_only() -> None:
    dropout = Dropout(0.25)
    states = torch.ones(3, 5, 400)
    assert torch.equal(dropout.eval()(states), states)
    dropped = dropout.train()(states)
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert 0.15 < (dropped == 0.0).float().mean() < 0.35
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.1)
    assert not torch.equal(dropped[0], dropped[1])


def test_parts_of_a_step_side_by_side_give_what_they_give_in_turn(tmp_path: Path, encoder: Encoder) -> None:
    short = replace(RECIPE, epochs=(Epoch({"toy": 1.25}, wrong_windows=1),))  # the last step has one question
    together = run(tmp_path / "two", encoder, short, threads=2)
    assert_equal(together, run(tmp_path / "one", encoder, short, threads=1))
    assert len(list(read_log(tmp_path / "one" / "training.csv"))) == 2


def test_evidence_is_scaled_and_learned_from(tmp_path: Path, encoder: Encoder) -> None:
    network = run(tmp_path, encoder)
    rows = np.tile(NOISE[:, 0].astype(np.float32), (len(SENTENCES), 1))  # each question has all four
    assert network.mean.numpy() == pytest.approx(rows.mean(axis=0), abs=1e-5)
    assert network.scale.numpy() == pytest.approx(np.maximum(rows.std(axis=0, ddof=1), 1e-3), rel=1e-4)
    torch.manual_seed(RECIPE.seed)
    assert not torch.equal(network.wide.weight, Network(bundled_folder()).wide.weight)


def test_the_evidence_of_a_sentence_moves_that_sentence_alone(encoder: Encoder) -> None:
    network = Network(bundled_folder()).eval()
    text = "Dogs guard the house. Cats sleep."
    evidence = np.zeros((2, len(EVIDENCE)), dtype=np.float32)
    changed = evidence.copy()
    changed[1, 0] = 1.0
    reads = [ToRead(text, ((0, 21), (22, 33)), rows) for rows in (evidence, changed)]
    with torch.inference_mode():
        before, after = network(*map(torch.from_numpy, batch_of(encoder.encode("Who?", reads))))[0]
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_only_the_sources_that_the_recipe_names_are_exchanged() -> None:
    text = "In 1893 Ada dug. It rained in 1897."
    windows = (Window(text, ((0, 16), (17, 35)), (True, False), (), b""),)
    example = Example("Who dug in 1893?", "factoid", "toy", "toy.txt", True, windows)
    generator = np.random.default_rng(0)
    changed = training._maybe_swapped(example, Recipe(swaps={"toy": 1.0}), generator)
    assert (changed.question, changed.kind) == ("Who dug in 1897?", SWAPPED)
    assert training._maybe_swapped(example, Recipe(swaps={"other": 1.0}), generator) is example
    silent = replace(example, answerable=False)
    assert training._maybe_swapped(silent, Recipe(swaps={"toy": 1.0}), generator) is silent


def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path, encoder: Encoder) -> None:
    run(tmp_path, encoder)
    with pytest.raises(TrainingError, match="other data"):
        train(RECIPE, examples()[:3], {}, encoder, bundled_folder(), tmp_path)


def test_what_is_exported_says_the_same(tmp_path: Path, encoder: Encoder) -> None:
    torch.manual_seed(0)
    network = Network(bundled_folder()).eval()
    evidence = np.random.default_rng(0).normal(size=(2, len(EVIDENCE))).astype(np.float32)
    texts = [ToRead(text, ((0, len(text)), (900, 909)), evidence) for _, text in SENTENCES]
    question = "How long do cats sleep?"
    batch = batch_of(encoder.encode(question, texts))
    with torch.inference_mode():
        expected, expected_focus = (each.numpy() for each in network(*map(torch.from_numpy, batch)))
    export(network, tmp_path / "float32.onnx")
    quantise(tmp_path / "float32.onnx", tmp_path / "int8.onnx")
    for name, tolerance in (("float32", 1e-4), ("int8", 0.3)):
        file = tmp_path / f"{name}.onnx"
        found = SentenceScorer(file, checksum(file.read_bytes())).run(question, texts)
        for row, (logits, focus, encoded) in enumerate(found):
            assert np.abs(logits - expected[row]).max() < tolerance
            assert logits[1] == CUT_OFF
            assert np.abs(focus - expected_focus[row, : len(encoded.ids)]).max() < tolerance
    assert (tmp_path / "int8.onnx").stat().st_size < 30_000_000
    quantised = {
        node.name.split("/")[1]
        for node in onnx.load(tmp_path / "int8.onnx").graph.node
        if node.op_type == "MatMulInteger"
    }
    assert quantised == {"body"}


def test_a_sentence_beyond_the_window_never_wins(encoder: Encoder) -> None:
    network = Network(bundled_folder()).eval()
    text = "word " * 400
    evidence = np.zeros((2, len(EVIDENCE)), dtype=np.float32)
    batch = batch_of(encoder.encode("Which word?", [ToRead(text, ((0, 4), (1_990, 1_999)), evidence)]))
    with torch.inference_mode():
        logits = network(*map(torch.from_numpy, batch))[0][0]
    assert logits[1] == CUT_OFF < logits[0]
