import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong.metrics import ranking
from lifelong.metrics.ranking import ranks, top_k


def slow_rank(scores, target, excluded):
    """The definition, one item at a time."""
    others = [s for i, s in enumerate(scores) if i != target and i not in excluded]
    return 1 + sum(not s < scores[target] for s in others)


def slow_top(scores, k, excluded):
    scores = [-np.inf if np.isnan(s) or i in excluded else s for i, s in enumerate(scores)]
    return sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k]


cases = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def make(generator, special=True):
    n, c, s = generator.integers(1, 7), generator.integers(1, 12), generator.integers(0, 6)
    values = np.array([0.0, -0.0, 0.5, 1.0, 2.0, np.inf, -np.inf, np.nan] if special else [0.0, 1.0, 2.0])
    scores = torch.tensor(generator.choice(values, size=(n, c)), dtype=torch.float32)
    return scores, torch.tensor(generator.integers(0, c, size=n)), torch.tensor(generator.integers(-1, c, size=(n, s)))


@given(generator=cases)
@settings(max_examples=150, deadline=None)
def test_ranks_follow_the_definition(generator):
    scores, targets, excluded = make(generator)
    slow = [slow_rank(s.tolist(), t, e.tolist()) for s, t, e in zip(scores, targets.tolist(), excluded, strict=True)]
    assert ranks(scores, targets, excluded).tolist() == slow


@given(generator=cases, k=st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_top_k_follows_the_definition(generator, k):
    scores, _, excluded = make(generator)
    values, index = top_k(scores, k, excluded)
    assert index.tolist() == [slow_top(s.tolist(), k, e.tolist()) for s, e in zip(scores, excluded, strict=True)]
    gone = [[bool(i in e) for i in row] for row, e in zip(index.tolist(), excluded.tolist(), strict=True)]
    expected = scores.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf).gather(1, index)
    assert torch.equal(values, expected.masked_fill(torch.tensor(gone), -torch.inf))


def test_ties_nan_and_exclusion_by_hand():
    scores = torch.tensor([[3.0, 2.0, 2.0, 1.0]])
    assert ranks(scores, torch.tensor([1])).item() == 3
    assert ranks(scores, torch.tensor([1]), torch.tensor([[0, 0, -1]])).item() == 2
    assert ranks(scores, torch.tensor([1]), torch.tensor([[1, 2, 0]])).item() == 1  # the target itself stays
    assert ranks(torch.tensor([[1.0, torch.nan, 0.0]]), torch.tensor([1])).item() == 3
    assert ranks(torch.tensor([[1.0, torch.nan, 0.0]]), torch.tensor([0])).item() == 2
    assert ranks(torch.zeros(1, 9), torch.tensor([4])).item() == 9


def test_a_constant_scorer_gets_nothing():
    """The planted fault of optimistic ties: a model that scores everything alike would look perfect."""
    assert (ranks(torch.zeros(20, 100), torch.arange(20)) == 100).all()


def test_chunks_change_nothing(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(50, 40, generator=generator)
    targets, excluded = torch.arange(50) % 40, torch.randint(-1, 40, (50, 6), generator=generator)
    whole = ranks(scores, targets, excluded)
    monkeypatch.setattr(ranking, "CELLS", 40 * 7)
    assert torch.equal(ranks(scores, targets, excluded), whole)


def test_no_cases():
    assert ranks(torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64)).shape == (0,)
    assert top_k(torch.zeros(0, 5), 3)[1].shape == (0, 3)


def test_top_k_beyond_the_catalogue_gives_the_catalogue():
    values, index = top_k(torch.tensor([[1.0, 2.0]]), 10)
    assert index.tolist() == [[1, 0]]
    assert values.tolist() == [[2.0, 1.0]]


def test_excluded_items_come_last_with_minus_infinity():
    values, index = top_k(torch.tensor([[5.0, 4.0, 3.0]]), 3, torch.tensor([[0, 0, -1]]))
    assert index.tolist() == [[1, 2, 0]]
    assert values[0, 2] == -torch.inf


def test_input_is_left_alone():
    scores = torch.tensor([[5.0, torch.nan, 3.0]])
    kept, excluded = scores.clone(), torch.tensor([[2, 0]])
    top_k(scores, 2, excluded)
    ranks(scores, torch.tensor([0]), excluded)
    assert torch.equal(scores.nan_to_num(nan=7.0), kept.nan_to_num(nan=7.0))
    assert excluded.tolist() == [[2, 0]]


@pytest.mark.parametrize("rows", [1, 3, 64])
def test_top_k_does_not_depend_on_the_other_rows(rows):
    scores = torch.randint(0, 5, (64, 200), generator=torch.Generator().manual_seed(1)).float()
    whole = top_k(scores, 10)[1]
    assert torch.equal(torch.cat([top_k(part, 10)[1] for part in scores.split(rows)]), whole)
