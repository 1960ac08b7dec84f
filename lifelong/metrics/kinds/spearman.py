"""Spearman's rank correlation: whether larger numbers are predicted to be larger, whatever their scale."""

import numpy as np

from lifelong.core.types import Estimated, Outcome
from lifelong.metrics.kinds.base import Metric, divide


class Spearman(Metric):
    """Pearson's correlation of the ranks, equal numbers sharing the mean of theirs; nan where one side is constant or NaN.

    >>> Spearman().value(Estimated(np.array([1., 9., 10.]), np.array([2., 3., 1.])))
    array([-0.5])
    """

    outcome = Estimated
    title = "Spearman"
    range = (-1.0, 1.0)

    def value(self, outcome: Outcome, weights_RN: np.ndarray | None = None) -> np.ndarray:
        """The correlation under each set of weights, float64 (R,)."""
        assert isinstance(outcome, Estimated)
        if weights_RN is None:
            weights_RN = np.ones((1, len(outcome.targets_N)))
        if np.isnan(outcome.values_N).any():
            return np.full(len(weights_RN), np.nan)
        a_RN, b_RN = (_centred(side_N, weights_RN) for side_N in (outcome.values_N, outcome.targets_N))
        below_R = np.sqrt((weights_RN * a_RN**2).sum(1)) * np.sqrt((weights_RN * b_RN**2).sum(1))
        return np.clip(divide((weights_RN * a_RN * b_RN).sum(1), below_R), -1.0, 1.0)


def _centred(values_N: np.ndarray, weights_RN: np.ndarray) -> np.ndarray:
    """Mid-ranks less their mean, (R, N): the weight below a case and half of that of its equals."""
    distinct, group_N = np.unique(values_N, return_inverse=True)
    order = np.argsort(group_N, kind="stable")
    starts_G = np.searchsorted(group_N[order], np.arange(len(distinct)))
    equal_RG = np.add.reduceat(weights_RN[:, order], starts_G, axis=1)
    ranks_RN = (np.cumsum(equal_RG, axis=1) - equal_RG / 2)[:, group_N]
    return ranks_RN - divide((weights_RN * ranks_RN).sum(1), weights_RN.sum(1))[:, None]
