"""A full disk, a bad sector, no descriptor left, at every operation: one line, and the old version stands."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from small_model import SCENARIOS, complaints, first_model

from lifelong.core.errors import Conflict, LifelongError, ModelCorrupt, Unsupported, UsageError
from lifelong.store.files import Files
from lifelong.store.store import Store
from lifelong.testing.store import READS, WRITES, FailAt, Recorder, Watched

ERRNOS = [errno.ENOSPC, errno.EIO, errno.EMFILE]


def fails_everywhere(folder, scenario, number, store_class=Store):
    """(complaints, operations that may fail without a word), with `number` raised at every operation in turn."""
    work = SCENARIOS[scenario]
    base = first_model(folder / "base")
    old = base.newest()
    shutil.copytree(base.path, folder / "whole")
    counting = Watched((*WRITES, *READS))
    new = work(store_class.open(folder / "whole", files=counting))
    found, silent = [], set()
    for at in range(1, counting.count + 1):
        copy, files = folder / f"{at}", FailAt(at, number)
        shutil.copytree(base.path, copy)
        try:
            work(store_class.open(copy, files=files))
            silent.add(files.failed)
            found += complaints(copy, [new])
        except LifelongError as error:
            if "\n" in str(error):
                found.append(f"{error!r} is not of one line")
            found += complaints(copy, [new] if "power cut" in str(error) else [old])
        except OSError as error:
            found.append(f"{files.failed}: {error!r}")
        if Store.open(copy).newest() == old:
            work(Store.open(copy))
            found += complaints(copy, [new])
        shutil.rmtree(copy)
    return found, silent


@pytest.mark.parametrize("number", ERRNOS, ids=lambda number: errno.errorcode[number])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_an_error_at_any_operation_is_told_and_harmless(tmp_path, scenario, number):
    descriptors = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    found, silent = fails_everywhere(tmp_path, scenario, number)
    assert found == []
    # what stays in tmp/ is no problem, and an object that cannot be read is written again
    assert silent <= ({"unlink", "open_plain"} if number == errno.EIO else {"unlink"})
    if descriptors:
        assert len(os.listdir("/proc/self/fd")) == descriptors


class Swallows(Store):
    """Fault: an error of the disk is taken for success."""

    def _write_object(self, data, target):
        try:
            super()._write_object(data, target)
        except OSError:
            target.touch()


def test_swallowed_errors_are_found(tmp_path):
    found, _ = fails_everywhere(tmp_path, "add", errno.ENOSPC, Swallows)
    assert found


@pytest.mark.parametrize("number", ERRNOS, ids=lambda number: errno.errorcode[number])
def test_an_error_in_the_making_is_told_and_it_can_be_tried_again(tmp_path, number):
    counting = Watched((*WRITES, *READS))
    Store.create(tmp_path / "whole", files=counting)
    for at in range(1, counting.count + 1):
        path, files = tmp_path / f"{at}", FailAt(at, number)
        try:
            Store.create(path, files=files)
            assert files.failed == "unlink"
        except LifelongError:
            pass
        store = Store.open(path) if (path / "lifelong.json").exists() else Store.create(path)
        assert store.verify().problems == []


def test_fsync_is_never_tried_again_on_the_same_file(tmp_path):
    class FirstFails(Recorder):
        failed = ()

        def fsync(self, descriptor):
            if not self.failed:
                self.failed = (os.dup(descriptor),)  # kept open, so that no other file gets its inode number
                raise OSError(errno.EIO, "Input/output error")
            assert not os.path.sameopenfile(descriptor, *self.failed)
            super().fsync(descriptor)

    files = FirstFails()
    store = Store.create(tmp_path / "shop")
    store.files = files
    with pytest.raises(LifelongError, match="Input/output error"):
        store.put(b"weights")
    assert [operation.name for operation in files.operations] == ["create", "write", "unlink"]
    assert store.get(store.put(b"weights")) == b"weights"
    os.close(*files.failed)
    assert [operation.name for operation in files.operations][3:] == ["create", "write", "fsync", "rename", "fsync_dir"]


def test_a_short_write_is_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:7]))
    store = Store.create(tmp_path / "shop")
    assert store.get(store.put(bytes(range(200)))) == bytes(range(200))


def test_without_hard_links_the_folder_is_refused(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(Unsupported, match="hard links"):
        Store.create(tmp_path / "shop")


def test_a_link_that_succeeds_and_reports_that_the_name_is_taken(tmp_path):
    class OverNfs(Files):
        def link(self, source, target):
            super().link(source, target)
            raise FileExistsError(errno.EEXIST, "File exists")

    store = first_model(tmp_path / "shop")
    store.files = OverNfs()
    assert SCENARIOS["add"](store) == Store.open(store.path).newest()


def test_a_permission_problem_is_no_corruption(tmp_path):
    store = first_model(tmp_path / "shop")
    store.files = FailAt(1, errno.EACCES, ("open_plain",))
    with pytest.raises(LifelongError, match="Permission denied") as caught:
        store.newest()
    assert not isinstance(caught.value, (ModelCorrupt, UsageError, Conflict))
