"""Mean absolute error: of numbers in their own units, of classes with an order in steps."""

import numpy as np

from lifelong.core.types import Classified, Estimated, Outcome
from lifelong.metrics.kinds.base import MeanOfCases, predicted


class MAE(MeanOfCases):
    """Mean of |predicted - right|. Of classes it is the distance, in the catalogue's order, from the most likely class (as in
    the CORAL paper); a case with a NaN probability then counts as far off as any class can be.

    >>> MAE().value(Estimated(np.array([1., 2.]), np.array([1., 5.])))
    array([1.5])
    """

    outcome = (Estimated, Classified)
    title = "MAE"
    higher_is_better = False
    range = (0.0, np.inf)

    def cases(self, outcome: Outcome) -> np.ndarray:
        """The distance of each case."""
        if isinstance(outcome, Estimated):
            return np.abs(outcome.values_N.astype(np.float64) - outcome.targets_N)
        assert isinstance(outcome, Classified)
        found_N, furthest = predicted(outcome), outcome.probabilities_NC.shape[1] - 1
        return np.where(found_N < 0, furthest, np.abs(found_N - outcome.targets_N)).astype(np.float64)
