"""Where a task begins: its head is solved on what its parent sees, and nothing that training finds is worse."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import worlds

from lifelong import LivingModel
from lifelong.asking.evaluation import log_likelihoods
from lifelong.core.types import Classified
from lifelong.growing import starting
from lifelong.growing.starting import LONGTERM_TABLE, FirstValues, start_bias, start_head
from lifelong.growing.training import CurvePoint
from lifelong.heads.next_item import NextItem

SLOW = {"epochs": 1, "lr": 1e-9}


def started(living, **changes):
    """The head's weights of a label task that hardly trains, and its record."""
    living.add_task(worlds.label(0, fit=SLOW, **changes))
    member = living.members["label_0"]
    return member.own["head.output.weight"], member.record


def test_a_child_begins_with_the_solved_head(living):
    weight, _ = started(living, strategy="probe")
    net, cases = living.answering("label_0").net, living.cases("label_0")
    vectors = living.answering("label_0").represent(living.answering("label_0").history(cases.sequences, cases.train))
    right = (net.scores(vectors).argmax(1).numpy() == cases.train.targets_N).mean()
    assert right > np.bincount(cases.train.targets_N).max() / len(cases.train)
    assert weight.abs().max() > 1e-3


def test_it_may_be_left_out_and_scratch_never_has_it(living):
    weight, _ = started(living, strategy="probe", head={"name": "classification", "solved": False})
    assert weight.std() < 0.04  # as it was drawn
    living.add_task(worlds.label(1, fit=SLOW, strategy="scratch"))
    assert living.members["label_1"].own["head.output.weight"].std() < 0.04


def test_a_head_of_other_items_begins_with_the_discriminant(living):
    """Better before its first step than popularity is, from training events alone."""
    living.add_task(worlds.cross(1, fit=SLOW, strategy="probe"))
    living.add_task(worlds.cross(2, fit=SLOW, strategy="probe", head={"name": "next_item", "solved": False}))
    solved, drawn = (living.members[f"cross_{n}"] for n in (1, 2))
    assert drawn.own["head.output.weight"].std() < 0.03
    assert solved.own["head.output.weight"].norm(dim=1).min() > 0
    assert solved.record["curve"][0]["valid"] > drawn.record["curve"][0]["valid"]
    counts = living.cases("cross_1").counts_C
    assert np.corrcoef(solved.own["head.bias"].numpy(), np.log(counts + 0.5))[0, 1] > 0.9


def test_it_is_the_same_again_and_samples_are_of_training_users_alone(living, monkeypatch):
    living.add_task(worlds.label(0, fit=SLOW, strategy="probe"))
    net, cases = living.answering("label_0").net, living.cases("label_0")
    looked_at = []
    known = starting._known
    monkeypatch.setattr(
        starting, "_known", lambda n, c, points, past: (looked_at.append(points), known(n, c, points, past))[1]
    )
    monkeypatch.setattr(starting, "MOST_USERS", 50)
    found = []
    for _ in range(2):
        assert start_head(net, cases, None, 0, seed=3)
        found.append(net.head.output.weight.clone())
    assert torch.equal(*found)
    assert len(looked_at[0]) == 50
    assert not set(np.concatenate([p.users_N for p in looked_at])) & set(cases.test.users_N)


def test_training_never_ends_below_its_start(living):
    """A rate at which everything falls apart: the solved head is kept."""
    living.add_task(worlds.label(0, fit=SLOW, strategy="probe"))
    living.add_task(
        worlds.label(6, name="wild", fit={"epochs": 2, "lr": 50.0}, strategy="probe", data=worlds.label(0)["data"])
    )
    usual, wild = (living.members[name].own["head.output.weight"] for name in ("label_0", "wild"))
    assert torch.allclose(usual, wild, atol=1e-6)
    assert all(isinstance(p["valid"], float) for p in living.members["wild"].record["curve"])
    assert CurvePoint.__dataclass_fields__.keys() == living.members["wild"].record["curve"][0].keys()


def table_of(living, cases):
    design = replace(living.design, longterm={"width": 8, "start": "svd"})
    return FirstValues(design, cases, 0, alone=True)(61)[LONGTERM_TABLE]


def with_rows(cases, places):
    """The cases with other items at some places of the histories."""
    rows = cases.sequences.rows_E.copy()
    rows[places] = rows[places] % 20 + 1
    return replace(cases, sequences=replace(cases.sequences, rows_E=rows))


def test_the_long_term_table_comes_from_training_users_alone(living):
    living.add_task(worlds.label(0, fit=SLOW, strategy="probe"))
    cases = living.cases("label_0")
    offsets = cases.sequences.offsets_U1
    others = np.setdiff1d(np.arange(len(cases.sequences)), cases.train.users_N)
    places = np.concatenate([np.arange(offsets[u], offsets[u + 1]) for u in others])
    assert torch.equal(table_of(living, cases), table_of(living, with_rows(cases, places)))
    trained = np.arange(*offsets[cases.train.users_N[0] :][:2])
    assert not torch.equal(table_of(living, cases), table_of(living, with_rows(cases, trained)))


@pytest.mark.parametrize(("task", "new"), [(worlds.label(0), 0), (worlds.wider(1), 20)])
def test_a_child_starts_the_rows_of_its_own_items_and_no_other(living, task, new):
    living.add_task({**task, "fit": SLOW, "strategy": "probe"})
    cases, design = living.cases(task["name"]), replace(living.design, longterm={"width": 8, "start": "svd"})
    assert len(cases.new_items) == new
    table = FirstValues(design, cases, 0, alone=False)(41)[LONGTERM_TABLE]
    assert not table[: 41 - new].any()
    assert table[41 - new :].any(dim=1).all()


def test_an_opened_model_needs_no_solving(living, monkeypatch):
    living.add_task(worlds.label(0, fit=SLOW, strategy="probe"))
    monkeypatch.setattr(starting, "start_head", None)
    assert LivingModel.open(living.store.path).members["label_0"].task.name == "label_0"


def test_what_selects_weighs_classes_as_the_loss_does():
    outcome = Classified(np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.6, 0.4]]), np.array([0, 0, 0, 1]))
    plain, alike = (log_likelihoods(outcome, balanced).mean() for balanced in (False, True))
    assert plain == pytest.approx((3 * np.log(0.9) + np.log(0.4)) / 4)
    assert alike == pytest.approx((np.log(0.9) + np.log(0.4)) / 2)


def test_what_is_popular_is_where_biases_of_read_items_begin():
    torch.manual_seed(0)
    net = SimpleNamespace(head=NextItem(NextItem.Config(), 4, ("a", "b", "c"), torch.tensor([1, 2, 3])))
    start_bias(net, np.array([0, 0, 0, 1]))
    odds = net.head.bias.exp()
    assert torch.allclose(odds / odds[2], torch.tensor([4.0, 2.0, 1.0]))
    assert abs(float(net.head.bias.detach().mean())) < 1e-6
    for options in ({"unit": True}, {"tied": False}):
        net.head = NextItem(NextItem.Config(**options), 4, ("a", "b", "c"), torch.tensor([1, 2, 3]))
        start_bias(net, np.array([0, 0, 0, 1]))
        assert not net.head.bias.any()
