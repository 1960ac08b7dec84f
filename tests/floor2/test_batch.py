"""Batch runs over partitions: killed and taken up again, shared out, and never half of a file or a user."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import worlds

from lifelong import LivingModel
from lifelong.batch import answering as batch
from lifelong.batch.answering import MANIFEST, run_batch
from lifelong.batch.partitions import Shard, find_partitions
from lifelong.batch.tables import Asked, Question
from lifelong.core.errors import DataError, UsageError


@pytest.fixture(scope="module")
def model(born, cache):
    return LivingModel.open(born, cache=cache)


def write(model, path, users, start=0):
    """A partition of so many users with five events each."""
    items = model.members["next"].catalogue
    rows = [
        (f"u{start + u}", items[(start + u * 3 + n) % len(items)], 1_600_000_000 + n)
        for u in range(users)
        for n in range(5)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(zip(("user", "item", "time"), map(list, zip(*rows, strict=True)), strict=True))), path)


@pytest.fixture
def events(model, tmp_path):
    """Five partitions, one of them in a folder of its own and one without rows."""
    folder = tmp_path / "events"
    for number, name in enumerate(("a.parquet", "b.parquet", "day=2/c.parquet", "d.parquet")):
        write(model, folder / name, 20, 100 * number)
    pq.write_table(pq.read_table(folder / "a.parquet").slice(0, 0), folder / "e.parquet")
    (folder / "_SUCCESS").write_text("")
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def asked(model, **question):
    return Asked(model, Question(**{"answer": "recommend", "k": 3, **question}))


def answers(out):
    return {p.relative_to(out).as_posix(): pq.read_table(p).to_pylist() for p in sorted(out.rglob("*.parquet"))}


def test_every_partition_has_its_file_and_the_counts_add_up(model, events, out):
    done = run_batch(asked(model), [events], out)
    assert sorted(answers(out)) == ["a.parquet", "b.parquet", "d.parquet", "day=2/c.parquet", "e.parquet"]
    assert (done["made"], done["skipped"], done["complete"], done["missing"]) == (5, 0, True, [])
    assert done["totals"] == {
        **{"rows_read": 400, "rows_dropped": 0, "events": 400, "events_unknown": 0},
        **{"users": 80, "users_answered": 80, "users_skipped": 0, "users_cold": 0},
    }
    for name, total in done["totals"].items():
        assert total == sum(file["counts"][name] for file in done["files"].values())
    assert json.loads((out / MANIFEST).read_text()) == {
        k: v for k, v in done.items() if k not in ("shard", "made", "skipped")
    }
    assert pq.read_table(out).num_rows == 80 * 3  # a reader of the folder sees the answers alone
    assert not list(out.rglob("*.partial"))


def test_the_bits_are_those_of_the_model(model, events, out):
    run_batch(asked(model), [events], out)
    table = pq.read_table(events / "b.parquet").to_pylist()
    users = sorted({row["user"] for row in table})
    histories = [[row["item"] for row in table if row["user"] == user] for user in users]
    for user, one in zip(users, model.recommend(histories, k=3), strict=True):
        mine = [row for row in answers(out)["b.parquet"] if row["user"] == user]
        assert [row["item"] for row in mine] == one.items
        assert [row["score"] for row in mine] == one.scores


def test_a_second_run_does_nothing(model, events, out):
    run_batch(asked(model), [events], out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")}
    assert run_batch(asked(model), [events], out)["made"] == 0
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")} == before


@pytest.mark.parametrize("change", ["question", "input", "damage", "format"])
def test_what_no_longer_holds_is_made_again(model, events, out, change, monkeypatch):
    run_batch(asked(model), [events], out)
    if change == "input":
        write(model, events / "b.parquet", 21, 100)
    if change == "damage":
        os.truncate(out / "b.parquet", 100)
    if change == "format":
        monkeypatch.setattr(batch, "BATCH_VERSION", 2)
    done = run_batch(asked(model, k=4) if change == "question" else asked(model), [events], out)
    assert done["made"] == (1 if change in ("input", "damage") else 5)
    assert done["complete"]


def test_another_identity_of_the_task_is_another_answer(born, cache, events, out):
    run_batch(asked(LivingModel.open(born, cache=cache)), [events], out)
    changed = LivingModel.open(born, cache=cache)
    changed.version.body["tasks"]["next"]["identity"] = "another"
    done = run_batch(asked(changed), [events], out)
    assert (done["made"], done["complete"], done["identity"]) == (5, True, "another")


@pytest.mark.slow
def test_a_task_that_was_changed_is_another_task(living, events, out):
    """A strategy that writes back changes the identity, and every partition is answered again."""
    run_batch(asked(living), [events], out)
    unsolved = {"name": "next_item", "solved": False}  # a solved head may be best before the first step
    living.add_task(worlds.cross(strategy="sequential", head=unsolved), allow_forgetting=True)
    assert run_batch(asked(living), [events], out)["made"] == 5


@pytest.mark.slow
def test_an_added_task_leaves_what_is_done(living, events, out):
    """By the promise: no version changes the answers of a task while its identity stands."""
    run_batch(asked(living), [events], out)
    living.add_task(worlds.label())
    assert run_batch(asked(living), [events], out)["made"] == 0


def test_two_shards_are_one_run(model, events, out, tmp_path):
    run_batch(asked(model), [events], out)
    first = run_batch(asked(model), [events], tmp_path / "two", shard=Shard(0, 2))
    assert not first["complete"]
    assert len(first["missing"]) == 2
    second = run_batch(asked(model), [events], tmp_path / "two", shard=Shard(1, 2))
    assert second["complete"]
    assert (first["made"], second["made"]) == (3, 2)
    assert answers(tmp_path / "two") == answers(out)
    assert (tmp_path / "two" / MANIFEST).read_text() == (out / MANIFEST).read_text()


def test_a_run_that_stops_goes_on(model, events, out, monkeypatch):
    """The planted kill: the third partition fails in the middle of its file."""
    whole = Asked.answer

    def fails(self, read):
        if read.users[0].as_py().startswith("u30"):
            yield next(whole(self, read))
            raise KeyboardInterrupt
        yield from whole(self, read)

    monkeypatch.setattr(Asked, "answer", fails)
    with pytest.raises(KeyboardInterrupt):
        run_batch(asked(model), [events], out)
    assert sorted(answers(out)) == ["a.parquet", "b.parquet"]
    assert not list(out.rglob("*.partial"))
    monkeypatch.setattr(Asked, "answer", whole)
    done = run_batch(asked(model), [events], out)
    assert (done["made"], done["skipped"], done["complete"]) == (3, 2, True)


def test_a_user_in_two_partitions_is_an_error(model, events, out):
    write(model, events / "f.parquet", 1, 105)
    with pytest.raises(DataError, match=r"1 users have events in two partitions, such as b\.parquet and f\.parquet"):
        run_batch(asked(model), [events], out)
    assert not (out / MANIFEST).exists()


@pytest.mark.parametrize("lost", [{"users": 3, "users_answered": 2}, {"rows_read": 5, "events": 4}])
def test_counts_that_do_not_add_up_are_met(lost):
    """The planted fault: a user, or a row, that gets lost on the way."""
    counts = dict.fromkeys(batch.COUNTS, 0) | lost
    with pytest.raises(AssertionError, match="do not add up"):
        batch._totals([counts])


def test_an_input_that_changes_meanwhile_is_not_answered(model, events, out, monkeypatch):
    whole = Asked.read

    def read(self, path, format):
        found = whole(self, path, format)
        write(model, path, 3)
        return found

    monkeypatch.setattr(Asked, "read", read)
    with pytest.raises(DataError, match="changed while it was read"):
        run_batch(asked(model), [events / "a.parquet"], out)
    assert not list(out.iterdir())


def test_what_a_killed_run_left_is_swept(model, events, out):
    out.mkdir()
    old, young = out / ".a.parquet.0123.partial", out / ".a.parquet.4567.partial"
    for path in (old, young):
        path.write_bytes(b"PAR1")
    os.utime(old, (time.time() - 7200,) * 2)
    run_batch(asked(model), [events / "a.parquet"], out)
    assert not old.exists()
    assert young.exists()  # perhaps another process writes it


def test_refused_folders(model, events, out, tmp_path):
    with pytest.raises(UsageError, match="lies within the input"):
        find_partitions([events], events / "out")
    with pytest.raises(UsageError, match="there is no event file"):
        find_partitions([tmp_path / "events" / "day=2" / "c.parquet"][:0], out)
    shutil.copy(events / "a.parquet", tmp_path / "a.parquet")
    with pytest.raises(UsageError, match=r"would both be answered in .*a\.parquet"):
        find_partitions([events, tmp_path / "a.parquet"], out)
    write(model, out / "z.parquet", 1)
    with pytest.raises(UsageError, match=r"holds z\.parquet, which no input gives"):
        run_batch(asked(model), [events], out)


def test_shards(monkeypatch):
    assert Shard.parse("1/4") == Shard(1, 4)
    assert Shard.parse(None) == Shard(0, 1)
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert Shard.parse(None) == Shard(2, 3)
    for wrong in ("4/4", "1", "-1/2", "a/b", "0/0"):
        with pytest.raises(UsageError, match="--shard"):
            Shard.parse(wrong)


KILLED = """
import sys, time
sys.path.insert(0, {here!r})
from lifelong import LivingModel
from lifelong.batch.answering import run_batch
from lifelong.batch.tables import Asked, Question
whole = Asked.answer
def slow(self, read):
    yield from whole(self, read)
    print(read.users[0].as_py(), flush=True)
    time.sleep(1.5)
Asked.answer = slow
run_batch(Asked(LivingModel.open(sys.argv[1]), Question(answer="recommend", k=3)), [sys.argv[2]], sys.argv[3])
"""


@pytest.mark.slow
def test_a_killed_process_leaves_whole_files_alone(model, born, events, out, tmp_path):
    command = [sys.executable, "-c", KILLED.format(here=str(Path(__file__).parent)), str(born), str(events), str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.stdout.readline()  # in the middle of the second partition
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert sorted(answers(out)) == ["a.parquet"]
    assert len(list(out.rglob("*.partial"))) == 1
    done = run_batch(asked(model), [events], out)
    assert (done["skipped"], done["made"], done["complete"]) == (1, 4, True)
    run_batch(asked(model), [events], tmp_path / "again")
    assert answers(out) == answers(tmp_path / "again")
