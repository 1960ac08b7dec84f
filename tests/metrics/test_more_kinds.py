"""Probabilities, several labels, numbers, classes with an order: against scikit-learn and scipy, by hand at the edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn import metrics as sk

from lifelong.core.types import Classified, Estimated, Labelled
from lifelong.metrics.parse import parse

SEEDS = {"seed": st.integers(0, 2**32 - 1)}
CASES = 40


def weights(random, rows=3):
    return random.integers(0, 4, size=(rows, CASES)).astype(float)


def value(spec, outcome, w_RN=None):
    return parse(spec).value(outcome, w_RN)


@given(**SEEDS)
@settings(max_examples=5, deadline=None)
def test_of_classes(seed):
    random = np.random.default_rng(seed)
    outcome = Classified(random.dirichlet(np.ones(4), size=CASES), random.integers(0, 4, size=CASES))
    found, targets = outcome.probabilities_NC.argmax(1), outcome.targets_N
    for r, w_N in enumerate(w_RN := weights(random)):
        f1 = sk.f1_score(targets, found, average="weighted", sample_weight=w_N, zero_division=0)
        assert value("weighted_f1", outcome, w_RN)[r] == pytest.approx(f1, abs=1e-12)
        loss = sk.log_loss(targets, outcome.probabilities_NC, sample_weight=w_N, labels=np.arange(4))
        assert value("log_loss", outcome, w_RN)[r] == pytest.approx(loss, abs=1e-6)
        mae = sk.mean_absolute_error(targets, found, sample_weight=w_N)
        assert value("mae", outcome, w_RN)[r] == pytest.approx(mae, abs=1e-12)
        near = np.average(abs(targets - found) <= 1, weights=w_N)
        assert value("within_one", outcome, w_RN)[r] == pytest.approx(near, abs=1e-12)


@given(**SEEDS)
@settings(max_examples=5, deadline=None)
def test_of_labels(seed):
    random = np.random.default_rng(seed)
    outcome = Labelled(random.random((CASES, 3)).round(1), (random.random((CASES, 3)) < [0.1, 0.5, 0.9]).astype(float))
    said, true = outcome.probabilities_NC, outcome.targets_NC
    for r, w_N in enumerate(w_RN := weights(random)):
        f1 = sk.f1_score(true, said >= 0.5, average="micro", sample_weight=w_N, zero_division=0)
        assert value("micro_f1", outcome, w_RN)[r] == pytest.approx(f1, abs=1e-12)
        some = [c for c in range(3) if w_N @ true[:, c] > 0]
        ap = [sk.average_precision_score(true[:, c], said[:, c], sample_weight=w_N) for c in some]
        assert value("map", outcome, w_RN)[r] == pytest.approx(np.mean(ap), abs=1e-12)
        both = [c for c in some if w_N @ true[:, c] < w_N.sum()]
        auc = [sk.roc_auc_score(true[:, c], said[:, c], sample_weight=w_N) for c in both]
        assert value("auc", outcome, w_RN)[r] == pytest.approx(np.mean(auc), abs=1e-12)


@given(**SEEDS)
@settings(max_examples=5, deadline=None)
def test_of_numbers(seed):
    random = np.random.default_rng(seed)
    targets = random.normal(size=CASES).round(1)
    outcome = Estimated((targets + random.normal(size=CASES)).round(1), targets)
    for r, w_N in enumerate(w_RN := weights(random)):
        given_ = (outcome.targets_N, outcome.values_N)
        mae, mse = (f(*given_, sample_weight=w_N) for f in (sk.mean_absolute_error, sk.mean_squared_error))
        assert value("mae", outcome, w_RN)[r] == pytest.approx(mae, abs=1e-12)
        assert value("rmse", outcome, w_RN)[r] == pytest.approx(np.sqrt(mse), abs=1e-12)
        assert value("r2", outcome, w_RN)[r] == pytest.approx(sk.r2_score(*given_, sample_weight=w_N), abs=1e-12)
        twice = np.repeat(np.arange(CASES), w_N.astype(int))
        rho = spearmanr(outcome.values_N[twice], outcome.targets_N[twice]).statistic
        assert value("spearman", outcome, w_RN)[r] == pytest.approx(rho, abs=1e-12)


def test_log_loss_by_hand_and_bounded():
    outcome = Classified(np.array([[0.5, 0.5], [0.0, 1.0]], np.float32), np.array([0, 0]))
    assert value("log_loss", outcome)[0] == pytest.approx((np.log(2) + 15.942385) / 2, rel=1e-6)


def test_a_nan_probability_is_never_near():
    outcome = Classified(np.array([[np.nan, 0.1, 0.9]]), np.array([0]))
    assert value("within_one", outcome)[0] == 0.0
    assert value("mae", outcome)[0] == 2.0
    assert np.isnan(value("log_loss", outcome)[0])
    assert np.isnan(value("ece", outcome)[0])


def test_labels_that_nobody_has_are_left_out_of_map():
    outcome = Labelled(np.array([[0.9, 0.5], [0.1, 0.4]]), np.array([[1.0, 0], [0, 0]]))
    assert value("map", outcome)[0] == 1.0
    assert np.isnan(value("map", Labelled(outcome.probabilities_NC, np.zeros((2, 2))))[0])
    assert np.isnan(value("map", Labelled(np.full((2, 2), np.nan), outcome.targets_NC))[0])


def test_micro_f1_is_decided_by_the_frequent_label():
    said = np.array([[0.9, 0.1]] * 9 + [[0.9, 0.1]])
    true = np.array([[1.0, 0]] * 9 + [[1, 1]])
    assert value("micro_f1", Labelled(said, true))[0] == pytest.approx(2 * 10 / (10 + 11))


def test_one_half_is_said():
    assert value("micro_f1", Labelled(np.array([[0.5]]), np.array([[1.0]])))[0] == 1.0


def test_r2_of_the_mean_is_zero_and_of_worse_below():
    targets = np.array([1.0, 2.0, 3.0])
    assert value("r2", Estimated(np.full(3, 2.0), targets))[0] == 0.0
    assert value("r2", Estimated(-targets, targets))[0] == pytest.approx(1 - 56 / 2)


@pytest.mark.parametrize("spec", ["r2", "spearman"])
def test_constant_targets_are_undefined(spec):
    assert np.isnan(value(spec, Estimated(np.arange(3.0), np.ones(3)))[0])


def test_spearman_is_blind_to_scale():
    targets = np.array([1.0, 2.0, 30.0, 4.0])
    assert value("spearman", Estimated(np.exp(targets), targets))[0] == pytest.approx(1.0)
    assert np.isnan(value("spearman", Estimated(np.array([np.nan, 1, 2, 3]), targets))[0])
