import numpy as np
import pytest

from lifelong.core.errors import DataError
from lifelong.core.types import Classified, Ranked
from lifelong.metrics import bootstrap
from lifelong.metrics.bootstrap import measure, paired_difference, resample
from lifelong.metrics.parse import parse


def draw(cases, right, seed=0):
    """Two-class outcome whose accuracy is about `right`."""
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, 2, size=cases)
    found = np.where(generator.random(cases) < right, targets, 1 - targets)
    return Classified(np.eye(2)[found], targets)


def test_interval_is_that_of_the_normal_approximation():
    outcome = draw(900, 0.7)
    found = measure(parse("accuracy"), outcome, resamples=2000)
    half = 1.96 * np.sqrt(found.value * (1 - found.value) / 900)
    assert found.n == 900
    assert found.low == pytest.approx(found.value - half, abs=0.004)
    assert found.high == pytest.approx(found.value + half, abs=0.004)


def test_intervals_cover_the_truth_as_often_as_they_say():
    covered = [
        m.low <= 0.7 <= m.high for m in (measure(parse("accuracy"), draw(200, 0.7, s), 200, s) for s in range(200))
    ]
    assert 0.90 <= np.mean(covered) <= 0.985


def test_weights_are_multinomial():
    weights = np.concatenate(list(resample(50, 300, seed=0)))
    assert weights.shape == (300, 50)
    assert (weights.sum(1) == 50).all()
    assert weights.var() == pytest.approx(1.0, abs=0.1)


def test_chunk_size_changes_nothing(monkeypatch):
    outcome = Ranked(np.random.default_rng(0).integers(1, 40, size=101))
    whole = measure(parse("ndcg@10"), outcome, 200, seed=3)
    for cells in (1, 101 * 7, 101 * 13 + 5):
        monkeypatch.setattr(bootstrap, "CELLS", cells)
        other = measure(parse("ndcg@10"), outcome, 200, seed=3)
        assert (other.low, other.high) == pytest.approx((whole.low, whole.high), abs=1e-12)


def test_same_seed_same_interval_other_seed_another():
    outcome = draw(100, 0.6)
    assert measure(parse("macro_f1"), outcome, 100, seed=1) == measure(parse("macro_f1"), outcome, 100, seed=1)
    assert measure(parse("macro_f1"), outcome, 100, seed=1) != measure(parse("macro_f1"), outcome, 100, seed=2)


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "auc"])
def test_difference_of_equal_outcomes_is_exactly_zero(name):
    found = paired_difference(parse(name), draw(100, 0.6), draw(100, 0.6), 100)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_difference_sees_what_two_intervals_hide():
    """One case in fifty better: the two intervals overlap, the paired one does not touch zero."""
    ranks = np.random.default_rng(0).integers(1, 30, size=500)
    better = ranks.copy()
    better[::25] = 1
    one, other = (measure(parse("mrr@10"), Ranked(r)) for r in (ranks, better))
    assert one.high > other.low
    found = paired_difference(parse("mrr@10"), Ranked(better), Ranked(ranks))
    assert found.low > 0
    assert found.value == pytest.approx(other.value - one.value)


def test_difference_refuses_other_cases():
    with pytest.raises(DataError, match="3 Ranked cases against 4"):
        paired_difference(parse("hr@5"), Ranked(np.ones(3, int)), Ranked(np.ones(4, int)))
    a, b = draw(50, 0.6), draw(50, 0.6, seed=1)
    with pytest.raises(DataError, match="right answers"):
        paired_difference(parse("accuracy"), a, b)


def test_undefined_stays_undefined_and_quiet(recwarn):
    one_class = Classified(np.full((5, 2), 0.5), np.ones(5, int))
    found = measure(parse("auc"), one_class, 50)
    assert np.isnan([found.value, found.low, found.high]).all()
    assert measure(parse("hr@5"), Ranked(np.zeros(0, int))).n == 0
    rare = Classified(np.stack([np.linspace(1, 0, 9), np.linspace(0, 1, 9)], 1), np.arange(9) == 8)
    found = measure(parse("auc"), rare, 200)  # a third of the resamples hold no positive
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)
    assert not recwarn.list
