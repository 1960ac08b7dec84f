"""Mean average precision of several labels: for each label users are ranked by its probability; the plain mean over labels."""

import numpy as np

from lifelong.core.types import Labelled, Outcome
from lifelong.metrics.kinds.base import Metric, divide


class MAP(Metric):
    """Mean over labels of AP = sum over users with the label of the precision at their place, ties at their last place.

    Labels that nobody has are left out; nan where that leaves none, or a probability is NaN. Chance is the label's share of the
    users. scikit-learn's average_precision_score(average="macro") is the same number.

    >>> MAP().value(Labelled(np.array([[.9], [.8], [.1]]), np.array([[1], [0], [1]]))).round(4)
    array([0.8333])
    """

    outcome = Labelled
    title = "MAP"

    def value(self, outcome: Outcome, weights_RN: np.ndarray | None = None) -> np.ndarray:
        """MAP under each set of weights, float64 (R,)."""
        assert isinstance(outcome, Labelled)
        scores_NC, true_NC = outcome.probabilities_NC, outcome.targets_NC > 0
        if weights_RN is None:
            weights_RN = np.ones((1, len(true_NC)))
        if np.isnan(scores_NC).any():
            return np.full(len(weights_RN), np.nan)
        each = [average_precision(s_N, t_N, weights_RN) for s_N, t_N in zip(scores_NC.T, true_NC.T, strict=True)]
        each_CR = np.stack(each)
        return divide(np.nansum(each_CR, axis=0), (~np.isnan(each_CR)).sum(0).astype(np.float64))


def average_precision(scores_N: np.ndarray, true_N: np.ndarray, weights_RN: np.ndarray) -> np.ndarray:
    """AP of one label under each set of weights, float64 (R,); nan where nobody has it."""
    order = np.argsort(-scores_N, kind="stable")
    starts_G = np.flatnonzero(np.diff(scores_N[order], prepend=np.inf))
    found_RG = np.add.reduceat(weights_RN[:, order], starts_G, axis=1)
    hits_RG = np.add.reduceat(np.where(true_N, weights_RN, 0.0)[:, order], starts_G, axis=1)
    precision_RG = np.nan_to_num(divide(hits_RG.cumsum(1), found_RG.cumsum(1)))
    return divide((hits_RG * precision_RG).sum(1), hits_RG.sum(1))
