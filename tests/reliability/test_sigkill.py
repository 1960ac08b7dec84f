"""Real processes killed at random moments while another one reads: nothing acknowledged is lost, nothing is mixed."""

import os
import random
import select
import signal
import struct
import time

import pytest
from small_model import CREATED, InPlace, first_model

from lifelong.core.errors import LifelongError, ModelCorrupt, UsageError
from lifelong.store.collect import Rules, collect
from lifelong.store.documents import references
from lifelong.store.leases import Lease
from lifelong.store.store import Store

KILLS_OF_ONE_MODEL = 15
NUMBER = struct.Struct("<q")


def write_for_ever(path, seed, acknowledged, store_class, complaints):
    """Work, and where the model is such that no work can go on, say so and wait to be killed."""
    try:
        work_for_ever(path, seed, acknowledged, store_class)
    except LifelongError as error:
        os.write(complaints, f"the writer: {error}\n".encode())
        signal.pause()


def work_for_ever(path, seed, acknowledged, store_class):
    """Add tasks, take some out, roll back, collect; tell the number of every version that a commit has returned."""
    store, rng = store_class.open(path), random.Random(seed)
    os.write(acknowledged, NUMBER.pack(0))  # at work
    while True:
        what = rng.random()
        if what < 0.1:
            collect(store, Rules(5, 0, 0), wait=0)
            continue
        with store.writing():
            newest = store.newest()
            tasks = dict(newest.body["tasks"])
            if what < 0.2 and len(newest.body["tasks"]) > 1:
                del tasks[max(tasks)]
                made = store.commit({"tasks": tasks}, "remove", newest, CREATED)
            elif what < 0.3:
                made = store.rollback(newest.number - 1, CREATED)
            else:
                files = {role: store.put(rng.randbytes(rng.randint(1, 4000))).as_dict() for role in ("weights", "task")}
                tasks[f"task-{rng.randint(0, 20)}"] = {"files": files}
                made = store.commit({"tasks": tasks}, "add", newest, CREATED)
        os.write(acknowledged, NUMBER.pack(made.number))


def read_for_ever(path, complaints, pause=0.0):
    """Lease the newest version and read all of it, again and again; say what was not as it should be."""
    last = 0
    while True:
        time.sleep(pause)
        try:
            store = Store.open(path)
            with Lease(store) as lease:
                newest = store.newest()
                lease.hold([newest.number])
                for reference in references(newest.body):
                    store.get(reference)
                if newest.number < last:
                    os.write(complaints, b"went back to %d from %d\n" % (newest.number, last))
                last = newest.number
        except UsageError:
            continue  # was collected before it was leased: ask again
        except LifelongError as error:
            os.write(complaints, f"{error}\n".encode())


def forked(work):
    """The id of a child that does `work` until it is killed."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(1)
    return pid


def killed(pid):
    os.kill(pid, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def numbers(data):
    """The versions that were acknowledged; 0 says that the writer is at work."""
    return [number for (number,) in NUMBER.iter_unpack(data) if number]


def wait_for(pipe, commits, once, complaints):
    """The first so many versions that are acknowledged, and about how many seconds a commit takes; fewer after a complaint."""
    data, start = b"", 0.0
    while len(data) < NUMBER.size * (1 + commits):
        ready = select.select([pipe, complaints], [], [], 60)[0]
        assert ready, "the writer does nothing"
        if pipe not in ready:
            return numbers(data), once
        data += os.read(pipe, NUMBER.size)
        start = start or time.monotonic()
    return numbers(data), 1.2 * (time.monotonic() - start) / commits if commits else once


def drained(pipe):
    data = b""
    os.set_blocking(pipe, False)
    while True:
        try:
            chunk = os.read(pipe, 65536)
        except BlockingIOError:
            return data
        if not chunk:
            return data
        data += chunk


def wrong_after(path, acknowledged):
    """What is wrong with a model whose writer was killed: an acknowledged version is lost, or a file is not whole."""
    store = Store.open(path)
    try:
        newest = store.newest()
        found = [f"{problem.file}: {problem.reason}" for problem in store.verify().problems]
    except ModelCorrupt as error:
        return [str(error)]
    if newest.number < acknowledged:
        found.append(f"version {acknowledged} was acknowledged, the newest is {newest.number}")
    return found


def killed_at_random(folder, kills, seed=0, store_class=Store):
    """(complaints, commits) of so many kills; up to the first bad one."""
    rng, commits, once = random.Random(seed), 0, 0.01
    complaints_read, complaints_write = os.pipe()
    for start in range(0, kills, KILLS_OF_ONE_MODEL):
        path, last = folder / f"shop-{start}", 2
        first_model(path)
        reader = forked(lambda path=path: read_for_ever(path, complaints_write))
        try:
            for number in range(min(KILLS_OF_ONE_MODEL, kills - start)):
                acks_read, acks_write = os.pipe()
                writer = forked(
                    lambda p=path, s=1000 * seed + start + number, a=acks_write: write_for_ever(
                        p, s, a, store_class, complaints_write
                    )
                )
                told, once = wait_for(acks_read, rng.randint(0, 2), once, complaints_read)
                time.sleep(rng.random() * once)
                assert killed(writer), "the writer came to an end by itself"
                told += numbers(drained(acks_read))
                os.close(acks_read)
                os.close(acks_write)
                commits, last = commits + len(told), max([last, *told])
                if found := wrong_after(path, last):
                    return found, commits
        finally:
            assert killed(reader), "the reader came to an end by itself"
        if found := drained(complaints_read).decode().splitlines():
            return found, commits
    os.close(complaints_read)
    os.close(complaints_write)
    return [], commits


def test_a_few_kills_at_random_lose_nothing(memory):
    found, commits = killed_at_random(memory, 20)
    assert found == []
    assert commits > 0


@pytest.mark.torture
def test_300_kills_at_random_lose_nothing(memory, capsys):
    found, commits = killed_at_random(memory, 300, seed=1)
    assert found == []
    assert commits > 300
    with capsys.disabled():
        print(f"\n300 kills, {commits} commits acknowledged, 0 lost, 0 complaints of the reader")


@pytest.mark.slow
def test_the_kills_and_the_reader_find_files_that_are_written_in_place(memory):
    assert killed_at_random(memory, 150, seed=2, store_class=InPlace)[0]


class AcknowledgesFirst(Store):
    """Fault: a version is acknowledged before it is there."""

    def commit(self, content, op, parent, created):
        return self._encoded(content, op, parent, created)[0]


def test_the_kills_find_what_was_acknowledged_and_not_done(memory):
    assert killed_at_random(memory, 30, seed=3, store_class=AcknowledgesFirst)[0]
