"""Calibration: what is said with 70 % should come true 7 times in 10; the bins behind the ECE, for a reliability diagram."""

from typing import NamedTuple

import numpy as np


class Bin(NamedTuple):
    """Cases of about equal confidence: how sure they were on average, what share was right, how many there are."""

    confidence: float
    accuracy: float
    n: int


def bins(probabilities_NC: np.ndarray, targets_N: np.ndarray, count: int = 15) -> list[Bin]:
    """Bins of equal width over the probability of the most likely class (Guo et al., ICML 2017), those that hold a case.

    Cases with a NaN probability are in none.

    >>> bins(np.array([[.8, .2], [.8, .2], [.4, .6]]), np.array([0, 1, 1]), 10)
    [Bin(confidence=0.6, accuracy=1.0, n=1), Bin(confidence=0.8, accuracy=0.5, n=2)]
    """
    confidence_N, right_N = confidence(probabilities_NC, targets_N)
    said_N = ~np.isnan(confidence_N)
    bin_n = bin_of(confidence_N[said_N], count)
    cases_B = np.bincount(bin_n, minlength=count)
    sure_B, right_B = (np.bincount(bin_n, side_N[said_N], minlength=count) for side_N in (confidence_N, right_N))
    filled = np.flatnonzero(cases_B)
    return [Bin(float(sure_B[b] / cases_B[b]), float(right_B[b] / cases_B[b]), int(cases_B[b])) for b in filled]


def confidence(probabilities_NC: np.ndarray, targets_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The probability of each case's most likely class, and 1.0 where that class is right; float64 (N,) each."""
    right_N = probabilities_NC.argmax(1) == targets_N
    return probabilities_NC.max(1).astype(np.float64), right_N.astype(np.float64)


def bin_of(confidence_N: np.ndarray, count: int) -> np.ndarray:
    """The bin (lower edge, upper edge] of each probability, int64; 0 lies in the first.

    >>> bin_of(np.array([0., .1, .11, 1.]), 10)
    array([0, 0, 1, 9])
    """
    return np.clip(np.ceil(confidence_N * count).astype(np.int64) - 1, 0, count - 1)
