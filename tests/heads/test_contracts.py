"""Every head in the tree keeps the contract; heads that break it are caught."""

import pytest
import torch

from lifelong.core import registry
from lifelong.core.types import Negatives
from lifelong.heads.classification import Classification
from lifelong.heads.multi_label import MultiLabel
from lifelong.heads.next_item import NextItem
from lifelong.heads.ordinal import Ordinal
from lifelong.heads.regression import Regression
from lifelong.testing import heads as contract


@pytest.mark.parametrize("check", contract.HEAD_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", registry.names("heads"))
def test_contract(name, check):
    check(contract.makers(name))


class Mixed(Classification):
    """Scores relative to the other users asked."""

    def scores(self, users_BD, items, seen=None):
        return super().scores(users_BD - users_BD.mean(dim=0), items)


class Optimist(NextItem):
    """Counts ties for the model."""

    def outcome(self, scores_NC, targets_N):
        return type(super().outcome(scores_NC, targets_N))(
            (scores_NC > scores_NC.gather(1, targets_N[:, None])).sum(1).numpy() + 1
        )


class Deaf(NextItem):
    """Does not train its bias."""

    def loss(self, users_ND, targets_N, items, negatives, seen=None):
        return torch.nn.functional.cross_entropy(users_ND @ self.matrix(items).T, targets_N)


class Forgetful(Regression):
    """Knows its scale until it is stored."""

    def __init__(self, config, width, catalogue, rows_C):
        super().__init__(config, width, catalogue, rows_C)
        del self.mean, self.scale
        self.mean, self.scale = torch.zeros(()), torch.ones(())


class Unscaled(Regression):
    """Answers in standard deviations."""

    def scores(self, users_BD, items, seen=None):
        return self.output(users_BD)

    def prepare(self, targets_N):
        pass


class Uneven(MultiLabel):
    """Says probabilities by torch's sigmoid, whose last values of a run come from another formula."""

    def probabilities(self, scores_NC):
        return scores_NC.sigmoid()


class Disordered(Ordinal):
    """Thresholds that may cross, as CORAL's do before its optimum."""

    def probabilities(self, scores_NC):
        return 2 * super().probabilities(scores_NC) - 0.1


@pytest.mark.parametrize(
    "options",
    [{"loss": "bce"}, {"loss": "bce", "drawn": 3}, {"loss": "bpr"}, {"loss": "lambdafm"}, {"unit": True}],
    ids=str,
)
@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("check", contract.HEAD_CHECKS, ids=lambda c: c.__name__)
def test_contract_of_the_other_losses(check, repeats, options):
    config = NextItem.Config(**options, repeats=repeats)
    check(lambda width, catalogue, rows_C: NextItem(config, width, catalogue, rows_C))


class WrongSign(NextItem):
    """Adds the log of how often a candidate is expected."""

    def loss(self, users_ND, targets_N, items, negatives, seen=None):
        if negatives is not None:
            negatives = Negatives(negatives.index_K, -negatives.log_expected_K)
        return super().loss(users_ND, targets_N, items, negatives, seen)


class Uncorrected(NextItem):
    """Takes every candidate as expected once."""

    def loss(self, users_ND, targets_N, items, negatives, seen=None):
        if negatives is not None:
            negatives = Negatives(negatives.index_K, torch.zeros_like(negatives.log_expected_K))
        return super().loss(users_ND, targets_N, items, negatives, seen)


class WithHistory(NextItem):
    """Ranks against what the user had."""

    barring = True

    def loss(self, users_ND, targets_N, items, negatives, seen=None):
        if negatives is None:
            return super().loss(users_ND, targets_N, items, negatives, seen)
        right_N1 = (users_ND * self.vectors(targets_N, items)).sum(1, keepdim=True) + self.bias[targets_N, None]
        wrong_NK = users_ND @ self.vectors(negatives.index_K, items).T + self.bias[negatives.index_K]
        wrong_NK = wrong_NK - negatives.log_expected_K
        if self.barring:
            wrong_NK = wrong_NK.masked_fill(negatives.index_K == targets_N[:, None], -torch.inf)
        scores_NK1 = torch.cat([right_N1, wrong_NK], dim=1)
        return torch.nn.functional.cross_entropy(scores_NK1, torch.zeros_like(targets_N))


class TargetAmongCandidates(WithHistory):
    """The same, and the right answer is among its candidates."""

    barring = False


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("broken", [WrongSign, Uncorrected, TargetAmongCandidates, WithHistory])
def test_a_broken_sampled_softmax_is_caught(broken, repeats):
    config = NextItem.Config(repeats=repeats)
    make = lambda width, catalogue, rows_C: broken(config, width, catalogue, rows_C)  # noqa: E731
    if broken is WithHistory and repeats:
        contract.check_sampled(make)  # by hand and without a history it is right
        return
    with pytest.raises(AssertionError, match="all candidates give"):
        contract.check_sampled(make)


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (Mixed, contract.check_scores),
        (Optimist, contract.check_outcome),
        (Deaf, contract.check_learns),
        (Forgetful, contract.check_kept),
        (Unscaled, contract.check_learns),
        (Uneven, contract.check_probabilities),
        (Disordered, contract.check_probabilities),
    ],
)
def test_a_broken_head_is_caught(broken, check):
    with pytest.raises(AssertionError):
        check(lambda width, catalogue, rows_C: broken(broken.Config(), width, catalogue, rows_C))
