"""Root mean squared error of numbers, in their own units."""

import numpy as np

from lifelong.core.types import Estimated, Outcome
from lifelong.metrics.kinds.base import MeanOfCases


class RMSE(MeanOfCases):
    """Square root of the mean of (predicted - right)^2; one large miss counts more than many small ones.

    >>> RMSE().value(Estimated(np.array([1., 2.]), np.array([1., 6.]))).round(4)
    array([2.8284])
    """

    outcome = Estimated
    title = "RMSE"
    higher_is_better = False
    range = (0.0, np.inf)

    def cases(self, outcome: Outcome) -> np.ndarray:
        """The squared distance of each case."""
        assert isinstance(outcome, Estimated)
        return (outcome.values_N.astype(np.float64) - outcome.targets_N) ** 2

    def value(self, outcome: Outcome, weights_RN: np.ndarray | None = None) -> np.ndarray:
        """RMSE under each set of weights, float64 (R,)."""
        return np.sqrt(super().value(outcome, weights_RN))
