"""Whatever is in a file, it is read or it is one DataError; and every row that was read is whole and accounted for."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong.core.errors import DataError
from lifelong.data.events import Columns, read_events


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.csv.gz"]),
    st.sampled_from(["error", "drop"]),
)
def test_any_bytes_are_read_or_a_data_error(tmp_path_factory, data, name, mode):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    _read_or_data_error(path, mode)


PIECES = [
    "a",
    "7",
    "007",
    ",",
    ";",
    "\t",
    '"',
    '""',
    "\n",
    "\r\n",
    "\r",
    "\0",
    " ",
    "ë",
    "1600000000",
    "1e9",
    "2024-01-01",
    "2024-01-01T00:00:00Z",
    "-",
    "nan",
    "",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30), st.sampled_from(["error", "drop"]), st.booleans())
def test_near_csv_is_read_or_a_data_error(tmp_path_factory, pieces, mode, latin):
    path = tmp_path_factory.getbasetemp() / "near.csv"
    path.write_bytes(("user,item,time\n" + "".join(pieces)).encode("latin-1" if latin else "utf-8"))
    _read_or_data_error(path, mode)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries({}, optional={"user": VALUES, "item": VALUES, "time": VALUES}), min_size=1, max_size=5
    ),
    st.sampled_from(["error", "drop"]),
)
def test_any_json_lines_are_read_or_a_data_error(tmp_path_factory, rows, mode):
    path = tmp_path_factory.getbasetemp() / "near.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    _read_or_data_error(path, mode)


def _read_or_data_error(path, mode):
    message, batches = "", []
    try:
        batches = list(read_events(path, Columns(), on_bad_rows=mode))
    except DataError as error:
        message = str(error)
    assert "\n" not in message
    for batch in batches:
        table = batch.table
        assert batch.rows_read == len(table) + sum(batch.dropped.values())
        assert not any(table[c].null_count for c in table.column_names)
        table.validate(full=True)
        for column in ("user", "item"):
            assert all(table[column].to_pylist()), "an empty id"
