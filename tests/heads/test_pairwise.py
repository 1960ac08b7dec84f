"""BPR and LambdaFM: the loss by hand, who is drawn how often, who is never drawn."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lifelong.heads.losses import pairwise
from lifelong.heads.losses.pairwise import hard_negatives, pairwise_loss, truncated_exponential, uniform_negatives
from lifelong.heads.next_item import NextItem

MANY = 20_000


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def repeated(target, taken=None):
    targets = torch.full((MANY,), target)
    return targets, None if taken is None else torch.tensor(taken).expand(MANY, -1)


def shares(index, size):
    return np.bincount(index.numpy(), minlength=size) / len(index)


def test_loss_by_hand_counts_only_what_was_found():
    right, wrong = torch.tensor([2.0, 0.0, -800.0]), torch.tensor([1.0, 0.0, 800.0])
    counts = torch.tensor([True, True, False])
    expected = (math.log(1 + math.exp(-1)) + math.log(2)) / 2
    assert pairwise_loss(right, wrong, counts).item() == pytest.approx(expected, rel=1e-6)
    assert pairwise_loss(right, wrong, torch.ones(3, dtype=torch.bool)).item() == pytest.approx(
        (2 * expected + 1600) / 3, rel=1e-6
    )  # neither inf nor nan where the margin is large
    assert pairwise_loss(right, wrong, torch.zeros(3, dtype=torch.bool)).item() == 0.0


def test_uniform_negatives_are_all_but_the_target_equally_often():
    index, found = uniform_negatives(repeated(2)[0], 5, None)
    assert found.all()
    assert shares(index, 5) == pytest.approx([0.25, 0.25, 0, 0.25, 0.25], abs=0.015)


def test_uniform_negatives_are_never_taken():
    targets, taken = repeated(0, [3, -1, 1, 3])
    index, found = uniform_negatives(targets, 5, taken)
    assert shares(index[found], 5) == pytest.approx([0, 0, 0.5, 0, 0.5], abs=0.02)
    assert (~found).float().mean() == pytest.approx(0.5**4, abs=0.01)


def test_a_catalogue_of_one_has_no_negative():
    index, found = uniform_negatives(torch.zeros(3, dtype=torch.int64), 1, None)
    assert not found.any()
    assert (index == 0).all()


def test_ranks_fall_off_exponentially():
    rho, size = 0.3, 10
    expected = np.exp(-np.arange(size) / (rho * size))
    drawn = truncated_exponential(torch.full((MANY * 5,), size), rho)
    assert shares(drawn, size) == pytest.approx(expected / expected.sum(), abs=0.005)
    assert truncated_exponential(torch.tensor([0, 1]), rho).tolist() == [0, 0]


def test_hard_negatives_are_the_higher_the_likelier(monkeypatch):
    monkeypatch.setattr(pairwise, "CANDIDATES", 500)
    scores = torch.tensor([0.0, 5.0, 1.0, 3.0])  # ranked: 1, (3,) 2, 0
    index, found = hard_negatives(repeated(3)[0], 4, None, lambda index: scores[index].expand(MANY, -1), 0.3)
    assert found.all()
    edges = np.exp(-np.arange(4) / 3 / 0.3)  # about a third of the candidates each
    expected = -np.diff(edges) / (1 - edges[-1])
    assert shares(index, 4)[[1, 2, 0, 3]] == pytest.approx([*expected, 0], abs=0.08)


def test_hard_negatives_are_never_taken_and_may_be_none():
    targets, taken = torch.tensor([0, 0, 0]), torch.tensor([[1, 2, -1], [1, 2, 3], [-1, -1, -1]])
    for _ in range(50):
        index, found = hard_negatives(targets, 4, taken, lambda index: torch.zeros(3, len(index)), 0.3)
        assert found.tolist() == [True, False, True]
        assert index[0] == 3
        assert index[2] != 0


def test_a_repeated_candidate_is_barred_every_time(monkeypatch):
    monkeypatch.setattr(pairwise, "CANDIDATES", 64)  # of a catalogue of 3: each stands many times
    targets = torch.arange(3)
    index, found = hard_negatives(targets, 3, None, lambda index: torch.ones(3, len(index)), 0.01)
    assert found.all()
    assert (index != targets).all()


@pytest.mark.parametrize("loss", ["bce", "bpr", "lambdafm"])
def test_training_by_pairs_ranks_the_right_items_first(loss):
    users, targets = torch.eye(6), torch.arange(6)
    head = NextItem(NextItem.Config(loss=loss), 6, [str(i) for i in range(40)], None)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        head.loss(users, targets, torch.nn.Embedding(1, 6), None).backward()
        optimizer.step()
    ranks = head.outcome(head.scores(users, torch.nn.Embedding(1, 6)).detach(), targets).ranks_N
    assert (ranks == 1).all()


@pytest.mark.parametrize("loss", ["bce", "bpr", "lambdafm"])
def test_the_same_seed_draws_the_same(loss):
    users, targets = torch.randn(5, 4), torch.arange(5)
    head = NextItem(NextItem.Config(loss=loss), 4, [str(i) for i in range(9)], None)
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(head.loss(users, targets, torch.nn.Embedding(1, 4), None).item())
    assert losses[0] == losses[1] != losses[2]


def test_lambdafm_pushes_down_what_ranks_high():
    """The gradient of hard draws falls on the item that the model ranks first more often than that of uniform ones."""
    users, targets = torch.ones(200, 1), torch.zeros(200, dtype=torch.int64)
    pushed = {}
    for loss in ("bpr", "lambdafm"):
        head = NextItem(NextItem.Config(loss=loss), 1, [str(i) for i in range(30)], None)
        with torch.no_grad():
            head.bias.copy_(torch.linspace(1, -1, 30))
        head.loss(users, targets, torch.nn.Embedding(1, 1), None).backward()
        pushed[loss] = F.normalize(head.bias.grad[1:], p=1, dim=0)[:5].sum().item()
    assert pushed["lambdafm"] > 1.5 * pushed["bpr"]
