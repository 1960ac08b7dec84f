"""How sure a metric is: percentile intervals by resampling cases, and the paired difference of two outcomes.

Shapes: R resamples, N cases.
"""

from collections.abc import Iterator

import numpy as np

from lifelong.core.errors import DataError
from lifelong.core.types import Measure, Outcome
from lifelong.metrics.kinds.base import Metric

CELLS = 1 << 22
"""Case weights held at a time (32 MB as float64): many resamples of few cases, or few of many."""


def measure(metric: Metric, outcome: Outcome, resamples: int = 1000, seed: int = 0, level: float = 0.95) -> Measure:
    """The metric with its percentile bootstrap interval over cases (Efron & Tibshirani 1993, chapter 13).

    Cases must be independent (one user, one case). Resamples in which the metric is undefined are left out of the
    interval. The same seed and outcome give the same interval.
    """
    n = cases(outcome)
    if n == 0:
        return Measure(np.nan, np.nan, np.nan, 0)
    values_R = [metric.value(outcome, weights_RN) for weights_RN in resample(n, resamples, seed)]
    return _measure(metric.value(outcome)[0], values_R, n, level)


def paired_difference(
    metric: Metric, a: Outcome, b: Outcome, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> Measure:
    """The metric of `a` minus that of `b` on the same cases, each resample drawn once for both.

    Much narrower than two separate intervals, and exactly 0.0 with the interval [0.0, 0.0] for equal outcomes.
    Raises DataError where the two are not about the same cases.
    """
    n = cases(a)
    if type(a) is not type(b) or n != cases(b):
        raise DataError(f"paired difference: {n} {type(a).__name__} cases against {cases(b)} {type(b).__name__} cases")
    if not all(np.array_equal(column, vars(b)[name]) for name, column in vars(a).items() if "targets" in name):
        raise DataError("paired difference: the right answers of the two differ, so they are not the same cases")
    if n == 0:
        return Measure(np.nan, np.nan, np.nan, 0)
    values_R = [metric.value(a, w_RN) - metric.value(b, w_RN) for w_RN in resample(n, resamples, seed)]
    return _measure(metric.value(a)[0] - metric.value(b)[0], values_R, n, level)


def resample(n: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Multinomial weights of n cases, float64, as (some, n) chunks that add up to `resamples` rows.

    How many rows a chunk has changes nothing of what is drawn.
    """
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, rows := max(1, CELLS // n)):
        r = min(rows, resamples - start)
        drawn_RN = generator.integers(0, n, size=(r, n)) + np.arange(r)[:, None] * n
        yield np.bincount(drawn_RN.ravel(), minlength=r * n).reshape(r, n).astype(np.float64)


def cases(outcome: Outcome) -> int:
    """How many cases an outcome is about."""
    return len(next(iter(vars(outcome).values())))


def _measure(value: float, values: list[np.ndarray], n: int, level: float) -> Measure:
    values_R = np.concatenate(values) if values else np.zeros(0)
    values_R = values_R[~np.isnan(values_R)]
    if len(values_R) == 0:
        return Measure(float(value), np.nan, np.nan, n)
    low, high = np.quantile(values_R, [(1 - level) / 2, (1 + level) / 2])
    return Measure(float(value), float(low), float(high), n)
