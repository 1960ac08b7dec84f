"""Every objective in the tree keeps the contract; objectives that break it are caught."""

import pytest
import torch

from lifelong.core import registry
from lifelong.objectives.autoregressive import Autoregressive
from lifelong.testing import objectives as contract


@pytest.mark.parametrize("check", contract.OBJECTIVE_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", registry.names("objectives"))
def test_contract(name, check):
    check(contract.make(name))


class Summed(Autoregressive):
    """Adds up where it should average."""

    def loss(self, net, batch):
        return super().loss(net, batch) * len(batch)


class Frozen(Autoregressive):
    """Does not train the encoder."""

    def loss(self, net, batch):
        vectors = net.states(batch.history)[batch.rows_N, batch.positions_N].detach()
        frozen = torch.nn.Embedding.from_pretrained(net.items.weight.detach())
        return net.head.loss(vectors, batch.targets_N, frozen, None)


class Pulled(Autoregressive):
    """Wants all users to look the same."""

    def loss(self, net, batch):
        return net.vectors(net.states(batch.history), batch.history).var(dim=0).sum()


BROKEN = [
    (Summed, contract.check_points),
    (Frozen, contract.check_learns),
    (Pulled, contract.check_tells_users_apart),
]


@pytest.mark.parametrize(("broken", "check"), BROKEN)
def test_a_broken_objective_is_caught(broken, check):
    with pytest.raises(AssertionError):
        check(broken(broken.Config()))
