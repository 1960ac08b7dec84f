"""Against scikit-learn, with and without weights, and by hand at the edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, ndcg_score, roc_auc_score

from lifelong.core.types import Classified, Ranked
from lifelong.metrics.parse import parse


def classified(seed, cases=60, classes=3, decimals=1):
    """Random probabilities, rounded so that there are ties, that still add up to one."""
    generator = np.random.default_rng(seed)
    probabilities = np.round(generator.dirichlet(np.ones(classes), size=cases), decimals)
    probabilities[:, -1] = 1 - probabilities[:, :-1].sum(1)
    return Classified(probabilities, generator.integers(0, classes, size=cases))


def weights(seed, rows, cases):
    return np.random.default_rng(seed).integers(0, 4, size=(rows, cases)).astype(float)


@pytest.mark.parametrize("classes", [2, 3, 7])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_accuracy_and_macro_f1_are_those_of_sklearn(classes, seed):
    outcome, w_RN = classified(seed, classes=classes), weights(seed, 4, 60)
    found = outcome.probabilities_NC.argmax(1)
    for r, w_N in enumerate(w_RN):
        there = np.unique(outcome.targets_N[w_N > 0])
        f1 = f1_score(outcome.targets_N, found, labels=there, average="macro", sample_weight=w_N, zero_division=0)
        assert parse("macro_f1").value(outcome, w_RN)[r] == pytest.approx(f1, abs=1e-12)
        right = accuracy_score(outcome.targets_N, found, sample_weight=w_N)
        assert parse("accuracy").value(outcome, w_RN)[r] == pytest.approx(right, abs=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 5])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_auc_is_that_of_sklearn(classes, seed):
    outcome, w_RN = classified(seed, classes=classes), weights(seed, 3, 60)
    for r, w_N in enumerate(w_RN):
        each = [
            roc_auc_score(outcome.targets_N == c, outcome.probabilities_NC[:, c], sample_weight=w_N)
            for c in (range(classes) if classes > 2 else [1])
            if 0 < w_N[outcome.targets_N == c].sum() < w_N.sum()
        ]
        assert parse("auc").value(outcome, w_RN)[r] == pytest.approx(np.mean(each), abs=1e-12)
    if classes > 2 and len(np.unique(outcome.targets_N)) == classes:
        ovr = roc_auc_score(outcome.targets_N, outcome.probabilities_NC, multi_class="ovr", average="macro")
        assert parse("auc").value(outcome)[0] == pytest.approx(ovr, abs=1e-12)


def test_ndcg_is_that_of_sklearn():
    generator = np.random.default_rng(0)
    scores, targets = generator.normal(size=(50, 30)), generator.integers(0, 30, size=50)
    ranks = (scores >= scores[np.arange(50), targets][:, None]).sum(1)
    for k in (1, 5, 30):
        expected = ndcg_score(np.eye(30)[targets], scores, k=k)
        assert parse(f"ndcg@{k}").value(Ranked(ranks))[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ("hr@2", 2 / 4),
        ("mrr@2", (1 + 1 / 2) / 4),
        ("mrr@3", (1 + 1 / 2 + 1 / 3) / 4),
        ("ndcg@3", (1 + 1 / np.log2(3) + 0.5) / 4),
    ],
)
def test_ranking_by_hand(spec, value):
    ranks = Ranked(np.array([1, 2, 3, 11]))
    assert parse(spec).value(ranks)[0] == pytest.approx(value, abs=1e-15)
    assert parse(spec).value(ranks, np.array([[0, 0, 0, 1.0]]))[0] == 0.0


def test_cut_off_is_inside():
    at_k = Ranked(np.array([10]))
    assert parse("hr@10").value(at_k)[0] == 1.0
    assert parse("hr@9").value(at_k)[0] == 0.0


def test_macro_f1_leaves_out_classes_without_weight():
    outcome = Classified(np.eye(3)[[0, 1, 2]], np.array([0, 1, 1]))
    assert parse("macro_f1").value(outcome, np.array([[1.0, 1, 0], [0, 1, 1]])) == pytest.approx([1.0, 2 / 3])


def test_auc_is_nan_where_undefined():
    one_class = Classified(np.array([[0.2, 0.8], [0.4, 0.6]]), np.array([1, 1]))
    assert np.isnan(parse("auc").value(one_class, np.ones((3, 2)))).all()
    with_nan = Classified(np.array([[np.nan, np.nan], [0.4, 0.6]]), np.array([0, 1]))
    assert np.isnan(parse("auc").value(with_nan)).all()
    mixed = Classified(np.array([[0.2, 0.8], [0.4, 0.6]]), np.array([0, 1]))
    assert np.isnan(parse("auc").value(mixed, np.array([[1.0, 1], [1, 0]]))).tolist() == [False, True]


def test_nan_probabilities_are_never_right():
    outcome = Classified(np.array([[np.nan, 0.1], [np.nan, np.nan]]), np.array([0, 0]))
    assert parse("accuracy").value(outcome)[0] == 0.0
    assert parse("macro_f1").value(outcome)[0] == 0.0


@pytest.mark.parametrize("spec", ["hr@5", "ndcg@5", "mrr@5"])
def test_no_cases_is_undefined(spec):
    assert np.isnan(parse(spec).value(Ranked(np.zeros(0, dtype=np.int64)))[0])
    assert np.isnan(parse(spec).value(Ranked(np.ones(3, dtype=np.int64)), np.zeros((2, 3)))).all()


def test_without_weights_is_bit_equal_for_equal_outcomes():
    ranks = np.random.default_rng(0).integers(1, 50, size=3001)
    copies = [parse("ndcg@10").value(Ranked(ranks.copy()))[0] for _ in range(5)]
    assert len(set(copies)) == 1
