"""What to believe of a forgetting run: means and intervals over seeds, and paired differences over seeds and users at once.

Two sources of chance are kept apart. Another seed gives another model: orders of a seed are averaged first, because they share
its base, and the seeds are the independent runs (Student's t). Other users give another test set: they are resampled, the same
ones for both sides of a difference. The interval of a difference of two scores covers both.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from lifelong.core.direction import sign
from lifelong.core.types import Outcome
from lifelong.metrics.bootstrap import cases, resample
from lifelong.metrics.parse import parse

RESAMPLES, LEVEL = 1000, 0.95


@dataclass(frozen=True)
class Scores:
    """A metric of one outcome, as it is and under R resamples of its users; more is better, so mae and its like are negated."""

    value: float
    values_R: np.ndarray


def scores(outcome: Outcome, metric: str, seed: int = 0) -> Scores:
    """The metric under resamples that depend on the number of cases and the seed alone, so that two outcomes are paired."""
    found, better = parse(metric), sign(metric)
    drawn = [found.value(outcome, weights_RN) for weights_RN in resample(cases(outcome), RESAMPLES, seed)]
    return Scores(better * float(found.value(outcome)[0]), better * np.concatenate(drawn))


def over_seeds(values: Iterable[tuple[int, float | None]]) -> dict[str, Any] | None:
    """(seed, value) of every cell -> mean, 95 % interval over seeds (Student's t, none for one seed), the value of each seed.

    >>> over_seeds([(0, 1.0), (0, 3.0), (1, 4.0)])["values"]
    [2.0, 4.0]
    """
    by_seed: dict[int, list[float]] = {}
    for seed, value in values:
        if value is not None and np.isfinite(value):
            by_seed.setdefault(seed, []).append(value)
    values_S = [float(np.mean(found)) for found in by_seed.values()]
    if not values_S:
        return None
    low, high = _student(values_S)
    return {"mean": float(np.mean(values_S)), "low": low, "high": high, "seeds": len(values_S), "values": values_S}


def paired(a: Mapping[tuple[int, int], Scores], b: Mapping[tuple[int, int], Scores]) -> dict[str, Any] | None:
    """The difference a - b over the cells (order, seed) that both have: mean, interval over seeds and users, two p-values.

    low, high: the bootstrap's interval over users and Student's over seeds, together. p_seeds: the paired t-test over seeds
    (None below two seeds, and where all differences are equal). Nothing where no cell is shared.
    """
    shared = sorted(set(a) & set(b), key=lambda cell: (cell[1], cell[0]))
    if not shared:
        return None
    seeds = sorted({seed for _, seed in shared})
    value_S = np.array([np.mean([a[c].value - b[c].value for c in shared if c[1] == s]) for s in seeds])
    values_SR = np.array([np.mean([a[c].values_R - b[c].values_R for c in shared if c[1] == s], axis=0) for s in seeds])
    low, high = _around(value_S, values_SR)
    same = np.ptp(value_S) == 0
    p = None if len(seeds) < 2 or same else float(stats.ttest_1samp(value_S, 0.0).pvalue)
    return {"mean": float(value_S.mean()), "low": low, "high": high, "seeds": len(seeds), "p_seeds": p}


def _around(value_S: np.ndarray, values_SR: np.ndarray) -> tuple[float, float]:
    """The interval over users of the mean difference, widened by that over seeds: half-widths are added in squares."""
    mean, means_R = float(value_S.mean()), values_SR.mean(0)
    means_R = means_R[~np.isnan(means_R)]
    if not len(means_R):
        return float("nan"), float("nan")
    low, high = np.quantile(means_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    seeds_low, _ = _student(value_S.tolist())
    half = 0.0 if seeds_low is None else mean - seeds_low
    return mean - float(np.hypot(mean - low, half)), mean + float(np.hypot(high - mean, half))


def _student(values_S: list[float]) -> tuple[float | None, float | None]:
    n = len(values_S)
    if n < 2:
        return None, None
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * np.std(values_S, ddof=1) / np.sqrt(n))
    return float(np.mean(values_S)) - half, float(np.mean(values_S)) + half
