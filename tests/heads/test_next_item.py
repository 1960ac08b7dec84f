"""next_item: tied and own tables, full and sampled softmax, pessimistic ranks."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lifelong.core.types import Seen
from lifelong.data.negatives import NegativeSampler
from lifelong.heads.next_item import NextItem


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def head(rows=None, count=6, **options):
    torch.manual_seed(0)
    made = NextItem(NextItem.Config(**options), 4, [str(i) for i in range(count)], rows)
    torch.nn.init.normal_(made.bias)
    return made


TABLE = torch.randn(10, 4, generator=torch.Generator().manual_seed(1))
ITEMS = torch.nn.Embedding.from_pretrained(TABLE)
USERS = torch.randn(5, 4, generator=torch.Generator().manual_seed(2))


def test_a_tied_run_of_rows_is_a_slice_not_a_copy():
    made = head(torch.arange(2, 8))
    assert made.matrix(ITEMS).data_ptr() == TABLE[2:].data_ptr()
    assert torch.equal(made.scores(USERS, ITEMS), F.linear(USERS, TABLE[2:8], made.bias))


def test_scattered_rows_and_an_own_table():
    scattered = head(torch.tensor([3, 1, 9, 2, 5, 4]))
    assert torch.equal(scattered.matrix(ITEMS), TABLE[[3, 1, 9, 2, 5, 4]])
    own = head(None)
    assert own.matrix(ITEMS) is own.output.weight
    assert head(torch.arange(2, 8), tied=False).output is not None


def test_full_softmax_is_cross_entropy():
    made, targets = head(torch.arange(2, 8)), torch.tensor([0, 5, 2, 2, 1])
    expected = -(F.linear(USERS, TABLE[2:8], made.bias).log_softmax(1)[torch.arange(5), targets]).mean()
    assert made.loss(USERS, targets, ITEMS, None) == pytest.approx(expected.item(), rel=1e-6)


def test_sampled_softmax_with_logq_tends_to_the_full_one_and_without_it_does_not():
    made, targets = head(torch.arange(2, 8)), torch.tensor([0, 5, 2, 2, 1])
    sampler = NegativeSampler(np.array([50, 1, 1, 20, 5, 3]), count=40_000, power=1.0, uniform=0.1)
    negatives = sampler.draw(np.random.default_rng(0), targets.numpy())
    full = made.loss(USERS, targets, ITEMS, None).item()
    assert made.loss(USERS, targets, ITEMS, negatives).item() == pytest.approx(full, rel=0.02)
    flat = type(negatives)(negatives.index_K, torch.full_like(negatives.log_expected_K, np.log(40_000 / 6)))
    assert abs(made.loss(USERS, targets, ITEMS, flat).item() - full) > 0.05


def test_a_negative_that_is_the_target_does_not_count_twice():
    made, targets = head(torch.arange(2, 8)), torch.tensor([1])
    sampler = NegativeSampler(np.array([0, 1, 0, 0, 0, 0]), count=3, uniform=0.0)
    assert made.loss(
        USERS[:1], targets, ITEMS, sampler.draw(np.random.default_rng(0), targets.numpy())
    ).item() == pytest.approx(0.0, abs=1e-6)


def test_ranks_count_ties_and_nan_against_the_model():
    scores = torch.tensor(
        [[1.0, 2.0, 2.0], [0.0, 0.0, 0.0], [3.0, 1.0, 2.0], [float("nan"), 1.0, 2.0], [1.0, float("nan"), 0.0]]
    )
    ranks = head().outcome(scores, torch.tensor([1, 0, 0, 0, 0])).ranks_N
    assert ranks.tolist() == [2, 3, 1, 3, 2]


def test_where_nothing_comes_twice_the_history_is_out_of_the_softmax():
    rows, targets = torch.tensor([3, 1, 9, 2, 5, 4]), torch.tensor([0, 5, 2, 2, 1])
    rows_BS = torch.tensor([[1, 0], [8, 2], [0, 0], [5, 5], [1, 3]])  # 8 is no row of the catalogue; 1 is a target
    seen = Seen(rows_BS, None, torch.arange(5), torch.full((5,), 2))
    once, again = head(rows, repeats=False), head(rows)
    scores = again.scores(USERS, ITEMS)
    scores[[0, 1, 3, 4], [1, 3, 4, 0]] = -torch.inf
    expected = F.cross_entropy(scores, targets)
    assert once.loss(USERS, targets, ITEMS, None, seen).item() == pytest.approx(expected.item(), rel=1e-6)
    assert again.repeats
    assert not once.repeats


@pytest.mark.parametrize(("rows", "width"), [(None, 5), (torch.arange(1, 4), 16)])
def test_only_a_table_of_items_that_are_not_read_is_narrowed(rows, width):
    """A table of its own for items that are read stays as wide as they are: copying compares the two."""
    head = NextItem(NextItem.Config(tied=False, rank=5, copy=rows is not None), 16, ["a", "b", "c"], rows)
    assert head.read_width == head.output.weight.shape[1] == head.read(torch.ones(2, 16)).shape[1] == width
