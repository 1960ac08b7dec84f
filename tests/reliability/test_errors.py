"""A full disk, a bad sector, no descriptor left, at every operation: one line, and the old version stands."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from small_model import add, first_model
from torments import TORMENTS, Trial, state

from lifelong.core.errors import Conflict, LifelongError, ModelCorrupt, Unsupported, UsageError
from lifelong.store.files import Files
from lifelong.store.store import Store
from lifelong.testing.store import READS, WRITES, FailAt, Recorder, Watched

pytestmark = pytest.mark.usefixtures("memory")
ERRNOS = [errno.ENOSPC, errno.EIO, errno.EMFILE]
MORE = [errno.EROFS, errno.EDQUOT]
HARMLESS = {"unlink", "touch"}
"""What may fail without a word: a leftover in tmp/ is no problem, and what cannot be claimed is written again."""
AFTER = ("power cut", "run it again")
"""Said where the work may have been done, or half of it."""


def fails_everywhere(folder, work, number, store_class=Store, steps=1):
    """(complaints, operations that may fail without a word), with `number` raised at every operation in turn."""
    torment, counting = TORMENTS[work], Watched((*WRITES, *READS))
    trial = Trial(folder, torment, 0, counting, store_class)
    found, silent = [], set()
    for at in range(1, counting.count + 1, steps):
        path, files = trial.copy(f"{at}"), FailAt(at, number)
        expected = (trial.before,)
        try:
            torment.work(store_class.open(path, files=files), 0)
            silent.add(files.failed)
            expected = (trial.after,)
        except LifelongError as error:
            if "\n" in str(error):
                found.append(f"{error!r} is not of one line")
            if any(text in str(error) for text in AFTER) or work in ("pin", "unpin"):
                expected = (trial.before, trial.after)
        except OSError as error:
            found.append(f"{files.failed}: {error!r}")
        if state(path) not in expected:
            found.append(f"{files.failed} {at}: {state(path)}")
        found += [f"{files.failed} {at}: {complaint}" for complaint in trial.complaints(path)]
        shutil.rmtree(path)
    return found, silent


def open_files():
    folder = Path("/proc/self/fd")
    return len(os.listdir(folder)) if folder.exists() else 0


@pytest.mark.parametrize("number", ERRNOS, ids=lambda number: errno.errorcode[number])
@pytest.mark.parametrize("work", ["add", "gc", "repair", "pin"])
def test_an_error_at_any_operation_is_told_and_harmless(memory, work, number):
    descriptors, steps = open_files(), {"gc": 9, "repair": 2}.get(work, 1)
    found, silent = fails_everywhere(memory, work, number, steps=steps)
    assert found == []
    # an object that cannot be read is written again, and a repair reads twice before it gives anything up
    readable = {"add": {"open_plain"}, "repair": set(READS)}.get(work, set()) if number == errno.EIO else set()
    assert silent <= HARMLESS | readable
    assert open_files() == descriptors


@pytest.mark.torture
@pytest.mark.parametrize("number", [*ERRNOS, *MORE], ids=lambda number: errno.errorcode[number])
@pytest.mark.parametrize("work", TORMENTS)
def test_any_error_at_any_operation_is_told_and_harmless(memory, work, number):
    descriptors = open_files()
    assert fails_everywhere(memory, work, number)[0] == []
    assert open_files() == descriptors


class Swallows(Store):
    """Fault: an error of the disk is taken for success."""

    def put_in_place(self, data, target):
        try:
            super().put_in_place(data, target)
        except OSError:
            target.touch()


def test_swallowed_errors_are_found(memory):
    found, _ = fails_everywhere(memory, "add", errno.ENOSPC, Swallows)
    assert found


@pytest.mark.parametrize("number", ERRNOS, ids=lambda number: errno.errorcode[number])
def test_an_error_in_the_making_is_told_and_it_can_be_tried_again(memory, number):
    counting = Watched((*WRITES, *READS))
    Store.create(memory / "whole", files=counting)
    for at in range(1, counting.count + 1):
        path, files = memory / f"{at}", FailAt(at, number)
        try:
            Store.create(path, files=files)
            assert files.failed == "unlink"
        except LifelongError:
            pass
        store = Store.open(path) if (path / "lifelong.json").exists() else Store.create(path)
        assert store.verify().problems == []


def test_fsync_is_never_tried_again_on_the_same_file(memory):
    class FirstFails(Recorder):
        failed = ()

        def fsync(self, descriptor):
            if not self.failed:
                self.failed = (os.dup(descriptor),)  # kept open, so that no other file gets its inode number
                raise OSError(errno.EIO, "Input/output error")
            assert not os.path.sameopenfile(descriptor, *self.failed)
            super().fsync(descriptor)

    files = FirstFails()
    store = Store.create(memory / "shop")
    store.files = files
    with pytest.raises(LifelongError, match="Input/output error"):
        store.put(b"weights")
    assert [operation.name for operation in files.operations] == ["create", "write", "unlink"]
    assert store.get(store.put(b"weights")) == b"weights"
    os.close(*files.failed)
    assert [operation.name for operation in files.operations][3:] == ["create", "write", "fsync", "rename", "fsync_dir"]


def test_a_short_write_is_continued(memory, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:7]))
    store = Store.create(memory / "shop")
    assert store.get(store.put(bytes(range(200)))) == bytes(range(200))


def test_without_hard_links_the_folder_is_refused(memory, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(Unsupported, match="hard links"):
        Store.create(memory / "shop")


def test_a_link_that_succeeds_and_reports_that_the_name_is_taken(memory):
    class OverNfs(Files):
        def link(self, source, target):
            super().link(source, target)
            raise FileExistsError(errno.EEXIST, "File exists")

    store = first_model(memory / "shop")
    store.files = OverNfs()
    assert add(store) == Store.open(store.path).newest()


def test_a_permission_problem_is_no_corruption(memory):
    store = first_model(memory / "shop")
    store.files = FailAt(1, errno.EACCES, ("open_plain",))
    with pytest.raises(LifelongError, match="Permission denied") as caught:
        store.newest()
    assert not isinstance(caught.value, (ModelCorrupt, UsageError, Conflict))
