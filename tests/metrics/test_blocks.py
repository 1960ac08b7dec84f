import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong.metrics import blocks
from lifelong.metrics.blocks import ranks_of_blocks, top_k_of_blocks
from lifelong.metrics.ranking import ranks, top_k

SPECIAL = np.array([0.0, -0.0, 0.5, 1.0, 2.0, np.inf, -np.inf, np.nan])
cases = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def make(generator, most=400):
    """Scores full of ties, NaN and infinities, a cut into blocks, targets and excluded items."""
    n, c, s = generator.integers(1, 5), generator.integers(1, most), generator.integers(0, 9)
    scores = torch.tensor(generator.choice(SPECIAL[: generator.integers(2, 9)], size=(n, c)), dtype=torch.float32)
    cuts = np.diff(np.unique(np.concatenate(([0, c], generator.integers(0, c + 1, generator.integers(0, 4))))))
    excluded = torch.tensor(generator.integers(-1, c, size=(n, s)))
    return scores, cuts.tolist(), torch.tensor(generator.integers(0, c, size=n)), excluded


@given(generator=cases, k=st.integers(1, 30), group=st.sampled_from([2, 3, 64]))
@settings(max_examples=200, deadline=None)
def test_blocks_give_the_top_list_of_the_whole(generator, k, group):
    scores, cuts, _, excluded = make(generator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "GROUP", group)
        values, index = top_k_of_blocks([part.clone() for part in scores.split(cuts, 1)], k, excluded)
    expected_values, expected = top_k(scores, k, excluded)
    assert torch.equal(index, expected)
    assert torch.equal(values, expected_values)


@given(generator=cases)
@settings(max_examples=100, deadline=None)
def test_blocks_give_the_ranks_of_the_whole(generator):
    scores, cuts, targets, excluded = make(generator)
    right = scores.gather(1, targets[:, None])[:, 0]
    parts = [[part.clone() for part in scores.split(cuts, 1)] for _ in range(2)]
    assert torch.equal(ranks_of_blocks(parts[0], targets, right, excluded), ranks(scores, targets, excluded))
    assert torch.equal(ranks_of_blocks(parts[1], targets, right), ranks(scores, targets))


def test_a_tie_across_blocks_goes_to_the_lower_index():
    scores = torch.ones(2, 1000)
    assert top_k_of_blocks(scores.split(300, 1), 4)[1].tolist() == [[0, 1, 2, 3]] * 2
    scores[0, 700], scores[1, 299] = 2, 2
    assert top_k_of_blocks([part.clone() for part in scores.split(300, 1)], 3)[1].tolist() == [[700, 0, 1], [299, 0, 1]]


def test_groups_are_picked_by_index_where_their_maxima_tie(monkeypatch):
    """The planted fault: topk takes any of the tied, and a group at the end would stand for the first."""
    scores = torch.zeros(1, 64 * 200)
    assert top_k_of_blocks([scores.clone()], 5)[1].tolist() == [[0, 1, 2, 3, 4]]
    monkeypatch.setattr(blocks, "top_k", lambda x, k, *_: tuple(t.flip(1) for t in x.flip(1).topk(k, dim=1)))
    assert top_k_of_blocks([scores.clone()], 5)[1].tolist() != [[0, 1, 2, 3, 4]]


def test_one_nan_hides_nothing_of_its_group():
    scores = torch.zeros(1, 64 * 200)
    scores[0, 640], scores[0, 641] = torch.nan, 3.0
    assert top_k_of_blocks([scores], 1)[1].item() == 641


def test_more_than_there_is_gives_all():
    values, index = top_k_of_blocks([torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0]])], 10, torch.tensor([[2]]))
    assert index.tolist() == [[1, 0, 2]]
    assert values.tolist() == [[2.0, 1.0, -torch.inf]]


def test_no_block_is_an_error():
    with pytest.raises(ValueError, match="no block"):
        top_k_of_blocks([], 3)


def test_a_target_scored_by_another_product_is_the_planted_fault():
    """One last bit above its own score in the block, and the target no longer counts itself."""
    scores = torch.tensor([[0.9, 0.5, 0.1]])
    targets, right = torch.tensor([1]), torch.tensor([0.5])
    assert ranks_of_blocks([scores.clone()], targets, right).item() == 2
    assert ranks_of_blocks([scores.clone()], targets, right.nextafter(torch.tensor(1.0))).item() == 1
