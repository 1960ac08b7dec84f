"""The confusion matrix: what was right, by row, and what was said, by column."""

import numpy as np


def confusion(targets_N: np.ndarray, predicted_N: np.ndarray, classes: int) -> np.ndarray:
    """How many cases of each right class (row) were said to be of each class (column); int64 (C, C).

    Cases of which no class is said (-1, as `predicted` gives where a probability is NaN) are left out.

    >>> confusion(np.array([0, 1, 1]), np.array([0, 1, 0]), 2)
    array([[1, 0],
           [1, 1]])
    """
    said_N = predicted_N >= 0
    places_n = targets_N[said_N] * classes + predicted_N[said_N]
    return np.bincount(places_n, minlength=classes * classes).reshape(classes, classes)


def shares(matrix_CC: np.ndarray) -> np.ndarray:
    """Each row as shares of its cases, float64 (C, C); nan where a class has none. The diagonal is each class's recall."""
    cases_C1 = matrix_CC.sum(1, keepdims=True)
    return np.divide(matrix_CC, cases_C1, out=np.full(matrix_CC.shape, np.nan), where=cases_C1 > 0)
