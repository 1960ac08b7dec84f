"""Accuracy: the share of cases whose most likely class is the right one."""

import numpy as np

from lifelong.core.types import Classified, Outcome
from lifelong.metrics.kinds.base import MeanOfCases, predicted


class Accuracy(MeanOfCases):
    """Mean of [predicted class = right class]; a case with a NaN probability counts as wrong.

    >>> Accuracy().value(Classified(np.array([[.9, .1], [.8, .2]]), np.array([0, 1])))
    array([0.5])
    """

    outcome = Classified
    title = "Accuracy"

    def cases(self, outcome: Outcome) -> np.ndarray:
        """1.0 where the case is right."""
        assert isinstance(outcome, Classified)
        return (predicted(outcome) == outcome.targets_N).astype(np.float64)
