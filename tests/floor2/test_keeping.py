"""A real task added to a real model, killed at every file operation: the old or the new version, and a retry that works."""

import shutil

import pytest
import worlds

from lifelong import LivingModel
from lifelong import adding as module
from lifelong.core.errors import Conflict, LifelongError, UsageError
from lifelong.growing import resume
from lifelong.growing.resume import Resume
from lifelong.keeping import committing
from lifelong.store.store import Store
from lifelong.testing.store import KillAt, Watched, in_child


@pytest.fixture
def quick_check(monkeypatch):
    """The fresh process writes nothing into the model's folder; it is left out where every operation is killed."""
    monkeypatch.setattr(
        committing, "check_candidate", lambda store, body, before: dict.fromkeys((before or {"tasks": {}})["tasks"], 0)
    )


def grown(model, task):
    """The task, trained and not committed."""
    growth = model._growth(module.as_task(task), 0, module.DEFAULT, module.Silent())
    return growth, growth.run(module.Silent(), Resume(None))


def commit(path, cache, growth, member, files):
    model = LivingModel.open(path, cache=cache)
    model.store = Store.open(path, files=files)
    with model.store.writing():
        model._write(growth, member)


def test_killed_while_adding(living, tmp_path, cache, quick_check):
    growth, member = grown(living, worlds.label(0))
    counting, old, new = Watched(), living.version.sha256, set()
    commit(shutil.copytree(living.store.path, tmp_path / "whole"), cache, growth, member, counting)
    assert counting.count > 20
    for at in range(1, counting.count + 1):
        path = shutil.copytree(living.store.path, tmp_path / str(at))
        files = KillAt(at, ("before", "middle", "after")[at % 3])
        assert not in_child(lambda p=path, f=files: commit(p, cache, growth, member, f))
        store = Store.open(path)
        assert not store.verify().problems
        if store.newest().sha256 == old:
            commit(path, cache, growth, member, None)
        survivor = LivingModel.open(path, cache=cache)
        assert list(survivor.members) == ["next", "label_0"]
        new.add(survivor.version.body["tasks"]["label_0"]["identity"])
        shutil.rmtree(path)
    assert len(new) == 1


def test_killed_while_rolling_back(living, tmp_path, cache, quick_check):
    living.add_task(worlds.label(0))
    counting = Watched()
    Store.open(shutil.copytree(living.store.path, tmp_path / "whole"), files=counting).rollback(1, 5)
    for at in range(1, counting.count + 1):
        path = shutil.copytree(living.store.path, tmp_path / str(at))
        files = KillAt(at, ("before", "middle", "after")[at % 3])
        assert not in_child(lambda p=path, f=files: Store.open(p, files=f).rollback(1, 5))
        if Store.open(path).newest().number == 2:
            Store.open(path).rollback(1, 5)
        assert list(LivingModel.open(path, cache=cache).members) == ["next"]
        assert not Store.open(path).verify().problems


def test_after_a_rollback_the_task_can_be_learnt_again_and_the_old_version_stays(living, cache, quick_check):
    path = living.store.path
    first = living.add_task(worlds.label(0))
    living.store.rollback(1, 5)
    again = LivingModel.open(path, cache=cache).add_task(worlds.label(0))
    assert (first.version, again.version) == (2, 4)
    assert first.identity == again.identity
    assert "label_0" in LivingModel.open(path, version=2, cache=cache).members


def test_a_flipped_byte_is_named(living):
    for file in sorted((living.store.path / "objects").iterdir()):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.chmod(0o644)
        file.write_bytes(data)
        check = living.verify()
        assert not check.ok
        assert any(file.name in problem for problem in check.problems)
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    assert living.verify().ok


def test_a_model_works_without_the_data_it_was_trained_on(living, tmp_path):
    model = LivingModel.open(living.store.path, cache=tmp_path / "no cache")
    assert model.represent([["i0000003"]]).shape == (1, 16)


def test_two_who_add_at_once(living, cache, quick_check):
    other = LivingModel.open(living.store.path, cache=cache)
    living.add_task(worlds.label(0))
    with pytest.raises(Conflict):
        other.add_task(worlds.label(1))
    assert list(LivingModel.open(living.store.path, cache=cache).members) == ["next", "label_0"]


UNSOLVED = {"name": "classification", "solved": False}
"""A head that starts as it was drawn: with a solved one the start may be the best, and no training would be seen."""


class Stop(Exception):
    """A kill, as the training loop sees it."""


class StopAfter(module.Silent):
    def __init__(self, epochs):
        self.left = epochs

    def say(self, text):
        self.left -= "epoch" in text
        if self.left < 0:
            raise Stop


@pytest.mark.parametrize(
    "task",
    [worlds.label(0, fit={"epochs": 4}, head=UNSOLVED), worlds.wider(1, fit={"epochs": 4})],
    ids=["label", "wider"],
)
@pytest.mark.parametrize("epochs", [0, 1, 3, 4, 5])
def test_a_stopped_training_goes_on_to_the_same_bits(
    living, born, tmp_path, cache, monkeypatch, quick_check, task, epochs
):
    monkeypatch.setattr("lifelong.growing.resume.SECONDS_BETWEEN_SAVES", 0.0)
    whole = living.add_task(task).identity
    path = shutil.copytree(born, tmp_path / "other")
    with pytest.raises(Stop):
        LivingModel.open(path, cache=cache).add_task(task, progress=StopAfter(epochs))
    assert bool(list((path / "resume").rglob("*.safetensors"))) == (epochs > 0)
    assert LivingModel.open(path, cache=cache).add_task(task).identity == whole
    assert not list((path / "resume").rglob("*.safetensors"))


def test_forgetting_the_optimizer_on_resume_would_be_caught(living, born, tmp_path, cache, monkeypatch, quick_check):
    """Planted fault: the moments are not restored."""
    monkeypatch.setattr("lifelong.growing.resume.SECONDS_BETWEEN_SAVES", 0.0)
    task = worlds.label(0, fit={"epochs": 4}, head=UNSOLVED)
    whole = living.add_task(task).identity
    path = shutil.copytree(born, tmp_path / "other")
    with pytest.raises(Stop):
        LivingModel.open(path, cache=cache).add_task(task, progress=StopAfter(1))
    flatten = resume._unflatten
    monkeypatch.setattr(resume, "_unflatten", lambda state, t: (flatten(state, t), state.optimizers[0].state.clear()))
    assert LivingModel.open(path, cache=cache).add_task(task).identity != whole


def test_a_loss_that_is_not_finite_commits_nothing(living, monkeypatch, quick_check):
    with pytest.raises(LifelongError, match=r"diverged.*lower fit\.lr"):
        living.add_task(worlds.cross(1, fit={"epochs": 2, "lr": 1e30}))
    assert len(living.store.numbers()) == 1


def test_a_name_is_taken_once(living, quick_check):
    with pytest.raises(UsageError, match="is there already"):
        living.add_task(worlds.first())
