"""Objectives: every point weighs the same, padding is never predicted, and an encoder that sees the future is refused."""

import pytest
import torch

from lifelong.core import registry
from lifelong.core.errors import ConfigError
from lifelong.core.types import Batch, History
from lifelong.objectives.autoregressive import Autoregressive
from lifelong.objectives.masked import Masked
from lifelong.objectives.supervised import Supervised


class Net:
    """Returns states that name their place, and the mean of what it is asked about."""

    causal = True

    def states(self, history, hidden_BL=None):
        self.hidden = hidden_BL
        rows, length = history.window_BL.shape
        return (torch.arange(rows)[:, None, None] * 100.0 + torch.arange(length)[None, :, None]).expand(rows, length, 1)

    def users_at(self, states_BLD, batch):
        return states_BLD[batch.rows_N, batch.positions_N]

    def vectors(self, states_BLD, history):
        return states_BLD[:, -1]

    def answer_loss(self, users_ND, batch):
        self.asked = users_ND[:, 0].tolist()
        return (users_ND[:, 0] * batch.targets_N).mean()


BATCH = Batch(
    History(torch.tensor([[0, 1, 2], [3, 4, 5]])), *(torch.tensor(v) for v in ([0, 1, 1], [2, 0, 2], [1, 1, 0]))
)


@pytest.mark.parametrize("cls", [Autoregressive, Supervised])
def test_reads_exactly_the_points(cls):
    net = Net()
    loss = cls(cls.Config()).loss(net, BATCH)
    assert net.asked == [2.0, 100.0, 102.0]
    assert loss.item() == pytest.approx(34.0)


@pytest.mark.parametrize("name", registry.names("objectives"))
def test_says_what_must_be_supervised(name):
    cls = registry.find("objectives", name)
    assert cls(cls.Config()).points in ("events", "users", None)


def test_autoregressive_needs_a_causal_encoder():
    net = Net()
    net.causal = False
    with pytest.raises(ConfigError, match="causal"):
        Autoregressive(None).loss(net, BATCH)


def test_masked_asks_for_hidden_events_alone_and_always_for_the_one_to_come():
    net, length, asked = Net(), 6, set()
    net.causal = False
    windows = torch.cat([torch.zeros(9, 2, dtype=torch.int64), torch.ones(9, length - 2, dtype=torch.int64)], dim=1)
    rows, places = torch.arange(9).repeat_interleave(4), torch.arange(2, length).repeat(9)
    batch = Batch(History(windows), rows, places, torch.zeros(36, dtype=torch.int64))
    for seed in range(20):
        torch.manual_seed(seed)
        Masked(Masked.Config()).loss(net, batch)
        hidden = {(int(r) * 100.0 + int(p)) for r, p in net.hidden.nonzero()}
        assert set(net.asked) == hidden & {r * 100.0 + p for r in range(9) for p in range(2, length)}
        assert {r * 100.0 + length - 1 for r in range(9)} <= set(net.asked)
        assert not net.hidden[:, :2].any()
        asked |= set(net.asked)
    assert len(asked) == 36


def test_masked_needs_an_encoder_that_sees_both_sides():
    with pytest.raises(ConfigError, match="both sides"):
        Masked(Masked.Config()).loss(Net(), BATCH)


def test_a_masked_net_ranks_its_catalogue_and_neither_mask_nor_padding():
    from lifelong.testing.objectives import RING, checkerboard

    net, batch = checkerboard(Masked(Masked.Config()))
    mask = net.encoder.mask
    with torch.no_grad():
        scores_BC = net.scores(net.users(batch.history))
        mask.fill_(50.0)  # as an item it would be first everywhere, or change the item table
        moved_BC = net.scores(net.users(batch.history))
    assert scores_BC.shape == moved_BC.shape == (20, 2 * RING)
    assert "encoder.mask" in net.trunk_names()
    assert mask.shape == (net.width,), "one vector, and no row of the item table"
    assert net.items.weight.shape[0] == 2 * RING + 1
    net(Masked(Masked.Config()), batch).backward()
    assert mask.grad is not None, "the mask vector is not learnt"
    assert mask.grad.abs().sum() > 0, "the mask vector is not learnt"
