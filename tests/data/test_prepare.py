"""Preparing: filters by hand and against plain Python; the order of rows and blocks does not matter."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from given import EVENTS, Given, histories, same
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong.core.errors import DataError
from lifelong.data.columns import Columns
from lifelong.data.datasets.files import Files
from lifelong.data.frames import Frames
from lifelong.data.gather import gather
from lifelong.data.prepare import FILES, prepare


def test_by_hand(tmp_path):
    prepared = prepare(Given(EVENTS), tmp_path)
    assert histories(prepared) == {"a": ["y", "x"], "b": ["z", "x", "x"], "c": ["x"]}
    assert prepared.times_E.tolist() == [1, 4, 2, 3, 3, 9]
    assert prepared.report.rows_read == prepared.report.rows_used == 6
    assert (prepared.offsets_U1.dtype, prepared.items_E.dtype, prepared.times_E.dtype) == (np.int64, np.int32, np.int64)
    assert prepared.channel_E is None
    assert prepared.folder.parent == tmp_path


def test_filters_by_hand():
    reports = {
        "duplicates": ({"duplicates": "drop"}, {"exact duplicates": 1}),
        "rare items": ({"min_item_events": 2}, {"of items with fewer than 2 events or 1 users": 2}),
        "items of few": ({"min_item_users": 2}, {"of items with fewer than 1 events or 2 users": 2}),
        "short users": ({"min_user_events": 3}, {"of users with fewer than 3 events": 3}),
    }
    for name, (options, dropped) in reports.items():
        found = gather(Given(EVENTS, **options))
        assert found.report.dropped == dropped, name
        assert found.report.rows_read == 6
    found = gather(Given(EVENTS, min_item_events=2, min_user_events=2))
    assert histories(found) == {"b": ["x", "x"]}
    assert found.items["id"].to_pylist() == ["x"]
    with pytest.raises(DataError, match=r"no event is left of 6 rows: .*6 of users with fewer than 7"):
        gather(Given(EVENTS, min_user_events=7))
    for option in ("min_item_events", "min_item_users", "min_user_events"):
        with pytest.raises(ValueError, match=f"{option} is 0"):
            Given(EVENTS, **{option: 0})


SOME = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 9)), min_size=1, max_size=30)


@settings(max_examples=100, deadline=None)
@given(SOME, st.integers(1, 7), st.sampled_from(["keep", "drop"]), st.integers(1, 3), st.integers(1, 3))
def test_against_plain_python(rows, batch, duplicates, items, users):
    table = {name: list(column) for name, column in zip(("user", "item", "time"), zip(*rows, strict=True), strict=True)}
    kept = list(dict.fromkeys(rows)) if duplicates == "drop" else rows
    often = [item for _, item, _ in kept]
    kept = [row for row in kept if often.count(row[1]) >= items]
    active = [user for user, _, _ in kept]
    kept = [row for row in kept if active.count(row[0]) >= users]
    expected = {
        u: [i for _, i, _ in sorted((r for r in kept if r[0] == u), key=lambda r: r[2])] for u, _, _ in sorted(kept)
    }
    source = Given(table, batch, duplicates=duplicates, min_item_events=items, min_user_events=users)
    if not kept:
        with pytest.raises(DataError, match="no event is left"):
            gather(source)
        return
    found = gather(source)
    assert histories(found) == expected
    assert found.report.rows_read == len(rows) == len(kept) + sum(found.report.dropped.values())
    assert found.items["id"].to_pylist() == sorted({item for _, item, _ in kept})


@settings(max_examples=60, deadline=None)
@given(SOME, st.randoms())
def test_rows_of_distinct_times_in_any_order_give_the_same(rows, random):
    rows = [(user, item, time) for time, (user, item, _) in enumerate(rows)]
    tables = []
    for _ in range(2):
        tables.append(dict(zip(("user", "item", "time"), map(list, zip(*rows, strict=True)), strict=True)))
        random.shuffle(rows)
    same(gather(Given(tables[0])), gather(Given(tables[1], batch=3)))


def test_a_shuffled_file_gives_the_same_bytes(tmp_path):
    generator = np.random.default_rng(0)
    lines = [f"u{generator.integers(20)},{generator.integers(40):03},{1_600_000_000 + n}" for n in range(2000)]
    found = []
    for number in range(2):
        path = tmp_path / f"{number}.csv"
        path.write_text("\n".join(["user,item,time", *lines]) + "\n")
        found.append(prepare(Files(Files.Config(events=str(path))), tmp_path / f"cache{number}"))
        generator.shuffle(lines)
    assert found[0].key == found[1].key
    assert found[0].folder.name != found[1].folder.name
    for name in FILES:
        assert (found[0].folder / name).read_bytes() == (found[1].folder / name).read_bytes(), name


def test_equal_times_keep_the_order_of_the_rows_unless_a_tie_decides():
    events = {"user": ["a"] * 4, "item": list("wzyx"), "time": [5, 5, 5, 1]}
    assert histories(gather(Given(events))) == {"a": ["x", "w", "z", "y"]}
    tied = {**events, "tie": pa.array([2, 2**64 - 1, 1, 9], pa.uint64())}
    assert histories(gather(Given(tied))) == {"a": ["x", "y", "w", "z"]}


def test_channels_are_numbered_by_name(tmp_path):
    prepared = prepare(Given({**EVENTS, "channel": ["view", "buy", "view", "buy", "view", "buy"]}), tmp_path)
    assert prepared.channels == ["buy", "view"]
    assert prepared.channel_E.tolist() == [0, 0, 1, 1, 1, 0]
    many = {"user": ["a"] * 200, "item": ["x"] * 200, "time": range(200), "channel": [str(n) for n in range(200)]}
    with pytest.raises(DataError, match="200 kinds of events"):
        gather(Given(many))


def test_the_arrays_are_read_only(tmp_path):
    prepared = prepare(Given(EVENTS), tmp_path)
    for array in (prepared.items_E, prepared.times_E):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_a_frame_is_known_by_what_is_in_it(tmp_path):
    columns = Columns(user="who", item="what", time="when")
    events = pa.table({"who": ["a", "b"], "what": ["x", "y"], "when": [1, 2]})
    users = pa.table({"who": ["a"], "age": [7]})
    prepared = prepare(Frames(events, users=users, user_id="who", columns=columns), tmp_path)
    assert prepared.users.to_pydict() == {"id": ["a", "b"], "age": ["7", None]}
    again = prepare(Frames(events.to_pandas(), users=users, user_id="who", columns=columns), tmp_path)
    assert again.report == prepared.report
    other = events.set_column(2, "when", pa.array([1, 3]))
    assert (
        prepare(Frames(other, columns=columns), tmp_path).key != prepare(Frames(events, columns=columns), tmp_path).key
    )
    empty = pa.table({"who": pa.array([], pa.string())})
    assert json.dumps(Frames(events, users=empty, user_id="who", columns=columns).identity())


def test_one_key_for_csv_and_parquet(tmp_path):
    """Numbers as ids there, texts here: the same data to every task."""
    events = {"user": [3, 1, 3, 2], "item": [10, 11, 12, 10], "time": [1_600_000_000 + n for n in range(4)]}
    pq.write_table(pa.table(events), tmp_path / "events.parquet")
    lines = [",".join(map(str, row)) for row in zip(*events.values(), strict=True)]
    (tmp_path / "events.csv").write_text("\n".join(["user,item,time", *lines]) + "\n")
    paths = (tmp_path / "events.parquet", tmp_path / "events.csv")
    found = [prepare(Files(Files.Config(events=str(path))), tmp_path / "cache") for path in paths]
    assert found[0].folder != found[1].folder
    assert found[0].key == found[1].key


def test_rows_that_are_left_out_are_told(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("user,item,time\n" + "".join(f"u{n % 3},i{n % 5},{n}\n" for n in range(30)) + "u1,i1,never\n")
    said = []
    prepare(Files(Files.Config(events=str(path), on_bad_rows="drop")), tmp_path / "cache", said.append)
    assert any("left out of 31 rows: 1 time" in line for line in said), said
