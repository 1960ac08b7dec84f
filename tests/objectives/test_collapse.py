"""The watch for collapse: figures by hand, and siamese training without stop-gradient (or predictor, too) is caught by it."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lifelong.core.errors import LifelongError
from lifelong.objectives import clue as module
from lifelong.objectives.clue import Clue
from lifelong.objectives.siamese.collapse import Watch, effective_rank, spread
from lifelong.testing import objectives as contract


def test_spread_by_hand():
    assert spread(torch.tensor([[3.0, 0.0], [0.0, 5.0]])).item() == pytest.approx(0.5**0.5)  # mean (.5, .5)
    assert spread(torch.ones(9, 4)).item() == pytest.approx(0, abs=1e-3)
    assert spread(torch.randn(4000, 8)).item() == pytest.approx(1, abs=1e-3)


def test_effective_rank_by_hand():
    cross = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    assert effective_rank(cross).item() == pytest.approx(2)
    assert effective_rank(cross[:2].repeat(5, 1)).item() == pytest.approx(1)
    assert effective_rank(torch.ones(9, 4)).item() == 1
    assert effective_rank(torch.randn(4000, 8)).item() == pytest.approx(8, abs=0.2)


def test_the_watch_tells_means_and_begins_anew():
    watch = Watch()
    watch.look("vectors", torch.eye(4))
    watch.look("vectors", torch.eye(4))
    watch.look("vectors", torch.eye(4)[:2])  # too few
    assert watch.end() == {"spread of vectors": pytest.approx(0.75**0.5), "rank of vectors": pytest.approx(3)}
    assert watch.end() == {}


def leaking(predicted, target):
    """The disagreement without the stop-gradient."""
    return -F.cosine_similarity(predicted, target, dim=1).mean()


@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize("fault", ["neither", "no stop", None])
def test_a_planted_collapse_is_caught(fault, norm, monkeypatch):
    if fault:
        monkeypatch.setattr(module, "disagreement", leaking)
    objective = Clue(Clue.Config(views="mask", norm=norm))
    net, batch = contract.checkerboard(objective)
    if fault == "neither":
        objective.siamese.predictor = nn.Identity()
    contract._train(objective, net, batch, 60)
    objective.watch = Watch()
    net(objective, batch)
    if fault is None:
        assert objective.end_epoch()["rank of vectors"] > 1.05
        return
    with pytest.raises(LifelongError, match="all users look the same"):
        objective.end_epoch()
