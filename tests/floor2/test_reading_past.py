"""A head of items that are not read is given the long-term path, too: alike in training and asking, never the future."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lifelong import LivingModel
from lifelong.encoders.layers.longterm import LongTerm
from lifelong.growing.making import open_feed
from lifelong.profiling.trained import aside

WORLD = {"name": "synthetic", "users": 120, "items": 60, "events_per_user": 20}
NARROW, WIDE = 16, 24


def next_of(name, targets, strategy="conure", **head):
    data = {"dataset": WORLD, "targets": {"domain": targets}}
    return {
        "name": name,
        "head": {"name": "next_item", **head},
        "data": data,
        "strategy": strategy,
        "fit": {"epochs": 1, "batch_size": 32},
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reading")
    first = {
        **next_of("next", "domain_0"),
        "encoder": {"name": "sasrec", "width": NARROW, "blocks": 1},
        "length": 8,
        "past": 20,
        "longterm": {"width": WIDE - NARROW},
        "data": {"dataset": WORLD, "inputs": {"domain": "domain_0"}},
    }
    made = LivingModel.pretrain(folder / "model", first, cache=folder / "cache")
    made.add_task(next_of("other", "domain_1"))
    made.add_task(next_of("narrow", "domain_2", rank=5))
    return made


@pytest.fixture
def batch(model):
    member = model.members["other"]
    feed = open_feed(member.task, model.cases("other"), model.design, 0)
    return max(feed.epoch(0), key=lambda made: made.history.window_BL.shape[1])


def test_width_of_what_is_read(model):
    assert model.members["other"].own["head.output.weight"].shape[1] == WIDE
    assert model.answering("next").net.read_width == NARROW, "tied to vectors as wide as a state"


def test_a_narrower_table_reads_through_a_map(model):
    own, net = model.members["narrow"].own, model.answering("narrow").net
    assert own["head.output.weight"].shape[1] == net.read_width == 5
    assert own["head.reading.weight"].shape == (5, WIDE)
    assert "head.reading.weight" not in model.members["other"].own
    assert model.verify().ok
    assert len(model.recommend([["i0000003"]], "narrow", k=3)[0].items) == 3


def test_a_map_that_is_left_out_is_caught(model, monkeypatch):
    net = model.answering("narrow").net
    monkeypatch.setattr(net.head, "reading", None)
    history = model.answering("narrow").history(model.cases("narrow").sequences, model.cases("narrow").test)
    with torch.no_grad(), pytest.raises(RuntimeError):
        net.scores(net.users(history))


def test_training_reads_what_asking_does(model, batch):
    """A point at the end of its window has the vector that is served."""
    net = model.answering("other").net
    with torch.no_grad():
        trained_NW = net.users_at(net.states(batch.history), batch)
        served_BW = net.users(batch.history)
    last_N = batch.positions_N == batch.history.window_BL.shape[1] - 1
    assert last_N.any()
    assert torch.allclose(trained_NW[last_N], served_BW[batch.rows_N[last_N]], atol=1e-5)


def later_changed(batch):
    """The batch's points in the middle of windows, and the same with other events behind each."""
    middle = batch.history.window_BL.shape[1] // 2
    here_N = batch.positions_N == middle
    asked = replace(batch, rows_N=batch.rows_N[here_N], positions_N=batch.positions_N[here_N])
    history = asked.history
    window, past = history.window_BL.clone(), history.past_BS.clone()
    later = window.shape[1] - middle - 1
    window[:, -later:], past[:, -later:] = 3, 3
    return asked, replace(asked, history=replace(history, window_BL=window, past_BS=past))


def users_of(net, batch):
    with torch.no_grad():
        return net.users_at(net.states(batch.history), batch)


def test_no_point_reads_what_comes_after_it(model, batch):
    net = model.answering("other").net
    usual, changed = later_changed(batch)
    assert len(usual.rows_N)
    assert torch.equal(users_of(net, usual), users_of(net, changed))


def test_a_path_that_reads_the_whole_past_is_caught(model, batch, monkeypatch):
    monkeypatch.setattr(LongTerm, "before", lambda path, seen: path(seen.rows_BS)[seen.users_N])
    net = model.answering("other").net
    usual, changed = later_changed(batch)
    assert not torch.allclose(users_of(net, usual), users_of(net, changed), atol=1e-3)


@pytest.mark.parametrize("strategy", ["peterrec", "scratch", "finetune", "probe"])
def test_every_strategy_reads_it_and_changes_nothing(model, strategy):
    before = model.represent([["i0000003"]], "next")
    tried = aside(model, replace(model.members["other"].task, name="again", strategy=strategy), 0)
    assert tried.growth.net.read_width == WIDE, "no wider than rank, so there is no map"
    assert np.array_equal(model.represent([["i0000003"]], "next"), before)
