"""What became of earlier tasks: average, backward transfer, forgetting, forward gain and intransigence.

matrix_TT[i, j] is the metric of task j after learning task i (higher is better), nan above the diagonal: rows are time.
Columns of a metric of which less is better come negated (core.direction.sign); then what is lost is positive there, too.
Where a task's final value is bit-equal to an earlier one its difference is exactly 0.0, and so are the means.
Tasks measured on different scales should not be averaged: see `mean_by_metric`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def average(matrix_TT: ArrayLike, reference_T: ArrayLike | None = None) -> float:
    """ACC = 1/T sum_j R[T, j], the mean of the last row (Lopez-Paz & Ranzato 2017).

    With reference_T (each task trained alone) every value is first divided by it, so that scales become comparable.

    >>> average([[.8, np.nan], [.6, .4]])
    0.5
    >>> average([[.8, np.nan], [.6, .4]], reference_T=[.6, .8])
    0.75
    """
    final_T = _matrix(matrix_TT)[-1]
    return float(np.mean(final_T if reference_T is None else final_T / np.asarray(reference_T, dtype=np.float64)))


def average_by_metric(matrix_TT: ArrayLike, metrics: Sequence[str]) -> dict[str, float]:
    """The mean of the last row over the tasks of each metric, in order of appearance.

    >>> average_by_metric([[.1, np.nan, np.nan], [.1, .8, np.nan], [.1, .8, .6]], ["ndcg@10", "auc", "auc"])
    {'ndcg@10': 0.1, 'auc': 0.7}
    """
    return mean_by_metric(_matrix(matrix_TT)[-1], metrics)


def mean_by_metric(values_T: ArrayLike, metrics: Sequence[str]) -> dict[str, float]:
    """The mean of a figure of each task over the tasks of each metric, in order of appearance.

    >>> mean_by_metric([.25, .5, .75], ["auc", "ndcg@10", "auc"])
    {'auc': 0.5, 'ndcg@10': 0.5}
    """
    values_T, names = np.asarray(values_T, dtype=np.float64), np.array(metrics)
    return {name: float(values_T[names == name].mean()) for name in dict.fromkeys(metrics)}


def backward_transfer_per_task(matrix_TT: ArrayLike) -> np.ndarray:
    """b_j = R[T, j] - R[j, j], float64 (T,): final value minus just learned, 0.0 for the last task.

    >>> backward_transfer_per_task([[.75, np.nan], [.5, .9]])
    array([-0.25,  0.  ])
    """
    matrix_TT = _matrix(matrix_TT)
    return matrix_TT[-1] - matrix_TT.diagonal()


def backward_transfer(matrix_TT: ArrayLike) -> float:
    """BWT = 1/(T-1) sum_{j<T} (R[T, j] - R[j, j]); negative is forgetting (Lopez-Paz & Ranzato 2017). 0.0 for one task.

    >>> backward_transfer([[.75, np.nan], [.5, .9]])
    -0.25
    >>> backward_transfer([[.75, np.nan], [.75, .9]])
    0.0
    """
    return _mean(backward_transfer_per_task(matrix_TT)[:-1])


def forgetting_per_task(matrix_TT: ArrayLike) -> np.ndarray:
    """f_j = max_{i<T} R[i, j] - R[T, j], float64 (T,): best earlier value minus final value (Chaudhry et al. 2018).

    Negative where a task became better than it had ever been. The last task has no earlier value: its entry is 0.0.

    >>> forgetting_per_task([[.75, np.nan, np.nan], [.8, .5, np.nan], [.3, .5, .9]])
    array([0.5, 0. , 0. ])
    """
    matrix_TT = _matrix(matrix_TT)
    if len(matrix_TT) == 1:
        return np.zeros(1)
    best_T = np.fmax.reduce(matrix_TT[:-1])
    return np.append((best_T - matrix_TT[-1])[:-1], 0.0)


def forgetting(matrix_TT: ArrayLike) -> float:
    """F = 1/(T-1) sum_{j<T} f_j, the mean of `forgetting_per_task` without the last task (Chaudhry et al. 2018).

    At least minus the backward transfer, because it compares with the best earlier value. 0.0 for one task.

    >>> forgetting([[.75, np.nan, np.nan], [.8, .5, np.nan], [.3, .5, .9]])
    0.25
    """
    return _mean(forgetting_per_task(matrix_TT)[:-1])


def forward_gain_per_task(matrix_TT: ArrayLike, scratch_T: ArrayLike) -> np.ndarray:
    """g_j = R[j, j] - scratch_j, float64 (T,): what learning after the others was worth, nan where scratch is nan.

    >>> forward_gain_per_task([[.5, np.nan], [.5, .75]], [.5, .5])
    array([0.  , 0.25])
    """
    return _matrix(matrix_TT).diagonal() - np.asarray(scratch_T, dtype=np.float64)


def forward_gain(matrix_TT: ArrayLike, scratch_T: ArrayLike) -> float:
    """FWT' = mean_j (R[j, j] - scratch_j), scratch_j being the same model trained on task j alone.

    nan entries are left out. It stands in for the FWT of Lopez-Paz & Ranzato (2017), R[j-1, j] - b_j, which
    asks for answers to a task not yet learned: a task brings its own head, and before it there is nothing to measure.

    >>> forward_gain([[.5, np.nan], [.5, .75]], [.5, .5])
    0.125
    """
    gain_T = forward_gain_per_task(matrix_TT, scratch_T)
    return _mean(gain_T[~np.isnan(gain_T)])


def intransigence(matrix_TT: ArrayLike, joint_T: ArrayLike) -> np.ndarray:
    """I_j = joint_j - R[j, j], float64 (T,), joint_j from training on tasks 1..j together (Chaudhry et al. 2018).

    What not forgetting costs: positive where learning one by one fell short, negative where it did better.

    >>> intransigence([[.5, np.nan], [.5, .75]], [.5, 1.])
    array([0.  , 0.25])
    """
    return np.asarray(joint_T, dtype=np.float64) - _matrix(matrix_TT).diagonal()


def _matrix(matrix_TT: ArrayLike) -> np.ndarray:
    matrix = np.asarray(matrix_TT, dtype=np.float64)  # None, as JSON has it, becomes nan
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) == 0:
        raise ValueError(f"the accuracy matrix has shape {matrix.shape}; it needs one row and one column per task")
    return matrix


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0
