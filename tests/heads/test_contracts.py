"""Every head in the tree keeps the contract; heads that break it are caught."""

import pytest
import torch

from lifelong.core import registry
from lifelong.heads.classification import Classification
from lifelong.heads.next_item import NextItem
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

    def loss(self, users_ND, targets_N, items, negatives, seen_NS=None):
        return torch.nn.functional.cross_entropy(users_ND @ self.matrix(items).T, targets_N)


@pytest.mark.parametrize(
    ("broken", "check"),
    [(Mixed, contract.check_scores), (Optimist, contract.check_outcome), (Deaf, contract.check_learns)],
)
def test_a_broken_head_is_caught(broken, check):
    with pytest.raises(AssertionError):
        check(lambda width, catalogue, rows_C: broken(broken.Config(), width, catalogue, rows_C))
