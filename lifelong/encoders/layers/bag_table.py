"""The long-term path's table in closed form, by a singular value decomposition: what items say about who has them."""

import numpy as np
import scipy.sparse as sparse
import torch
from sklearn.utils.extmath import randomized_svd
from torch import Tensor

from lifelong.core.tfidf import idf_of, tfidf

POWER = 1.5
"""Exponent of the singular values in a user's vector. 0 makes every direction count alike (what standardising the columns of an
SVD does), 1 is the SVD; mean AUC of eight profile labels under a linear probe: 0 .660, 0.5 .676, 1 .689, 1.5 .693."""
MOST_USERS = 200_000
"""So many users at most are looked at."""
PASSES = 4


def started_table(
    rows_E: np.ndarray, begins_U: np.ndarray, ends_U: np.ndarray, rows: int, width: int, seed: int, first: int = 1
) -> Tensor:
    """Table (rows, width) float32 out of the events rows_E[begins_U[u] : ends_U[u]] of the users that may be looked at.

    A_UV = the weights 1 of each user's distinct items times idf, rows of length 1; A = U S V^T (Halko et al., SIAM Review 2011;
    latent semantic indexing, Deerwester et al. 1990). An item's row is idf (V S^(POWER - 1)) R, with R a random rotation:
    after it all columns vary alike, so that standardising them, as probes do, no longer lifts the weakest directions to the
    level of the strongest: that, not what a table is trained for, decides how well a linear probe does on a few hundred users.
    The users' vectors have a mean square of 1 a column. Row 0 and rows of rare items are 0; the same for the same seed.

    first: rows before it are 0, and read as if they were not there, because another task has brought them. With every `first`
    goes a rotation of its own, so that what two tasks' items say does not come to lie in the same directions.
    """
    random = np.random.default_rng(seed if first == 1 else [seed, first])
    if len(begins_U) > MOST_USERS:
        some = np.sort(random.choice(len(begins_U), MOST_USERS, replace=False))
        begins_U, ends_U = begins_U[some], ends_U[some]
    bags_UV = _distinct(np.where(rows_E < first, 0, rows_E), begins_U, ends_U, rows)
    idf_V = idf_of(bags_UV)
    weights_UV = tfidf(bags_UV, idf_V)
    rank = min(width, *weights_UV.shape)
    if not rank or not weights_UV.nnz:
        return torch.zeros(rows, width)
    _, strength_K, right_KV = randomized_svd(weights_UV, rank, n_iter=PASSES, random_state=seed)
    rotation_KW = np.linalg.qr(random.normal(size=(width, width)))[0][:rank]
    table_VW = (idf_V[:, None] * right_KV.T * strength_K ** (POWER - 1)) @ rotation_KW
    users_UW = _alike(bags_UV) @ table_VW
    square = float(np.mean(users_UW**2))
    return torch.from_numpy(table_VW / np.sqrt(square) if square else table_VW).float()


def _distinct(rows_E: np.ndarray, begins_U: np.ndarray, ends_U: np.ndarray, rows: int) -> sparse.csr_matrix:
    """(U, rows): 1 where a user has the item; users with any item other than row 0."""
    lengths_U = ends_U - begins_U
    offsets_U1 = np.concatenate(([0], np.cumsum(lengths_U)))
    place_M = np.arange(offsets_U1[-1]) + np.repeat(begins_U - offsets_U1[:-1], lengths_U)
    ones_M = np.ones(len(place_M))
    bags_UV = sparse.csr_matrix((ones_M, rows_E[place_M], offsets_U1), shape=(len(lengths_U), rows))
    bags_UV.sum_duplicates()
    bags_UV.data[:] = bags_UV.indices > 0
    bags_UV.eliminate_zeros()
    return bags_UV[np.diff(bags_UV.indptr) > 0]


def _alike(bags_UV: sparse.csr_matrix) -> sparse.csr_matrix:
    """The weights of `core.bags.bag`."""
    count_U = np.diff(bags_UV.indptr)
    return sparse.diags(1 / np.sqrt(np.maximum(count_U, 1))) @ bags_UV
