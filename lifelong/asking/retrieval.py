"""How well user vectors tell users apart: from one half of a user's history, find the other half among many users'."""

from collections.abc import Callable

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from lifelong.core.types import History, Ranked
from lifelong.data.sequences import Points, Sequences, gather_history

AMONG = 1000
"""At most so many users are told apart at a time, so that the figure of many users is comparable with that of few."""


def halves_ranked(
    represent: Callable[[History], Tensor], sequences: Sequences, points: Points, length: int, past: int
) -> Ranked:
    """Of each user who has a point the rank of his own second half, 1 = best, by the cosine of its user vector with that of his
    first half; read up to his last point. Every other event goes into each half. Users of one event are left out.

    `represent` gives user vectors (N, D) of histories. Ties and NaN count against them: where all are the same, all rank last.
    """
    starts_N, ends_N = _whole(sequences, points)
    halves = [_half(sequences, starts_N, ends_N, odd) for odd in (False, True)]
    first_ND, second_ND = (
        F.normalize(represent(gather_history(half, half.offsets_U1[:-1], half.offsets_U1[1:], length, past)), dim=1)
        for half in halves
    )
    blocks = range(0, len(first_ND), AMONG)
    ranks = [_ranks(first_ND[start : start + AMONG], second_ND[start : start + AMONG]) for start in blocks]
    return Ranked(np.concatenate([*ranks, np.empty(0, np.int64)]))


def _ranks(first_ND: Tensor, second_ND: Tensor) -> np.ndarray:
    cosines_NN = first_ND @ second_ND.T
    return (~(cosines_NN < cosines_NN.diagonal()[:, None])).sum(dim=1).cpu().numpy()


def _whole(sequences: Sequences, points: Points) -> tuple[np.ndarray, np.ndarray]:
    """Where the histories begin and end of users with two events or more before their last point."""
    users_U = np.unique(points.users_N)
    ends_U = np.zeros(len(users_U), np.int64)
    np.maximum.at(ends_U, np.searchsorted(users_U, points.users_N), points.ends_N)
    starts_U = sequences.offsets_U1[users_U]
    kept_U = ends_U - starts_U >= 2
    return starts_U[kept_U], ends_U[kept_U]


def _half(sequences: Sequences, starts_N: np.ndarray, ends_N: np.ndarray, odd: bool) -> Sequences:
    """Every other event of each history, counted from its last: the last itself, or the one before."""
    lengths_N = (ends_N - starts_N + (not odd)) // 2
    offsets_N1 = np.concatenate(([0], np.cumsum(lengths_N)))
    user_M = np.repeat(np.arange(len(lengths_N)), lengths_N)
    back_M = offsets_N1[1:][user_M] - 1 - np.arange(offsets_N1[-1])
    place_M = ends_N[user_M] - 1 - odd - 2 * back_M
    told = (sequences.actions_E, sequences.gaps_E, sequences.times_E)
    return Sequences(offsets_N1, sequences.rows_E[place_M], *(None if v is None else v[place_M] for v in told))
