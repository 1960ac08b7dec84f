"""CLUE: its loss by hand, where gradients stop, one user alone, and InfoNCE's other users."""

import math

import pytest
import torch

from lifelong.core.config import build
from lifelong.core.errors import ConfigError
from lifelong.core.types import Batch
from lifelong.objectives.clue import Clue, apart, disagreement
from lifelong.objectives.clue_infonce import ClueInfoNCE
from lifelong.objectives.siamese.beside import BatchStandard
from lifelong.testing.objectives import checkerboard


def test_disagreement_is_minus_the_cosine_and_leaves_the_target_alone():
    predicted = torch.tensor([[1.0, 0.0], [0.0, 2.0]], requires_grad=True)
    target = torch.tensor([[3.0, 0.0], [1.0, 1.0]], requires_grad=True)
    loss = disagreement(predicted, target)
    assert loss.item() == pytest.approx(-(1 + 0.5**0.5) / 2)
    loss.backward()
    assert target.grad is None
    assert predicted.grad.abs().sum() > 0


def test_infonce_by_hand():
    first = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert apart(first, first, 0.5).item() == pytest.approx(math.log(1 + math.exp(-2)))
    assert apart(first, first.flip(0), 0.5).item() == pytest.approx(math.log(1 + math.exp(2)))


def test_only_without_negatives_there_is_a_predictor():
    for cls, predicts in ((Clue, True), (ClueInfoNCE, False)):
        objective = cls(cls.Config())
        objective.equip(16)
        assert (objective.siamese.predictor is not None) == predicts


def test_user_vectors_and_encoder_are_trained_whatever_the_views():
    for views in ("dropout", "mask", "crop", "permute", "halves"):
        objective = Clue(Clue.Config(views=views))
        net, batch = checkerboard(objective)
        net(objective, batch).backward()
        trained = [*net.encoder.parameters(), *objective.parameters()]
        assert sum(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in trained) > len(trained) / 2
        assert net.head.bias.grad is None, "clue asks nothing of a head"


def test_a_batch_of_one_user_is_finite():
    for cls in (Clue, ClueInfoNCE):
        objective = cls(cls.Config())
        net, batch = checkerboard(objective)
        one = Batch(batch.history.users(slice(0, 1)), batch.rows_N[:1], batch.positions_N[:1], batch.targets_N[:1])
        loss = net(objective, one)
        loss.backward()
        assert torch.isfinite(loss)
        assert all(torch.isfinite(p.grad).all() for p in objective.parameters() if p.grad is not None)


def test_batch_standard_is_batch_norm_without_running_figures():
    rows = torch.randn(9, 5) * 3 + 1
    torch.testing.assert_close(BatchStandard(5)(rows), torch.nn.BatchNorm1d(5)(rows))
    assert not list(BatchStandard(5).buffers())


def test_what_it_trains_for_itself_comes_from_the_seed():
    made = []
    for seed in (1, 1, 2):
        objective = Clue(Clue.Config())
        torch.manual_seed(seed)
        objective.equip(8)
        made.append(torch.cat([p.flatten() for p in objective.parameters()]))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": 1}, {"temperature": 0}, {"projected": 0}, {"views": "flip"}])
def test_wrong_options_are_named(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        build(Clue.Config, wrong, "objective clue")
