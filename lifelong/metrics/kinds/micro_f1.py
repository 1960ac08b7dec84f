"""Micro F1 of several labels: all (user, label) pairs thrown together, a label being said from a probability of one half on."""

import numpy as np

from lifelong.core.types import Labelled, Outcome
from lifelong.metrics.kinds.base import Metric, divide

SAID_FROM = 0.5


class MicroF1(Metric):
    """2 TP / (2 TP + FP + FN) over all pairs; nan where nobody has a label and none is said. Frequent labels decide it.

    A NaN probability says nothing. scikit-learn's f1_score(average="micro") is the same number.

    >>> MicroF1().value(Labelled(np.array([[.9, .6], [.2, .1]]), np.array([[1, 0], [0, 1]]))).round(4)
    array([0.5])
    """

    outcome = Labelled
    title = "Micro-F1"

    def value(self, outcome: Outcome, weights_RN: np.ndarray | None = None) -> np.ndarray:
        """Micro F1 under each set of weights, float64 (R,)."""
        assert isinstance(outcome, Labelled)
        said_NC, true_NC = outcome.probabilities_NC >= SAID_FROM, outcome.targets_NC > 0
        if weights_RN is None:
            weights_RN = np.ones((1, len(said_NC)))
        hits_R, said_R, true_R = (weights_RN @ cells.sum(1) for cells in (said_NC & true_NC, said_NC, true_NC))
        return divide(2.0 * hits_R, said_R + true_R)
