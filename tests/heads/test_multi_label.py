"""multi_label: one sigmoid a label, starts at the shares of training, balanced weights."""

import pytest
import torch
import torch.nn.functional as F

from lifelong.heads.multi_label import MultiLabel

NO_ITEMS = torch.nn.Embedding(1, 2)
USERS = torch.randn(4, 2, generator=torch.Generator().manual_seed(1))
TARGETS = torch.tensor([[1.0, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0]])


def head(**options):
    torch.manual_seed(0)
    made = MultiLabel(MultiLabel.Config(**{"dropout": 0.0, **options}), 2, ["a", "b", "c"], None).eval()
    made.prepare(TARGETS)
    return made


def test_loss_is_the_mean_of_binary_cross_entropies():
    made = head()
    said = made.probabilities(made.scores(USERS, NO_ITEMS))
    expected = F.binary_cross_entropy(said, TARGETS)
    assert made.loss(USERS, TARGETS, NO_ITEMS, None).item() == pytest.approx(expected.item(), rel=1e-5)


def test_it_starts_at_the_shares_of_training_half_a_user_added_to_both_sides():
    said = head().probabilities(head().scores(torch.zeros(1, 2), NO_ITEMS))[0]
    assert said.tolist() == pytest.approx([3.5 / 5, 1.5 / 5, 0.5 / 5], rel=1e-5)


def test_balanced_weighs_having_a_label_as_much_as_not_having_it():
    made = head(weighting="balanced")
    losses = F.binary_cross_entropy_with_logits(made.scores(USERS, NO_ITEMS), TARGETS, reduction="none")
    weight = torch.where(TARGETS > 0, torch.tensor([1.5 / 3.5, 3.5 / 1.5, 4.5 / 0.5]), 1.0)
    expected = (losses * weight).mean().item()
    assert made.loss(USERS, TARGETS, NO_ITEMS, None).item() == pytest.approx(expected, rel=1e-5)
    assert made.probabilities(made.scores(torch.zeros(1, 2), NO_ITEMS))[0].tolist() == pytest.approx([0.5] * 3)


def test_labels_do_not_compete():
    outcome = head().outcome(torch.full((1, 3), 9.0), torch.ones(1, 3))
    assert (outcome.probabilities_NC > 0.99).all()


def test_extreme_scores_stay_probabilities():
    said = head().probabilities(torch.tensor([[-1000.0, 0.0, 1000.0]]))
    assert said.tolist() == [[0.0, 0.5, 1.0]]
