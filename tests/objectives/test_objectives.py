"""Objectives: every point weighs the same, padding is never predicted, and an encoder that sees the future is refused."""

import pytest
import torch

from lifelong.core import registry
from lifelong.core.errors import ConfigError
from lifelong.core.types import Batch, History
from lifelong.objectives.autoregressive import Autoregressive


class Net:
    """Returns states that name their place, and the mean of what it is asked about."""

    causal = True

    def states(self, history):
        rows, length = history.window_BL.shape
        return (torch.arange(rows)[:, None, None] * 100.0 + torch.arange(length)[None, :, None]).expand(rows, length, 1)

    def answer_loss(self, users_ND, targets_N, negatives):
        self.asked = users_ND[:, 0].tolist()
        return (users_ND[:, 0] * targets_N).mean()


BATCH = Batch(
    History(torch.tensor([[0, 1, 2], [3, 4, 5]])), *(torch.tensor(v) for v in ([0, 1, 1], [2, 0, 2], [1, 1, 0]))
)


@pytest.mark.parametrize("name", registry.names("objectives"))
def test_reads_exactly_the_points(name):
    cls = registry.find("objectives", name)
    net = Net()
    loss = cls(cls.Config()).loss(net, BATCH)
    assert net.asked == [2.0, 100.0, 102.0]
    assert loss.item() == pytest.approx(34.0)
    assert cls.points in ("events", "users")


def test_autoregressive_needs_a_causal_encoder():
    net = Net()
    net.causal = False
    with pytest.raises(ConfigError, match="causal"):
        Autoregressive(None).loss(net, BATCH)
