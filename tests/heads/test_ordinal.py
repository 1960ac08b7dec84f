"""ordinal: the cumulative link model by hand, thresholds in order whatever is learnt, starts at the shares of training."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lifelong.core.errors import ConfigError
from lifelong.core.registry import make_config
from lifelong.heads.ordinal import Ordinal

NO_ITEMS = torch.nn.Embedding(1, 2)


def head(classes=4, **options):
    torch.manual_seed(0)
    return Ordinal(Ordinal.Config(**{"dropout": 0.0, **options}), 2, [str(c) for c in range(classes)], None).eval()


def test_probabilities_are_differences_of_sigmoids():
    made = head()
    with torch.no_grad():
        made.output.weight.copy_(torch.tensor([[1.0, 0.0]]))
        made.lowest.fill_(-1.0)
        made.log_gaps.copy_(torch.tensor([1.0, 2.0]).log())  # thresholds -1, 0, 2
    users = torch.tensor([[0.0, 5.0], [3.0, 0.0]])
    above = torch.sigmoid(users[:, :1] - torch.tensor([-1.0, 0.0, 2.0]))
    expected = F.pad(above, (1, 0), value=1.0) - F.pad(above, (0, 1))
    torch.testing.assert_close(made.probabilities(made.scores(users, NO_ITEMS)), expected)
    targets = torch.tensor([1, 3])
    loss = made.loss(users, targets, NO_ITEMS, None)
    assert loss.item() == pytest.approx(-expected[[0, 1], targets].log().mean().item(), rel=1e-5)


def test_it_starts_at_the_shares_of_training():
    made, targets = head(), torch.tensor([0] * 5 + [1] * 2 + [2] * 2 + [3])
    made.prepare(targets)
    said = made.probabilities(made.scores(torch.zeros(1, 2), NO_ITEMS))[0]
    assert said.tolist() == pytest.approx([0.5, 0.2, 0.2, 0.1], abs=1e-5)
    even = head(weighting="balanced")
    even.prepare(targets)
    assert even.probabilities(even.scores(torch.zeros(1, 2), NO_ITEMS))[0].tolist() == pytest.approx([0.25] * 4)


@pytest.mark.parametrize("classes", [2, 3, 9])
def test_no_probability_is_below_zero_under_any_weights(classes):
    made = head(classes)
    for _ in range(20):
        for p in made.parameters():
            torch.nn.init.normal_(p, std=5.0)
        scores = made.scores(torch.randn(30, 2) * 3, NO_ITEMS)
        said = made.probabilities(scores)
        assert not scores.isnan().any()
        assert (said >= 0).all()
        torch.testing.assert_close(said.sum(1), torch.ones(30))


def test_a_larger_score_never_makes_a_higher_class_less_likely():
    made = head(6)
    with torch.no_grad():
        made.output.weight.copy_(torch.tensor([[1.0, 0.0]]))
    users = torch.stack([torch.linspace(-4, 4, 50), torch.zeros(50)], dim=1)
    at_least = made.probabilities(made.scores(users, NO_ITEMS)).flip(1).cumsum(1).flip(1)
    assert (at_least[:, 1:].diff(dim=0) > 0).all()


def test_balanced_weighs_every_class_the_same():
    made, users, targets = head(weighting="balanced"), torch.randn(6, 2), torch.tensor([0, 0, 0, 0, 1, 3])
    losses = F.nll_loss(made.scores(users, NO_ITEMS), targets, reduction="none")
    expected = torch.stack([losses[c == targets].mean() for c in (0, 1, 3)]).mean()
    assert made.loss(users, targets, NO_ITEMS, None).item() == pytest.approx(expected.item(), rel=1e-5)


def test_it_learns_an_order_from_few_cases():
    random = np.random.default_rng(0)
    users = torch.from_numpy(random.normal(size=(60, 2))).float()
    targets = torch.bucketize(users[:, 0] + 0.5 * users[:, 1], torch.tensor([-0.7, 0.0, 0.7]))
    made = head()
    optimizer = torch.optim.Adam(made.parameters(), lr=0.1)
    for _ in range(150):
        optimizer.zero_grad()
        made.loss(users, targets, NO_ITEMS, None).backward()
        optimizer.step()
    found = made.scores(users, NO_ITEMS).argmax(1)
    assert (found == targets).float().mean() > 0.9
    assert ((found - targets).abs() <= 1).all()


@pytest.mark.parametrize("order", [["a"], ["a", "a"], []])
def test_an_order_names_classes_once(order):
    with pytest.raises(ConfigError, match="each once"):
        make_config("heads", {"name": "ordinal", "order": order}, "head")
