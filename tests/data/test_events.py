"""Reading events: ids exactly as written, times as unix seconds, every row used or counted, whatever the block size."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong.core.config import build
from lifelong.core.errors import ConfigError, DataError
from lifelong.data.events import Columns, EventReader, open_events, read_events, read_table
from lifelong.data.formats import csv, frame, jsonl, parquet
from lifelong.data.frames import Frames

ROWS = {"user": ["b", "a", "b"], "item": ["007", "7", "x"], "time": [1_600_000_002, 1_600_000_001, 1_600_000_003]}
EXPECTED = list(zip(*ROWS.values(), strict=True))


def joined(source, columns=None, **options):
    return pa.concat_tables([batch.table for batch in read_events(source, columns or Columns(), **options)])


def rows(source, columns=None, **options):
    table = joined(source, columns, **options)
    return list(zip(*(table[c].to_pylist() for c in ("user", "item", "time")), strict=True))


def times(values, **columns):
    count = len(values)
    table = pa.table({"user": ["u"] * count, "item": [str(n) for n in range(count)], "time": values})
    return [time for _, _, time in rows(table, Columns(**columns))]


class Stream:
    """Anything that speaks Arrow's C stream interface."""

    def __arrow_c_stream__(self, requested_schema=None):
        return pa.table(ROWS).__arrow_c_stream__(requested_schema)


def test_every_format_gives_the_same(tmp_path):
    table = pa.table(ROWS)
    pq.write_table(table, tmp_path / "a.parquet")
    table.to_pandas().to_csv(tmp_path / "a.csv", index=False)
    table.to_pandas().to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    table.to_pandas().to_csv(tmp_path / "a.txt", index=False, sep=";")
    table.to_pandas().to_csv(tmp_path / "a.csv.gz", index=False)
    table.to_pandas().to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    for name in ("a.parquet", "a.csv", "a.tsv", "a.csv.gz", "a.jsonl", "a.arrow"):
        assert rows(tmp_path / name) == EXPECTED, name
        assert rows(str(tmp_path / name)) == EXPECTED, name
    assert rows(tmp_path / "a.txt", format="csv", delimiter=";") == EXPECTED
    frames = (table, table.to_pandas(), pl.from_arrow(table), pl.from_arrow(table).lazy(), Stream(), table.to_reader())
    for source in frames:
        assert rows(source) == EXPECTED, type(source)


def test_pandas_with_an_index_of_its_own():
    data = pd.DataFrame(ROWS, index=[7, 3, 5])
    assert rows(data) == EXPECTED
    assert rows(data[data["user"] == "b"]) == [EXPECTED[0], EXPECTED[2]]


def test_what_is_no_frame_is_named():
    for source in (7, None, [1, 2], b"a.csv"):
        with pytest.raises(DataError, match=type(source).__name__):
            read_events(source, Columns())


def test_a_row_a_user_is_a_row_an_event(tmp_path):
    table = pa.table({"user": [3, 5, 4], "item": [["x", "y"], [], ["z"]], "time": [[1, 2], [], [9]]})
    pq.write_table(table, tmp_path / "a.parquet")
    for source in (table, tmp_path / "a.parquet", pl.from_arrow(table)):
        assert rows(source) == [("3", "x", 1), ("3", "y", 2), ("4", "z", 9)]
    found = rows(table.drop_columns(["time"]), Columns(time=None))
    assert [(user, item) for user, item, _ in found] == [("3", "x"), ("3", "y"), ("4", "z")]
    assert [time for _, _, time in found] == sorted(time for _, _, time in found)
    coded = pl.DataFrame({"user": ["a"], "item": ["x"], "time": [1]}).with_columns(
        pl.col("user", "item").cast(pl.Categorical)
    )
    assert rows(coded) == [("a", "x", 1)]
    assert Frames(coded, items=coded.select("item", kind="user")).items().to_pydict() == {"id": ["x"], "kind": ["a"]}
    numbers = pa.table({"user": ["a"], "item": [[10, 2]]})
    assert [item for _, item, _ in rows(numbers, Columns(time=None))] == ["10", "2"]


SECOND = 1_600_000_000
DATE = datetime.datetime(2020, 9, 13, 12, 26, 40, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    "value",
    [
        SECOND,
        float(SECOND),
        SECOND * 10**3,
        SECOND * 10**6,
        SECOND * 10**9,
        str(SECOND),
        f"{SECOND}.0",
        str(SECOND * 1000),
        "1.6e9",
        "2020-09-13T12:26:40Z",
        "2020-09-13 12:26:40",
        "2020-09-13T14:26:40+02:00",
        "2020-09-13T14:26:40.000+0200",
        DATE,
        DATE.replace(tzinfo=None),
    ],
)
def test_every_kind_of_time_is_the_same_second(value):
    assert times([value, value]) == [SECOND, SECOND]


def test_dates_are_midnight_in_utc():
    assert times(["2020-09-13"]) == times([datetime.date(2020, 9, 13)]) == [SECOND - 12 * 3600 - 26 * 60 - 40]


def test_the_unit_is_decided_once_and_can_be_told():
    with pytest.raises(DataError, match=r"row 2: .*another kind of time than the first .seconds"):
        times([SECOND, SECOND * 1000])
    assert times([5, 7000], time_unit="milliseconds") == [0, 7]
    reader = EventReader(open_events(pa.table({**ROWS, "time": [SECOND * 1000] * 3})), Columns())
    list(reader.batches())
    assert reader.clock.kind == "milliseconds"


def test_parts_of_a_second_decide_among_equal_seconds():
    table = joined(
        pa.table({"user": ["a"] * 3, "item": ["x", "y", "z"], "time": [SECOND * 1000 + n for n in (7, 3, 5)]})
    )
    assert table["time"].to_pylist() == [SECOND] * 3
    assert np.argsort(table["tie"].to_numpy()).tolist() == [1, 2, 0]


def test_a_tie_is_a_whole_number():
    columns = Columns(tie="line")
    assert joined(pa.table({**ROWS, "line": [3, 2, 1]}), columns)["tie"].to_pylist() == [3, 2, 1]
    with pytest.raises(DataError, match="row 2: column 'line': no whole number"):
        rows(pa.table({**ROWS, "line": [3, -2, 1]}), columns)


def test_a_channel_is_text():
    table = joined(pa.table({**ROWS, "kind": ["click", "buy", "click"]}), Columns(channel="kind"))
    assert table["channel"].to_pylist() == ["click", "buy", "click"]
    assert "channel" not in joined(pa.table(ROWS)).column_names


def test_no_time_is_the_order_of_the_rows(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("user,item\nb,x\na,y\nb,z\n")
    assert [time for _, _, time in rows(path, Columns(time=None))] == [0, 1, 2]
    with pytest.raises(DataError, match=r"'time'.*columns\.time: null"):
        rows(path)


def test_columns_from_yaml_and_wrong_ones():
    assert build(Columns, {"user": "who", "time": None}, "columns") == Columns(user="who", time=None)
    with pytest.raises(ConfigError, match="did you mean 'user'"):
        build(Columns, {"usr": "who"}, "columns")
    with pytest.raises(DataError, match="cannot be both user and item"):
        rows(pa.table(ROWS), Columns(user="item"))


def test_a_file_without_a_header(tmp_path):
    path = tmp_path / "u.data"
    path.write_text("196\t242\t3\t881250949\n186\t302\t3\t891717742\n")
    names = ["user", "item", "stars", "time"]
    assert rows(path, format="tsv", names=names) == [("196", "242", 881250949), ("186", "302", 891717742)]
    with pytest.raises(DataError, match="3 names are given for 4 columns"):
        rows(path, format="tsv", names=names[:3])


CELLS = st.sampled_from(["a", "7", "007", "", "ë", 'q"q', "x,y", " ", "1.0", "nan"])
TIMES = st.sampled_from(["1600000000", "1600000001", "", "soon", "1.6e9", "-1"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS, TIMES) | st.just(("short",)), min_size=1, max_size=40))
def test_rows_used_and_dropped_are_rows_read(tmp_path_factory, table):
    path = tmp_path_factory.getbasetemp() / "rows.csv"
    lines = [",".join(f'"{c.replace(chr(34), chr(34) * 2)}"' for c in row) for row in table]
    path.write_text("\n".join(["user,item,time", *lines]) + "\n")
    batches = list(read_events(path, Columns(), on_bad_rows="drop"))
    good = [r for r in table if len(r) == 3 and r[0] and r[1] and r[2] not in ("", "soon")]
    assert sum(batch.rows_read for batch in batches) == len(table)
    assert sum(sum(batch.dropped.values()) for batch in batches) == len(table) - len(good)
    found = [p for b in batches for p in zip(b.table["user"].to_pylist(), b.table["item"].to_pylist(), strict=True)]
    assert found == [row[:2] for row in good]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "frame"])
def test_the_size_of_the_blocks_does_not_matter(tmp_path, monkeypatch, name):
    count = 3000
    data = pd.DataFrame(
        {"user": [f"ü{n % 50}" for n in range(count)], "item": range(count), "time": range(SECOND, SECOND + count)}
    )
    data["user"] = data["user"].where(data.index % 97 != 5, None)
    source = tmp_path / name
    if name == "a.csv":
        data.to_csv(source, index=False)
    elif name == "a.jsonl":
        data.to_json(source, orient="records", lines=True, force_ascii=False)
    elif name == "a.parquet":
        data.to_parquet(source, row_group_size=1500)
    else:
        source = data
    found = []
    for size in (700, 4096, 1 << 20):
        for module, limit in (
            (csv, "BLOCK_BYTES"),
            (jsonl, "BLOCK_BYTES"),
            (parquet, "BLOCK_ROWS"),
            (frame, "BLOCK_ROWS"),
        ):
            monkeypatch.setattr(module, limit, size)
        batches = list(read_events(source, Columns(), on_bad_rows="drop"))
        dropped = sum(batch.dropped.get("user: no id", 0) for batch in batches)
        found.append((len(batches), pa.concat_tables([b.table for b in batches]).combine_chunks(), dropped))
        with pytest.raises(DataError, match=rf"row {6 + (name == 'a.csv')}: column 'user': no id"):
            list(read_events(source, Columns()))
    assert found[0][0] > found[-1][0]
    assert all(table.equals(found[0][1]) and dropped == found[0][2] == 31 for _, table, dropped in found)


def test_line_numbers_count_lines_that_were_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(csv, "BLOCK_BYTES", 200)
    lines = ["user,item,time", *("a,x,1" for _ in range(100)), "", "a,x", *("a,x,1" for _ in range(100)), "a,,1"]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines) + "\n")
    opened = open_events(path)
    numbers = np.concatenate(
        [block.rows_N for block in opened.blocks({"user": "user", "item": "item", "time": "time"})]
    )
    assert numbers.tolist() == [n for n, line in enumerate(lines, 1) if line.startswith("a,") and line != "a,x"]


def test_a_table_is_text_with_nulls_for_empty_cells(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("item,age,note\n007,,x\n7,18,\n")
    assert read_table(path).to_pydict() == {"item": ["007", "7"], "age": [None, "18"], "note": ["x", None]}
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"item":"a","tags":["x","y"],"n":3}\n{"item":"b","tags":null,"n":null}\n')
    assert read_table(lines).to_pydict() == {"item": ["a", "b"], "tags": ["x y", None], "n": ["3", None]}
    pq.write_table(pa.table({"item": [1], "rate": [0.5], "old": [True]}), tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").to_pydict() == {"item": ["1"], "rate": ["0.5"], "old": ["true"]}


def test_a_table_that_is_wrong(tmp_path):
    path = tmp_path / "a.csv"
    for data, says in (("item,x,x\n1,2,3\n", "'x' stands 2 times"), ("item,x\n1\n", "row 2"), ("", "empty")):
        path.write_text(data)
        with pytest.raises(DataError, match=says):
            read_table(path)
    path.write_bytes("item,x\n1,ë\n".encode("latin-1"))
    with pytest.raises(DataError, match="row 2: not UTF-8"):
        read_table(path)
