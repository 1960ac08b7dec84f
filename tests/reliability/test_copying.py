"""A model copied while it grows, file by file in any order (rsync): whole, or verify names exactly what is missing."""

import os
import random

import pytest
from small_model import add, overwrite
from torments import gc, grown

from lifelong.core.errors import LifelongError
from lifelong.store.documents import references
from lifelong.store.store import Store

pytestmark = pytest.mark.usefixtures("memory")
FOLDERS = ("versions", "objects")


def listed(path):
    return [file.relative_to(path) for file in path.rglob("*") if file.is_file() and file.parent.name != "tmp"]


def copy_of(names, path, target, after_each=lambda: None):
    """Copy these files; one that is gone by then is left out, as rsync does."""
    for folder in FOLDERS:
        (target / folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if (path / name).exists():
            if not (target / name).exists() or os.path.samefile(path / name, target / name):
                overwrite_new(target / name, (path / name).read_bytes())
            else:
                overwrite(target / name, (path / name).read_bytes())
        after_each()


def overwrite_new(path, data):
    path.write_bytes(data)


def missing_objects(store):
    """What the versions refer to and what is not there, by looking."""
    there = set(os.listdir(store.path / "objects"))
    numbers = [n for n in store.numbers() if n not in store.collected()]
    return {f"objects/{r.sha256}" for n in numbers for r in references(store.version(n).body) if r.sha256 not in there}


def judged(target):
    """(whole, complaints about verify): whether everything is there, and whether verify says just what is not."""
    store = Store.open(target)
    problems = {problem.file for problem in store.verify().problems}
    try:
        missing = missing_objects(store)
        newest = store.newest()
        if not problems:
            assert all(store.get(reference) is not None for reference in references(newest.body))
    except LifelongError:
        return False, [] if problems else ["a damaged copy that verify takes for whole"]
    return not problems, [] if missing <= problems else [f"not named: {sorted(missing - problems)}"]


@pytest.mark.parametrize("seed", range(5))
def test_an_interrupted_copy_is_named_and_a_whole_one_is_whole(memory, seed):
    path, rng = memory / "shop", random.Random(seed)
    grown(path, seed)
    names = [name for name in listed(path) if name.name != "lifelong.json"]
    rng.shuffle(names)
    target = memory / "copy"
    target.mkdir()
    (target / "lifelong.json").write_bytes((path / "lifelong.json").read_bytes())
    for until in range(len(names) + 1):
        copy_of(names[:until], path, target)
        whole, wrong = judged_or_empty(target)
        assert wrong == []
    assert whole
    assert Store.open(target).newest() == Store.open(path).newest()


def judged_or_empty(target):
    return judged(target) if Store.open(target).numbers() else (False, [])


@pytest.mark.parametrize("seed", range(8))
def test_a_copy_of_a_model_that_grows_is_whole_after_a_second_pass(memory, seed):
    path, rng = memory / "shop", random.Random(seed)
    grown(path, seed)
    target = memory / "copy"

    def grow():
        if rng.random() < 0.3:
            add(Store.open(path), rng.randint(0, 10**6))

    names = listed(path)
    rng.shuffle(names)
    copy_of(names, path, target, grow)
    assert judged(target) == (True, [])  # the list was made at one moment, and nothing on it ever changes
    names = listed(path)
    rng.shuffle(names)
    copy_of(names, path, target)
    assert judged(target) == (True, [])
    assert Store.open(target).newest() == Store.open(path).newest()


def test_a_copy_during_a_gc_is_whole_after_a_second_pass(memory):
    path = memory / "shop"
    grown(path)
    target, names = memory / "copy", sorted(listed(path))
    due = [lambda: gc(Store.open(path))]
    copy_of(names, path, target, lambda: due and due.pop()())
    whole, wrong = judged(target)
    assert (whole, wrong) == (False, [])  # the first pass misses the note of what was collected
    copy_of(sorted(listed(path)), path, target)
    assert judged(target) == (True, [])


class Changes(Store):
    """Fault: the newest version is written again in place, so a copy may hold one half of each."""

    def commit(self, content, op, parent, created):
        made = self._encoded(content, op, parent, created)
        path = self.path / "versions" / f"{parent.number:08d}.json"
        overwrite(path, made[1].replace(b'"v":%d' % made[0].number, b'"v":%d' % parent.number))
        return made[0]


def test_versions_that_change_would_be_found(memory):
    path, target = memory / "shop", memory / "copy"
    grown(path)
    names = sorted(listed(path))
    due = [lambda: add(Changes.open(path))]
    copy_of(names, path, target, lambda: due and due.pop()())
    assert judged(target)[0] is False
