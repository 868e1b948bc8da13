"""Trains the reader: python -m rag.reader.train DATA

DATA is a folder with `squad_articles_train.json`, `qed_nq.json`, `selqa_sentences.json` and `covidqa.json`;
the authored documents stand beside this file. Where DATA also has the development sets, their figures are
logged and written into the model card; nothing is trained or fitted on them.

Everything that takes time is kept in the work folder: a run that was stopped goes on where it stood.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import torch

from index.embedding import bundled_folder
from rag.evaluation import Report, evaluate, load_articles
from rag.reader.calibration import ask, calibrate
from rag.reader.encoding import Encoder, batch_of
from rag.reader.examples import Example, Window, examples_of, held_out
from rag.reader.export import export, quantise
from rag.reader.network import Network
from rag.reader.report import model_card, plot_risk, plot_training
from rag.reader.scoring import SentenceScorer, checksum
from rag.reader.trained import CALIBRATION, MODEL_FOLDER, WEIGHTS, TrainedReader
from rag.reader.training import Epoch, Recipe, train

AUTHORED = Path(__file__).with_name("authored")
PICTURES = Path(__file__).parents[2] / "docs"

RECIPE = Recipe(
    epochs=(
        Epoch({"squad": 1.0, "qed": 1.0}, wrong_windows=1),
        Epoch({"authored": 1.0, "squad": 0.25, "selqa": 1.0, "covid": 1.0}),
    )
)

MEASURED_QUESTIONS = 400
"""Of each development set, asked when figures are logged during training."""

REFERENCE = "reference.json"
REFERENCE_CASES = 40

CALIBRATED = ("authored", "squad")
"""Sources whose held-out documents the calibration is fitted on; both weigh the same."""


@dataclass(frozen=True, slots=True)
class Source:
    """One set of questions."""

    name: str
    path: Path
    pooled: bool = False  # documents of a passage or two: wrong passages come from all of them


def sources(data: Path) -> list[Source]:
    """What is trained on."""
    return [
        Source("authored", AUTHORED),
        Source("squad", data / "squad_articles_train.json"),
        Source("qed", data / "qed_nq.json", pooled=True),
        Source("selqa", data / "selqa_sentences.json", pooled=True),
        Source("covid", data / "covidqa.json"),
    ]


def development(data: Path) -> list[Source]:
    """What is only measured, as far as it is there."""
    found = [
        Source("authored dev", data / "authored" / "dev"),
        Source("squad dev", data / "squad2_articles_dev.json"),
    ]
    return [source for source in found if source.path.exists()]


def prepared(source: Source, work: Path) -> list[Example]:
    """The source's examples; from the work folder when they were made of the same bytes before."""
    name = source.name.replace(" ", "-")
    file = work / f"{name}-{_digest(source.path)}.jsonl.gz"
    if not file.exists():
        part = file.with_suffix(".part")
        with gzip.open(part, "wt", encoding="utf-8") as stream:
            examples = examples_of(source.path, source.name, work / f"library-{name}", pooled=source.pooled)
            for example in examples:
                stream.write(json.dumps(asdict(example)) + "\n")
        part.replace(file)
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        return [_example(json.loads(line)) for line in stream]


def _example(content: dict[str, Any]) -> Example:
    windows = (
        Window(
            each["text"],
            tuple((start, end) for start, end in each["spans"]),
            tuple(each["right"]),
            tuple((start, end) for start, end in each["focus"]),
        )
        for each in content.pop("windows")
    )
    return Example(**content, windows=tuple(windows))


def _digest(path: Path) -> str:
    """Of the bytes of a file, or of all files of a folder."""
    files = sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _fit(data: Path, scorer: SentenceScorer, work: Path) -> dict[str, Any]:
    chosen = [source for source in sources(data) if source.name in CALIBRATED]
    asked = [
        each
        for source in chosen
        for each in ask(
            [article for article in load_articles(source.path) if held_out(article.name)],
            scorer,
            work / f"library-{source.name}",
            1 / len(chosen),
        )
    ]
    return calibrate(asked)


def _reference(network: Network, encoder: Encoder, examples: Sequence[Example]) -> list[dict[str, Any]]:
    """What PyTorch says about some held-out windows in float32, to hold ONNX Runtime against."""
    chosen = [example for example in examples if example.source == "authored" and held_out(example.document)]
    cases = []
    for example in chosen[:: len(chosen) // REFERENCE_CASES][:REFERENCE_CASES]:
        window = example.windows[0]
        batch = batch_of(encoder.encode(example.question, [(window.text, window.spans)]))
        tensors = [torch.from_numpy(each) for each in (batch.ids, batch.types, batch.mask, batch.sentences)]
        with torch.inference_mode():
            logits = network.cpu()(*tensors)[0][0]
        cases.append(
            {
                "question": example.question,
                "text": window.text,
                "spans": window.spans,
                "logits": [round(float(logit), 4) for logit in logits],
            }
        )
    return cases


def _write_json(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _measured(data: Path, work: Path, seed: int) -> dict[str, Sequence[Example]]:
    usable = {
        source.name: [example for example in prepared(source, work) if example.usable]
        for source in development(data)
    }
    return {
        name: random.Random(seed).sample(examples, min(MEASURED_QUESTIONS, len(examples)))
        for name, examples in usable.items()
    }


def _reports(data: Path, out: Path) -> Iterator[tuple[str, Report]]:
    for source in development(data):
        click.echo(f"==> asking {source.name}")
        yield source.name, evaluate(source.path, reader=TrainedReader(out))


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("training"),
    show_default=True,
    help="Folder for what is prepared, logged and saved on the way.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=MODEL_FOLDER,
    help="Folder that the weights, the calibration and the model card are written to.",
)
@click.option("--threads", default=2, show_default=True, help="CPU threads.")
def main(data: Path, work: Path, out: Path, threads: int) -> None:
    """Train the reader on DATA and write its weights, calibration, log and model card.

    Example: python -m rag.reader.train ~/quoth-data --work /tmp/training
    """
    work.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    encoder = Encoder(bundled_folder() / "tokenizer.json")
    examples = [example for source in sources(data) for example in prepared(source, work)]
    trained_on = [example for example in examples if not held_out(example.document)]
    measured = _measured(data, work, RECIPE.seed)
    network = train(RECIPE, trained_on, measured, encoder, bundled_folder(), work, threads=threads)

    click.echo("==> exporting")
    export(network, work / "reader-float32.onnx")
    quantise(work / "reader-float32.onnx", out / WEIGHTS)
    digest = checksum((out / WEIGHTS).read_bytes())

    _write_json(out / REFERENCE, _reference(network, encoder, examples))

    click.echo("==> calibrating")
    coefficients = _fit(data, SentenceScorer(out / WEIGHTS, digest, threads), work)
    content = {"sha256": digest, **coefficients}
    _write_json(out / CALIBRATION, content)
    (out / "training.csv").write_bytes((work / "training.csv").read_bytes())
    plot_training(work / "training.csv", PICTURES / "training.png")

    reports = dict(_reports(data, out))
    plot_risk(reports, PICTURES / "risk-coverage.png")
    (out / "MODEL_CARD.md").write_text(model_card(RECIPE, trained_on, reports), "utf-8")
    click.echo(f"wrote {out}")


if __name__ == "__main__":
    main()
