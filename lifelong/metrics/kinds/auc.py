"""Area under the ROC curve: how often a positive case is scored above a negative one, ties counting half."""

from collections.abc import Iterator

import numpy as np

from lifelong.core.types import Classified, Labelled, Outcome
from lifelong.metrics.kinds.base import Metric, divide


class AUC(Metric):
    """P(score of a positive > score of a negative) + P(equal) / 2 (Mann-Whitney U; Hanley & McNeil 1982).

    Two classes: the score is the probability of class 1. More: the plain mean of one class against the rest, over the
    classes that have both positives and negatives. Several labels: the plain mean over them likewise. nan where no class has
    both, or a probability is NaN.

    >>> AUC().value(Classified(np.array([[.9, .1], [.5, .5], [.5, .5]]), np.array([0, 0, 1])))
    array([0.75])
    """

    outcome = (Classified, Labelled)
    title = "AUC"

    def value(self, outcome: Outcome, weights_RN: np.ndarray | None = None) -> np.ndarray:
        """AUC under each set of weights, float64 (R,)."""
        assert isinstance(outcome, Classified | Labelled)
        scores_NC = outcome.probabilities_NC
        if weights_RN is None:
            weights_RN = np.ones((1, len(scores_NC)))
        if np.isnan(scores_NC).any():
            return np.full(len(weights_RN), np.nan)
        total_R, defined_R = np.zeros(len(weights_RN)), np.zeros(len(weights_RN))
        for c, positive_N in _positives(outcome):
            auc_R = _binary(scores_NC[:, c], positive_N, weights_RN)
            total_R += np.nan_to_num(auc_R)
            defined_R += ~np.isnan(auc_R)
        return divide(total_R, defined_R)


def _positives(outcome: Classified | Labelled) -> Iterator[tuple[int, np.ndarray]]:
    """The columns that are judged, each with who should be high in it (bool)."""
    if isinstance(outcome, Labelled):
        yield from enumerate(outcome.targets_NC.T > 0)
    else:
        classes = [1] if outcome.probabilities_NC.shape[1] == 2 else np.unique(outcome.targets_N).tolist()
        yield from ((c, outcome.targets_N == c) for c in classes)


def _binary(scores_N: np.ndarray, positive_N: np.ndarray, weights_RN: np.ndarray) -> np.ndarray:
    """The AUC of one score: each positive meets the weight of the negatives below it and half of those beside it."""
    order = np.argsort(scores_N, kind="stable")
    scores_N, positive_N, weights_RN = scores_N[order], positive_N[order], weights_RN[:, order]
    negatives_RN = np.cumsum(np.where(positive_N, 0.0, weights_RN), axis=1)
    negatives_RN = np.pad(negatives_RN, ((0, 0), (1, 0)))
    first_P = np.searchsorted(scores_N, scores_N[positive_N], side="left")
    after_P = np.searchsorted(scores_N, scores_N[positive_N], side="right")
    below_RP = (negatives_RN[:, first_P] + negatives_RN[:, after_P]) / 2
    weights_RP = weights_RN[:, positive_N]
    return divide((weights_RP * below_RP).sum(1), weights_RP.sum(1) * negatives_RN[:, -1])
