"""Weighted sums of objectives: by hand, one shared pass, parts that do not fit are refused, all parts are trained."""

import pytest
import torch

from lifelong.core.config import build
from lifelong.core.errors import ConfigError
from lifelong.objectives.autoregressive import Autoregressive
from lifelong.objectives.clue import Clue
from lifelong.objectives.sum import Sum
from lifelong.testing.objectives import checkerboard


def summed(*parts):
    return Sum(build(Sum.Config, {"of": list(parts)}, "objective sum"))


def test_it_is_the_weighted_sum():
    objective = summed({"name": "autoregressive", "weight": 2}, {"name": "clue", "weight": 0.5})
    net, batch = checkerboard(objective)
    clue = objective.parts[1]
    expected = 2 * net(Autoregressive(None), batch) + 0.5 * net(clue, batch)
    assert net(objective, batch).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_pass_that_two_parts_want_is_made_once(monkeypatch):
    objective = summed("autoregressive", "clue", {"name": "clue", "views": "mask"})
    net, batch = checkerboard(objective)
    passes, states = [], net.states
    monkeypatch.setattr(net, "states", lambda *asked: passes.append(asked) or states(*asked))
    net(objective, batch).backward()
    assert len(passes) == 4  # the window, its second draw of dropout, two masked ones
    assert sum(asked[0] is batch.history for asked in passes) == 1


def test_the_second_view_of_dropout_is_another_draw():
    objective = summed("autoregressive", "clue")
    net, batch = checkerboard(objective)
    for module in net.modules():
        module.p = 0.5 if hasattr(module, "p") else None
    seen = []
    project = objective.parts[1].siamese.projection.forward
    objective.parts[1].siamese.projection.forward = lambda users_BU: seen.append(users_BU) or project(users_BU)
    net(objective, batch)
    assert not torch.equal(*seen)


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        (("autoregressive", "supervised"), "points"),
        (("autoregressive", "masked"), "causal"),
        (({"name": "sum", "of": ["masked"]}, "autoregressive"), "causal"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(parts, word):
    with pytest.raises(ConfigError, match=f"do not fit together.*{word}"):
        summed(*parts)


def test_what_the_parts_agree_on_is_the_sums():
    assert (summed("clue", "masked").points, summed("clue", "masked").causal) == ("events", False)
    assert (summed("clue", "supervised").points, summed("clue", "supervised").causal) == ("users", None)
    assert summed("clue").points is None
    assert not summed("clue", "clue_infonce").asks_head
    assert summed("clue", "masked").asks_head


@pytest.mark.parametrize("wrong", [[], [{"name": "clue", "weight": 0}], [{"name": "clue", "weight": "much"}]])
def test_wrong_weights_are_named(wrong):
    with pytest.raises(ConfigError, match=r"weight|empty"):
        summed(*wrong)


def test_a_part_that_does_not_exist_is_named():
    with pytest.raises(ConfigError, match="clu"):
        summed({"name": "clu"})
    with pytest.raises(ConfigError, match="ratee"):
        summed({"name": "clue", "ratee": 0.5})


def test_the_parts_are_equipped_and_told_of():
    objective = summed("autoregressive", "clue")
    net, batch = checkerboard(objective)
    assert isinstance(objective.parts[1], Clue)
    assert len(list(objective.parameters())) == len(list(objective.parts[1].parameters())) > 0
    net(objective, batch)
    assert "spread of vectors" in objective.end_epoch()
