"""A power cut after every operation, on a simulated disk that loses what was not synced: acknowledged means durable."""

import random
from contextlib import suppress
from dataclasses import replace

import pytest
from small_model import CREATED, InPlace, add, body, complaints, first_model
from torments import TORMENTS, stale, state

from lifelong.core.errors import LifelongError, ModelCorrupt
from lifelong.store.store import Store
from lifelong.testing.store import Disk, Recorder, Watched, materialise

pytestmark = pytest.mark.usefixtures("memory")
WORKS = {
    name: replace(torment, make=stale) if name in ("gc", "pin", "unpin") else torment
    for name, torment in TORMENTS.items()
}
"""Without what lies in resume/ and tmp/, whose loss nobody minds."""


def cut(folder, work, files, *, seed=0, most=12, store_class=Store):
    """(complaints, states): every state that a power cut may leave of the work: as before, or as after, and once the work was
    acknowledged as after; up to the first bad one."""
    base, rng, seen = folder / "shop", random.Random(seed), set()
    WORKS[work].make(base, seed, store_class)
    before, disk = state(base, store_class), Disk.of(base, base / "tmp")
    WORKS[work].work(store_class.open(base, files=files), seed)
    files.mark("acknowledged")
    after, allowed = state(base, store_class), None
    for operation in files.operations:
        if operation.name == "mark":
            allowed = (after,)
        disk.apply(operation)
        for left in disk.states(most, rng):
            key = (allowed, frozenset((p, d) for p, d in left.items() if p.parent != base / "tmp"))
            if key in seen:
                continue
            seen.add(key)
            target = folder / f"state-{len(seen)}"
            materialise(left, base, target)
            if (found := state(target, store_class)) not in (allowed or (before, after)):
                return [f"after {operation.name}: {found}"], len(seen)
    return [], len(seen)


@pytest.mark.parametrize("work", WORKS)
def test_a_power_cut_leaves_the_old_or_the_new_model(memory, work):
    found, states = cut(memory, work, Recorder())
    assert found == []
    assert states >= 3  # few: almost nothing is ever left unsynced


@pytest.mark.torture
@pytest.mark.parametrize("work", WORKS)
def test_a_power_cut_leaves_the_old_or_the_new_model_many(memory, work, capsys):
    states = 0
    for seed in range(20):
        (memory / f"{seed}").mkdir()
        found, count = cut(memory / f"{seed}", work, Recorder(), seed=seed, most=256)
        assert found == [], f"seed {seed}"
        states += count
    with capsys.disabled():
        print(f"\n{work}: {states} states after a power cut, 20 seeds, 0 bad")


# -- broken protocols, which must be caught ------------------------------------------------------------------------------


class NoFileSync(Recorder):
    """Fault: no file's bytes are synced."""

    def fsync(self, descriptor):
        pass


class NoFolderSync(Recorder):
    """Fault: no folder's names are synced."""

    def fsync_dir(self, path):
        pass


class NotSynced(Recorder):
    """Fault: the names in one folder are not synced."""

    folder = ""

    def fsync_dir(self, path):
        if path.name != self.folder:
            super().fsync_dir(path)


class NoObjectsSync(NotSynced):
    """Fault: objects are referred to before their names are on the disk."""

    folder = "objects"


class NoVersionsSync(NotSynced):
    """Fault: a version is acknowledged, an object taken, before the name that says so is on the disk."""

    folder = "versions"


class NoAliasesSync(NotSynced):
    """Fault: a pin is acknowledged before it is on the disk."""

    folder = "aliases"


class OverwritesSynced(Recorder):
    """Fault: a file that is there is cut to nothing and written again, instead of being replaced by another."""

    def rename(self, source, target):
        if not target.exists():
            super().rename(source, target)
            return
        data = source.read_bytes()
        self.unlink(target)
        descriptor = self.create(target)
        self.write(descriptor, data)
        self.fsync(descriptor)
        self.close(descriptor)
        self.unlink(source)


class Pointer(Store):
    """Fault: a pointer says which version is the newest, and it is written in place."""

    def _append(self, version, data):
        made = super()._append(version, data)
        path = self.path / "aliases" / "current"
        path.parent.mkdir(exist_ok=True)
        if path.exists():
            self.files.unlink(path)
        InPlace.put_in_place(self, b"%d" % made.number, path)
        self.files.fsync_dir(path.parent)
        return made

    def newest(self):
        path = self.path / "aliases" / "current"
        try:
            return self.version(int(path.read_bytes()))
        except (OSError, ValueError):
            raise ModelCorrupt(f"{path}: names no version") from None


class SyncsTooLate(Store):
    """Fault: a commit is acknowledged, and synced only when the next operation begins."""

    def _append(self, version, data):
        files, self.files = self.files, _Forgetful(self.files)
        try:
            return super()._append(version, data)
        finally:
            self.files = files


class _Forgetful:
    def __init__(self, files):
        self._files = files

    def __getattr__(self, name):
        return getattr(self._files, name) if name != "fsync_dir" else lambda path: None


MUTANTS = [
    (NoFileSync, Store, "add"),
    (NoFileSync, Store, "migrate"),
    (NoFileSync, Store, "pin"),
    (NoFolderSync, Store, "add"),
    (NoFolderSync, Store, "repair"),
    (NoObjectsSync, Store, "add"),
    (NoObjectsSync, Store, "migrate"),
    (NoVersionsSync, Store, "add"),
    (NoVersionsSync, Store, "rollback"),
    (NoVersionsSync, Store, "remove"),
    (NoVersionsSync, Store, "gc"),
    (NoAliasesSync, Store, "pin"),
    (NoAliasesSync, Store, "unpin"),
    (OverwritesSynced, Store, "pin"),
    (Recorder, InPlace, "add"),
    (Recorder, Pointer, "add"),
    (Recorder, SyncsTooLate, "add"),
]


@pytest.mark.parametrize(("files", "store_class", "work"), MUTANTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_protocol_is_caught(memory, files, store_class, work):
    assert cut(memory, work, files(), most=64, store_class=store_class)[0]


# -- several commits in a row, a making, a dead writer -------------------------------------------------------------------


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
        for left in disk.states(most, rng):
            key = (acknowledged, frozenset((p, d) for p, d in left.items() if p.parent != base / "tmp"))
            if key in seen:
                continue
            seen.add(key)
            target = folder / f"state-{len(seen)}"
            materialise(left, base, target)
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


def test_what_was_acknowledged_survives_three_commits(memory):
    found, states = grow_and_cut(memory, Recorder())
    assert found == []
    assert states >= 10


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_what_was_acknowledged_survives_three_commits_many_seeds(memory, seed):
    assert grow_and_cut(memory, Recorder(), seed)[0] == []


def test_a_making_that_was_cut_off_can_be_made_or_is_there(memory):
    found, states = make_and_cut(memory, Recorder())
    assert found == []
    assert states >= 10


def dead_everywhere(folder, files_class, only=("link", "fsync_dir", "unlink")):
    """Complaints where a writer died at an operation of one of these kinds."""
    recorded = Recorder()
    add(Store.open(first_model(folder / "count").path, files=recorded))
    for at in [n for n, operation in enumerate(recorded.operations, 1) if operation.name in only]:
        (folder / f"{at}").mkdir()
        if found := die_retry_and_cut(folder / f"{at}", files_class(at), at)[0]:
            return found
    return []


def test_a_writer_that_builds_on_a_dead_one_is_safe_too(memory):
    assert dead_everywhere(memory, DiesAt) == []


@pytest.mark.slow
def test_a_writer_that_builds_on_a_dead_one_is_safe_wherever_it_died(memory):
    counting = Watched()
    add(Store.open(first_model(memory / "counted").path, files=counting))
    everything = ("create", "write", "fsync", "rename", "link", "unlink", "fsync_dir", "touch")
    assert counting.count >= 18
    assert dead_everywhere(memory, DiesAt, everything) == []


def test_the_disk_finds_a_commit_on_an_unsynced_parent(memory):
    assert dead_everywhere(memory, Unsettled)


@pytest.mark.parametrize("fault", [NoFileSync, NoFolderSync])
def test_the_disk_finds_a_missing_sync_in_the_making(memory, fault):
    assert make_and_cut(memory, fault())[0]
