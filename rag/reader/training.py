"""Trains the reader's network: deterministic from its seed, resumable, logged."""

from __future__ import annotations

import csv
import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.nn.functional import log_softmax

from index.errors import QuothError
from rag.evaluation import auroc
from rag.reader.encoding import Batch, Encoded, Encoder, batch_of
from rag.reader.examples import Example, Window
from rag.reader.network import CUT_OFF, Network
from rag.reader.scoring import READ_HITS

SAVE_EVERY = 50
"""Steps between checkpoints."""


class TrainingError(QuothError):
    """A run cannot begin or go on."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """A pass over some of the data."""

    shares: dict[str, float]  # how much of each source is read; 1 is all of it once
    wrong_windows: int = 2  # read beside the right one (one more for a question without an answer)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the weights, beside the data."""

    seed: int = 0
    questions_per_step: int = 16
    windows_at_once: int = 12  # of a step's, in one pass through the network
    body_rate: float = 1e-4
    head_rate: float = 5e-4
    weight_decay: float = 0.01
    warm_up_steps: int = 150
    decay_share: float = (
        0.5  # of all steps, at the end: the rate is constant before (Hu et al. 2024, arXiv:2404.06395)
    )
    focus_weight: float = 0.2
    averaging: float = 0.999  # decay of the moving average that is kept (Polyak and Juditsky 1992)
    epochs: tuple[Epoch, ...] = ()


@dataclass(slots=True)
class State:
    """What a checkpoint holds."""

    network: Network
    average: dict[str, Tensor]
    optimizer: torch.optim.AdamW
    step: int
    seconds: float
    fingerprint: str  # of the recipe and the questions: a checkpoint of others is not gone on with


@dataclass(frozen=True, slots=True)
class Step:
    """The questions of one step (indices into the examples), and how many wrong windows each is read with."""

    questions: tuple[int, ...]
    wrong_windows: int


def steps_of(recipe: Recipe, examples: Sequence[Example]) -> list[Step]:
    """Every step, in order."""
    steps: list[Step] = []
    for number, epoch in enumerate(recipe.epochs):
        generator = np.random.default_rng((recipe.seed, number))
        chosen: list[int] = []
        for source, share in epoch.shares.items():
            mine = [at for at, each in enumerate(examples) if each.source == source and each.usable]
            while share > 0 and mine:
                take = round(len(mine) * min(share, 1.0))
                chosen += [mine[at] for at in generator.permutation(len(mine))[:take]]
                share -= 1.0
        together = _alike_in_length(chosen, examples, recipe.questions_per_step, generator)
        steps += [Step(tuple(questions), epoch.wrong_windows) for questions in together]
    return steps


def _alike_in_length(
    chosen: Sequence[int], examples: Sequence[Example], size: int, generator: np.random.Generator
) -> list[list[int]]:
    """Random steps whose questions have windows of about one length: padding is work for nothing."""
    shuffled = [chosen[at] for at in generator.permutation(len(chosen))]
    pool = 24 * size
    steps = []
    for start in range(0, len(shuffled), pool):
        part = sorted(shuffled[start : start + pool], key=lambda number: _length(examples[number]))
        steps += [part[at : at + size] for at in range(0, len(part), size)]
    return [steps[at] for at in generator.permutation(len(steps))]


def _length(example: Example) -> int:
    return max(len(window.text) for window in example.windows)


def windows_of(example: Example, wrong: int, generator: np.random.Generator) -> list[Window]:
    """One right window, if there is one, and some of the others, the better retrieved the likelier."""
    right = [number for number, window in enumerate(example.windows) if any(window.right)]
    others = [number for number in range(len(example.windows)) if number not in right]
    chosen = [right[0] if generator.random() < 0.7 else int(generator.choice(right))] if right else []
    count = min(len(others), wrong + (not right))
    if count:
        weights = 1.0 / (1.0 + np.asarray(others))
        chosen += list(generator.choice(others, count, replace=False, p=weights / weights.sum()))
    return [example.windows[number] for number in chosen]


def loss_of(
    network: Network,
    encoder: Encoder,
    examples: Sequence[Example],
    wrong_windows: int,
    windows_at_once: int,
    generator: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Mean losses of some questions: of the sentences, and of the focus.

    All sentences of a question's windows compete with one another and with "nothing here answers", whose
    logit is 0 ("shared normalisation", Clark and Gardner 2018, arXiv:1710.10723); where several sentences
    are right, their chances add up.
    """
    chosen = [windows_of(example, wrong_windows, generator) for example in examples]
    flat = [window for windows in chosen for window in windows]
    encoded = [
        each
        for example, windows in zip(examples, chosen, strict=True)
        for each in encoder.encode(example.question, [(window.text, window.spans) for window in windows])
    ]
    logits, focus = _outputs(network, encoded, windows_at_once)
    losses = []
    at = 0
    for windows in chosen:
        mine = range(at, at + len(windows))
        at += len(windows)
        nothing = logits[0].new_zeros(1)
        scores = torch.cat([logits[number] for number in mine])
        right = torch.tensor([mark for number in mine for mark in flat[number].right], device=scores.device)
        right &= scores > CUT_OFF
        target = scores[right] if right.any() else nothing
        losses.append(torch.logsumexp(torch.cat([nothing, scores]), 0) - torch.logsumexp(target, 0))
    return torch.stack(losses).mean(), _focus_loss(focus, flat, encoded)


def _outputs(network: Network, encoded: Sequence[Encoded], at_once: int) -> tuple[list[Tensor], list[Tensor]]:
    """Of each encoded window its sentence logits (n_sentences,) and focus logits (n_tokens, 2).

    Windows of about one length go through the network together: padding is work for nothing.
    """
    order = sorted(range(len(encoded)), key=lambda number: len(encoded[number].ids))
    logits: dict[int, Tensor] = {}
    focus: dict[int, Tensor] = {}
    for start in range(0, len(order), at_once):
        part = order[start : start + at_once]
        with precision(network):
            sentences, tokens = network(*_tensors(batch_of([encoded[number] for number in part]), network))
        for row, number in enumerate(part):
            logits[number] = sentences[row, : len(encoded[number].sentences)].float()
            focus[number] = tokens[row].float()
    return [logits[number] for number in range(len(encoded))], [
        focus[number] for number in range(len(encoded))
    ]


def _focus_loss(focus: Sequence[Tensor], windows: Sequence[Window], encoded: Sequence[Encoded]) -> Tensor:
    """Cross-entropy of start and end among the tokens of the right sentence, for answers shorter than it."""
    losses = []
    for row, (window, each) in enumerate(zip(windows, encoded, strict=True)):
        for start, end in window.focus[:1]:
            sentence = next(
                (
                    tokens
                    for tokens, span in zip(each.sentences, window.spans, strict=True)
                    if span[0] <= start and end <= span[1]
                ),
                (0, 0),
            )
            first, last = each.tokens_of(start, end)
            if sentence[0] <= first < last <= sentence[1] and last - first < sentence[1] - sentence[0] - 1:
                inside = log_softmax(focus[row][sentence[0] : sentence[1]], dim=0)
                losses.append(-inside[first - sentence[0], 0] - inside[last - 1 - sentence[0], 1])
    return torch.stack(losses).mean() if losses else focus[0].sum() * 0.0


def _tensors(batch: Batch, network: Network) -> tuple[Tensor, ...]:
    device = next(network.parameters()).device
    arrays: tuple[NDArray[Any], ...] = (batch.ids, batch.types, batch.mask, batch.sentences)
    return tuple(torch.from_numpy(array).to(device) for array in arrays)


def precision(network: Network) -> AbstractContextManager[Any]:
    """bfloat16 where the machine computes it natively (half the time on such a CPU), else float32."""
    device = next(network.parameters()).device.type
    return torch.autocast(device, dtype=torch.bfloat16, enabled=computed_in() == "bfloat16")


def computed_in() -> str:
    """The type that this machine trains in."""
    native = torch.cuda.is_available() or torch.cpu._is_avx512_bf16_supported()
    return "bfloat16" if native else "float32"


def train(
    recipe: Recipe,
    examples: Sequence[Example],
    measured: dict[str, Sequence[Example]],
    encoder: Encoder,
    body: Path,
    work: Path,
    *,
    measure_every: int = 400,
    threads: int = 2,
) -> Network:
    """Train from the body's weights, or go on from the checkpoint in `work`; returns the averaged network.

    `measured` are named sets whose figures are logged and change nothing.
    """
    torch.set_num_threads(threads)
    steps = steps_of(recipe, examples)
    state = _begin(recipe, body, work, _fingerprint(recipe, steps, examples))
    network = state.network
    log = work / "training.csv"
    _forget(log, state.step)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("training", total=len(steps), completed=state.step)
        while state.step < len(steps):
            started = time.perf_counter()
            losses = _step(state, steps, recipe, examples, encoder)
            state.step += 1
            state.seconds += time.perf_counter() - started
            progress.update(task, completed=state.step, description=f"training, loss {losses[0]:.3f}")
            due = state.step % measure_every == 0 or state.step == len(steps)
            figures = _figures(state, measured, encoder) if due else {}
            _log(
                log,
                {
                    "step": state.step,
                    "seconds": round(state.seconds),
                    "sentence_loss": round(losses[0], 4),
                    "focus_loss": round(losses[1], 4),
                    **figures,
                },
                measured,
            )
            if due or state.step % SAVE_EVERY == 0:
                _save(state, work)
    network.load_state_dict(state.average)
    return network.eval()


def _fingerprint(recipe: Recipe, steps: Sequence[Step], examples: Sequence[Example]) -> str:
    digest = hashlib.sha256(repr(recipe).encode())
    for step in steps:
        for number in step.questions:
            digest.update(repr(examples[number]).encode())
    return digest.hexdigest()


def _begin(recipe: Recipe, body: Path, work: Path, fingerprint: str) -> State:
    torch.manual_seed(recipe.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = Network(body).to(device)
    network.body.embeddings.word_embeddings.requires_grad_(False)  # 12 of 23 million weights, and rare words
    heads = [weights for name, weights in network.named_parameters() if not name.startswith("body.")]
    bodies = [
        weights
        for name, weights in network.named_parameters()
        if name.startswith("body.") and weights.requires_grad
    ]
    optimizer = torch.optim.AdamW(
        [{"params": bodies, "rate": recipe.body_rate}, {"params": heads, "rate": recipe.head_rate}],
        weight_decay=recipe.weight_decay,
    )
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    state = State(network, average, optimizer, 0, 0.0, fingerprint)
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        if saved["fingerprint"] != fingerprint:
            raise TrainingError(
                f"{checkpoint} belongs to another recipe or other data; remove it or choose another folder"
            )
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        state.average, state.step, state.seconds = saved["average"], saved["step"], saved["seconds"]
    return state


def _save(state: State, work: Path) -> None:
    parts = {
        "network": state.network.state_dict(),
        "average": state.average,
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "seconds": state.seconds,
        "fingerprint": state.fingerprint,
    }
    torch.save(parts, work / "checkpoint.part")
    (work / "checkpoint.part").replace(work / "checkpoint.pt")


def _step(
    state: State, steps: Sequence[Step], recipe: Recipe, examples: Sequence[Example], encoder: Encoder
) -> tuple[float, float]:
    network, number = state.network.train(), state.step
    torch.manual_seed(
        recipe.seed * 1_000_003 + number
    )  # dropout: a resumed run goes on as one that never stopped
    generator = np.random.default_rng((recipe.seed, 1, number))
    for group in state.optimizer.param_groups:
        group["lr"] = group["rate"] * _schedule(number, len(steps), recipe)
    sentence, focus = loss_of(
        network,
        encoder,
        [examples[at] for at in steps[number].questions],
        steps[number].wrong_windows,
        recipe.windows_at_once,
        generator,
    )
    (sentence + recipe.focus_weight * focus).backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    decay = min(recipe.averaging, (1 + number) / (10 + number))
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            state.average[name].lerp_(value, 1 - decay)
    return sentence.item(), focus.item()


def _schedule(step: int, total: int, recipe: Recipe) -> float:
    """Linear up, constant, linear down to zero at the end."""
    left = (total - step) / (recipe.decay_share * total)
    return min((step + 1) / recipe.warm_up_steps, left, 1.0)


# Figures


def _figures(state: State, measured: dict[str, Sequence[Example]], encoder: Encoder) -> dict[str, float]:
    current = {name: value.clone() for name, value in state.network.state_dict().items()}
    state.network.load_state_dict(state.average)
    found: dict[str, float] = {}
    for name, examples in measured.items():
        hit, area = figures(state.network, encoder, examples)
        found |= {f"{name} hit@1": round(hit, 4), f"{name} AUROC": round(area, 4)}
    state.network.load_state_dict(current)
    return found


def figures(network: Network, encoder: Encoder, examples: Sequence[Example]) -> tuple[float, float]:
    """Of the network alone: sentence hit@1 over the first windows, and the AUROC of "something answers"."""
    right, chance = [], []
    for example, logits in zip(examples, read(network, encoder, examples), strict=True):
        scores = np.concatenate(logits)
        correct = np.concatenate([window.right for window in example.windows[:READ_HITS]])
        right.append(bool(correct[int(np.argmax(scores))]))
        chance.append(float(np.logaddexp.reduce(scores)))
    answerable = np.array([example.answerable for example in examples])
    return float(np.mean(np.array(right)[answerable])), auroc(np.array(chance), answerable)


def read(
    network: Network, encoder: Encoder, examples: Sequence[Example], size: int = 16
) -> list[list[NDArray[np.float32]]]:
    """For every example the sentence logits of each of its first windows."""
    network.eval()
    encoded = [
        each
        for example in examples
        for each in encoder.encode(
            example.question, [(window.text, window.spans) for window in example.windows[:READ_HITS]]
        )
    ]
    with torch.inference_mode():
        found = iter(_outputs(network, encoded, size)[0])
    return [[next(found).cpu().numpy() for _ in example.windows[:READ_HITS]] for example in examples]


def _log(file: Path, row: dict[str, float], measured: dict[str, Sequence[Example]]) -> None:
    columns = ["step", "seconds", "sentence_loss", "focus_loss"]
    columns += [f"{name} {figure}" for name in measured for figure in ("hit@1", "AUROC")]
    new = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        if new:
            writer.writeheader()
        writer.writerow(row)


def _forget(log: Path, step: int) -> None:
    """Drop the rows after this step: they are of a run that stopped before its next checkpoint."""
    if log.exists():
        head, *rows = log.read_text("utf-8").splitlines()
        kept = [row for row in rows if int(row.partition(",")[0]) <= step]
        log.write_text("\n".join([head, *kept]) + "\n", "utf-8")


def read_log(file: Path) -> Iterator[dict[str, float]]:
    """The rows of a training log; what was not measured at a step is left out."""
    with file.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            yield {name: float(value) for name, value in row.items() if value}
