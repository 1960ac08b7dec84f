"""Macro F1: the plain mean of the F1 of every class that occurs, so that rare classes count as much as common ones."""

import numpy as np

from lifelong.core.types import Classified, Outcome
from lifelong.metrics.kinds.base import Metric, divide, predicted


class MacroF1(Metric):
    """Mean over classes of F1 = 2 TP / (2 TP + FP + FN), over the classes with positive weight among the targets.

    A class that is only ever predicted, never right, is left out of the mean (its false alarms still cost the others).
    scikit-learn's f1_score(average="macro", labels=the classes of y_true) is the same number.

    >>> MacroF1().value(Classified(np.array([[.9, .1], [.8, .2], [.3, .7]]), np.array([0, 1, 1])))
    array([0.66666667])
    """

    outcome = Classified
    title = "Macro-F1"

    def value(self, outcome: Outcome, weights_RN: np.ndarray | None = None) -> np.ndarray:
        """Macro F1 under each set of weights, float64 (R,)."""
        assert isinstance(outcome, Classified)
        f1_RC, true_RC = f1_of_classes(outcome, weights_RN)
        present_RC = true_RC > 0
        return divide(np.where(present_RC, f1_RC, 0.0).sum(1), present_RC.sum(1).astype(np.float64))


def f1_of_classes(outcome: Classified, weights_RN: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """F1 (R, C) of every class that occurs among the targets, and its weight among them (R, C)."""
    targets_N, found_N = outcome.targets_N, predicted(outcome)
    if weights_RN is None:
        weights_RN = np.ones((1, len(targets_N)))
    classes = np.unique(targets_N)
    true_RC = _sums(weights_RN, targets_N, classes)
    found_RC = _sums(weights_RN, found_N, classes)
    hits_RC = _sums(weights_RN, np.where(found_N == targets_N, targets_N, -1), classes)
    return divide(2 * hits_RC, true_RC + found_RC), true_RC


def _sums(weights_RN: np.ndarray, labels_N: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Total weight of each class, (R, C). Sorting by class keeps this free of an (N, C) one-hot table."""
    sums_RC = np.zeros((len(weights_RN), len(classes)))
    order = np.argsort(labels_N, kind="stable")
    order = order[np.isin(labels_N[order], classes)]
    if len(order):
        found, starts = np.unique(labels_N[order], return_index=True)
        sums_RC[:, np.searchsorted(classes, found)] = np.add.reduceat(weights_RN[:, order], starts, axis=1)
    return sums_RC
