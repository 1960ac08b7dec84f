"""regression: answers in the label's own units, loss free of them, Huber and squared."""

import pytest
import torch

from lifelong.heads.regression import Regression

NO_ITEMS = torch.nn.Embedding(1, 2)
USERS = torch.randn(5, 2, generator=torch.Generator().manual_seed(1))
TARGETS = torch.tensor([1000.0, 1200.0, 900.0, 1100.0, 5000.0])


def head(targets=TARGETS, **options):
    torch.manual_seed(0)
    made = Regression(Regression.Config(**{"dropout": 0.0, **options}), 2, ["spend"], None).eval()
    made.prepare(targets)
    return made


def test_it_starts_at_the_mean_and_answers_in_units():
    made = head()
    assert made.scores(torch.zeros(1, 2), NO_ITEMS).item() == pytest.approx(TARGETS.mean().item())
    with torch.no_grad():
        made.output.weight.copy_(torch.tensor([[1.0, 0.0]]))
    said = made.scores(torch.tensor([[2.0, 9.0]]), NO_ITEMS).item()
    assert said == pytest.approx((TARGETS.mean() + 2 * TARGETS.std(correction=0)).item())


@pytest.mark.parametrize("loss", ["huber", "mse"])
def test_the_loss_does_not_depend_on_the_unit(loss):
    cents = head(100 * TARGETS, loss=loss).loss(USERS, 100 * TARGETS, NO_ITEMS, None).item()
    assert head(loss=loss).loss(USERS, TARGETS, NO_ITEMS, None).item() == pytest.approx(cents, rel=1e-5)


def test_huber_is_linear_beyond_one_deviation_and_mse_squared():
    users, off = torch.zeros(1, 2), 3.0
    for loss, expected in (("huber", off - 0.5), ("mse", off**2)):
        made = head(loss=loss)
        target = (made.mean + off * made.scale)[None]
        assert made.loss(users, target, NO_ITEMS, None).item() == pytest.approx(expected, rel=1e-5)


def test_equal_targets_do_not_divide_by_zero():
    made = head(torch.full((4,), 7.0))
    assert made.scale.item() == 1.0
    assert torch.isfinite(made.loss(USERS, TARGETS, NO_ITEMS, None))


def test_outcome_is_flat():
    outcome = head().outcome(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 3.0]))
    assert outcome.values_N.tolist() == [1.0, 2.0]
    assert outcome.targets_N.tolist() == [1.0, 3.0]
