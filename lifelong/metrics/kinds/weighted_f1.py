"""Weighted F1: the mean of the F1 of every class, each weighing as much as it occurs."""

import numpy as np

from lifelong.core.types import Classified, Outcome
from lifelong.metrics.kinds.base import Metric, divide
from lifelong.metrics.kinds.macro_f1 import f1_of_classes


class WeightedF1(Metric):
    """Mean over classes of F1, weighted by the class's share of the targets; scikit-learn's f1_score(average="weighted").

    >>> WeightedF1().value(Classified(np.array([[.9, .1], [.8, .2], [.3, .7]]), np.array([0, 1, 1]))).round(4)
    array([0.6667])
    """

    outcome = Classified
    title = "Weighted F1"

    def value(self, outcome: Outcome, weights_RN: np.ndarray | None = None) -> np.ndarray:
        """Weighted F1 under each set of weights, float64 (R,)."""
        assert isinstance(outcome, Classified)
        f1_RC, true_RC = f1_of_classes(outcome, weights_RN)
        return divide((np.where(true_RC > 0, f1_RC, 0.0) * true_RC).sum(1), true_RC.sum(1))
