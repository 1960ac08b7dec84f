"""Strategies that change earlier tasks: they need leave, they train beside them, and a failed commit changes nothing."""

import pytest
import worlds

from lifelong import LivingModel
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
