"""Within one: the share of cases whose most likely class is the right one or its neighbour, for classes with an order."""

import numpy as np

from lifelong.core.types import Classified, Outcome
from lifelong.metrics.kinds.base import MeanOfCases, predicted


class WithinOne(MeanOfCases):
    """Mean of [|predicted class - right class| <= 1], classes numbered in the catalogue's order ("1-off accuracy" of age bands;
    Eidinger et al. 2014). A case with a NaN probability counts as wrong.

    >>> WithinOne().value(Classified(np.eye(3)[[0, 1, 2]], np.array([0, 0, 0])))
    array([0.66666667])
    """

    outcome = Classified
    title = "Within one"

    def cases(self, outcome: Outcome) -> np.ndarray:
        """1.0 where the class is right or next to it."""
        assert isinstance(outcome, Classified)
        found_N = predicted(outcome)
        return ((np.abs(found_N - outcome.targets_N) <= 1) & (found_N >= 0)).astype(np.float64)
