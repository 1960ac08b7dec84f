import numpy as np
import pyarrow as pa

from lifelong.batch.partitions import partition_of, user_hash, whole_users
from lifelong.data.columns import Columns
from lifelong.data.events import read_events


def slow_hash(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    value = (value + 0x9E3779B97F4A7C15) % 2**64
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) % 2**64
    return value ^ (value >> 31)


def test_the_hash_is_the_one_that_is_said():
    ids = ["", "a", "user-17", "ä", "長い名前", "x" * 300]
    assert user_hash(pa.array(ids)).tolist() == [slow_hash(i) for i in ids]
    assert user_hash(pa.array(ids).slice(2, 3)).tolist() == [slow_hash(i) for i in ids[2:5]]
    assert user_hash(pa.chunked_array([ids[:2], ids[2:]])).tolist() == [slow_hash(i) for i in ids]
    assert user_hash(pa.array([7, 42])).tolist() == [slow_hash("7"), slow_hash("42")]
    assert user_hash(pa.array([], pa.string())).shape == (0,)
    assert user_hash(pa.array(["", ""])).tolist() == [slow_hash("")] * 2


def test_users_are_spread_evenly_and_stay_where_they_are():
    ids = pa.array([f"u{n}" for n in range(10_000)])
    parts = partition_of(ids, 8)
    counts = np.bincount(parts, minlength=8)
    assert counts.min() > 1_100
    assert counts.max() < 1_400
    assert (partition_of(ids.take(pa.array(np.arange(10_000)[::-1])), 8)[::-1] == parts).all()


def test_whole_users_do_not_depend_on_how_rows_came():
    table = pa.table({"user": ["b", "a", "a", "a"], "item": ["x", "z", "y", "x"], "time": [1, 2, 2, 1]})
    expected = {"user": ["a", "b"], "item": [["x", "y", "z"], ["x"]], "time": [[1, 2, 2], [1]]}
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        assert whole_users(table.take(order), Columns()).to_pydict() == expected
    assert whole_users(table.slice(0, 1), Columns()).to_pydict() == {"user": ["b"], "item": [["x"]], "time": [[1]]}
    assert whole_users(table.slice(0, 0), Columns()).num_rows == 0


def test_whole_users_are_read_as_their_events_are():
    random = np.random.default_rng(0)
    table = pa.table({"user": random.integers(0, 9, 99), "item": random.integers(0, 50, 99), "time": np.arange(99)})
    (events,), (rows,) = (list(read_events(t, Columns())) for t in (table, whole_users(table, Columns())))
    by_user = [("user", "ascending"), ("time", "ascending")]
    wanted = ["user", "item", "time"]
    assert rows.table.select(wanted).sort_by(by_user).equals(events.table.select(wanted).sort_by(by_user))
