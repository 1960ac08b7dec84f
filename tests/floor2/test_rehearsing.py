"""Strategies that change earlier tasks: they need leave, they train beside them, and a failed commit changes nothing."""

import numpy as np
import pytest
import worlds

from lifelong import LivingModel
from lifelong.asking.evaluation import log_score, validation_score
from lifelong.continual.rehearsal import again
from lifelong.continual.strategies.replay import remember
from lifelong.continual.view import ITEM_TABLE
from lifelong.core.errors import Conflict, UsageError

CHANGING = ["joint", "replay", "lwf", "ewc", "sequential"]


def bits(model, task="next"):
    return {name: value.clone() for name, value in model.answering(task).net.state_dict().items()}


def moved(before, after):
    return {name for name, value in before.items() if not value.equal(after[name])}


@pytest.mark.parametrize("strategy", CHANGING)
def test_changes_an_earlier_task_with_leave_and_keeps_it_after_opening(living, cache, strategy):
    unsolved = {"name": "classification", "solved": False}  # a solved head may be best before the first step
    task, before = worlds.label(0, strategy=strategy, head=unsolved), bits(living)
    with pytest.raises(UsageError, match="allow-forgetting"):
        living.add_task(task)
    added = living.add_task(task, allow_forgetting=True)
    assert added.changed["next"] > 0
    after, opened = bits(living), bits(LivingModel.open(living.store.path, cache=cache))
    assert not moved(after, opened)
    heads = {name for name in moved(before, after) if name.startswith("head.")}
    assert bool(heads) == (strategy in ("joint", "replay", "lwf"))  # those let the earlier head go along


def test_a_failed_commit_leaves_the_open_model_as_it_was(living, monkeypatch):
    before = bits(living)

    def refused(*arguments):
        raise Conflict("another process was faster")

    monkeypatch.setattr(living.store, "commit", refused)
    with pytest.raises(Conflict):
        living.add_task(worlds.label(0, strategy="joint"), allow_forgetting=True)
    living._mounted.clear()
    assert not moved(before, bits(living))


def test_what_is_replayed_is_told_from_other_items_each_time(tmp_path, cache):
    """Drawn once, 512 items were all that a memory was ever told from: next_product fell from .1215 to .0043."""
    head = {"name": "next_item", "full_softmax_up_to": 0, "negatives": 16}
    model = LivingModel.pretrain(tmp_path / "sampled", worlds.first(head=head, fit={"epochs": 1}), cache=cache)
    earlier = model._remembered(model.members["next"], len(model.bank.owners[ITEM_TABLE]))
    stream = again(earlier, remember(earlier, 1e4)[:1])(0)
    first, second = next(stream), next(stream)
    assert first.history.window_BL.equal(second.history.window_BL)
    assert not first.negatives.index_K.equal(second.negatives.index_K)
    expected = dict(zip(first.negatives.index_K.tolist(), first.negatives.log_expected_K.tolist(), strict=True))
    for index, log in zip(second.negatives.index_K.tolist(), second.negatives.log_expected_K.tolist(), strict=True):
        assert expected.get(index, log) == log, "by the same sampler"
    same = next(again(earlier, remember(earlier, 1e4)[:1])(0))
    assert same.negatives.index_K.equal(first.negatives.index_K), "an interrupted epoch goes on with the same ones"


def scored(model):
    """The logarithms of all tasks' validation scores, as the model answers now."""
    nets = {name: model.answering(name).net for name in model.members}
    one = lambda name: validation_score(nets[name], model.cases(name), model.members[name].task.measured_by[0])  # noqa: E731
    return [log_score(nets[name].answers, one(name)) for name in nets]


@pytest.mark.parametrize(("strategy", "all_judge"), [("joint", True), ("replay", False), ("sequential", False)])
def test_joint_training_chooses_its_epoch_by_all_tasks(living, strategy, all_judge):
    """What is committed has, measured anew, the mean of all tasks' scores that the best epoch had."""
    task = worlds.label(0, strategy=strategy, head={"name": "classification", "solved": False}, fit={"epochs": 3})
    living.add_task(task, allow_forgetting=True)
    best = max(point["valid"] for point in living.members["label_0"].record["curve"])
    by_all = np.isclose(best, np.mean(scored(living)), atol=1e-5)
    assert by_all == all_judge


@pytest.mark.parametrize(
    ("answers", "better", "worse"), [("items", 0.2, 0.1), ("classes", -0.2, -0.4), ("number", -1.0, -2.0)]
)
def test_log_scores_rise_with_the_score_and_halve_alike(answers, better, worse):
    gain = log_score(answers, better) - log_score(answers, worse)
    assert gain == pytest.approx(0.2 if answers == "classes" else np.log(2))
