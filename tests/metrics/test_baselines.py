import numpy as np
import pytest
import torch

from lifelong.core.types import Ranked
from lifelong.metrics.baselines import LastItemMarkov, OwnFrequency, Popularity, chance, majority
from lifelong.metrics.parse import parse
from lifelong.metrics.ranking import ranks

BASELINES = [Popularity, LastItemMarkov, OwnFrequency]


def csr(*sequences):
    return np.cumsum([0, *map(len, sequences)]), np.array([i for s in sequences for i in s], dtype=np.int64)


TRAINING = csr([0, 1, 2, 1], [1, 2, -1, 3], [], [3, 3])


def best(baseline, *histories):
    return [int(row.argmax()) for chunk in baseline.scores(*csr(*histories)) for row in chunk]


def test_markov_by_hand():
    baseline = LastItemMarkov(*TRAINING, 5)
    counts = baseline.count(*csr([4, 1], [2], [3], []))
    assert counts[0].tolist() == [0, 0, 2, 0, 0]
    assert counts[1].tolist() == [0, 1, 0, 0, 0]  # 2 -> 3 never: a stranger lies between
    assert counts[2].tolist() == [0, 0, 0, 1, 0]  # 3 -> 3 once, and no pair across two sequences
    assert counts[3].tolist() == [0, 0, 0, 0, 0]


def test_own_frequency_by_hand():
    baseline = OwnFrequency(*TRAINING, 5)
    assert best(baseline, [4, 0, 4, -1], [2, 2, 4], []) == [4, 2, 1]


def test_popularity_breaks_ties_and_never_outvotes_a_count():
    for kind in BASELINES:
        assert (kind(*TRAINING, 5).popular_C <= 0.5).all()
    assert best(Popularity(*TRAINING, 5), [], [2]) == [1, 1]
    assert best(LastItemMarkov(*TRAINING, 5), [], [4], [2, -1]) == [1, 1, 1]


@pytest.mark.parametrize("kind", BASELINES)
def test_chunks_change_nothing(kind):
    generator = np.random.default_rng(0)
    histories = csr(*(generator.integers(-1, 30, size=generator.integers(0, 9)) for _ in range(41)))
    baseline = kind(*histories, 30)
    whole = np.concatenate(list(baseline.scores(*histories)))
    parts = list(baseline.scores(*histories, rows=7))
    assert whole.shape == (41, 30)
    assert whole.dtype == np.float32
    assert [len(p) for p in parts] == [7] * 5 + [6]
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("kind", BASELINES)
def test_nothing_to_fit_on(kind):
    baseline = kind(*csr(), 4)
    assert next(baseline.scores(*csr([1]))).shape == (1, 4)
    assert list(baseline.scores(*csr())) == []


def test_a_cycle_is_known_by_its_bigrams():
    """The checkerboard: where i + 1 always follows i, bigrams are always right and popularity never is."""
    sequences = [np.arange(start, start + 8) % 12 for start in range(12)]
    targets = torch.tensor([(s[-1] + 1) % 12 for s in sequences])
    hits = {}
    for kind in BASELINES:
        scores = np.concatenate(list(kind(*csr(*sequences), 12).scores(*csr(*sequences))))
        hits[kind] = parse("hr@1").value(Ranked(ranks(torch.from_numpy(scores), targets).numpy()))[0]
    assert hits == {LastItemMarkov: 1.0, Popularity: 0.0, OwnFrequency: 0.0}


def test_majority_and_chance():
    targets = np.random.default_rng(0).choice(3, p=[0.2, 0.5, 0.3], size=4000)
    most = majority(np.array([20, 50, 30]), targets)
    assert parse("accuracy").value(most)[0] == (targets == 1).mean()
    assert parse("auc").value(most)[0] == 0.5
    guess = chance(3, targets)
    assert parse("accuracy").value(guess)[0] == pytest.approx(1 / 3, abs=0.03)
    assert parse("auc").value(guess)[0] == pytest.approx(0.5, abs=0.03)
