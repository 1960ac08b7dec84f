"""Answers for histories of external ids: the best items, or classes, labels and numbers; ids in, ids out."""

from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from math import inf

import numpy as np
import pyarrow as pa

from lifelong.asking.inference import Answering, Excluded
from lifelong.core.errors import DataError, UsageError
from lifelong.core.types import Event, History
from lifelong.data.sequences import Sequences, readable_events
from lifelong.metrics.ranking import top_k
from lifelong.model.cases import ItemRows, action_index
from lifelong.model.network import Design

Histories = Sequence[Sequence[str | Event]]
"""One sequence of external item ids, or of events, a user, oldest first."""


@dataclass(frozen=True)
class Recommendation:
    """The best items of one user's catalogue, best first; ties by catalogue order."""

    items: list[str]
    scores: list[float]


@dataclass(frozen=True)
class Prediction:
    """The most probable class of one user and the probability of every class."""

    label: str
    probabilities: dict[str, float]


@dataclass(frozen=True)
class LabelsPrediction:
    """The labels of one user that are more probable than not, in the catalogue's order, and the probability of every label."""

    labels: list[str]
    probabilities: dict[str, float]


@dataclass(frozen=True)
class NumberPrediction:
    """The number predicted for one user, in the label's own units."""

    value: float


Predicted = Prediction | LabelsPrediction | NumberPrediction


def sequences_of(histories: Histories, known: ItemRows, design: Design, unknown: str, task: str) -> Sequences:
    """What the task reads of the histories. Raises UsageError where they are no list, DataError where one of them is none, or
    holds items alone that the task does not know, unless unknown="cold". Where the model reads times and an event tells none,
    it counts as of the beginning of time."""
    if unknown not in ("error", "cold"):
        raise UsageError(f"unknown is {unknown!r}; it is 'error' or 'cold'")
    if not _is_list(histories):
        raise UsageError(f"histories is {histories!r:.60}; give a list with one list of item ids for each user")
    for n, history in enumerate(histories):
        if not _is_list(history) or not all(isinstance(event, str | Event) for event in history):
            raise DataError(f"history {n}: expected a list of item ids as text, or of events, found {history!r:.60}")
    lengths_N = np.fromiter((len(h) for h in histories), np.int64, len(histories))
    events = [event if isinstance(event, Event) else Event(event) for history in histories for event in history]
    rows_E = known.rows_of(pa.array([event.item for event in events], pa.string()))
    actions_E = action_index(pa.array([event.action for event in events], pa.string()), design.actions)
    times_E = np.array([event.time or 0 for event in events], np.int64) if design.reads_times else None
    offsets_N1 = np.concatenate(([0], np.cumsum(lengths_N)))
    sequences, _ = readable_events(offsets_N1, rows_E, actions_E, times_E, design.gaps)
    lost = int(((lengths_N > 0) & (sequences.lengths_U == 0)).sum())
    if lost and unknown == "error":
        raise DataError(
            f"{lost} of {len(lengths_N)} histories hold no item that task {task!r} knows; check the item ids, or answer them "
            "like users without history with --unknown cold (unknown='cold')"
        )
    return sequences


def _is_list(given: object) -> bool:
    """Whether it can be counted and gone through twice, and is no text."""
    return isinstance(given, Sized) and isinstance(given, Iterable) and not isinstance(given, str)


def best_items(
    answering: Answering, history: History, catalogue: Sequence[str], k: int, excluded: Excluded
) -> list[Recommendation]:
    """The k best of the catalogue for each user, fewer where fewer are left."""
    found: list[Recommendation] = []
    for values_NK, index_NK in answering.best(answering.users(history), k, excluded, history):
        for values, index in zip(values_NK.tolist(), index_NK.tolist(), strict=True):
            kept = [(catalogue[i], value) for i, value in zip(index, values, strict=True) if value > -inf]
            found.append(Recommendation([item for item, _ in kept], [value for _, value in kept]))
    return found


def predictions(answering: Answering, history: History, catalogue: Sequence[str]) -> list[Predicted]:
    """What the head says of each user: a class, the first of equally probable ones; labels; or a number."""
    found: list[Predicted] = []
    for said_NC in answering.said(answering.users(history), history):
        rows = said_NC.tolist()
        if answering.net.answers == "number":
            found += [NumberPrediction(value) for (value,) in rows]
        elif answering.net.answers == "labels":
            found += [_labels(catalogue, row) for row in rows]
        else:
            best_N = top_k(said_NC, 1)[1][:, 0].tolist()
            pairs = zip(best_N, rows, strict=True)
            found += [Prediction(catalogue[best], dict(zip(catalogue, row, strict=True))) for best, row in pairs]
    return found


def _labels(catalogue: Sequence[str], row: list[float]) -> LabelsPrediction:
    said = dict(zip(catalogue, row, strict=True))
    return LabelsPrediction([name for name, probability in said.items() if probability >= 0.5], said)
