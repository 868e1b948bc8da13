"""Trains the reader's network: deterministic from its seed, resumable, logged."""

from __future__ import annotations

import copy
import csv
import hashlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

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
from rag.reader.swaps import swapped

SAVE_EVERY = 50
"""Steps between checkpoints."""


class TrainingError(QuothError):
    """A run cannot begin or go on."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """A pass over some of the data."""

    shares: dict[str, float]  # how much of each source is read; 1 is all of it once
    wrong_windows: float = 2.0  # read beside a first one, which answers if one does; on average
    restart: float = 0.0  # above 0 the rates, having come down, begin anew at this share of the recipe's


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the weights, beside the data."""

    seed: int = 0
    questions_per_step: int = 16
    parts: int = 2  # of a step, each computed by one thread: small matrices gain nothing from several
    windows_at_once: int = 12  # of a part's, in one pass through the network
    body_rate: float = 1.5e-4
    head_rate: float = 5e-4
    weight_decay: float = 0.01
    warm_up_steps: int = 150
    decay_share: float = 0.5  # of a cycle's steps, at its end; constant before
    focus_weight: float = 0.2
    swaps: dict[str, float] = field(default_factory=dict)  # share of a source's answerable questions, changed
    averaging: float = 0.999  # decay of the moving average that is kept (Polyak and Juditsky 1992)
    dropout: float = 0.0  # in the body, one mask for all tokens of a passage
    epochs: tuple[Epoch, ...] = ()


class Past:
    """Fingerprint of all that made a network so far: a checkpoint with another past is not gone on with.

    Steps to come are not in it: a run may go on with more data than it began with, and gives what a run
    from the beginning would.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._digest = hashlib.sha256(repr(replace(recipe, epochs=(), decay_share=0.0)).encode())

    def add(self, step: Step, examples: Sequence[Example]) -> None:
        """One more step."""
        read = [examples[number] for number in step.questions]
        self._digest.update(repr((step.rate, step.wrong_windows, read)).encode())

    def fingerprint(self) -> str:
        """Of the steps so far."""
        return self._digest.hexdigest()


@dataclass(slots=True)
class State:
    """What a checkpoint holds."""

    network: Network  # in float32: what the optimizer changes
    working: list[Network]  # what is computed with, one for each part
    average: dict[str, Tensor]
    optimizer: torch.optim.AdamW
    step: int
    seconds: float
    past: Past


@dataclass(frozen=True, slots=True)
class Step:
    """The questions of one step (indices into the examples), and how many wrong windows each is read with."""

    questions: tuple[int, ...]
    wrong_windows: float
    rate: float  # share of the recipe's rates


def steps_of(recipe: Recipe, examples: Sequence[Example]) -> list[Step]:
    """Every step, in order."""
    cycles: list[list[Step]] = [[]]  # each with rates that go up and down once
    peak = 1.0
    for number, epoch in enumerate(recipe.epochs):
        if epoch.restart:
            cycles.append([])
            peak = epoch.restart
        cycles[-1] += [
            Step(tuple(questions), epoch.wrong_windows, peak)
            for questions in _questions(recipe, number, epoch, examples)
        ]
    return [
        replace(step, rate=step.rate * _rate(at, len(cycle), recipe))
        for cycle in cycles
        for at, step in enumerate(cycle)
    ]


def _rate(step: int, total: int, recipe: Recipe) -> float:
    """Linear up, constant, linear down to zero, within a cycle (Loshchilov and Hutter 2017, arXiv:1608.03983,
    with the shape of Hu et al. 2024, arXiv:2404.06395)."""
    return min((step + 1) / recipe.warm_up_steps, (total - step) / (recipe.decay_share * total), 1.0)


def _questions(recipe: Recipe, number: int, epoch: Epoch, examples: Sequence[Example]) -> list[list[int]]:
    """The questions of each step of an epoch."""
    generator = np.random.default_rng((recipe.seed, number))
    chosen: list[int] = []
    for source, share in epoch.shares.items():
        mine = [at for at, each in enumerate(examples) if each.source == source and each.usable]
        while share > 0 and mine:
            take = round(len(mine) * min(share, 1.0))
            chosen += [mine[at] for at in generator.permutation(len(mine))[:take]]
            share -= 1.0
    return _alike_in_length(chosen, examples, recipe.questions_per_step, generator)


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


def windows_of(example: Example, wrong: float, generator: np.random.Generator) -> list[Window]:
    """A right window, or any of a question that has none, and some wrong ones, rather the better retrieved.

    Of 0.5 wrong ones, one is read half of the time.
    """
    right = [number for number, window in enumerate(example.windows) if any(window.right)]
    first = right or list(range(len(example.windows)))
    chosen = [first[0] if generator.random() < 0.7 else int(generator.choice(first))]
    others = [number for number in range(len(example.windows)) if number not in {*right, *chosen}]
    count = min(len(others), int(wrong) + (generator.random() < wrong % 1))
    if count:
        weights = 1.0 / (1.0 + np.asarray(others))
        chosen += list(generator.choice(others, count, replace=False, p=weights / weights.sum()))
    return [example.windows[number] for number in chosen]


def loss_of(
    network: Network,
    encoder: Encoder,
    examples: Sequence[Example],
    wrong_windows: float,
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
        for each in encoder.encode(example.question, [window.to_read() for window in windows])
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
        sentences, tokens = network(*_tensors(batch_of([encoded[number] for number in part]), network))
        for row, number in enumerate(part):
            logits[number] = sentences[row, : len(encoded[number].sentences)]
            focus[number] = tokens[row]
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
    return tuple(torch.from_numpy(array).to(device) for array in batch)


def computed_in() -> torch.dtype:
    """bfloat16 where the machine computes it natively (less than half the time on such a CPU)."""
    native = torch.cuda.is_available() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else torch.float32


def _working_copy(network: Network) -> Network:
    """What is computed with: the same network, its body in the machine's type (Micikevicius et al. 2018)."""
    working = copy.deepcopy(network)
    working.body.to(computed_in())
    return working


def train(
    recipe: Recipe,
    examples: Sequence[Example],
    measured: dict[str, Sequence[Example]],
    encoder: Encoder,
    body: Path,
    work: Path,
    *,
    measure_every: int = 1_000,
    threads: int = 2,
) -> Network:
    """Train from the body's weights, or go on from the checkpoint in `work`; returns the averaged network.

    `measured` are named sets whose figures are logged and change nothing.
    """
    torch.set_num_threads(1)  # the parts of a step are what runs side by side
    steps = steps_of(recipe, examples)
    state = _begin(recipe, steps, examples, body, work)
    network = state.network
    log = work / "training.csv"
    _forget(log, state.step)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with ThreadPoolExecutor(threads) as pool, Progress(*columns) as progress:
        task = progress.add_task("training", total=len(steps), completed=state.step)
        while state.step < len(steps):
            started = time.perf_counter()
            losses = _step(state, steps[state.step], recipe, examples, encoder, pool)
            state.past.add(steps[state.step], examples)
            state.step += 1
            state.seconds += time.perf_counter() - started
            progress.update(task, completed=state.step, description=f"training, loss {losses[0]:.3f}")
            due = state.step % measure_every == 0 or state.step == len(steps)
            figures = _figures(state, measured, encoder, pool) if due else {}
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


def _begin(
    recipe: Recipe, steps: Sequence[Step], examples: Sequence[Example], body: Path, work: Path
) -> State:
    torch.manual_seed(recipe.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = Network(body, recipe.dropout)
    checkpoint = work / "checkpoint.pt"
    if not checkpoint.exists():  # one holds the scale that its run began with
        _scale_evidence(network, [each for each in examples if each.source in recipe.epochs[0].shares])
    network = network.to(device)
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
    working = [_working_copy(network) for _ in range(recipe.parts)]
    state = State(network, working, average, optimizer, 0, 0.0, Past(recipe))
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        for step in steps[: saved["step"]]:
            state.past.add(step, examples)
        if saved["fingerprint"] != state.past.fingerprint():
            raise TrainingError(
                f"{checkpoint} belongs to another recipe or other data; remove it or choose another folder"
            )
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        state.average, state.step, state.seconds = saved["average"], saved["step"], saved["seconds"]
    return state


def _scale_evidence(network: Network, examples: Sequence[Example]) -> None:
    rows = torch.from_numpy(
        np.concatenate([window.to_read().evidence for example in examples for window in example.windows])
    )
    network.mean.copy_(rows.mean(dim=0))
    network.scale.copy_(rows.std(dim=0).clamp(min=1e-3))


def _save(state: State, work: Path) -> None:
    parts = {
        "network": state.network.state_dict(),
        "average": state.average,
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "seconds": state.seconds,
        "fingerprint": state.past.fingerprint(),
    }
    torch.save(parts, work / "checkpoint.part")
    (work / "checkpoint.part").replace(work / "checkpoint.pt")


def _step(
    state: State,
    step: Step,
    recipe: Recipe,
    examples: Sequence[Example],
    encoder: Encoder,
    pool: ThreadPoolExecutor,
) -> tuple[float, float]:
    chosen = [examples[number] for number in step.questions]

    def gradients(part: int) -> tuple[float, float]:
        """Of one part of the questions, weighed by its size; left in its working copy."""
        mine = chosen[part :: recipe.parts]
        working = state.working[part].train()
        working.load_state_dict(state.network.state_dict())
        working.zero_grad(set_to_none=True)
        if not mine:
            return 0.0, 0.0
        generator = np.random.default_rng((recipe.seed, 1, state.step, part))
        working.drop_by(generator)
        read = [_maybe_swapped(example, recipe, generator) for example in mine]
        losses = loss_of(working, encoder, read, step.wrong_windows, recipe.windows_at_once, generator)
        sentence, focus = (loss * len(mine) / len(chosen) for loss in losses)
        (sentence + recipe.focus_weight * focus).backward()  # type: ignore[no-untyped-call]
        return sentence.item(), focus.item()

    losses = list(pool.map(gradients, range(recipe.parts)))
    used = zip(*(working.parameters() for working in state.working), strict=True)
    for weights, copies in zip(state.network.parameters(), used, strict=True):
        found = [each.grad.to(weights.dtype) for each in copies if each.grad is not None]
        weights.grad = torch.stack(found).sum(dim=0) if found else None
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), 1.0)
    for group in state.optimizer.param_groups:
        group["lr"] = group["rate"] * step.rate
    state.optimizer.step()
    decay = min(recipe.averaging, (1 + state.step) / (10 + state.step))
    for name, value in state.network.state_dict().items():
        if value.is_floating_point():
            state.average[name].lerp_(value, 1 - decay)
    sentence, focus = np.sum(losses, axis=0)
    return float(sentence), float(focus)


def _maybe_swapped(example: Example, recipe: Recipe, generator: np.random.Generator) -> Example:
    """The example, or at times one whose question was changed so that nothing answers it."""
    wanted = example.answerable and generator.random() < recipe.swaps.get(example.source, 0.0)
    return (swapped(example, generator) if wanted else None) or example


# Figures


def _figures(
    state: State, measured: dict[str, Sequence[Example]], encoder: Encoder, pool: ThreadPoolExecutor
) -> dict[str, float]:
    for working in state.working:
        working.load_state_dict(state.average)
    found: dict[str, float] = {}
    for name, examples in measured.items():
        parts = [examples[part :: len(state.working)] for part in range(len(state.working))]
        logits = pool.map(read, state.working, [encoder] * len(parts), parts)
        both = [
            pair for part, said in zip(parts, logits, strict=True) for pair in zip(part, said, strict=True)
        ]
        hit, area = figures(*zip(*both, strict=True))
        found |= {f"{name} hit@1": round(hit, 4), f"{name} AUROC": round(area, 4)}
    return found


def figures(
    examples: Sequence[Example], said: Sequence[Sequence[NDArray[np.float32]]]
) -> tuple[float, float]:
    """Of the network alone: sentence hit@1 over the windows read, and the AUROC of "something answers"."""
    right, chance = [], []
    for example, logits in zip(examples, said, strict=True):
        scores = np.concatenate(logits)
        correct = np.concatenate([window.right for window in example.to_read()])
        right.append(bool(correct[int(np.argmax(scores))]))
        chance.append(float(np.logaddexp.reduce(scores)))
    answerable = np.array([example.answerable for example in examples])
    return float(np.mean(np.array(right)[answerable])), auroc(np.array(chance), answerable)


def read(
    network: Network, encoder: Encoder, examples: Sequence[Example], size: int = 16
) -> list[list[NDArray[np.float32]]]:
    """For every example the sentence logits of each of the windows that the reader reads."""
    network.eval()
    windows = [example.to_read() for example in examples]
    encoded = [
        each
        for example, mine in zip(examples, windows, strict=True)
        for each in encoder.encode(example.question, [window.to_read() for window in mine])
    ]
    with torch.inference_mode():
        found = iter(_outputs(network, encoded, size)[0])
    return [[next(found).cpu().numpy() for _ in mine] for mine in windows]


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
