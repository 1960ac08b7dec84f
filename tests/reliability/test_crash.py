"""Killed at every file operation: the model is as before or as after, no bit of it is another, and the next try succeeds."""

import random
import shutil
from hashlib import sha256

import pytest
from small_model import InPlace, first_model
from torments import TORMENTS, Trial, tree

from lifelong.core.errors import UsageError
from lifelong.store import collect as collecting
from lifelong.store.store import Reference, Store
from lifelong.testing.store import DieAt, Died, KillAt, Watched, in_child

pytestmark = pytest.mark.usefixtures("memory")
SEEDS = range(2)
MANY = range(200)
WHEN = ("before", "middle", "after")


def killed_everywhere(folder, work, seed, store_class=Store):
    """(complaints, deaths), up to the first death that earns some; the seed decides: before, in the middle, or after."""
    folder.mkdir()
    torment, rng, counting = TORMENTS[work], random.Random(seed), Watched()
    trial = Trial(folder, torment, seed, counting, store_class)
    for at in range(1, counting.count + 1):
        when, path = WHEN[(at + seed) % 3], trial.copy(str(at))
        with pytest.raises(Died):
            torment.work(store_class.open(path, files=DieAt(at, when, rng.random())), seed)
        if found := trial.complaints(path):
            return [f"{when} {at}: {complaint}" for complaint in found], at
        shutil.rmtree(path)
    shutil.rmtree(folder)
    return [], counting.count


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("work", TORMENTS)
def test_a_death_leaves_the_old_or_the_new_model(memory, work, seed):
    found, deaths = killed_everywhere(memory / "trial", work, seed)
    assert found == []
    assert deaths >= (2 if work == "unpin" else 4)


@pytest.mark.torture
@pytest.mark.parametrize("work", TORMENTS)
def test_a_death_leaves_the_old_or_the_new_model_200_seeds(memory, work, capsys):
    deaths = 0
    for seed in MANY:
        found, count = killed_everywhere(memory / f"{seed}", work, seed)
        assert found == [], f"seed {seed}"
        deaths += count
    with capsys.disabled():
        print(f"\n{work}: {deaths} deaths, {len(MANY)} seeds, 0 lost, 0 mixed, 0 changed bits")


@pytest.mark.parametrize("work", ["add", "gc"])
def test_death_and_sigkill_leave_the_same_files(memory, work):
    torment, counting = TORMENTS[work], Watched()
    trial = Trial(memory, torment, 0, counting)
    for at in range(1, counting.count + 1, 2):
        when, killed, died = WHEN[at % 3], trial.copy(f"killed-{at}"), trial.copy(f"died-{at}")
        assert not in_child(lambda p=killed, f=KillAt(at, when): torment.work(Store.open(p, files=f), 0))
        with pytest.raises(Died):
            torment.work(Store.open(died, files=DieAt(at, when)), 0)
        assert tree(killed) == tree(died)
        partials = [sorted(f.read_bytes() for f in (p / "tmp").iterdir() if f.is_file()) for p in (killed, died)]
        assert partials[0] == partials[1]  # their names are drawn at random


# -- broken protocols, which must be caught ------------------------------------------------------------------------------


class InPlaceObjects(InPlace):
    """Fault: objects alone are written where they will stay."""

    link_new = Store.link_new


class VersionFirst(Store):
    """Fault: the version is there before the objects it refers to."""

    late = ()

    def put(self, data):
        self.late = (*self.late, data)
        return Reference(sha256(data).hexdigest(), len(data))

    def _check_objects(self, version, parent):
        pass

    def commit(self, *arguments):
        version = super().commit(*arguments)
        for data in self.late:
            super().put(data)
        return version


class RollsBackInPlace(Store):
    """Fault: a rollback is no version of its own, it takes the newer ones away."""

    def rollback(self, to, created):
        for number in self.numbers()[to:]:
            self.files.unlink(self.path / "versions" / f"{number:08d}.json")


FAULTS = [(InPlace, "add"), (InPlace, "migrate"), (InPlaceObjects, "add"), (VersionFirst, "add")]


@pytest.mark.parametrize(("fault", "work"), [*FAULTS, (RollsBackInPlace, "rollback")])
def test_the_deaths_find_a_broken_protocol(memory, fault, work):
    assert any(killed_everywhere(memory / f"{seed}", work, seed, fault)[0] for seed in range(3))


def test_the_deaths_find_a_gc_that_takes_before_it_says_so(memory, monkeypatch):
    note, take = collecting._note, collecting._take

    def take_first(store, due):
        due.versions = {n: v for n, v in due.versions.items() if due.objects}
        take(store, due)
        note(store, due, 5)

    monkeypatch.setattr(collecting, "_note", lambda store, due, now: None)
    monkeypatch.setattr(collecting, "_take", take_first)
    assert killed_everywhere(memory / "trial", "gc", 0)[0]


def test_the_deaths_find_a_pin_that_is_written_in_place(memory, monkeypatch):
    def in_place(self, data, target):
        if target.exists():
            self.files.unlink(target)
        InPlace.put_in_place(self, data, target)

    monkeypatch.setattr(Store, "put_in_place", in_place)
    assert any(killed_everywhere(memory / f"{seed}", "pin", seed)[0] for seed in range(3))


# -- making a model, clearing up -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", WHEN)
def test_a_killed_making_is_completed_or_was_complete(memory, when):
    counting = Watched()
    Store.create(memory / "deep" / "whole", files=counting)
    for at in range(1, counting.count + 1):
        path = memory / f"deep-{at}" / "shop"
        with pytest.raises(Died):
            Store.create(path, files=DieAt(at, when))
        if (path / "lifelong.json").exists():
            with pytest.raises(UsageError, match="already"):
                Store.create(path)
        else:
            Store.create(path)
        store = Store.open(path)
        assert store.numbers() == []
        assert store.verify().problems == []


def test_a_killed_clearing_of_resume_leaves_all_or_nothing(memory):
    store = first_model(memory / "base")
    for at in (1, 2):
        for part in ("a", "b"):
            (store.resume_folder("job") / part).write_bytes(b"state")
        killed = Store(store.path, store.lineage, KillAt(at, "before"))
        assert not in_child(lambda killed=killed: killed.clear_resume("job"))
        left = sorted(p.name for p in (store.path / "resume").rglob("*") if p.is_file())
        assert left in ([], ["a", "b"])
        store.clear_resume("job")
        assert not (store.path / "resume" / "job").exists()
