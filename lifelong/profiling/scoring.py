"""From answers of folds to figures: metrics with intervals over users, and paired differences between methods.

Metrics that look at one user at a time are pooled over the folds of a repeat; one that compares users with each other (AUC) is
averaged over folds, because scores of two fits are not on one scale (Forman & Scholz, SIGKDD Explorations 2010). Repeats are
averaged. Intervals resample users, the same ones for every method and repeat.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lifelong.core.types import Classified, Measure
from lifelong.metrics.bootstrap import resample
from lifelong.metrics.parse import parse

PER_FOLD = ("auc",)
RESAMPLES, LEVEL = 1000, 0.95


@dataclass(frozen=True)
class Answers:
    """What one method answered about N users. For each repeat: whom it asked (n,), probabilities (n, C), the fold of each (n,).

    Over folds a repeat asks everybody; where splits are given, each may ask others.
    """

    targets_N: np.ndarray
    asked: list[np.ndarray]
    repeats: list[np.ndarray]
    folds: list[np.ndarray]

    def outcome(self, repeat: int) -> Classified:
        """Those who were asked in one repeat."""
        return Classified(self.repeats[repeat], self.targets_N[self.asked[repeat]])

    def all(self) -> Classified:
        """All repeats, one behind the other."""
        return Classified(np.concatenate(self.repeats), self.targets_N[np.concatenate(self.asked)])


Drawn = dict[str, np.ndarray]
"""Metric -> its value (first) and under every resample of users, float64 (1 + R,)."""


def drawn(answers: Answers, metrics: Sequence[str], seed: int) -> Drawn:
    """Every metric as it is and under resamples that depend on the number of users and the seed alone."""
    parts: dict[str, list[np.ndarray]] = {metric: [] for metric in metrics}
    for weights_RN in [np.ones((1, len(answers.targets_N))), *resample(len(answers.targets_N), RESAMPLES, seed)]:
        for metric in metrics:
            parts[metric].append(_mean([_value(answers, metric, r, weights_RN) for r in range(len(answers.repeats))]))
    return {metric: np.concatenate(found) for metric, found in parts.items()}


def measures(found: Drawn, n: int) -> dict[str, Measure]:
    """Values with percentile intervals."""
    return {metric: _measure(values_R, n) for metric, values_R in found.items()}


def differences(ours: Drawn, theirs: Mapping[str, Drawn], n: int) -> dict[str, dict[str, Measure]]:
    """Ours minus each of theirs, paired user by user."""
    return {name: {m: _measure(ours[m] - other[m], n) for m in ours} for name, other in theirs.items()}


def by_repeat(answers: Answers, metric: str) -> list[float]:
    """The value of each repeat: how much the folds alone move it."""
    ones_1N = np.ones((1, len(answers.targets_N)))
    return [float(_value(answers, metric, repeat, ones_1N)[0]) for repeat in range(len(answers.repeats))]


def _value(answers: Answers, metric: str, repeat: int, weights_RN: np.ndarray) -> np.ndarray:
    whole, weights_Rn = answers.outcome(repeat), weights_RN[:, answers.asked[repeat]]
    if metric not in PER_FOLD:
        return parse(metric).value(whole, weights_Rn)
    fold_n = answers.folds[repeat]
    parts = []
    for number in np.unique(fold_n):
        inside_n = np.flatnonzero(fold_n == number)
        part = Classified(whole.probabilities_NC[inside_n], whole.targets_N[inside_n])
        parts.append(parse(metric).value(part, weights_Rn[:, inside_n]))
    return _mean(parts)


def _mean(values: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of those that are defined, nan where none is."""
    stacked = np.stack(values)
    known = ~np.isnan(stacked)
    count = known.sum(0)
    return np.where(count, np.where(known, stacked, 0.0).sum(0) / np.maximum(count, 1), np.nan)


def _measure(values_R: np.ndarray, n: int) -> Measure:
    known_R = values_R[1:][~np.isnan(values_R[1:])]
    if not len(known_R):
        return Measure(float(values_R[0]), float("nan"), float("nan"), n)
    low, high = np.quantile(known_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Measure(float(values_R[0]), float(low), float(high), n)
