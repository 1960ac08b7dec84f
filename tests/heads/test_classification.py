"""classification: cross-entropy, class weights, dropout only while training."""

import pytest
import torch
import torch.nn.functional as F

from lifelong.heads.classification import Classification

USERS = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))
TARGETS = torch.tensor([0, 0, 0, 0, 1, 2])


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def head(**options):
    torch.manual_seed(0)
    return Classification(Classification.Config(**options), 4, ["a", "b", "c"], None)


def test_loss_is_cross_entropy():
    made = head(dropout=0.0)
    expected = F.cross_entropy(made.output(USERS), TARGETS)
    assert made.loss(USERS, TARGETS, torch.empty(0), None) == pytest.approx(expected.item())


def test_balanced_weighs_every_class_the_same():
    made = head(dropout=0.0, weighting="balanced")
    losses = F.cross_entropy(made.output(USERS), TARGETS, reduction="none")
    expected = torch.stack([losses[c == TARGETS].mean() for c in range(3)]).mean()
    assert made.loss(USERS, TARGETS, torch.empty(0), None) == pytest.approx(expected.item(), rel=1e-6)


def test_dropout_is_for_training_only():
    made = head(dropout=0.5).eval()
    assert torch.equal(made.scores(USERS, torch.empty(0)), made.scores(USERS, torch.empty(0)))
    made.train()
    assert not torch.equal(made.scores(USERS, torch.empty(0)), made.scores(USERS, torch.empty(0)))


def test_probabilities_add_up():
    outcome = head().eval().outcome(torch.randn(6, 3), TARGETS)
    assert outcome.probabilities_NC.sum(1) == pytest.approx([1.0] * 6, rel=1e-5)
    assert outcome.targets_N.tolist() == TARGETS.tolist()
