"""Which option of a baseline is chosen: by macro-F1 plus AUC, and between equals by log loss alone."""

import numpy as np
import scipy.sparse as sp

from lifelong.profiling.features import Features
from lifelong.profiling.folds import Fold
from lifelong.profiling.methods import _best, _scores, regression
from lifelong.profiling.people import People

PLACES = np.arange(60)
CLASS_P = PLACES % 2
FOLD = Fold(0, PLACES[:40], PLACES[40:50], PLACES[50:])


def features(fold=FOLD):
    some = People(
        task="label",
        classes=("a", "b"),
        users_P=PLACES,
        ids_P=PLACES.astype(str).astype(object),
        targets_P=CLASS_P,
        seen_P=np.zeros(60, bool),
        parts_P=np.zeros(60, np.int8),
        counts_UV=sp.csr_matrix(np.ones((60, 1), np.float32)),
        categories_VG=sp.csr_matrix(np.ones((1, 1), np.float32)),
        field="kind",
    )
    return Features(some, fold, 0)


class Sure:
    """Gives the right class so much, as the values say which that is; `wrong`: the wrong class, to so many of the first."""

    classes_ = np.array([0, 1])

    def __init__(self, probability, wrong=0):
        self.probability, self.wrong = probability, wrong

    def fit(self, values, targets):
        """Nothing."""

    def predict_proba(self, values):
        right = values[:, 0].astype(int)
        right[: self.wrong] = 1 - right[: self.wrong]
        return np.where(right[:, None] == self.classes_, self.probability, 1 - self.probability)


def chosen(*options, fold=FOLD):
    return _best(CLASS_P[:, None], features(fold), iter([(made, str(n)) for n, made in enumerate(options)]))[1]


def test_of_equally_good_ones_the_better_calibrated():
    assert chosen(Sure(0.51), Sure(0.99), Sure(0.6)) == "1"
    assert chosen(Sure(0.99), Sure(0.51)) == "0"
    assert chosen(Sure(0.9), Sure(0.9)) == "0"


def test_the_log_loss_changes_no_choice_without_a_tie():
    assert chosen(Sure(0.51), Sure(0.999, wrong=1)) == "0"
    assert chosen(Sure(0.999, wrong=1), Sure(0.51)) == "1"


def test_without_validation_users_the_first():
    nobody = Fold(0, PLACES[:40], PLACES[:0], PLACES[50:])
    assert chosen(Sure(0.51), Sure(0.99), fold=nobody) == "0"


def test_a_regression_on_the_label_itself_is_sure():
    """All options are right there; the first, C 0.001, hardly leaves the class shares."""
    probabilities, said = regression(CLASS_P[:, None].astype(float), features())
    assert said == "C 100"
    assert (probabilities[np.arange(10), CLASS_P[50:]] > 0.95).all()
    assert _scores(probabilities, features().people, FOLD)[0] == 2.0
