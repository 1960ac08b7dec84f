"""Lines as histories of users who have no names: padding taken out, targets behind, the user told by the history."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lifelong.core.errors import DataError
from lifelong.data.formats.base import BLANK, Bad, alike, counted
from lifelong.data.formats.lines import Lines
from lifelong.data.mixing import splitmix

PADDING = "padding"
PADDING_ONLY, NO_TARGET, TWO_TARGETS = "a history of padding only", "no target but padding", "more than one label"


@dataclass(frozen=True)
class Histories:
    """N users: users_N int64, at least 0, from the history alone; lengths_N items each, which lie in items_M, one history after
    the other; targets_T of the users lines_T (index into users_N). dropped: reason -> cells of padding, or lines."""

    users_N: np.ndarray
    lengths_N: np.ndarray
    items_M: np.ndarray
    targets_T: np.ndarray
    lines_T: np.ndarray
    dropped: dict[str, int]

    @property
    def places_M(self) -> np.ndarray:
        """The place of each item in its history, from 0 (int64)."""
        return _places(self.lengths_N)


def histories(lines: Lines, padding: list[int], targets: str, path: Path, drop: bool) -> Histories:
    """Histories and targets of the lines that can be used.

    targets: `none`, `items` (any number, padding left out) or `label` (exactly one, 0 is one like others). Raises DataError
    naming the first line that cannot be used, unless they are to be dropped and counted.
    """
    items_M, line_m, pads = _without(padding, lines, lines.firsts_N, lines.halves_N)
    target_t, line_t, more_pads = _without(padding * (targets == "items"), lines, lines.halves_N, lines.ends_N)
    count, lengths, aims = (len(lines.rows_N), *(np.bincount(n, minlength=len(lines.rows_N)) for n in (line_m, line_t)))
    wanted = aims > 0 if targets != "none" else np.ones(count, bool)
    one = aims <= 1 if targets == "label" else np.ones(count, bool)
    wrong = np.select([lengths == 0, ~wanted, ~one], [1, 2, 3], 0)
    reasons = ("", PADDING_ONLY, NO_TARGET, TWO_TARGETS)
    bad = list(lines.bad)
    for code in np.unique(wrong[wrong > 0]).tolist():
        bad += alike(lines.rows_N[wrong == code], reasons[code])
    if not drop:
        _refuse(bad, path)
    good = wrong == 0
    place = np.cumsum(good) - 1
    lengths_N, items_M = lengths[good], items_M[good[line_m]]
    dropped = counted(bad)
    dropped[PADDING] = int((pads + more_pads)[good].sum())
    return Histories(
        users_of(items_M, lengths_N),
        lengths_N,
        items_M,
        target_t[good[line_t]],
        place[line_t[good[line_t]]],
        {reason: n for reason, n in dropped.items() if n},
    )


def users_of(items_M: np.ndarray, lengths_N: np.ndarray) -> np.ndarray:
    """A number of 63 bits for each history, from its items and their places (N, int64).

    Two of 1.5 million different histories have the same one with a probability of 10^-7.
    """
    if not len(lengths_N):
        return np.empty(0, np.int64)
    hash_M = splitmix(items_M.astype(np.uint64) ^ splitmix(_places(lengths_N).astype(np.uint64)))
    sums_N = np.add.reduceat(hash_M, np.concatenate(([0], np.cumsum(lengths_N)[:-1])))
    return (splitmix(sums_N) >> np.uint64(1)).astype(np.int64)


def _places(lengths_N: np.ndarray) -> np.ndarray:
    return np.arange(int(lengths_N.sum())) - np.repeat(np.cumsum(lengths_N) - lengths_N, lengths_N)


def _without(
    padding: list[int], lines: Lines, from_N: np.ndarray, to_N: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cells of a part of each line that are no padding, the line of each, and how much padding each line has (N)."""
    lengths_N = to_N - from_N
    line_m = np.repeat(np.arange(len(lengths_N)), lengths_N)
    cells_m = lines.cells_M[_places(lengths_N) + np.repeat(from_N, lengths_N)]
    pad_m = np.isin(cells_m, padding)
    return cells_m[~pad_m], line_m[~pad_m], np.bincount(line_m[pad_m], minlength=len(lengths_N))


def _refuse(bad: list[Bad], path: Path) -> None:
    wrong = [b for b in bad if b.reason != BLANK]
    if wrong:
        first = min(wrong, key=lambda b: b.row)
        raise DataError(
            f"{path}: row {first.row}: {first.reason}{first.shown}; repair it, or leave such rows out with on_bad_rows: drop"
        )
