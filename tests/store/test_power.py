"""A power cut after every operation, on a simulated disk that loses what was not synced: acknowledged means durable."""

import random
from contextlib import suppress

import pytest
from small_model import CREATED, InPlace, add, body, complaints, first_model

from lifelong.core.errors import LifelongError
from lifelong.store.store import Store
from lifelong.testing.store import Disk, Recorder, Watched, materialise


class NoFileSync(Recorder):
    def fsync(self, descriptor):
        pass


class NoFolderSync(Recorder):
    def fsync_dir(self, path):
        pass


class NoObjectsSync(Recorder):
    def fsync_dir(self, path):
        if path.name != "objects":
            super().fsync_dir(path)


class NoVersionsSync(Recorder):
    def fsync_dir(self, path):
        if path.name != "versions":
            super().fsync_dir(path)


class DiesAt(Recorder):
    """Remembers, and once, at the N-th operation, is interrupted instead of doing it."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def step(self, operation, arguments, perform):
        if self.count == self.at:
            raise KeyboardInterrupt
        return super().step(operation, arguments, perform)


class Unsettled(DiesAt):
    """Fault: only changes of one's own are synced, so a commit may build on names that a dead writer left unsynced."""

    def fsync_dir(self, path):
        if self.operations and self.operations[-1].name in ("rename", "link", "unlink", "mkdir"):
            super().fsync_dir(path)


def cut_everywhere(folder, base, disk, files, seed, most=12):
    """(complaints, states): every state that a power cut may leave of the recorded work, up to the first bad one."""
    history, acknowledged = Store.open(base).log(), None
    rng, seen = random.Random(seed), set()
    for operation in files.operations:
        if operation.name == "mark":
            acknowledged = operation.arguments[0]
        disk.apply(operation)
        for state in disk.states(most, rng):
            key = (acknowledged, frozenset((p, d) for p, d in state.items() if p.parent != base / "tmp"))
            if key in seen:
                continue
            seen.add(key)
            target = folder / f"state-{len(seen)}"
            materialise(state, base, target)
            found = unborn(target) if acknowledged is None else complaints(target, history[acknowledged - 1 :])
            if found:
                return found, len(seen)
    return [], len(seen)


def unborn(path):
    """Complaints about a model whose making was cut off: it can be made, or it is there."""
    try:
        store = Store.open(path) if (path / "lifelong.json").exists() else Store.create(path)
    except LifelongError as error:
        return [str(error)]
    return [f"{p.file}: {p.reason}" for p in store.verify().problems]


def grow_and_cut(folder, files, seed=0, store_class=Store):
    base = first_model(folder / "shop").path
    disk = Disk.of(base, base / "tmp")
    files.mark(2)
    store = store_class.open(base, files=files)
    for work in (lambda: add(store, seed), lambda: add(store, seed + 100), lambda: store.rollback(1, CREATED)):
        files.mark(work().number)
    return cut_everywhere(folder, base, disk, files, seed)


def make_and_cut(folder, files):
    base = folder / "shop"
    disk = Disk.of(base, base / "tmp")
    store = Store.create(base, files=files)
    first = store.commit(body(store.put(b"weights")), "pretrain", None, CREATED)
    files.mark(first.number)
    return cut_everywhere(folder, base, disk, files, 0)


def die_retry_and_cut(folder, files, seed):
    """A writer dies, another one goes on from what it sees, and then the power is cut."""
    base = first_model(folder / "shop").path
    disk = Disk.of(base, base / "tmp")
    files.mark(2)
    with suppress(KeyboardInterrupt):
        add(Store.open(base, files=files), seed)
    files.mark(add(Store.open(base, files=files), seed).number)
    return cut_everywhere(folder, base, disk, files, seed)


def test_what_was_acknowledged_survives_and_nothing_is_torn(tmp_path):
    found, states = grow_and_cut(tmp_path, Recorder())
    assert found == []
    assert states >= 10  # few: almost nothing is ever left unsynced


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_what_was_acknowledged_survives_many_seeds(tmp_path, seed):
    assert grow_and_cut(tmp_path, Recorder(), seed)[0] == []


def test_a_making_that_was_cut_off_can_be_made_or_is_there(tmp_path):
    found, states = make_and_cut(tmp_path, Recorder())
    assert found == []
    assert states >= 10


def test_a_writer_that_builds_on_a_dead_one_is_safe_too(tmp_path):
    counting = Watched()
    add(Store.open(first_model(tmp_path / "count").path, files=counting))
    for at in range(1, counting.count + 1):
        (tmp_path / f"{at}").mkdir()
        assert die_retry_and_cut(tmp_path / f"{at}", DiesAt(at), at)[0] == [], f"dead at operation {at}"


@pytest.mark.parametrize("fault", [NoFileSync, NoFolderSync, NoObjectsSync, NoVersionsSync])
def test_the_disk_finds_a_missing_sync(tmp_path, fault):
    found, _ = grow_and_cut(tmp_path, fault())
    assert found


def test_the_disk_finds_writing_in_place(tmp_path):
    found, _ = grow_and_cut(tmp_path, Recorder(), store_class=InPlace)
    assert found


def test_the_disk_finds_a_commit_on_an_unsynced_parent(tmp_path):
    found = []
    for at in range(14, 17):  # from its link to its last sync
        (tmp_path / f"{at}").mkdir()
        found += die_retry_and_cut(tmp_path / f"{at}", Unsettled(at), at)[0]
    assert found


@pytest.mark.parametrize("fault", [NoFileSync, NoFolderSync])
def test_the_disk_finds_a_missing_sync_in_the_making(tmp_path, fault):
    found, _ = make_and_cut(tmp_path, fault())
    assert found
