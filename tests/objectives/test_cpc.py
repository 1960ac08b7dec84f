"""CPC as TransRec has it: which events are right, which items are drawn, and the loss by hand."""

import math

import pytest
import torch
from stand_ins import Head, Net, batch_of

from lifelong.core.errors import ConfigError
from lifelong.objectives.contrast import points
from lifelong.objectives.cpc import Cpc

WINDOWS = [[0, 1, 2, 3], [2, 3, 1, 2]]
TABLE = torch.tensor([[0.5], [-1.0], [2.0], [0.3], [-0.7]])


def soft(x):
    return math.log1p(math.exp(x))


def mean(values):
    return sum(values) / len(values)


def test_points_and_what_follows_them():
    batch = points.in_order(batch_of(WINDOWS, shuffled=True))
    assert batch.rows_N.tolist() == [0, 0, 1, 1, 1]
    assert batch.positions_N.tolist() == [1, 2, 0, 1, 2]
    found = points.ahead(batch, 2)
    right = [
        [int(batch.targets_N[i]) for i, t in zip(*row, strict=True) if t]
        for row in zip(found.index_NA, found.there_NA, strict=True)
    ]
    assert right == [[1, 2], [2], [2, 0], [0, 1], [1]]
    assert points.targets_of_windows(batch).tolist() == [[1, 2, -1], [2, 0, 1]]


def test_a_point_of_each_window_whoever_else_is_there():
    batch = points.in_order(batch_of([[1] * 6, [0, 0, 0, 0, 1, 2], [1] * 6]))
    seen = set()
    for seed in range(60):
        torch.manual_seed(seed)
        picked = points.one_each(batch)
        assert batch.rows_N[picked].tolist() == [0, 1, 2]
        seen |= set(picked.tolist())
    assert seen == set(range(len(batch)))
    assert points.one_each(points.some(batch, batch.rows_N == 1)).tolist() == [0]
    assert len(points.one_each(points.some(batch, batch.rows_N == 9))) == 0


def test_drawn_items_are_never_taken():
    torch.manual_seed(0)
    taken = torch.tensor([[0, 2, -1], [1, -1, -1]])
    index, found = points.uniform(taken, 4, 3000)
    for row, allowed in ((0, {1, 3}), (1, {0, 2, 3})):
        drawn = index[row][found[row]]
        assert set(drawn.tolist()) == allowed
        assert torch.bincount(drawn).max() / len(drawn) < 1.1 / len(allowed)
    assert not points.uniform(torch.tensor([[0, 1]]), 2, 5)[1].any()


def test_the_loss_by_hand():
    """Every item but 3 and 4 is in a window or a target, so these two are drawn; a draw may fail, so many are made."""
    net, bias = Net(Head(TABLE, torch.tensor([0.1, 0.2, 0.3, 0.4, 0.4]))), [0.1, 0.2, 0.3, 0.4, 0.4]
    net.head.table[4] = net.head.table[3]
    torch.manual_seed(0)
    loss = Cpc(Cpc.Config(ahead=2, drawn=50)).loss(net, batch_of(WINDOWS, shuffled=True)).item()
    users = {(0, 1): 0.5, (0, 2): -0.5, (1, 0): -1.0, (1, 1): 1.0, (1, 2): 1.5}
    right = {(0, 1): [1, 2], (0, 2): [2], (1, 0): [2, 0], (1, 1): [0, 1], (1, 2): [1]}
    item = [0.5, -1.0, 2.0, 0.3, 0.3]
    yes = {p: mean([soft(-(u * item[i] + bias[i])) for i in right[p]]) for p, u in users.items()}
    no = {p: soft(u * item[3] + bias[3]) for p, u in users.items()}
    assert loss == pytest.approx(mean([yes[p] + no[p] for p in users]), rel=1e-5)


def test_a_window_has_one_set_of_drawn_items_and_one_point_where_that_is_asked():
    net = Net(Head(TABLE.clone()))
    Cpc(Cpc.Config(at="one", drawn=7)).loss(net, batch_of(WINDOWS))
    assert net.head.asked[-1].shape == (2, 7)
    torch.manual_seed(3)
    one = Cpc(Cpc.Config(at="one")).loss(net, batch_of(WINDOWS)).item()
    torch.manual_seed(3)
    every = Cpc(Cpc.Config()).loss(net, batch_of(WINDOWS)).item()
    assert one != pytest.approx(every)


def test_pairs_take_the_next_event_and_one_that_was_drawn():
    net = Net(Head(TABLE.clone()))
    net.head.table[4] = net.head.table[3]
    torch.manual_seed(0)
    loss = Cpc(Cpc.Config(loss="bpr", drawn=1)).loss(net, batch_of([[1, 2, 3]])).item()
    scores = [(0.5, -1.0), (-0.5, 2.0)]
    assert loss == pytest.approx(mean([soft(u * 0.3 - u * item) for u, item in scores]), rel=1e-5)


def test_where_everything_was_had_nothing_is_wrong():
    net = Net(Head(TABLE[:3].clone()))
    loss = Cpc(Cpc.Config(ahead=1)).loss(net, batch_of([[1, 2, 3]])).item()
    assert loss == pytest.approx(mean([soft(0.5), soft(1.0)]), rel=1e-5)
    assert Cpc(Cpc.Config(loss="bpr")).loss(net, batch_of([[1, 2, 3]])).item() == 0.0


def test_what_is_refused():
    net = Net(Head(TABLE))
    net.causal = False
    with pytest.raises(ConfigError, match="cpc needs a causal encoder"):
        Cpc(Cpc.Config()).loss(net, batch_of(WINDOWS))
    for option in ("ahead", "drawn"):
        with pytest.raises(ValueError, match=f"{option} is 0"):
            Cpc.Config(**{option: 0})
