"""Ragged histories as seen by one task, and the points of them that are supervised."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sequences:
    """The events of U users that a task can read, oldest first, user after user.

    offsets_U1 int64; rows_E int32 rows of the item table (1 and up; 0 is padding).
    """

    offsets_U1: np.ndarray
    rows_E: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets_U1) - 1

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


def known_sequences(
    offsets_U1: np.ndarray, items_E: np.ndarray, row_of_item_V: np.ndarray
) -> tuple[Sequences, np.ndarray]:
    """The events whose item has a row, and for each original event how many kept ones lie before it (E + 1, int64).

    Events of other items are left out, so that a history of unknown items is the same as an empty one.
    """
    rows_E = row_of_item_V[items_E]
    kept_E = rows_E > 0
    before_E1 = np.concatenate(([0], np.cumsum(kept_E, dtype=np.int64)))
    return Sequences(before_E1[offsets_U1], rows_E[kept_E].astype(np.int32)), before_E1


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


def from_rows(histories: list[np.ndarray]) -> Sequences:
    """Sequences from one array of item rows a user."""
    lengths_U = np.fromiter((len(h) for h in histories), np.int64, len(histories))
    rows_E = np.concatenate([*histories, np.empty(0, np.int32)]).astype(np.int32)
    return Sequences(np.concatenate(([0], np.cumsum(lengths_U))), rows_E)


def gather_windows(sequences: Sequences, starts_B: np.ndarray, ends_B: np.ndarray, length: int) -> np.ndarray:
    """The rows before `ends_B` (absolute, exclusive), at most `length` and none before `starts_B`; (B, length) int64,
    left-padded with 0."""
    index_BL = ends_B[:, None] + np.arange(-length, 0)
    inside_BL = index_BL >= starts_B[:, None]
    if not len(sequences.rows_E):
        return np.zeros((len(ends_B), length), np.int64)
    return np.where(inside_BL, sequences.rows_E[np.maximum(index_BL, 0)], 0).astype(np.int64)
