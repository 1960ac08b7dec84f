"""Normalised discounted cumulative gain of one right item among the full catalogue."""

import numpy as np

from lifelong.metrics.kinds.base import RankingMetric


class NDCG(RankingMetric):
    """NDCG@K = mean of 1 / log2(rank + 1) for ranks up to K, else 0 (Järvelin & Kekäläinen 2002, one relevant item).

    >>> from lifelong.core.types import Ranked
    >>> NDCG(NDCG.Config(k=3)).value(Ranked(np.array([1, 3, 4])))
    array([0.5])
    """

    title = "NDCG"

    def gain(self, ranks_N: np.ndarray) -> np.ndarray:
        """The discount of the rank."""
        return 1.0 / np.log2(ranks_N + 1.0)
