"""Expected calibration error: how far stated probabilities are, on average, from how often they come true."""

from dataclasses import dataclass

import numpy as np

from lifelong.core.types import Classified, Outcome
from lifelong.metrics.calibration import bin_of, confidence
from lifelong.metrics.kinds.base import Metric, divide


class ECE(Metric):
    """Sum over bins of (share of cases) x |share right - mean probability of the most likely class| (Guo et al., ICML 2017).

    Bins of equal width; 15 as in the paper, `ece@10` for another number. It is not proper: shares of training for everybody
    score near 0. nan where a probability is NaN.

    >>> ECE().value(Classified(np.array([[.8, .2], [.8, .2]]), np.array([0, 1]))).round(4)
    array([0.3])
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Metric.Config):
        """Options of the metric."""

        k: int = 15
        """Bins between 0 and 1."""

        def __post_init__(self) -> None:
            if self.k < 1:
                raise ValueError(f"k is {self.k}; a calibration error needs at least 1 bin")

    outcome = Classified
    title = "ECE"
    higher_is_better = False
    config: Config

    def value(self, outcome: Outcome, weights_RN: np.ndarray | None = None) -> np.ndarray:
        """The error under each set of weights, float64 (R,)."""
        assert isinstance(outcome, Classified)
        confidence_N, right_N = confidence(outcome.probabilities_NC, outcome.targets_N)
        if weights_RN is None:
            weights_RN = np.ones((1, len(right_N)))
        if np.isnan(confidence_N).any():
            return np.full(len(weights_RN), np.nan)
        gap_NB = np.zeros((len(right_N), self.config.k))
        gap_NB[np.arange(len(right_N)), bin_of(confidence_N, self.config.k)] = right_N - confidence_N
        return divide(np.abs(weights_RN @ gap_NB).sum(1), weights_RN.sum(1))
