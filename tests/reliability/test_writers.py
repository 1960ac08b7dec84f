"""Several processes grow one model: every commit that was acknowledged is in the history."""

import multiprocessing
import os
import time
from contextlib import nullcontext

import pytest
from small_model import CREATED, add, first_model

from lifelong.core.errors import Conflict
from lifelong.store.files import Files
from lifelong.store.store import Store
from lifelong.testing.store import in_child

pytestmark = pytest.mark.usefixtures("memory")
FORK = multiprocessing.get_context("fork")


def grow(path, writer, commits, lock):
    """Add `commits` tasks, each once, trying again after a Conflict."""
    store = Store.open(path)
    for number in range(commits):
        name = f"w{writer}-{number}"
        while True:
            try:
                with store.writing() if lock else nullcontext():
                    parent = store.newest()
                    reference = store.put(name.encode() * 50)
                    tasks = {**parent.body["tasks"], name: {"files": {"weights": reference.as_dict()}}}
                    store.commit({**parent.body, "tasks": tasks}, "add", parent, CREATED)
                break
            except Conflict:
                time.sleep(0.001 * writer)


def grow_together(path, writers, commits, lock):
    store = first_model(path)
    processes = [FORK.Process(target=grow, args=(path, n, commits, lock)) for n in range(writers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * writers
    history = store.log()
    assert len(history) == 2 + writers * commits
    assert history[-1].body["tasks"].keys() == {"click"} | {f"w{n}-{m}" for n in range(writers) for m in range(commits)}
    assert store.verify().problems == []


@pytest.mark.parametrize("lock", [True, False], ids=["lock", "no lock"])
def test_no_commit_is_lost(memory, lock):
    grow_together(memory / "shop", 4, 25, lock)


@pytest.mark.torture
@pytest.mark.parametrize("lock", [True, False], ids=["lock", "no lock"])
def test_no_commit_is_lost_of_many(memory, lock):
    grow_together(memory / "shop", 8, 50, lock)


class Overtaken(Files):
    """Another writer commits at the last moment, just before the link of the first."""

    overtaken_by = None

    def link(self, source, target):
        if self.overtaken_by is None:
            self.overtaken_by = add(Store.open(target.parent.parent), 7)
        super().link(source, target)


class RenamesOver(Overtaken):
    """Fault: the version's file takes the place of one that may be there."""

    def link(self, source, target):
        if self.overtaken_by is None:
            self.overtaken_by = add(Store.open(target.parent.parent), 7)
        os.replace(source, target)


def overtake(path, files):
    """Whether the one who was overtaken is told, and the one who was first stays."""
    store = first_model(path)
    store.files = files
    parent = store.newest()
    told = False
    try:
        store.commit(parent.body, "add", parent, CREATED + 9)
    except Conflict:
        told = True
    return told and Store.open(path).newest() == files.overtaken_by


def test_the_one_who_is_overtaken_gets_a_conflict(memory):
    assert overtake(memory / "shop", Overtaken())


def test_renaming_over_a_version_loses_a_commit(memory):
    assert not overtake(memory / "shop", RenamesOver())


def test_a_parent_that_is_not_the_newest_is_a_conflict(memory):
    store = first_model(memory / "shop")
    first, second = store.log()
    for parent in (None, first):
        with pytest.raises(Conflict, match="version 2"):
            store.commit(second.body, "add", parent, CREATED)
    assert store.numbers() == [1, 2]


def test_a_parent_of_another_model_is_a_conflict(memory):
    store, other = first_model(memory / "shop"), first_model(memory / "other")
    other.rollback(1, CREATED)
    store.rollback(1, CREATED + 1)
    with pytest.raises(Conflict):
        store.commit(other.newest().body, "add", other.newest(), CREATED)


def test_the_lock_is_waited_for_and_dies_with_its_holder(memory):
    store = first_model(memory / "shop")

    def hold_and_die():
        with Store.open(store.path).writing():
            os._exit(0)

    with store.writing(), pytest.raises(Conflict, match=r"for 0\.05 s"), Store.open(store.path).writing(wait=0.05):
        pass
    in_child(hold_and_die)
    with store.writing(wait=0):
        pass


def test_a_forked_child_does_not_keep_the_lock(memory):
    store = first_model(memory / "shop")
    with store.writing():
        child = FORK.Process(target=time.sleep, args=(5,))
        child.start()
    with store.writing(wait=0):
        pass
    child.kill()
    child.join()
