"""Trains the reader: python -m rag.reader.train DATA

DATA is a folder with `squad_articles_train.json`, `qed_nq.json` and `selqa_sentences.json`; the authored
documents stand beside this file. Where DATA also has the development sets, their figures are logged and
written into the model card; nothing is trained or fitted on them.

Everything that takes time is kept in the work folder: a run that was stopped goes on where it stood.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import shutil
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import torch

from index.embedding import bundled_folder
from index.passages import CHUNKING
from rag.conversation.talk import follow_ups
from rag.evaluation import Article, Report, evaluate, load_articles
from rag.reader.calibration import ask, calibrate
from rag.reader.encoding import Encoder, batch_of
from rag.reader.examples import OWN, VERSION, Example, Window, examples_of, held_out
from rag.reader.export import export, quantise
from rag.reader.network import Network
from rag.reader.report import model_card, plot_risk, plot_training
from rag.reader.scoring import SentenceScorer, checksum
from rag.reader.trained import CALIBRATION, MODEL_FOLDER, WEIGHTS, TrainedReader
from rag.reader.training import Epoch, Recipe, computed_in, read_log, steps_of, train

AUTHORED = Path(__file__).with_name("authored")
AUTHORED_2 = Path(__file__).with_name("authored_2")
AUTHORED_3 = Path(__file__).with_name("authored_3")
TALKS = Path(__file__).parents[1] / "conversation" / "talks"
PICTURES = Path(__file__).parents[2] / "docs"

RECIPE = Recipe(
    dropout=0.05,
    swaps={"squad": 0.3, "qed": 0.3},
    epochs=(
        Epoch({"squad": 1.0, "qed": 1.0, "selqa": 1.0, "authored": 1.0}),
        Epoch({"squad": 0.15, "authored_2": 1.0}, wrong_windows=2.5),
        Epoch(
            {"squad": 0.2, "qed": 0.3, "selqa": 0.2, "authored": 0.08, "authored_2": 0.08, "talks": 0.7},
            restart=0.5,
        ),
        Epoch(
            {
                "squad": 0.3,
                "qed": 0.3,
                "selqa": 0.2,
                "authored": 0.06,
                "authored_2": 0.06,
                "authored_3": 1.0,
                "talks": 0.7,
            }
        ),
    ),
)

MEASURED_QUESTIONS = 240
"""Of each development set, asked when figures are logged during training."""

REFERENCE = "reference.json"
REFERENCE_CASES = 40

CALIBRATED = ("authored", "squad")
"""Sources with documents kept from training, for fitting the calibration; both weigh the same."""

KEPT = (*CALIBRATED, "talks")
"""Sources some of whose documents are not trained on; those of the talks are of the authored ones."""

PREPARING = 2
"""Sources prepared side by side, each in a process."""


@dataclass(frozen=True, slots=True)
class Source:
    """One set of questions."""

    name: str
    path: Path
    pooled: bool = False  # documents of a passage or two: wrong passages come from all of them
    load: Callable[[Path], list[Article]] = load_articles


def sources(data: Path) -> list[Source]:
    """What is trained on."""
    return [
        Source("authored", AUTHORED),
        Source("authored_2", AUTHORED_2),
        Source("authored_3", AUTHORED_3),
        Source("talks", TALKS, load=partial(follow_ups, documents=AUTHORED)),
        Source("squad", data / "squad_articles_train.json"),
        Source("qed", data / "qed_nq.json", pooled=True),
        Source("selqa", data / "selqa_sentences.json", pooled=True),
    ]


def development(data: Path) -> list[Source]:
    """What is only measured, as far as it is there."""
    found = [
        Source("authored dev", data / "authored" / "dev"),
        Source("squad dev", data / "squad2_articles_dev.json"),
    ]
    return [source for source in found if source.path.exists()]


def prepare(every: Sequence[Source], work: Path) -> None:
    """Make the examples of every source that are not in the work folder yet."""
    missing = [source for source in every if not _file(source, work).exists()]
    with ProcessPoolExecutor(PREPARING, mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(_prepare, source, work) for source in missing]:
            done.result()


def _prepare(source: Source, work: Path) -> None:
    file = _file(source, work)
    part = file.with_suffix(".part")
    with gzip.open(part, "wt", encoding="utf-8") as stream:
        library = work / f"library-{_name(source)}-{_key(source)}"
        examples = examples_of(
            source.load(source.path), source.name, library, pooled=source.pooled, progress=_say(source.name)
        )
        for example in examples:
            stream.write(json.dumps(asdict(example), default=_as_text) + "\n")
    part.replace(file)


def _say(name: str) -> Callable[[str, int, int], None]:
    """A line whenever another tenth is done: bars of two processes would paint over each other."""
    said: set[tuple[str, int]] = set()

    def progress(stage: str, done: int, total: int) -> None:
        tenth = (stage, 10 * done // total)
        if tenth not in said:
            said.add(tenth)
            click.echo(f"{stage} {name}: {done} of {total} documents")

    return progress


def _file(source: Source, work: Path) -> Path:
    return work / f"{_name(source)}-{VERSION}-{_key(source)}.jsonl.gz"


def _name(source: Source) -> str:
    return source.name.replace(" ", "-")


def _key(source: Source) -> str:
    """Of the bytes that the examples are made of."""
    return f"{CHUNKING}-{_digest(source.path)}"


def prepared(source: Source, work: Path) -> list[Example]:
    """The source's examples, from the work folder."""
    with gzip.open(_file(source, work), "rt", encoding="utf-8") as stream:
        return [_example(json.loads(line)) for line in stream]


def _as_text(evidence: bytes) -> str:
    return b64encode(evidence).decode()


def _example(content: dict[str, Any]) -> Example:
    windows = (
        Window(
            each["text"],
            tuple((start, end) for start, end in each["spans"]),
            tuple(each["right"]),
            tuple((start, end) for start, end in each["focus"]),
            b64decode(each["evidence"]),
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


def _kept(example: Example) -> bool:
    return example.source in KEPT and held_out(example.document)


def _fit(examples: Sequence[Example], scorer: SentenceScorer) -> dict[str, Any]:
    sets = [[each for each in examples if each.source == name and _kept(each)] for name in CALIBRATED]
    return calibrate([each for held in sets for each in ask(held, scorer, 1 / len(sets))])


def _reference(network: Network, encoder: Encoder, examples: Sequence[Example]) -> list[dict[str, Any]]:
    """What PyTorch says about some held-out windows in float32, to hold ONNX Runtime against."""
    chosen = [each for each in examples if each.source == "authored" and _kept(each)]
    cases = []
    for example in chosen[:: max(1, len(chosen) // REFERENCE_CASES)][:REFERENCE_CASES]:
        read = example.windows[0].to_read()
        read = read._replace(evidence=read.evidence.round(4))
        batch = batch_of(encoder.encode(example.question, [read]))
        with torch.inference_mode():
            logits = network.cpu()(*map(torch.from_numpy, batch))[0][0]
        cases.append(
            {
                "question": example.question,
                "text": read.text,
                "spans": read.spans,
                "evidence": [[round(float(value), 4) for value in row] for row in read.evidence],
                "logits": [round(float(logit), 4) for logit in logits],
            }
        )
    return cases


def _write_json(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _measured(data: Path, work: Path, seed: int) -> dict[str, Sequence[Example]]:
    usable = {
        source.name: [each for each in prepared(source, work) if each.usable and each.kind != OWN]
        for source in development(data)
    }
    return {
        name: random.Random(seed).sample(examples, min(MEASURED_QUESTIONS, len(examples)))
        for name, examples in usable.items()
    }


def _reports(data: Path, made: Path) -> Iterator[tuple[str, Report]]:
    for source in development(data):
        click.echo(f"==> asking {source.name}")
        yield source.name, evaluate(source.path, reader=TrainedReader(made))


def _check(data: Path) -> None:
    missing = [str(source.path) for source in sources(data) if not source.path.exists()]
    if missing:
        raise click.ClickException(f"there is no {', no '.join(missing)}; see the README of the data")


def _machine(work: Path, threads: int) -> str:
    *_, last = read_log(work / "training.csv")
    used = f"{min(threads, RECIPE.parts)} CPU threads"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else used
    kind = str(computed_in()).removeprefix("torch.")
    return f"{last['step']:.0f} steps in {last['seconds'] / 60:.0f} minutes on {device}, {kind}"


def _publish(made: Path, out: Path) -> None:
    """Put what was made in place, the calibration (which pins the weights) last."""
    out.mkdir(parents=True, exist_ok=True)
    for file in sorted(made.iterdir(), key=lambda file: file.name == CALIBRATION):
        part = out / f"{file.name}.part"
        shutil.copyfile(file, part)
        part.replace(out / file.name)


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
    help="Folder that the weights, the calibration and the model card are put into at the end.",
)
@click.option(
    "--threads",
    default=RECIPE.parts,
    show_default=True,
    help=f"CPU threads; training uses at most {RECIPE.parts}.",
)
def main(data: Path, work: Path, out: Path, threads: int) -> None:
    """Train the reader on DATA and put its weights, calibration and model card in place.

    Example: python -m rag.reader.train ~/quoth-data --work /tmp/training
    """
    _check(data)
    made = work / "model"
    made.mkdir(parents=True, exist_ok=True)
    encoder = Encoder(bundled_folder() / "tokenizer.json")
    click.echo("==> preparing")
    prepare([*sources(data), *development(data)], work)
    examples = [example for source in sources(data) for example in prepared(source, work)]
    seen = [example for example in examples if not _kept(example)]
    measured = _measured(data, work, RECIPE.seed)
    network = train(RECIPE, seen, measured, encoder, bundled_folder(), work, threads=threads)

    click.echo("==> exporting")
    export(network, work / "reader-float32.onnx")
    quantise(work / "reader-float32.onnx", made / WEIGHTS)
    digest = checksum((made / WEIGHTS).read_bytes())
    cases = [json.dumps(case, ensure_ascii=False) for case in _reference(network, encoder, examples)]
    (made / REFERENCE).write_text("[\n" + ",\n".join(cases) + "\n]\n", "utf-8")

    click.echo("==> calibrating")
    coefficients = _fit(examples, SentenceScorer(made / WEIGHTS, digest, threads))
    _write_json(made / CALIBRATION, {"sha256": digest, **coefficients})

    reports = dict(_reports(data, made))
    read = {number for step in steps_of(RECIPE, seen) for number in step.questions}
    card = model_card(RECIPE, [seen[number] for number in sorted(read)], _machine(work, threads), reports)
    (made / "MODEL_CARD.md").write_text(card, "utf-8")
    shutil.copyfile(work / "training.csv", made / "training.csv")
    _publish(made, out)
    pictures = PICTURES if out == MODEL_FOLDER else out
    plot_training(work / "training.csv", pictures / "training.png")
    plot_risk(reports, pictures / "risk-coverage.png")
    click.echo(f"the reader is in {out}")


if __name__ == "__main__":
    main()
