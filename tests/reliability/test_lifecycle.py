"""Taking tasks out and learning them anew: what was theirs is free, what is others' stays, and nothing is lost on the way."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

import lives
from in_process import check_here

from lifelong import LivingModel, living
from lifelong.cli import main
from lifelong.continual.bank import FREE
from lifelong.core.errors import ConfigError, Conflict, ForgettingError, LifelongError, UsageError
from lifelong.core.fingerprint import changed_values
from lifelong.core.progress import Silent
from lifelong.growing import removing
from lifelong.keeping import checkpoint
from lifelong.keeping.sealing import answers, probe_windows
from lifelong.store.store import Store
from lifelong.testing.store import KillAt, Watched, in_child


@pytest.fixture
def model(tmp_path, tmp_path_factory, monkeypatch):
    check_here(monkeypatch)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # nobody cuts the power here
    return lives.copy_of(tmp_path_factory, tmp_path)


def asked(model):
    """Task -> what it answers to invented users."""
    answering = {name: model.answering(name) for name in model.members}
    windows = {name: probe_windows(model._known(name).rows_n, a.length)[3::4] for name, a in answering.items()}
    return {name: answers(a, windows[name], 25) for name, a in answering.items()}


def changed(before, after):
    """How many values of the tasks that are in both differ."""
    both = before.keys() & after.keys()
    return sum(changed_values(before[name][key], after[name][key]) for name in both for key in ("users", "scores"))


def owned_by(model, name):
    owner = model.members[name].view.owner
    return {tensor: owners == owner for tensor, owners in model.bank.owners.items() if tensor in model.bank.prunable}


def again(model):
    return LivingModel.open(model.store.path, cache=model.cache)


# -- taking out ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["label_0", "label_1", "wider_1", "label_2"])
def test_what_it_owned_is_free_and_zero_and_nothing_else_moves(model, name):
    before, free, mine = asked(model), model.bank.shares()[FREE], owned_by(model, name)
    removed = model.remove(name)
    after = again(model)
    assert list(after.members) == [task["name"] for task in lives.FAMILY if task["name"] != name]
    for tensor, owned in mine.items():
        assert (after.bank.owners[tensor][owned] == FREE).all()
        assert (after.bank.values[tensor][owned] == 0).all()
    assert removed.free == after.bank.shares()[FREE] == pytest.approx(free + removed.given_back)
    assert removed.changed == dict.fromkeys(after.members, 0)
    assert changed(before, asked(after)) == changed(before, asked(model)) == 0
    assert lives.sound(after)
    assert after.version.op == "remove"


def test_rows_of_others_stay_in_their_place_and_the_gap_is_nobodys(model):
    one, two = (model.members[name] for name in ("wider_1", "wider_2"))
    assert one.first_row < two.first_row
    rows = model.bank.values["items.weight"][two.first_row :].clone()
    model.remove("wider_1")
    table, owners = (of["items.weight"] for of in (model.bank.values, model.bank.owners))
    gap = slice(one.first_row, two.first_row)
    assert model.members["wider_2"].first_row == two.first_row
    assert torch.equal(table[two.first_row :], rows)
    assert (owners[gap] == FREE).all()
    assert (table[gap] == 0).all()
    model.remove("wider_2")
    model.remove("label_2")
    assert len(model.bank.owners["items.weight"]) == one.first_row  # at the end of the table rows are dropped


def test_the_task_stays_in_the_versions_before_and_comes_back_by_a_rollback(model):
    before, number = asked(model), model.version.number
    identity = model.remove("label_0").identity
    assert changed(before, asked(LivingModel.open(model.store.path, number))) == 0
    model.store.rollback(number, 5)
    back = again(model)
    assert back.version.body["tasks"]["label_0"]["identity"] == identity
    assert set(asked(back)) == set(before)
    assert changed(before, asked(back)) == 0


def test_a_later_task_claims_what_was_given_back(model):
    mine, before = owned_by(model, "label_0"), asked(model)
    model.remove("label_0")
    model.remove("wider_1")
    model.add_task(lives.label(4, strategy={"name": "conure", "keep": 0.8}))
    model.add_task(lives.wider(1, name="wider_3"))
    taken = owned_by(model, "label_4")
    shared = sum(int((mine[tensor] & taken[tensor]).sum()) for tensor in mine)
    assert shared > sum(int(owned.sum()) for owned in mine.values()) / 2
    after = again(model)
    assert lives.sound(after)
    assert changed(before, asked(after)) == 0
    assert "label_0" in LivingModel.open(model.store.path, 7).members


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cross_1", "label_1 stands on it and would change with it; take it out first: label_1"),
        ("next", "take them out first: wider_2, label_2, wider_1, label_1, cross_1, label_0"),
        ("lable_0", "did you mean 'label_0'"),
    ],
)
def test_what_others_stand_on_stays(model, name, said):
    before = model.store.newest()
    for act in (model.remove, model.retrain):
        with pytest.raises(UsageError, match=said):
            act(name)
    assert model.store.newest() == before


def test_no_model_is_without_a_task(model):
    model.store.rollback(1, 5)
    model = again(model)
    with pytest.raises(UsageError, match="it is the only one"):
        model.remove("next")


def test_who_comes_second_is_told(model):
    other = again(model)
    model.remove("label_0")
    with pytest.raises(Conflict):
        other.remove("wider_1")
    assert "wider_1" in again(model).members


@pytest.mark.slow
def test_killed_while_taking_out(model, tmp_path):
    counting, old = Watched(), model.version.sha256

    def take_out(path, files):
        open_ = LivingModel.open(path, cache=model.cache)
        open_.store = Store.open(path, files=files)
        open_.remove("label_0")

    take_out(shutil.copytree(model.store.path, tmp_path / "whole"), counting)
    assert counting.count >= 6
    for at in range(1, counting.count + 1):
        path = shutil.copytree(model.store.path, tmp_path / str(at))
        assert not in_child(lambda p=path, n=at: take_out(p, KillAt(n, ("before", "middle", "after")[n % 3])))
        if Store.open(path).newest().sha256 == old:
            take_out(path, None)
        assert "label_0" not in Store.open(path).newest().body["tasks"]
        assert not Store.open(path).verify().problems
        shutil.rmtree(path)


def closing_the_gap(body, name):
    """Fault: the rows of later tasks move up into those of the one that is taken out."""
    less = honest_without(body, name)
    start, end = (body["tasks"][n]["first_row"] for n in (name, "wider_2"))
    tasks = {
        n: {**e, "first_row": e["first_row"] - end + start, "rows": e["rows"] - end + start}
        if e["first_row"] >= end
        else e
        for n, e in less["tasks"].items()
    }
    return {**less, "tasks": tasks}


def taking_another_owner(body, name):
    """Fault: another task loses its claims, too."""
    less = honest_without(body, name)
    return {**less, "tasks": {n: {**e, "alone": n == "cross_1" or e["alone"]} for n, e in less["tasks"].items()}}


honest_without = removing.without


@pytest.mark.parametrize("fault", [closing_the_gap, taking_another_owner])
def test_a_removal_that_moves_others_is_caught(model, monkeypatch, fault):
    before = model.store.newest()
    monkeypatch.setattr(removing, "without", fault)
    with pytest.raises(LifelongError):
        model.remove("wider_1")
    assert model.store.newest() == before
    assert "wider_1" in model.members


def test_rows_that_overlap_are_refused(model):
    """Only a gap is filled; a table that is too long already is no gap."""
    body = model.version.body
    entry = {**body["tasks"]["wider_2"], "first_row": body["tasks"]["wider_2"]["first_row"] - 1}
    with pytest.raises(LifelongError, match="do not fit"):
        checkpoint.load(model.store, {**body, "tasks": {**body["tasks"], "wider_2": entry}})


# -- learning anew ---------------------------------------------------------------------------------------------------


def test_learnt_anew_it_is_another_task_and_the_others_are_the_same(model):
    before, number = asked(model), model.version.number
    old = model.version.body["tasks"]["label_0"]["identity"]
    addition = model.retrain("label_0")  # on other free weights than the first time
    after = again(model)
    assert addition.version == number + 1
    assert after.version.op == "retrain"
    assert addition.identity == after.version.body["tasks"]["label_0"]["identity"] != old
    assert list(after.members)[-1] == "label_0"
    others = {name: value for name, value in before.items() if name != "label_0"}
    assert changed(others, asked(after)) == changed(others, asked(model)) == 0
    assert changed(before, asked(LivingModel.open(model.store.path, number))) == 0
    assert all("label_0" in version.body["tasks"] for version in after.store.log()[1:])  # never a moment without it
    assert lives.sound(after)


@pytest.mark.slow
def test_with_other_options_or_another_seed(model):
    identities = {model.version.body["tasks"]["label_2"]["identity"]}
    identities.add(model.retrain("label_2", lives.label(2, strategy="finetune")).identity)
    identities.add(model.retrain("label_2", seed=7).identity)
    assert len(identities) == 3
    assert model.members["label_2"].task.strategy == "finetune"
    assert model.members["label_2"].record["seed"] == 7
    assert "label_2" in model.evaluate(["label_2"])


@pytest.mark.slow
def test_rows_it_brought_are_brought_again_behind_the_others(model):
    before = asked(model)
    model.retrain("wider_1")
    member = again(model).members["wider_1"]
    assert member.first_row == model.members["wider_2"].view.rows
    assert lives.sound(again(model))
    assert changed({"wider_2": before["wider_2"]}, asked(again(model))) == 0


def test_what_would_come_out_the_same_is_refused(model, monkeypatch):
    before = model.store.newest()
    with pytest.raises(UsageError, match="give another seed"):
        model.retrain("wider_2")  # the newest: nothing was learnt since
    monkeypatch.setattr(living, "refuse_the_same", lambda *a: None)
    with pytest.raises(UsageError, match="bit for bit"):
        model.retrain("wider_2")  # after a whole training the identity says so
    assert model.store.newest() == before


def test_another_name_and_a_strategy_that_writes_back_are_refused(model):
    with pytest.raises(ConfigError, match="does not take the place of 'label_0'"):
        model.retrain("label_0", lives.label(4))
    with pytest.raises(UsageError, match="roll back to the version before it"):
        model.retrain("label_0", lives.label(0, strategy="sequential"))


class Stop(Exception):
    """A kill, as the training loop sees it."""


class StopAtOnce(Silent):
    def say(self, text):
        if "epoch" in text:
            raise Stop


@pytest.mark.slow
def test_stopped_while_learning_anew_the_old_one_stands(model, monkeypatch):
    monkeypatch.setattr("lifelong.growing.resume.SECONDS_BETWEEN_SAVES", 0.0)
    before, task = model.store.newest(), lives.label(0, fit={"epochs": 3})
    with pytest.raises(Stop):
        model.retrain("label_0", task, progress=StopAtOnce())
    assert again(model).version == before
    assert "label_0" in model.members
    assert model.retrain("label_0", task).version == before.number + 1


def test_a_retraining_that_touches_another_task_is_refused(model, monkeypatch):
    """Fault: what was free without the old task is claimed together with what another one owns."""
    before = model.store.newest()
    growth = living.LivingModel._growth

    def greedy(self, *arguments):
        grown = growth(self, *arguments)
        for tensor in grown.site.bank.prunable:
            grown.site.bank.owners[tensor][grown.site.bank.owners[tensor] == 1] = FREE
        return grown

    monkeypatch.setattr(living.LivingModel, "_growth", greedy)
    with pytest.raises(ForgettingError, match="next"):
        model.retrain("label_0", seed=3)
    assert model.store.newest() == before


def test_the_commands(model, capsys, monkeypatch):
    monkeypatch.setenv("LIFELONG_CACHE", str(model.cache))
    path = str(model.store.path)
    assert main(["remove", path, "cross_1", "--quiet"]) == 2
    assert "label_1 stands on it" in capsys.readouterr().err
    assert main(["remove", path, "label_2", "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == 8
    assert main(["retrain", path, "label_1", "--seed", "5", "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == "label_1"
    assert main(["retrain", path, "label_1", "--seed", "5", "--quiet"]) == 2
    assert "give another seed" in capsys.readouterr().err
    assert main(["retrain", path, "label_1", "--set", "fit.epochs=2", "--quiet"]) == 2
    assert "name it with --with" in capsys.readouterr().err
    assert main(["log", path, "--json"]) == 0
    assert [entry["op"] for entry in json.loads(capsys.readouterr().out)][-2:] == ["remove", "retrain"]


@pytest.mark.slow
def test_the_check_of_a_removal_runs_in_a_fresh_process(tmp_path, tmp_path_factory):
    model = lives.copy_of(tmp_path_factory, tmp_path)
    assert sum(model.remove("label_0").changed.values()) == 0
    assert len(model.retrain("label_2", seed=1).changed) == 5
    assert model.verify().ok
