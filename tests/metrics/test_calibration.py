"""Reliability bins, ECE and the confusion matrix: by hand, against scikit-learn, and consistent with each other."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, recall_score

from lifelong.core.types import Classified
from lifelong.metrics.calibration import bin_of, bins
from lifelong.metrics.confusion import confusion, shares
from lifelong.metrics.kinds.base import predicted
from lifelong.metrics.parse import parse


def binary(confidences, right):
    """Class 0 with these probabilities, and whether it was the right one."""
    said = np.array(confidences)
    return Classified(np.stack([said, 1 - said], 1), np.where(right, 0, 1))


def test_bins_by_hand():
    outcome = binary([0.6, 0.7, 0.95, 0.95, 0.95, 0.95], [True, False, True, True, True, False])
    found = bins(outcome.probabilities_NC, outcome.targets_N, 10)
    assert [n for _, _, n in found] == [1, 1, 4]
    assert [accuracy for _, accuracy, _ in found] == [1.0, 0.0, 0.75]
    assert [sure for sure, _, _ in found] == pytest.approx([0.6, 0.7, 0.95])
    assert parse("ece@10").value(outcome)[0] == pytest.approx((0.4 + 0.7 + 4 * 0.2) / 6)


def test_ece_is_that_of_the_bins_for_any_number_of_them():
    random = np.random.default_rng(0)
    outcome = Classified(random.dirichlet(np.ones(3), size=300), random.integers(0, 3, size=300))
    for count in (1, 10, 15):
        found = bins(outcome.probabilities_NC, outcome.targets_N, count)
        expected = sum(n * abs(accuracy - sure) for sure, accuracy, n in found) / 300
        assert parse(f"ece@{count}").value(outcome)[0] == pytest.approx(expected, abs=1e-12)
    assert parse("ece").value(outcome)[0] == parse("ece@15").value(outcome)[0]


def test_calibrated_is_near_zero_and_overconfident_is_not():
    random = np.random.default_rng(0)
    said = random.uniform(0.5, 1.0, size=20_000)
    right = random.random(20_000) < said
    assert parse("ece").value(binary(said, right))[0] < 0.01
    assert parse("ece").value(binary(np.sqrt(said), right))[0] > 0.05


def test_an_edge_belongs_to_the_bin_below():
    assert bin_of(np.array([0.0, 0.5, 0.5 + 1e-9, 1.0]), 2).tolist() == [0, 0, 1, 1]


def test_nan_is_in_no_bin_and_in_no_cell():
    outcome = Classified(np.array([[np.nan, 0.2], [0.9, 0.1]]), np.array([0, 0]))
    assert [n for _, _, n in bins(outcome.probabilities_NC, outcome.targets_N)] == [1]
    assert confusion(outcome.targets_N, predicted(outcome), 2).tolist() == [[1, 0], [0, 0]]
    assert bins(np.empty((0, 2)), np.empty(0, np.int64)) == []


def test_confusion_is_that_of_sklearn():
    random = np.random.default_rng(1)
    outcome = Classified(random.dirichlet(np.ones(5), size=200), random.integers(0, 4, size=200))
    found = predicted(outcome)
    matrix = confusion(outcome.targets_N, found, 5)
    assert (matrix == confusion_matrix(outcome.targets_N, found, labels=range(5))).all()
    assert matrix.sum() == 200
    recall = recall_score(outcome.targets_N, found, labels=range(4), average=None)
    assert shares(matrix).diagonal()[:4] == pytest.approx(recall)
    assert np.isnan(shares(matrix)[4]).all()  # nobody is of the fifth class
    assert np.diag(matrix).sum() / 200 == parse("accuracy").value(outcome)[0]
