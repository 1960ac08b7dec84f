"""Log loss: how surprised the probabilities are by the right class, 0 when sure and right, ln C when they know nothing."""

import numpy as np

from lifelong.core.types import Classified, Outcome
from lifelong.metrics.kinds.base import MeanOfCases

SMALLEST = float(np.finfo(np.float32).eps)
"""Probabilities below count as this: one case costs at most 15.9."""


class LogLoss(MeanOfCases):
    """Mean of -ln P(right class), in nats; the proper score that selects an epoch. A case with a NaN probability makes it nan.

    >>> LogLoss().value(Classified(np.array([[.5, .5], [1., 0.]]), np.array([0, 0]))).round(4)
    array([0.3466])
    """

    outcome = Classified
    title = "Log loss"
    higher_is_better = False
    range = (0.0, np.inf)

    def cases(self, outcome: Outcome) -> np.ndarray:
        """The surprise of each case, in nats."""
        assert isinstance(outcome, Classified)
        right_N = outcome.probabilities_NC[np.arange(len(outcome.targets_N)), outcome.targets_N].astype(np.float64)
        return -np.log(np.clip(right_N, SMALLEST, 1.0))
