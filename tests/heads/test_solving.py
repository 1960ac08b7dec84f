"""Heads that begin solved: as good as the same fit elsewhere, the penalty chosen on validation users, blind to scale."""

import numpy as np
import pytest
import torch

from lifelong.heads.base import Known
from lifelong.heads.multi_label import MultiLabel
from lifelong.heads.ordinal import Ordinal
from lifelong.heads.regression import Regression

WIDTH, NO_ITEMS = 6, torch.nn.Embedding(1, 6)
DIRECTION = torch.tensor([1.0, -0.5, 0.5, 0, 0, 0])


def users(count, seed):
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed)) * torch.tensor(
        [1, 1, 1, 1, 50, 0.0]
    )


def noise(count, seed):
    return torch.randn(count, generator=torch.Generator().manual_seed(100 + seed))


def bands(count, seed):
    x = users(count, seed)
    return x, torch.bucketize(x @ DIRECTION + 0.3 * noise(count, seed), torch.tensor([-1.0, 0.0, 1.0]))


def solved(head, *given):
    assert head.solvable
    head.eval()
    head.prepare(given[1])
    head.solve(Known(*given[:2]), Known(*given[2:]))
    return head


def ordinal(**options):
    torch.manual_seed(0)
    return Ordinal(Ordinal.Config(**options), WIDTH, ["a", "b", "c", "d"], None)


def test_ordinal_finds_direction_and_thresholds():
    head = solved(ordinal(), *bands(400, 0), *bands(100, 1))
    x, right = bands(1000, 2)
    said = head.probabilities(head.scores(x, NO_ITEMS)).detach()
    assert (said.argmax(1) == right).float().mean() > 0.8
    found = head.output.weight[0, :4] / head.output.weight[0, 0]
    assert found.tolist() == pytest.approx([1, -0.5, 0.5, 0], abs=0.15)
    assert head.output.weight[0, 5] == 0  # a column that never varies


def test_ordinal_is_no_worse_than_many_steps_of_training():
    given = (*bands(200, 0), *bands(100, 1))
    head, trained = solved(ordinal(), *given), ordinal(dropout=0.0)
    optimizer = torch.optim.Adam(trained.parameters(), lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        trained.loss(given[0], given[1], NO_ITEMS, None).backward()
        optimizer.step()
    x, right = bands(500, 2)
    ours, theirs = (float(h.eval().loss(x, right, NO_ITEMS, None).detach()) for h in (head, trained))
    assert ours < theirs + 0.02


def test_few_users_of_noise_get_a_strong_penalty():
    x, right = users(40, 0), torch.randint(4, (40,), generator=torch.Generator().manual_seed(1))
    head = solved(
        ordinal(), x, right, users(40, 2), torch.randint(4, (40,), generator=torch.Generator().manual_seed(3))
    )
    spread = head.scores(users(200, 4), NO_ITEMS).detach().std(0)
    assert spread.max() < 0.6
    assert [p.requires_grad for p in head.parameters()] == [True] * 3


def test_regression_is_ridge_in_the_labels_own_units():
    x, valid = users(300, 0), users(100, 1)
    targets = 1000 + 200 * (x @ DIRECTION + 0.1 * noise(300, 0))
    valid_targets = 1000 + 200 * (valid @ DIRECTION)
    head = solved(Regression(Regression.Config(), WIDTH, ["spend"], None), x, targets, valid, valid_targets)
    said = head.scores(valid, NO_ITEMS)[:, 0].detach()
    assert np.corrcoef(said, valid_targets)[0, 1] > 0.99
    assert (said - valid_targets).abs().mean() < 10


def test_multi_label_solves_each_label_by_itself():
    x, valid = users(300, 0), users(100, 1)
    labels = lambda u: torch.stack([u @ DIRECTION > 0, u[:, 3] > 1], dim=1).float()  # noqa: E731
    head = solved(MultiLabel(MultiLabel.Config(), WIDTH, ["a", "b"], None), x, labels(x), valid, labels(valid))
    said = head.probabilities(head.scores(valid, NO_ITEMS)).detach()
    assert ((said > 0.5).float() == labels(valid)).float().mean() > 0.93


@pytest.mark.parametrize("cls", [Ordinal, MultiLabel, Regression])
def test_it_can_be_turned_off(cls):
    assert not cls(cls.Config(solved=False), WIDTH, ["a", "b", "c"], None).solvable
