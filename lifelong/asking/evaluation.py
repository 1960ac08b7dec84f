"""How good a task is on its test cases: ranks in the full catalogue, probabilities, numbers; cold users apart; intervals."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lifelong.asking.inference import NOBODY, Answering, Excluded
from lifelong.asking.retrieval import halves_ranked
from lifelong.core.types import (
    Classified,
    Estimated,
    History,
    Labelled,
    Measure,
    Outcome,
    Ranked,
    joined,
    moved,
    some_cases,
)
from lifelong.data.feeds import case_batches
from lifelong.data.sequences import Points, Sequences
from lifelong.metrics.baselines import Counting, LastItemMarkov, OwnFrequency, Popularity
from lifelong.metrics.bootstrap import measure
from lifelong.metrics.parse import parse
from lifelong.metrics.ranking import ranks
from lifelong.model.cases import Cases
from lifelong.model.network import TaskNet

COLD = 3
"""A user of so many readable events or fewer is cold, as in ColdRec-1 of PeterRec and CLUE."""
FAST_BATCH = 256
"""Users at once while selecting on validation; reported figures come from the promised chunks."""


@dataclass(frozen=True)
class Removal:
    """What must not be recommended again: the catalogue index of each item row (-1: none), and the histories."""

    index_of_row: np.ndarray
    sequences: Sequences

    def remove(self, scores_NC: Tensor, points: Points) -> None:
        """Set the scores of everything that lies before each point to -inf, its target excepted; in place."""
        starts_N = self.sequences.offsets_U1[points.users_N]
        lengths_N = points.ends_N - starts_N
        user_M = np.repeat(np.arange(len(points)), lengths_N)
        place_M = np.arange(len(user_M)) - np.repeat(np.cumsum(lengths_N) - lengths_N, lengths_N) + starts_N[user_M]
        index_M = self.index_of_row[self.sequences.rows_E[place_M]]
        removed_M = (index_M >= 0) & (index_M != points.targets_N[user_M])
        places = (torch.from_numpy(part_M[removed_M]).to(scores_NC.device) for part_M in (user_M, index_M))
        scores_NC[tuple(places)] = -torch.inf

    def before(self, points: Points) -> Tensor:
        """Catalogue indices (N, S) int64 of everything that lies before each point, -1 = none."""
        starts_N1, ends_N1 = self.sequences.offsets_U1[points.users_N][:, None], points.ends_N[:, None]
        place_NS = starts_N1 + np.arange(int((ends_N1 - starts_N1).max(initial=0)))
        rows_NS = self.sequences.rows_E[np.minimum(place_NS, len(self.sequences.rows_E) - 1)]
        return torch.from_numpy(np.where(place_NS < ends_N1, self.index_of_row[rows_NS], -1))

    def excluded(self, points: Points) -> Excluded:
        """`before`, for the points from first to last."""
        return lambda first, last: self.before(points.where(np.arange(first, last)))


def removal_of(cases: Cases) -> Removal:
    """What removes a history from the ranking of a task."""
    return Removal(cases.known.catalogue_index(cases.catalogue), cases.sequences)


def evaluate(
    answering: Answering, cases: Cases, points: Points, metrics: Sequence[str], seed: int = 0
) -> dict[str, Measure]:
    """Each metric of the points (usually cases.test) with its 95 % interval, by the promised path.

    Where some of their users are cold, each metric stands there once more for those alone, as `ndcg@10/cold`.
    """
    outcome = outcome_of(answering, cases, points)
    if answering.net.answers == "vectors":  # a case is a user with two halves, not a point
        return {spec: measure(parse(spec), outcome, seed=seed) for spec in metrics}
    return measured(outcome, cases, points, metrics, seed)


def measured(outcome: Outcome, cases: Cases, points: Points, metrics: Sequence[str], seed: int) -> dict[str, Measure]:
    """Each metric of an outcome of the points, and `metric/cold` of the cold ones among them, where there are any."""
    found = {spec: measure(parse(spec), outcome, seed=seed) for spec in metrics}
    cold_n = np.flatnonzero(points.ends_N - cases.sequences.offsets_U1[points.users_N] <= COLD)
    cold = some_cases(outcome, cold_n)
    return found | {f"{spec}/cold": measure(parse(spec), cold, seed=seed) for spec in metrics if len(cold_n)}


def outcome_of(answering: Answering, cases: Cases, points: Points) -> Outcome:
    """What the metrics look at, for the points in their order; a large catalogue is ranked block by block."""
    if answering.net.answers == "vectors":
        return halves_ranked(answering.represent, cases.sequences, points, answering.length, answering.past)
    history = answering.history(cases.sequences, points)
    users_ND = answering.users(history)
    if len(answering.blocks.starts()) > 1:
        head, targets_N = answering.net.head, torch.from_numpy(points.targets_N)
        excluded = NOBODY if getattr(head and head.config, "repeats", True) else removal_of(cases).excluded(points)
        return Ranked(answering.ranks(users_ND, targets_N, excluded, history).numpy())
    return joined(_outcomes(answering.net, cases, points, answering.scores(users_ND, history)))


def validation_score(net: TaskNet, cases: Cases, metric: str, past: int = 0) -> float:
    """What selects an epoch; higher is better. Items: the metric. Classes and labels: minus the log loss, which a handful of
    validation users move far less than a count of right answers, classes weighted as in the head's loss; numbers: minus the
    mean absolute error, likewise. Vectors: the metric of finding users' other halves (retrieval.py)."""
    if net.answers == "vectors":
        halves = halves_ranked(_fast_vectors(net), cases.sequences, cases.valid, net.encoder.length, past)
        return float(parse(metric).value(halves, None)[0])
    outcome = joined(_outcomes(net, cases, cases.valid, _fast_scores(net, cases, past)))
    if isinstance(outcome, Classified):
        return float(log_likelihoods(outcome, weighs_alike(net)).mean())
    if isinstance(outcome, Labelled):
        said_NC = np.where(outcome.targets_NC > 0, outcome.probabilities_NC, 1 - outcome.probabilities_NC)
        return float(np.log(np.maximum(said_NC, 1e-9)).mean())
    if isinstance(outcome, Estimated):
        return -float(np.abs(outcome.values_N - outcome.targets_N).mean())
    return float(parse(metric).value(outcome, None)[0])


def log_score(answers: str, score: float) -> float:
    """The logarithm of a validation score, by which tasks of all kinds are compared: a per cent counts alike for each.

    What heads of classes and labels are validated by is one already; a mean absolute error counts by its inverse.
    """
    if answers in ("classes", "labels"):
        return score
    return -math.log(max(-score, 1e-9)) if answers == "number" else math.log(max(score, 1e-9))


def weighs_alike(net: TaskNet) -> bool:
    """Whether each class weighs the same in the head's loss, and so in what selects."""
    return net.head is not None and getattr(net.head.config, "weighting", "none") == "balanced"


def log_likelihoods(outcome: Classified, balanced: bool) -> np.ndarray:
    """The log probability of each case's right class (N,), at least log 1e-9; balanced: weighted so that each class that occurs
    has the same share in their mean."""
    right_N = outcome.probabilities_NC[np.arange(len(outcome.targets_N)), outcome.targets_N].astype(np.float64)
    logs_N: np.ndarray = np.log(np.maximum(right_N, 1e-9))
    if not balanced:
        return logs_N
    counts_C = np.bincount(outcome.targets_N)
    return logs_N * len(logs_N) / (np.count_nonzero(counts_C) * counts_C[outcome.targets_N])


def _fast_vectors(net: TaskNet) -> Callable[[History], Tensor]:
    device = next(net.encoder.parameters()).device

    def represent(history: History) -> Tensor:
        parts = (history.users(slice(n, n + FAST_BATCH)) for n in range(0, len(history), FAST_BATCH))
        return torch.cat([net.represent(moved(part, lambda tensor: tensor.to(device))) for part in parts])

    return torch.no_grad()(represent)


def _fast_scores(net: TaskNet, cases: Cases, past: int) -> Iterator[Tensor]:
    device = next(net.encoder.parameters()).device
    with torch.no_grad():
        for batch in case_batches(cases.sequences, cases.valid, net.encoder.length, FAST_BATCH, past):
            history = batch.to(device).history
            yield net.scores(net.users(history), net.seen(history))


def _outcomes(net: TaskNet, cases: Cases, points: Points, chunks: Iterator[Tensor]) -> Iterator[Outcome]:
    head, done = net.head, 0
    assert head is not None
    removal = None if getattr(head.config, "repeats", True) else removal_of(cases)
    for scores_NC in chunks:
        part = points.where(np.arange(done, done + len(scores_NC)))
        if removal is not None:
            removal.remove(scores_NC, part)
        yield head.outcome(scores_NC, torch.from_numpy(part.targets_N).to(scores_NC.device))
        done += len(scores_NC)


def baselines(
    cases: Cases, metrics: Sequence[str], *, repeats: bool = True, seed: int = 0
) -> dict[str, dict[str, Measure]]:
    """Popularity, last-item Markov chain and own frequency on the test cases of a task that predicts what it reads.

    Fitted on the training part alone; they read the whole history, not the window. Empty where the catalogue is not read.
    """
    rows_C = cases.rows_C()
    if rows_C is None:
        return {}
    index_of_row = removal_of(cases).index_of_row
    offsets, items = _training_sequences(cases, index_of_row)
    rivals: dict[str, Callable[..., Counting]] = {
        "popularity": Popularity,
        "markov": LastItemMarkov,
        "own_frequency": OwnFrequency,
    }
    made = {}
    for name, rival in rivals.items():
        chunks = _rival_scores(rival(offsets, items, len(cases.catalogue)), cases, index_of_row)
        outcome = joined(_ranked(cases, chunks, None if repeats else removal_of(cases)))
        made[name] = measured(outcome, cases, cases.test, metrics, seed)
    return made


def _training_sequences(cases: Cases, index_of_row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and catalogue indices of every training user's events up to its last training target."""
    users_U = np.unique(cases.train.users_N)
    last_U = np.zeros(len(users_U), np.int64)
    np.maximum.at(last_U, np.searchsorted(users_U, cases.train.users_N), cases.train.ends_N + 1)
    return _slices(cases, cases.sequences.offsets_U1[users_U], last_U, index_of_row)


def _rival_scores(rival: Counting, cases: Cases, index_of_row: np.ndarray) -> Iterator[Tensor]:
    starts_N = cases.sequences.offsets_U1[cases.test.users_N]
    offsets, items = _slices(cases, starts_N, cases.test.ends_N, index_of_row)
    for scores_NC in rival.scores(offsets, items, FAST_BATCH):
        yield torch.from_numpy(scores_NC)


def _ranked(cases: Cases, chunks: Iterator[Tensor], removal: Removal | None) -> Iterator[Outcome]:
    done = 0
    for scores_NC in chunks:
        part = cases.test.where(np.arange(done, done + len(scores_NC)))
        if removal is not None:
            removal.remove(scores_NC, part)
        yield Ranked(ranks(scores_NC, torch.from_numpy(part.targets_N)).numpy())
        done += len(scores_NC)


def _slices(
    cases: Cases, starts_N: np.ndarray, ends_N: np.ndarray, index_of_row: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ragged slices of the sequences as (offsets, catalogue indices)."""
    lengths_N = ends_N - starts_N
    offsets = np.concatenate(([0], np.cumsum(lengths_N)))
    place_M = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - starts_N, lengths_N)
    return offsets, index_of_row[cases.sequences.rows_E[place_M]]
