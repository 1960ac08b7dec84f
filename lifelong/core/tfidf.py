"""TF-IDF of bags of items as sparse rows: where the long-term table and wide heads begin."""

import numpy as np
import scipy.sparse as sparse

MIN_USERS = 3
"""Items of fewer users say nothing: they weigh 0."""


def idf_of(bags_UV: sparse.csr_matrix) -> np.ndarray:
    """Inverse document frequency (V,) float64 of bags of ones, as scikit-learn's TfidfTransformer has it; 0 for rare items."""
    users_V = np.bincount(bags_UV.indices, minlength=bags_UV.shape[1])
    idf_V: np.ndarray = np.log((1 + bags_UV.shape[0]) / (1 + users_V)) + 1
    idf_V[users_V < MIN_USERS] = 0.0
    return idf_V


def tfidf(bags_UV: sparse.csr_matrix, idf_V: np.ndarray) -> sparse.csr_matrix:
    """idf at every item of a user, rows (U, V) float64 of length 1, or 0."""
    weights_UV = (bags_UV @ sparse.diags(idf_V)).tocsr()
    weights_UV.eliminate_zeros()
    length_U = np.sqrt(np.asarray(weights_UV.multiply(weights_UV).sum(1))[:, 0])
    return (sparse.diags(1 / np.where(length_U > 0, length_U, 1.0)) @ weights_UV).tocsr()
