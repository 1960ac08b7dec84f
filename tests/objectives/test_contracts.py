"""Every objective in the tree keeps the contract; objectives that break it are caught."""

import pytest
import torch

from lifelong.core import registry
from lifelong.core.errors import LifelongError
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


class Halved(Autoregressive):
    """Gives the loss in whatever precision products come."""

    def loss(self, net, batch):
        return super().loss(net, batch).to((net.items.weight @ net.items.weight.T).dtype)


class Frozen(Autoregressive):
    """Does not train the encoder."""

    def loss(self, net, batch):
        vectors = net.states(batch.history)[batch.rows_N, batch.positions_N].detach()
        frozen = torch.nn.Embedding.from_pretrained(net.items.weight.detach())
        return net.head.loss(vectors, batch.targets_N, frozen, None)


class Killing(Autoregressive):
    """Lets the last norm die, so that all users look the same."""

    def loss(self, net, batch):
        net.encoder.norm.weight.requires_grad_(False).zero_()
        net.encoder.norm.bias.requires_grad_(False).fill_(1.0)
        return super().loss(net, batch)


class Telling(Autoregressive):
    """Finds out by itself that its training is of no use."""

    def end_epoch(self):
        raise LifelongError("collapsed")


BROKEN = [
    (Summed, contract.check_points),
    (Frozen, contract.check_learns),
    (Killing, contract.check_tells_users_apart),
    (Telling, contract.check_tells_users_apart),
    (Halved, contract.check_in_bfloat16),
]


@pytest.mark.parametrize(("broken", "check"), BROKEN)
def test_a_broken_objective_is_caught(broken, check):
    with pytest.raises(AssertionError):
        check(broken(broken.Config()))
