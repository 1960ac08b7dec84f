"""R squared: the share of the variance of the right numbers that the predictions explain; 0 is what their mean would do."""

import numpy as np

from lifelong.core.types import Estimated, Outcome
from lifelong.metrics.kinds.base import Metric, divide


class R2(Metric):
    """1 - sum (right - predicted)^2 / sum (right - mean of the right ones)^2: 1 is perfect, below 0 worse than their mean.

    nan where all right numbers are equal.

    >>> R2().value(Estimated(np.array([1., 2., 4.]), np.array([1., 2., 3.])))
    array([0.5])
    """

    outcome = Estimated
    title = "R²"
    range = (-np.inf, 1.0)

    def value(self, outcome: Outcome, weights_RN: np.ndarray | None = None) -> np.ndarray:
        """R squared under each set of weights, float64 (R,)."""
        assert isinstance(outcome, Estimated)
        targets_N = outcome.targets_N.astype(np.float64)
        if weights_RN is None:
            weights_RN = np.ones((1, len(targets_N)))
        mean_R = divide(weights_RN @ targets_N, weights_RN.sum(1))
        spread_R = (weights_RN * (targets_N - mean_R[:, None]) ** 2).sum(1)
        return 1.0 - divide(weights_RN @ (targets_N - outcome.values_N) ** 2, spread_R)
