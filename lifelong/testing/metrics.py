"""The contract of a metric: call `check_metric(MyMetric())` in a test, or one of the checks below.

Every check raises AssertionError with what it saw. Outcomes are made up here, 4,000 cases of each kind that the metric looks
at: ranks in a catalogue of 1,000 items, four balanced classes, five labels that half of the users have, numbers from -1 to 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from lifelong.core.types import Classified, Estimated, Labelled, Outcome, Ranked, some_cases
from lifelong.metrics.kinds.base import Metric

CASES, ITEMS, CLASSES, LABELS = 4000, 1000, 4, 5
Random = np.random.Generator


@dataclass(frozen=True)
class Kind:
    """What outcomes of one kind are made of: targets of n cases, answers that are right, answers that are as wrong as can be,
    and answers that know nothing."""

    targets: Callable[[Random, int], np.ndarray]
    right: Callable[[np.ndarray], np.ndarray]
    wrong: Callable[[np.ndarray], np.ndarray]
    guessed: Callable[[Random, int], np.ndarray]
    outcome: Callable[[np.ndarray, np.ndarray], Outcome]


def _guessed_classes(random: Random, n: int) -> np.ndarray:
    """Probabilities of four classes in tenths, ties on purpose, none of them 0."""
    tenths_NC = 1.0 + random.multinomial(10 - CLASSES, np.full(CLASSES, 1 / CLASSES), size=n)
    return (tenths_NC / 10).astype(np.float32)


def _spread(random: Random, n: int) -> np.ndarray:
    """Numbers from -1 to 1, evenly spread, ties on purpose."""
    return random.permuted(np.linspace(-1, 1, n).round(2)).astype(np.float32)


KINDS: dict[type, Kind] = {
    Ranked: Kind(
        targets=lambda random, n: np.ones(n, np.int64),
        right=lambda targets_N: targets_N,
        wrong=lambda targets_N: np.full_like(targets_N, ITEMS),
        guessed=lambda random, n: random.permuted(np.arange(n) % ITEMS + 1),
        outcome=lambda ranks_N, targets_N: Ranked(ranks_N),
    ),
    Classified: Kind(
        targets=lambda random, n: random.permuted(np.arange(n) % CLASSES),
        right=lambda targets_N: np.eye(CLASSES, dtype=np.float32)[targets_N],
        wrong=lambda targets_N: np.eye(CLASSES, dtype=np.float32)[CLASSES - 1 - targets_N],
        guessed=_guessed_classes,
        outcome=Classified,
    ),
    Labelled: Kind(
        targets=lambda random, n: random.integers(0, 2, size=(n, LABELS)).astype(np.float32),
        right=lambda targets_NC: targets_NC,
        wrong=lambda targets_NC: 1 - targets_NC,
        guessed=lambda random, n: (random.integers(1, 10, size=(n, LABELS)) / 10).astype(np.float32),
        outcome=Labelled,
    ),
    Estimated: Kind(
        targets=_spread,
        right=lambda targets_N: targets_N,
        wrong=lambda targets_N: -targets_N,
        guessed=_spread,
        outcome=Estimated,
    ),
}


def kinds(metric: Metric) -> list[Kind]:
    """The kinds of outcome that the metric looks at."""
    looked_at = metric.outcome if isinstance(metric.outcome, tuple) else (metric.outcome,)
    return [KINDS[kind] for kind in looked_at]


def perfect(kind: Kind) -> Outcome:
    """An outcome that is right every time and sure of it."""
    targets = kind.targets(np.random.default_rng(0), CASES)
    return kind.outcome(kind.right(targets), targets)


def reversed_(kind: Kind) -> Outcome:
    """An outcome that is as wrong as can be."""
    targets = kind.targets(np.random.default_rng(0), CASES)
    return kind.outcome(kind.wrong(targets), targets)


def shuffled(kind: Kind, seed: int = 0, cases: int = CASES) -> Outcome:
    """An outcome that knows nothing: answers drawn at random, whatever the targets."""
    random = np.random.default_rng(seed)
    return kind.outcome(kind.guessed(random, cases), kind.targets(random, cases))


def chance(metric: Metric, kind: Kind) -> float:
    """What knowing nothing is worth: each of 1,000 guesses stands beside each of 100 targets."""
    random = np.random.default_rng(1)
    guesses, targets = kind.guessed(random, ITEMS), kind.targets(random, 100)
    pair_M = np.arange(ITEMS * 100)
    return _value(metric, kind.outcome(guesses[pair_M // 100], targets[pair_M % 100]))


def check_perfect(metric: Metric) -> None:
    """Perfect is the best it can be, as a float and but for rounding: 1, or 0 where lower is better."""
    for kind in kinds(metric):
        value = _value(metric, perfect(kind))
        best = metric.range[1] if metric.higher_is_better else metric.range[0]
        assert best in (0.0, 1.0), f"{metric.label}: the best is {best}; it should be 0 or 1"
        assert abs(value - best) < 1e-12, f"{metric.label}: perfect is {value}"


def check_reversed(metric: Metric) -> None:
    """Wrong every time is no better than chance."""
    for kind in kinds(metric):
        value, nothing = _value(metric, reversed_(kind)), chance(metric, kind)
        better = value - nothing if metric.higher_is_better else nothing - value
        assert better <= 0, f"{metric.label}: wrong every time is {value}, chance is {nothing}"


def check_shuffled(metric: Metric) -> None:
    """Knowing nothing is near chance."""
    for kind in kinds(metric):
        value, nothing = _value(metric, shuffled(kind)), chance(metric, kind)
        allowed = 0.05 * (1 + abs(nothing))
        assert abs(value - nothing) < allowed, f"{metric.label}: random is {value}, chance is {nothing}"


def check_range(metric: Metric) -> None:
    """Values are float64 (R,) within the metric's range."""
    low, high = metric.range
    for kind, seed in product(kinds(metric), range(5)):
        weights_RN = np.random.default_rng(seed).integers(0, 3, size=(7, 50)).astype(np.float64)
        values_R = metric.value(shuffled(kind, seed, 50), weights_RN)
        assert values_R.shape == (7,), f"{metric.label}: {values_R!r}"
        assert values_R.dtype == np.float64, f"{metric.label}: {values_R!r}"
        assert ((values_R >= low) & (values_R <= high)).all(), f"{metric.label}: {values_R}"


def check_order(metric: Metric) -> None:
    """The order of the cases does not matter."""
    for kind in kinds(metric):
        outcome = shuffled(kind)
        order = np.random.default_rng(1).permutation(CASES)
        _close(metric, _value(metric, outcome), _value(metric, some_cases(outcome, order)), "cases in another order")


def check_ones(metric: Metric) -> None:
    """Weights of ones are what no weights are, and a row of weights does not touch another row."""
    for kind in kinds(metric):
        outcome = shuffled(kind, cases=50)
        weights_RN = np.vstack([np.ones(50), np.arange(50.0), np.ones(50)])
        values_R = metric.value(outcome, weights_RN)
        for row in (0, 2):
            _close(metric, _value(metric, outcome), values_R[row], "weights of ones")


def check_repeats(metric: Metric) -> None:
    """A case of weight n counts as the case standing n times, 0 as its absence."""
    for kind in kinds(metric):
        outcome = shuffled(kind, cases=50)
        weights_N = np.arange(50) % 3
        repeated = some_cases(outcome, np.repeat(np.arange(50), weights_N))
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


def _close(metric: Metric, a: float, b: float, what: str) -> None:
    assert abs(a - b) < 1e-12 * (1 + abs(a)), f"{metric.label}: {what}: {a} and {b}"
