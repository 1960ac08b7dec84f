"""Ragged histories as seen by one task, and the points of them that are supervised."""

from dataclasses import dataclass

import numpy as np
import torch

from lifelong.core.types import History

GAPS = 31
"""Buckets of the time between two events: 0 none before it, 1 the same second, then doubling; the last begins at 17 years."""


@dataclass(frozen=True)
class Sequences:
    """The events of U users that a task can read, oldest first, user after user.

    offsets_U1 int64; rows_E int32 rows of the item table (1 and up; 0 is padding). Where the model reads them: actions_E int8,
    the kind of each event (0 = unknown), gaps_E int8, the bucket of the time since the event before it (0 = none), and times_E
    int64 unix seconds.
    """

    offsets_U1: np.ndarray
    rows_E: np.ndarray
    actions_E: np.ndarray | None = None
    gaps_E: np.ndarray | None = None
    times_E: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.offsets_U1) - 1

    def begins(self, ends_B: np.ndarray) -> np.ndarray:
        """Where the user whose history ends there (absolute, exclusive, not empty) begins."""
        return self.offsets_U1[np.searchsorted(self.offsets_U1, ends_B, side="left") - 1]

    @property
    def lengths_U(self) -> np.ndarray:
        """Events per user, int64."""
        return np.diff(self.offsets_U1)


@dataclass(frozen=True)
class Points:
    """N places where something is to be predicted: from rows_E[start of the user : ends_N[n]] comes targets_N[n].

    users_N int64, ends_N int64 (absolute in Sequences.rows_E, exclusive), targets_N int64 catalogue index or class.
    """

    users_N: np.ndarray
    ends_N: np.ndarray
    targets_N: np.ndarray

    def __len__(self) -> int:
        return len(self.users_N)

    def where(self, keep_N: np.ndarray) -> "Points":
        """The points that a bool mask or an index array picks."""
        return Points(self.users_N[keep_N], self.ends_N[keep_N], self.targets_N[keep_N])


def readable_events(
    offsets_U1: np.ndarray,
    rows_E: np.ndarray,
    actions_E: np.ndarray | None = None,
    times_E: np.ndarray | None = None,
    gaps: bool = False,
) -> tuple[Sequences, np.ndarray]:
    """The events whose item has a row, and for each original event how many kept ones lie before it (E + 1, int64).

    Events of other items (row 0) are left out, so that a history of unknown items is the same as an empty one. actions_E and
    times_E are given where the model reads them; a gap is one between kept events.
    """
    kept_E = rows_E > 0
    before_E1 = np.concatenate(([0], np.cumsum(kept_E, dtype=np.int64)))
    kept_U1 = before_E1[offsets_U1]
    kept_times_E = None if times_E is None else times_E[kept_E]
    gaps_E = gap_buckets(kept_U1, kept_times_E) if gaps and kept_times_E is not None else None
    kept_actions_E = None if actions_E is None else actions_E[kept_E]
    return Sequences(kept_U1, rows_E[kept_E].astype(np.int32), kept_actions_E, gaps_E, kept_times_E), before_E1


def event_points(
    offsets_U1: np.ndarray, before_E1: np.ndarray, items_E: np.ndarray, target_of_item_V: np.ndarray
) -> tuple[Points, np.ndarray]:
    """A point for every event of a catalogue item, read from what lies before it; and the events they came from (N, int64).

    target_of_item_V is the catalogue index of each item, -1 outside the catalogue.
    """
    targets_E = target_of_item_V[items_E]
    events_N = np.flatnonzero(targets_E >= 0)
    users_N = np.searchsorted(offsets_U1, events_N, side="right") - 1
    return Points(users_N, before_E1[events_N], targets_E[events_N].astype(np.int64)), events_N


def with_history(points: Points, sequences: Sequences) -> np.ndarray:
    """Bool (N): True where at least one event lies before the point."""
    return points.ends_N > sequences.offsets_U1[points.users_N]


def last_ends(points: Points, users_U: np.ndarray) -> np.ndarray:
    """The last end (absolute, int64) among each user's points; users_U are sorted, and each has one."""
    ends_U = np.zeros(len(users_U), np.int64)
    np.maximum.at(ends_U, np.searchsorted(users_U, points.users_N), points.ends_N)
    return ends_U


def first_ends(points: Points, users_U: np.ndarray) -> np.ndarray:
    """The first end (absolute, int64) among each user's points; users_U are sorted, and each has one."""
    ends_U = np.full(len(users_U), np.iinfo(np.int64).max)
    np.minimum.at(ends_U, np.searchsorted(users_U, points.users_N), points.ends_N)
    return ends_U


def gap_buckets(offsets_U1: np.ndarray, times_E: np.ndarray) -> np.ndarray:
    """int8 (E): 1 + log2(1 + seconds since the user's event before), rounded down and at most GAPS - 1; 0 for the first.

    >>> gap_buckets(np.array([0, 3, 4]), np.array([10, 10, 13, 99]))
    array([0, 1, 3, 0], dtype=int8)
    """
    seconds_E = np.diff(times_E, prepend=times_E[:1]).clip(min=0)
    buckets_E = np.minimum(1 + np.log2(1 + seconds_E), GAPS - 1).astype(np.int8)
    buckets_E[offsets_U1[:-1][offsets_U1[:-1] < len(times_E)]] = 0
    return buckets_E


def gather_history(
    sequences: Sequences,
    starts_B: np.ndarray,
    ends_B: np.ndarray,
    length: int,
    past: int = 0,
    begins_B: np.ndarray | None = None,
) -> History:
    """The last `length` events before `ends_B` (absolute, exclusive), none before `starts_B`, left-padded.

    past > 0: also the last `past` events, none before `begins_B` (where a user begins; starts_B where it is left out).
    """
    begins_B = starts_B if begins_B is None else begins_B

    def window(values_E: np.ndarray, starts_B: np.ndarray = starts_B, length: int = length) -> torch.Tensor:
        return torch.from_numpy(gather_windows(values_E, starts_B, ends_B, length))

    return History(
        window(sequences.rows_E),
        window(sequences.rows_E, begins_B, past) if past else None,
        window(sequences.times_E, begins_B, past) if past and sequences.times_E is not None else None,
        None if sequences.actions_E is None else window(sequences.actions_E),
        None if sequences.gaps_E is None else window(sequences.gaps_E),
    )


def gather_windows(values_E: np.ndarray, starts_B: np.ndarray, ends_B: np.ndarray, length: int) -> np.ndarray:
    """The values before `ends_B` (absolute, exclusive), at most `length` and none before `starts_B`; (B, length) int64,
    left-padded with 0."""
    index_BL = ends_B[:, None] + np.arange(-length, 0)
    inside_BL = index_BL >= starts_B[:, None]
    if not len(values_E):
        return np.zeros((len(ends_B), length), np.int64)
    return np.where(inside_BL, values_E[np.maximum(index_BL, 0)], 0).astype(np.int64)
