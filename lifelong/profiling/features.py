"""What baselines know of users: TF-IDF of items, 64 directions of it, shares of categories, fitted without those asked."""

from functools import cached_property

import numpy as np
import scipy.sparse as sp
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.preprocessing import StandardScaler

from lifelong.profiling.folds import Fold
from lifelong.profiling.people import People

WIDTH = 64
"""Directions of the SVD."""
LEAST_USERS = 3
"""Items that fewer users had say nothing of others."""


class Features:
    """Features of everybody for one fold. Weights and directions come from all users of the data set, labelled or not, but
    unseen ones who are asked: whose events pretraining has read, of those baselines may read them, too."""

    def __init__(self, people: People, fold: Fold, seed: int) -> None:
        self.people, self.fold, self.seed = people, fold, seed

    @cached_property
    def tfidf_PV(self) -> sp.csr_matrix:
        """TF-IDF of log counts, rows of length one (Salton & Buckley 1988)."""
        return self._tfidf_UV[self.people.users_P]

    @cached_property
    def svd_PD(self) -> np.ndarray:
        """The strongest directions of it, standardised on the training users."""
        known_UV, width = self._tfidf_UV[self._others_U], min(WIDTH, min(self._tfidf_UV.shape) - 1)
        found = TruncatedSVD(width, random_state=self.seed).fit(known_UV)
        return standardised(found.transform(self.tfidf_PV), self.fold.train_n)

    @cached_property
    def shares_PG(self) -> np.ndarray:
        """Shares of the item's categories in a history, and the log of its length."""
        counts_PV = self.people.counts_UV[self.people.users_P]
        sums_PG = np.asarray((counts_PV @ self.people.categories_VG).todense())
        lengths_P1 = np.asarray(counts_PV.sum(1))
        return np.hstack([sums_PG / np.maximum(sums_PG.sum(1, keepdims=True), 1), np.log1p(lengths_P1)])

    @cached_property
    def _others_U(self) -> np.ndarray:
        others_U = np.ones(self.people.counts_UV.shape[0], bool)
        unseen_n = self.fold.test_n[~self.people.seen_P[self.fold.test_n]]
        others_U[self.people.users_P[unseen_n]] = False
        return others_U

    @cached_property
    def _tfidf_UV(self) -> sp.csr_matrix:
        logs_UV = self.people.counts_UV.copy()
        logs_UV.data = np.log1p(logs_UV.data)
        common_V = np.asarray((logs_UV[self._others_U] > 0).sum(0)).ravel() >= LEAST_USERS
        logs_UV = logs_UV[:, np.flatnonzero(common_V)]
        return TfidfTransformer().fit(logs_UV[self._others_U]).transform(logs_UV)


def standardised(values_PD: np.ndarray, train_n: np.ndarray) -> np.ndarray:
    """With mean 0 and variance 1 on the training users."""
    found: np.ndarray = StandardScaler().fit(values_PD[train_n]).transform(values_PD)
    return found
