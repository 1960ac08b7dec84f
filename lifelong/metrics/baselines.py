"""Counting baselines that stand beside every result: popularity, last-item Markov, own frequency, majority, chance.

They are fitted on training sequences alone, and take sequences in CSR form: those of sequence n are
items_M[offsets_N1[n]:offsets_N1[n + 1]], oldest first, int64 catalogue indices, -1 = not in the catalogue.
Shapes: N sequences, M events, C items or classes. Scores come in chunks of rows, float32, for `ranking.ranks`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from lifelong.core.types import Classified

ROWS = 1024
"""Histories scored at a time."""


class Counting(ABC):
    """A baseline of counts. Whatever the counts leave tied (the unseen above all) is ordered by popularity."""

    def __init__(self, offsets_N1: np.ndarray, items_M: np.ndarray, size: int) -> None:
        self.size = size
        self.popular_C = popularity(np.bincount(items_M[items_M >= 0], minlength=size)) / 2  # never outweighs one count

    def scores(self, offsets_N1: np.ndarray, items_M: np.ndarray, rows: int = ROWS) -> Iterator[np.ndarray]:
        """Scores (n, C) float32 of each chunk of histories, in order."""
        for start in range(0, len(offsets_N1) - 1, rows):
            offsets = offsets_N1[start : start + rows + 1]
            yield self.count(offsets - offsets[0], items_M[offsets[0] : offsets[-1]]) + self.popular_C

    @abstractmethod
    def count(self, offsets_N1: np.ndarray, items_M: np.ndarray) -> np.ndarray:
        """The counts (n, C) float32 that speak for each item."""


class Popularity(Counting):
    """The same list for everybody: how often each item occurs in training."""

    def count(self, offsets_N1: np.ndarray, items_M: np.ndarray) -> np.ndarray:
        """No counts of their own."""
        return np.zeros((len(offsets_N1) - 1, self.size), dtype=np.float32)


class LastItemMarkov(Counting):
    """How often each item came directly after the last item of the history, in training (bigram counts)."""

    def __init__(self, offsets_N1: np.ndarray, items_M: np.ndarray, size: int) -> None:
        super().__init__(offsets_N1, items_M, size)
        owners_M = np.repeat(np.arange(len(offsets_N1) - 1), np.diff(offsets_N1))
        pairs = (owners_M[1:] == owners_M[:-1]) & (items_M[1:] >= 0) & (items_M[:-1] >= 0)
        keys, counts = np.unique(items_M[:-1][pairs] * size + items_M[1:][pairs], return_counts=True)
        self.begins = np.searchsorted(keys, np.arange(size + 1) * size)
        self.next, self.counts = keys % size, counts.astype(np.float32)

    def count(self, offsets_N1: np.ndarray, items_M: np.ndarray) -> np.ndarray:
        """The row of bigram counts of each history's last item; zeros where there is none."""
        counts_NC = np.zeros((len(offsets_N1) - 1, self.size), dtype=np.float32)
        some = np.flatnonzero(np.diff(offsets_N1))
        last = items_M[offsets_N1[some + 1] - 1]
        some, last = some[last >= 0], last[last >= 0]
        lengths = self.begins[last + 1] - self.begins[last]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        places = np.repeat(self.begins[last], lengths) + within
        counts_NC[np.repeat(some, lengths), self.next[places]] = self.counts[places]
        return counts_NC


class OwnFrequency(Counting):
    """How often each item occurs in the history itself: the bar for data in which people buy again."""

    def count(self, offsets_N1: np.ndarray, items_M: np.ndarray) -> np.ndarray:
        """The histories' own counts."""
        n = len(offsets_N1) - 1
        owners_M = np.repeat(np.arange(n), np.diff(offsets_N1))
        keys = (owners_M * self.size + items_M)[items_M >= 0]
        return np.bincount(keys, minlength=n * self.size).reshape(n, self.size).astype(np.float32)


def popularity(counts_C: np.ndarray) -> np.ndarray:
    """Training counts scaled to a largest value of 1, float32 (C,).

    >>> popularity(np.array([2, 4, 0]))
    array([0.5, 1. , 0. ], dtype=float32)
    """
    return (counts_C / max(1, counts_C.max(initial=0))).astype(np.float32)


def majority(counts_C: np.ndarray, targets_N: np.ndarray) -> Classified:
    """Every case gets the class shares of training: the most frequent class wins each time, AUC is one half."""
    shares_C = counts_C / max(1, counts_C.sum())
    return Classified(np.tile(shares_C.astype(np.float32), (len(targets_N), 1)), targets_N)


def chance(classes: int, targets_N: np.ndarray, seed: int = 0) -> Classified:
    """Every case gets probabilities drawn at random, the same for the same seed."""
    drawn_NC = np.random.default_rng(seed).dirichlet(np.ones(classes), size=len(targets_N))
    return Classified(drawn_NC.astype(np.float32), targets_N)
