"""Mean reciprocal rank of the right item, zero below rank K."""

import numpy as np

from lifelong.metrics.kinds.base import RankingMetric


class MRR(RankingMetric):
    """MRR@K = mean of 1 / rank for ranks up to K, else 0: the cut MRR that the NextItNet and Conure papers report.

    >>> from lifelong.core.types import Ranked
    >>> MRR(MRR.Config(k=5)).value(Ranked(np.array([1, 2, 6])))
    array([0.5])
    """

    title = "MRR"

    def gain(self, ranks_N: np.ndarray) -> np.ndarray:
        """The reciprocal of the rank."""
        return 1.0 / ranks_N
