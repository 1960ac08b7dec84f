"""Tasks whose head reads the items of the past themselves: kept bit for bit, asked in any company, fitted from scratch, too."""

import pytest
import torch
import worlds

from lifelong import LivingModel
from lifelong.asking.inference import last_points
from lifelong.model.task import as_task
from lifelong.profiling.trained import aside

HEAD = {"name": "classification", "weighting": "balanced", "wide": True}


@pytest.fixture(scope="module")
def model(tmp_path_factory, cache):
    first = worlds.first(past=20, longterm={"width": 8}, fit={"epochs": 1})
    made = LivingModel.pretrain(tmp_path_factory.mktemp("wide") / "model", first, cache=cache)
    for task in (worlds.label(0, head=HEAD), worlds.label(1)):
        made.add_task(task)
    return made


def scores(model, histories):
    answering, sequences = model._asked(model.members["label_0"], histories, "error")
    history = answering.history(sequences, last_points(sequences))
    return torch.cat(list(answering.scores(answering.users(history), history)))


def histories_of(model):
    items = model.members["next"].catalogue
    return [list(items[:15]), list(items[5:8]), list(items[:15][::-1]), list(items[20:29])]


def test_no_bit_changes_when_a_task_is_added_opened_again_or_asked_in_other_company(model):
    assert model.last_addition.changed == {"next": 0, "label_0": 0}
    assert model.verify().ok
    asked = histories_of(model)
    whole = scores(model, asked)
    assert torch.equal(scores(LivingModel.open(model.store.path, cache=model.cache), asked), whole)
    assert torch.equal(torch.cat([scores(model, [history]) for history in asked]), whole)


def test_an_item_beyond_the_window_counts(model):
    table_VC1 = model.members["label_0"].own["head.wide.table_VC1"]
    assert len(table_VC1) == model.members["label_0"].view.rows
    answering, past = model.answering("label_0"), histories_of(model)[0]
    assert len(past) > answering.net.encoder.length
    said = []
    for history in (past, past[:1] + past[2:]):
        _, sequences = model._asked(model.members["label_0"], [history], "error")
        seen = answering.net.seen(answering.history(sequences, last_points(sequences)))
        said.append(answering.net.head.wide(seen))
    assert not torch.equal(*said)


def test_items_that_other_tasks_brought_are_none_of_its(model):
    assert "head.wide.table_VC1" not in model.members["label_1"].own
    assert "head.wide.table_VC1" in model.members["label_0"].own


@pytest.mark.parametrize("strategy", ["scratch", "probe", "peterrec", "finetune"])
def test_every_strategy_fits_it(model, strategy):
    tried = aside(model, as_task(worlds.label(2, head=HEAD, strategy=strategy)), 0)
    table_VC1 = tried.member.own["head.wide.table_VC1"]
    assert table_VC1[1:].abs().sum() > 0
    assert table_VC1[0].abs().sum() == 0  # padding says nothing
