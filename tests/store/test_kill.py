"""SIGKILL at every file operation: the model is as before or as after, whole, and the next try succeeds."""

import random
import shutil
from hashlib import sha256

import pytest
from small_model import SCENARIOS, InPlace, complaints, first_model

from lifelong.core.errors import UsageError
from lifelong.store.store import Reference, Store
from lifelong.testing.store import KillAt, Watched, in_child


class InPlaceObjects(InPlace):
    """Fault: objects alone are written where they will stay."""

    _link_new = Store._link_new


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


def killed_everywhere(folder, scenario, seed, store_class=Store):
    """Complaints, up to the first kill that earns some; the seed decides: before, in the middle, or after."""
    work, rng = SCENARIOS[scenario], random.Random(seed)
    base = first_model(folder / "base")
    old = base.newest()
    shutil.copytree(base.path, folder / "whole")
    counting = Watched()
    new = work(store_class.open(folder / "whole", files=counting), seed)
    found = []
    for at in range(1, counting.count + 1):
        when = ("before", "middle", "after")[(at + seed) % 3]
        copy = folder / f"{at}"
        shutil.copytree(base.path, copy)
        files = KillAt(at, when, rng.random())
        assert not in_child(lambda copy=copy, files=files: work(store_class.open(copy, files=files), seed))
        found += [f"{when} {at}: {complaint}" for complaint in complaints(copy, [old, new])]
        if found:
            break
        if Store.open(copy).newest() == old:
            work(Store.open(copy), seed)
            found += [f"{when} {at}, tried again: {complaint}" for complaint in complaints(copy, [new])]
        shutil.rmtree(copy)
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_leaves_the_old_or_the_new_version(tmp_path, scenario, seed):
    assert killed_everywhere(tmp_path, scenario, seed) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 33))
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_leaves_the_old_or_the_new_version_many_seeds(tmp_path, scenario, seed):
    assert killed_everywhere(tmp_path, scenario, seed) == []


@pytest.mark.parametrize("fault", [InPlace, InPlaceObjects, VersionFirst])
def test_the_kills_find_a_broken_protocol(tmp_path, fault):
    assert any(killed_everywhere(tmp_path / f"{seed}", "add", seed, fault) for seed in range(3))


@pytest.mark.parametrize("when", ["before", "after", "middle"])
def test_a_killed_making_is_completed_or_was_complete(tmp_path, when):
    counting = Watched()
    Store.create(tmp_path / "deep" / "whole", files=counting)
    for at in range(1, counting.count + 1):
        path = tmp_path / f"deep-{at}" / "shop"
        assert not in_child(lambda path=path, at=at: Store.create(path, files=KillAt(at, when)))
        if (path / "lifelong.json").exists():
            with pytest.raises(UsageError, match="already"):
                Store.create(path)
        else:
            Store.create(path)
        store = Store.open(path)
        assert store.numbers() == []
        assert store.verify().problems == []


def test_a_killed_clearing_of_resume_leaves_all_or_nothing(tmp_path):
    store = first_model(tmp_path / "base")
    for at in (1, 2):
        for part in ("a", "b"):
            (store.resume_folder("job") / part).write_bytes(b"state")
        killed = Store(store.path, store.lineage, KillAt(at, "before"))
        assert not in_child(lambda killed=killed: killed.clear_resume("job"))
        left = sorted(p.name for p in (store.path / "resume").rglob("*") if p.is_file())
        assert left in ([], ["a", "b"])
        store.clear_resume("job")
        assert not (store.path / "resume" / "job").exists()
