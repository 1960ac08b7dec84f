"""One table: every method on the same users, with intervals, paired differences, calibration and confusion."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lifelong.core.progress import Progress
from lifelong.metrics.calibration import bins
from lifelong.metrics.confusion import confusion
from lifelong.profiling.features import Features
from lifelong.profiling.folds import Fold
from lifelong.profiling.methods import Method
from lifelong.profiling.people import People
from lifelong.profiling.scoring import Answers, Drawn, by_repeat, differences, drawn, measures

BINS = 10
"""Of the reliability diagram; ECE weighs their gaps by their size (Naeini et al., AAAI 2015)."""


@dataclass
class Told:
    """What one method answered, how long it took and which options it chose."""

    answers: Answers
    seconds: float
    chosen: list[str]


def ask(
    people: People, folds: Sequence[Fold], methods: Mapping[str, Method], seed: int, progress: Progress
) -> dict[str, Told]:
    """Every method on every fold; features of a fold are made once."""
    told = {name: Told(_blank(people, folds), 0.0, []) for name in methods}
    everybody = _asked(folds)
    progress.start(people.task, len(folds) * len(methods))
    for number, fold in enumerate(folds):
        features = Features(people, fold, seed)
        for name, method in methods.items():
            began, found = time.perf_counter(), told[name]
            place_n = np.searchsorted(found.answers.asked[fold.repeat], np.searchsorted(everybody, fold.test_n))
            found.answers.repeats[fold.repeat][place_n], said = method(features)
            found.answers.folds[fold.repeat][place_n] = number
            found.seconds += time.perf_counter() - began
            found.chosen.append(said)
            progress.advance()
    progress.end()
    return told


def _asked(folds: Sequence[Fold]) -> np.ndarray:
    """Everybody who is asked in any fold."""
    found: np.ndarray = np.unique(np.concatenate([fold.test_n for fold in folds]))
    return found


def _blank(people: People, folds: Sequence[Fold]) -> Answers:
    everybody, repeats = _asked(folds), sorted({fold.repeat for fold in folds})
    asked = [np.searchsorted(everybody, _asked([fold for fold in folds if fold.repeat == r])) for r in repeats]
    empty = [np.full((len(n), len(people.classes)), np.nan) for n in asked]
    return Answers(people.targets_P[everybody], asked, empty, [np.zeros(len(n), np.int64) for n in asked])


def tabled(
    people: People, told: Mapping[str, Told], ours: Sequence[str], metrics: Sequence[str], seed: int
) -> dict[str, Any]:
    """The table as plain values: methods with their figures, and each of ours against every baseline."""
    n = len(next(iter(told.values())).answers.targets_N)
    found: dict[str, Drawn] = {name: drawn(t.answers, metrics, seed) for name, t in told.items()}
    rivals = {name: values for name, values in found.items() if name not in ours}
    return {
        "users": n,
        "methods": {name: _method(people, t, found[name], name in ours, n) for name, t in told.items()},
        "differences": {
            name: {
                rival: {metric: vars(m) for metric, m in by_metric.items()}
                for rival, by_metric in differences(found[name], rivals, n).items()
            }
            for name in ours
            if name in found
        },
    }


def _method(people: People, told: Told, values: Drawn, ours: bool, n: int) -> dict[str, Any]:
    answers, pooled = told.answers, told.answers.all()
    reliability = bins(pooled.probabilities_NC, pooled.targets_N, BINS)
    predicted_N = pooled.probabilities_NC.argmax(1)
    table_CC = confusion(pooled.targets_N, predicted_N, len(people.classes))
    return {
        "ours": ours,
        "metrics": {metric: vars(m) for metric, m in measures(values, n).items()},
        "repeats": {metric: by_repeat(answers, metric) for metric in values},
        "seconds": round(told.seconds, 2),
        "chosen": dict(Counter(told.chosen).most_common()),
        "ece": expected_error(reliability),
        "reliability": [{"confidence": float(c), "accuracy": float(a), "n": int(k)} for c, a, k in reliability],
        "confusion": (table_CC / len(answers.repeats)).tolist(),
    }


def expected_error(reliability: Sequence[tuple[float, float, int]]) -> float:
    """ECE: the mean gap between how sure a method is and how often it is right, weighted by the cases in each bin.

    >>> expected_error([(0.5, 0.75, 2), (1.0, 1.0, 2)])
    0.125
    """
    total = sum(n for _, _, n in reliability)
    return float(sum(n * abs(a - c) for c, a, n in reliability if n) / total) if total else float("nan")
