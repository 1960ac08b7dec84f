"""The contract of a metric: call `check_metric(MyMetric())` in a test, or one of the checks below.

Every check raises AssertionError with what it saw. Outcomes are made up here: 4,000 cases, two balanced classes for
classification, a catalogue of 1,000 items for ranking.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lifelong.core.types import Classified, Outcome, Ranked
from lifelong.metrics.kinds.base import Metric

CASES, ITEMS = 4000, 1000


def perfect(metric: Metric) -> Outcome:
    """An outcome that is right every time and sure of it."""
    if metric.outcome is Ranked:
        return Ranked(np.ones(CASES, dtype=np.int64))
    targets_N = np.arange(CASES) % 2
    return Classified(np.eye(2, dtype=np.float32)[targets_N], targets_N)


def reversed_(metric: Metric) -> Outcome:
    """An outcome that is as wrong as can be."""
    if metric.outcome is Ranked:
        return Ranked(np.full(CASES, ITEMS, dtype=np.int64))
    right = perfect(metric)
    assert isinstance(right, Classified)
    return replace(right, probabilities_NC=right.probabilities_NC[:, ::-1])


def shuffled(metric: Metric, seed: int = 0, cases: int = CASES) -> Outcome:
    """An outcome that knows nothing: ranks or probabilities drawn at random."""
    generator = np.random.default_rng(seed)
    if metric.outcome is Ranked:
        return Ranked(generator.integers(1, ITEMS + 1, size=cases))
    sure_N = generator.integers(0, 11, size=cases) / 10  # ties on purpose
    return Classified(np.stack([1 - sure_N, sure_N], 1).astype(np.float32), generator.integers(0, 2, size=cases))


def chance(metric: Metric) -> float:
    """What knowing nothing is worth: every rank equally often, or one half of two balanced classes."""
    return _value(metric, Ranked(np.arange(1, ITEMS + 1))) if metric.outcome is Ranked else 0.5


def check_perfect(metric: Metric) -> None:
    """Perfect is 1, as a float and exactly (0 where lower is better)."""
    value = _value(metric, perfect(metric))
    assert value == (1.0 if metric.higher_is_better else 0.0), f"{metric.label}: perfect is {value}"


def check_reversed(metric: Metric) -> None:
    """Wrong every time is no better than chance."""
    value = _value(metric, reversed_(metric))
    better = value - chance(metric) if metric.higher_is_better else chance(metric) - value
    assert better <= 0, f"{metric.label}: wrong every time is {value}, chance is {chance(metric)}"


def check_shuffled(metric: Metric) -> None:
    """Knowing nothing is near chance."""
    value = _value(metric, shuffled(metric))
    assert abs(value - chance(metric)) < 0.05, f"{metric.label}: random is {value}, chance is {chance(metric)}"


def check_range(metric: Metric) -> None:
    """Values are float64 (R,) in [0, 1]."""
    for seed in range(5):
        weights_RN = np.random.default_rng(seed).integers(0, 3, size=(7, 50)).astype(np.float64)
        values_R = metric.value(shuffled(metric, seed, 50), weights_RN)
        assert values_R.shape == (7,), f"{metric.label}: {values_R!r}"
        assert values_R.dtype == np.float64, f"{metric.label}: {values_R!r}"
        assert ((values_R >= 0) & (values_R <= 1)).all(), f"{metric.label}: {values_R}"


def check_order(metric: Metric) -> None:
    """The order of the cases does not matter."""
    outcome = shuffled(metric)
    order = np.random.default_rng(1).permutation(CASES)
    _close(metric, _value(metric, outcome), _value(metric, _take(outcome, order)), "cases in another order")


def check_ones(metric: Metric) -> None:
    """Weights of ones are what no weights are, and a row of weights does not touch another row."""
    outcome = shuffled(metric, cases=50)
    weights_RN = np.vstack([np.ones(50), np.arange(50.0), np.ones(50)])
    values_R = metric.value(outcome, weights_RN)
    for row in (0, 2):
        _close(metric, _value(metric, outcome), values_R[row], "weights of ones")


def check_repeats(metric: Metric) -> None:
    """A case of weight n counts as the case standing n times, 0 as its absence."""
    outcome = shuffled(metric, cases=50)
    weights_N = np.arange(50) % 3
    repeated = _take(outcome, np.repeat(np.arange(50), weights_N))
    weighted = metric.value(outcome, weights_N[None].astype(np.float64))[0]
    _close(metric, _value(metric, repeated), weighted, "a repeated case against its weight")


CHECKS: tuple[Callable[[Metric], None], ...] = (
    check_perfect,
    check_reversed,
    check_shuffled,
    check_range,
    check_order,
    check_ones,
    check_repeats,
)


def check_metric(metric: Metric) -> None:
    """The whole contract."""
    for check in CHECKS:
        check(metric)


def _value(metric: Metric, outcome: Outcome) -> float:
    return float(metric.value(outcome)[0])


def _take(outcome: Outcome, index: np.ndarray) -> Outcome:
    if isinstance(outcome, Ranked):
        return Ranked(outcome.ranks_N[index])
    return Classified(outcome.probabilities_NC[index], outcome.targets_N[index])


def _close(metric: Metric, a: float, b: float, what: str) -> None:
    assert abs(a - b) < 1e-12, f"{metric.label}: {what}: {a} and {b}"
