"""Hit rate: the share of cases whose right item is among the first K of the full catalogue."""

import numpy as np

from lifelong.metrics.kinds.base import RankingMetric


class HitRate(RankingMetric):
    """HR@K = mean of [rank <= K]; with one right item it is also Recall@K.

    >>> from lifelong.core.types import Ranked
    >>> HitRate(HitRate.Config(k=2)).value(Ranked(np.array([1, 2, 3, 4])))
    array([0.5])
    """

    title = "HR"

    def gain(self, ranks_N: np.ndarray) -> np.ndarray:
        """One, whatever the rank."""
        return np.ones_like(ranks_N)
