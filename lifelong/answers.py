"""Answers for histories of external ids: the best items with scores, or classes with probabilities; ids in, ids out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from lifelong.cases import ItemRows
from lifelong.core.errors import DataError, UsageError
from lifelong.data.sequences import from_rows
from lifelong.inference import Answering, Excluded, last_points
from lifelong.metrics.ranking import top_k

Histories = Sequence[Sequence[str]]
"""One sequence of external item ids a user, oldest first."""


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


def known_rows(known: ItemRows, histories: Histories, unknown: str, task: str) -> list[np.ndarray]:
    """The item rows (int32) that the task knows of each history. Raises DataError where a history holds others alone, unless
    unknown="cold"."""
    if unknown not in ("error", "cold"):
        raise UsageError(f"unknown is {unknown!r}; it is 'error' or 'cold'")
    for n, history in enumerate(histories):
        if isinstance(history, str) or not all(isinstance(item, str) for item in history):
            raise DataError(f"history {n}: expected a list of item ids as text, found {history!r:.60}")
    lengths_N = np.fromiter((len(h) for h in histories), np.int64, len(histories))
    rows_E = known.rows_of(pa.array([item for history in histories for item in history], pa.string()))
    rows = np.split(rows_E, np.cumsum(lengths_N)[:-1]) if len(lengths_N) else []
    kept = [r[r > 0] for r in rows]
    lost = sum(1 for length, k in zip(lengths_N, kept, strict=True) if length and not len(k))
    if lost and unknown == "error":
        raise DataError(
            f"{lost} of {len(kept)} histories hold no item that task {task!r} knows; check the item ids, or answer them "
            "like users without history with --unknown cold (unknown='cold')"
        )
    return kept


def user_vectors(answering: Answering, rows: list[np.ndarray]) -> Tensor:
    """User vectors (N, D) float32 of histories of item rows."""
    sequences = from_rows(rows)
    return answering.users(answering.windows(sequences, last_points(sequences)))


def best_items(
    answering: Answering,
    users_ND: Tensor,
    catalogue: Sequence[str],
    k: int,
    excluded: Excluded,
) -> list[Recommendation]:
    """The k best of the catalogue for each user, fewer where fewer are left."""
    found: list[Recommendation] = []
    for values_NK, index_NK in answering.best(users_ND, k, excluded):
        for values, index in zip(values_NK.tolist(), index_NK.tolist(), strict=True):
            kept = [(catalogue[i], value) for i, value in zip(index, values, strict=True) if value > -torch.inf]
            found.append(Recommendation([item for item, _ in kept], [value for _, value in kept]))
    return found


def most_probable(answering: Answering, users_ND: Tensor, classes: Sequence[str]) -> list[Prediction]:
    """The class of each user with all probabilities; ties by the order of the classes."""
    found: list[Prediction] = []
    for scores_NC in answering.scores(users_ND):
        probabilities_NC = scores_NC.softmax(dim=1)
        best_N = top_k(probabilities_NC, 1)[1][:, 0].tolist()
        for best, row in zip(best_N, probabilities_NC.tolist(), strict=True):
            found.append(Prediction(classes[best], dict(zip(classes, row, strict=True))))
    return found


def history_in_catalogue(known: ItemRows, catalogue: Sequence[str], rows: list[np.ndarray]) -> Tensor:
    """Catalogue indices (N, S) int64 that are in the histories, padded with -1."""
    index_of_row = known.catalogue_index(catalogue)
    lengths_N = np.array([len(r) for r in rows])
    inside_NS = np.arange(max(1, lengths_N.max(initial=0))) < lengths_N[:, None]
    excluded_NS = np.full(inside_NS.shape, -1, np.int64)
    excluded_NS[inside_NS] = index_of_row[np.concatenate([*rows, np.empty(0, np.int32)])]
    return torch.from_numpy(excluded_NS)
