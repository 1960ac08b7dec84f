"""What a metric is: one number about an outcome, under many case weights at once.

Shapes: R sets of weights, N cases, C classes. One call under R sets of weights is what makes a bootstrap cheap.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lifelong.core.types import Classified, Outcome, Ranked


class Metric(ABC):
    """A number that says how good an outcome is."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Options of the metric."""

    outcome: ClassVar[type | tuple[type, ...]]
    """What it looks at: Ranked, Classified, Labelled, Estimated, or several of them; as isinstance takes it."""
    title: ClassVar[str]
    """Its name for people."""
    higher_is_better: ClassVar[bool] = True
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """The least and the most it can be."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config if config is not None else self.Config()

    @property
    def label(self) -> str:
        """Its name for people, with the cut-off where there is one: `NDCG@10`."""
        return self.title

    @abstractmethod
    def value(self, outcome: Outcome, weights_RN: np.ndarray | None = None) -> np.ndarray:
        """The metric under R sets of case weights (None: one set of ones), float64 (R,); nan where it is undefined.

        A weight of 2 means exactly what the same case standing twice would mean.
        """


class MeanOfCases(Metric):
    """A metric that is the mean of one number per case."""

    @abstractmethod
    def cases(self, outcome: Outcome) -> np.ndarray:
        """The number of each case, float64 (N,)."""

    def value(self, outcome: Outcome, weights_RN: np.ndarray | None = None) -> np.ndarray:
        """The weighted mean over cases, float64 (R,)."""
        cases_N = self.cases(outcome)
        if weights_RN is None:
            return divide(cases_N.sum(keepdims=True), np.array([float(len(cases_N))]))
        return divide(weights_RN @ cases_N, weights_RN.sum(1))


class RankingMetric(MeanOfCases):
    """A mean over cases of a gain that depends on the right item's rank alone, zero below the cut-off."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Metric.Config):
        """Options of a ranking metric."""

        k: int = 10
        """The cut-off: ranks above it count as zero."""

        def __post_init__(self) -> None:
            if self.k < 1:
                raise ValueError(f"k is {self.k}; the cut-off of a ranking is 1 or more")

    outcome = Ranked
    config: Config

    @property
    def label(self) -> str:
        """The name with the cut-off: `NDCG@10`."""
        return f"{self.title}@{self.config.k}"

    @abstractmethod
    def gain(self, ranks_N: np.ndarray) -> np.ndarray:
        """What a rank is worth, 1.0 at rank 1; float64 (N,)."""

    def cases(self, outcome: Outcome) -> np.ndarray:
        """The gain of each case, zero below the cut-off."""
        assert isinstance(outcome, Ranked)
        ranks_N = outcome.ranks_N.astype(np.float64)
        return np.where(ranks_N <= self.config.k, self.gain(ranks_N), 0.0)


def predicted(outcome: Classified) -> np.ndarray:
    """The most likely class of each case, int64 (N,): the lowest index of a tie, -1 where a probability is NaN.

    >>> predicted(Classified(np.array([[.2, .8], [.5, .5], [np.nan, 1.]]), np.zeros(3)))
    array([ 1,  0, -1])
    """
    classes_N = outcome.probabilities_NC.argmax(1)
    return np.where(np.isnan(outcome.probabilities_NC).any(1), -1, classes_N)


def divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, nan where below is zero, without a warning."""
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, np.nan), where=below != 0)
