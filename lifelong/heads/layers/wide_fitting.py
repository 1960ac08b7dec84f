"""A linear head and its wide path fitted together: one logistic regression on user vectors and on TF-IDF of items.

N training users, M validation users, W width of a user vector, V rows of the item table, C classes.
"""

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from lifelong.core.bags import bag
from lifelong.core.tfidf import idf_of, tfidf
from lifelong.core.types import Seen
from lifelong.heads.base import Known
from lifelong.heads.layers.fitting import (
    Scale,
    Solved,
    Weighting,
    best_of,
    class_weights,
    folded,
    log_loss,
    need_users,
    path,
)

STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""C, the inverse penalty; a row of TF-IDF has length 1."""
VECTOR = 0.5
"""Length of a standardised vector beside it, on average. Eight profile labels, five splits, AUC and macro-F1: 0.5 .704 .341, 1
.702 .335, 2 .696 .330; the vector alone .688 .337, TF-IDF alone .696 .338."""


def solve_wide(
    train: Known, valid: Known, rows: int, classes: int, *, weighting: Weighting = "none"
) -> tuple[Solved, Tensor, Tensor]:
    """The head on vectors, idf_V and weight_CV of the wide path, float32; one strength for both, chosen as solve_classes does.

    Raises ValueError for no training user.
    """
    need_users(len(train.targets_N))
    scale, width = Scale.of(train.users_NW), train.users_NW.shape[1]
    bags_NV, valid_bags_MV = bags_of(train.seen, rows), bags_of(valid.seen, rows)
    idf_V = idf_of(bags_NV)
    length = VECTOR / np.sqrt(width)
    here_NX = _beside(scale.apply(train.users_NW) * length, tfidf(bags_NV, idf_V))
    there_MX = _beside(scale.apply(valid.users_NW) * length, tfidf(valid_bags_MV, idf_V))
    counts_C = np.bincount(train.targets_N.numpy(), minlength=classes)
    weigh_C, targets_M = class_weights(counts_C, weighting), valid.targets_N.numpy()

    def score(weight_CX: np.ndarray, bias_C: np.ndarray) -> float:
        return -log_loss(there_MX @ weight_CX.T + bias_C, targets_M, weigh_C)

    fits = path(here_NX, train.targets_N.numpy(), counts_C, STRENGTHS, weighting)
    c, weight_CX, bias_C, found = best_of(fits, score)
    head = folded(weight_CX[:, :width] * length, bias_C, scale, c, found)
    return head, torch.from_numpy(idf_V).float(), torch.from_numpy(weight_CX[:, width:]).float()


def bags_of(seen: Seen | None, rows: int) -> sparse.csr_matrix:
    """(N, rows) float64: 1 for each distinct item that a point sees."""
    assert seen is not None
    rows_NS, weights_NS = (tensor.cpu().numpy() for tensor in bag(seen.rows_NS))
    there_NS = weights_NS > 0
    offsets_N1 = np.concatenate(([0], there_NS.sum(1).cumsum()))
    columns = rows_NS[there_NS]
    return sparse.csr_matrix((np.ones(len(columns)), columns, offsets_N1), shape=(len(rows_NS), rows))


def _beside(vectors_NW: np.ndarray, tfidf_NV: sparse.csr_matrix) -> sparse.csr_matrix:
    return sparse.hstack([sparse.csr_matrix(vectors_NW), tfidf_NV]).tocsr()
