"""Every way a file can be wrong ends in one DataError of one line that names the file; what is only odd is read."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifelong.core.errors import ConfigError, DataError
from lifelong.data.events import Columns, read_events
from lifelong.data.formats import base, csv

GOOD = "user,item,time\na,x,100\nb,y,200\n"
READ = [("a", "x", 100), ("b", "y", 200)]


def read(source, columns=None, **options):
    batches = list(read_events(source, columns or Columns(), **options))
    return [
        row
        for batch in batches
        for row in zip(*(batch.table[c].to_pylist() for c in ("user", "item", "time")), strict=True)
    ]


def accepted(name, data, expected=READ):
    return pytest.param(name, data, expected, id=name)


ODD = [
    accepted("plain.csv", GOOD),
    accepted("bom.csv", "\ufeff" + GOOD),
    accepted("crlf.csv", GOOD.replace("\n", "\r\n")),
    accepted("bom_and_crlf.csv", "\ufeff" + GOOD.replace("\n", "\r\n")),
    accepted("no_last_newline.csv", GOOD.rstrip()),
    accepted("blank_line_inside.csv", GOOD.replace("b,", "\nb,")),
    accepted("blank_lines_at_the_end.csv", GOOD + "\n\n"),
    accepted("quoted.csv", '"user","item","time"\n"a","x","100"\n"b","y","200"\n'),
    accepted("other_columns.csv", "n,user,item,time\n1,a,x,100\nzwei,b,y,200\n"),
    accepted("other_order.csv", "time,item,user\n100,x,a\n200,y,b\n"),
    accepted("tabs.tsv", GOOD.replace(",", "\t")),
    accepted("UPPER.CSV", GOOD),
    accepted("comma_in_quotes.csv", 'user,item,time\n"a,b",x,100\n', [("a,b", "x", 100)]),
    accepted("quote_in_quotes.csv", 'user,item,time\n"a""b",x,100\n', [('a"b', "x", 100)]),
    accepted("unicode.csv", "user,item,time\nzoë,靴,100\n", [("zoë", "靴", 100)]),
    accepted("spaces_are_kept.csv", "user,item,time\n a ,x,100\n", [(" a ", "x", 100)]),
    accepted("leading_zeros.csv", "user,item,time\n007,7,1\n7,07,2\n", [("007", "7", 1), ("7", "07", 2)]),
    accepted(
        "looks_like_numbers.csv", "user,item,time\n1e3,1.0,1\n1000,0x1,2\n", [("1e3", "1.0", 1), ("1000", "0x1", 2)]
    ),
    accepted("looks_like_null.csv", "user,item,time\nnull,NaN,1\nNone,NA,2\n", [("null", "NaN", 1), ("None", "NA", 2)]),
    accepted("looks_like_truth.csv", "user,item,time\ntrue,False,1\n", [("true", "False", 1)]),
    accepted("beyond_64_bits.csv", f"user,item,time\n{2**70},-{2**70},1\n", [(str(2**70), str(-(2**70)), 1)]),
    accepted("before_1970.csv", "user,item,time\na,x,-5\n", [("a", "x", -5)]),
    accepted("lines.jsonl", '{"user":"a","item":"x","time":100}\n{"user":"b","item":"y","time":200}\n'),
    accepted("crlf.jsonl", '{"user":"a","item":"x","time":100}\r\n{"user":"b","item":"y","time":200}\r\n'),
    accepted("bom.jsonl", '\ufeff{"user":"a","item":"x","time":100}\n{"user":"b","item":"y","time":200}\n'),
    accepted("blank.jsonl", '{"user":"a","item":"x","time":100}\n\n{"user":"b","item":"y","time":200}\n'),
    accepted("keys_in_any_order.jsonl", '{"user":"a","item":"x","time":100}\n{"time":200,"item":"y","user":"b"}\n'),
    accepted("numbers.jsonl", f'{{"user":7,"item":{2**63 - 1},"time":100}}\n', [("7", str(2**63 - 1), 100)]),
    accepted("beyond_64_bits.jsonl", f'{{"user":7,"item":{2**70},"time":100}}\n', [("7", str(2**70), 100)]),
    accepted(
        "text_and_number.jsonl",
        '{"user":"007","item":"x","time":1}\n{"user":7,"item":"y","time":2}\n',
        [("007", "x", 1), ("7", "y", 2)],
    ),
    accepted("ndjson.ndjson", '{"user":"a","item":"x","time":100}\n{"user":"b","item":"y","time":200}\n'),
    accepted("lists.jsonl", '{"user":"a","item":["x","y"],"time":[1,2]}\n', [("a", "x", 1), ("a", "y", 2)]),
]


@pytest.mark.parametrize(("name", "data", "expected"), ODD)
def test_odd_but_readable(tmp_path, name, data, expected):
    path = tmp_path / name
    path.write_bytes(data.encode())
    assert read(path) == expected
    packed = tmp_path / (name + ".gz")
    packed.write_bytes(gzip.compress(data.encode()))
    if name.islower():
        assert read(packed) == expected


def refused(name, data, says):
    return pytest.param(name, data, says, id=name)


WRONG = [
    refused("empty.csv", "", "empty"),
    refused("only_bom.csv", "\ufeff", "empty"),
    refused("only_newlines.csv", "\n\n\n", "empty"),
    refused("header_only.csv", "user,item,time\n", "only a header"),
    refused("header_without_newline.csv", "user,item,time", "only a header"),
    refused("missing_column.csv", "user,itme,time\na,x,1\n", "'item'; did you mean 'itme'"),
    refused("no_time.csv", "user,item\na,x\n", "'time'"),
    refused("thousand_columns.csv", ",".join(f"c{n}" for n in range(1000)) + "\n", "no column 'user'.* …; say"),
    refused("newline_in_a_name.csv", '"a\nb",c,d\n1,2,3\n', "column"),
    refused("newline_in_a_name.jsonl", '{"it\\nem":"x","user":"a","time":1}\n', "no column 'item'"),
    refused("column_twice.csv", "user,item,time,user\na,x,1,b\n", "'user' stands 2 times"),
    refused("semicolons.csv", GOOD.replace(",", ";"), "','.*';'"),
    refused("tabs.csv", GOOD.replace(",", "\t"), "','.*tab"),
    refused("commas.tsv", GOOD, "tab.*','"),
    refused("one_column.csv", "user\na\n", "one column"),
    refused("too_few_cells.csv", GOOD + "c,z\n", "row 4: .*2 instead of 3"),
    refused("too_many_cells.csv", GOOD + "c,z,1,2\n", "row 4: .*4 instead of 3"),
    refused("unclosed_quote_at_the_end.csv", GOOD + 'c,"z,300\n', "row 4|quote"),
    refused("unclosed_quote_inside.csv", 'user,item,time\na,"x,100\nb,y,200\nc,z,300\n', "row 2|quote"),
    refused("quote_closed_lines_later.csv", 'user,item,time\na,"x,100\nb,y",200\nc,z,300\n', "row 2: .*quote"),
    refused("newline_in_an_id.csv", 'user,item,time\n"a\nb",x,100\n', "row 2: .*line break"),
    refused("no_user.csv", GOOD + ",z,300\n", "row 4: column 'user': no id"),
    refused("no_item.csv", GOOD + "c,,300\n", "row 4: column 'item': no id"),
    refused("empty_quoted_id.csv", GOOD + '"",z,300\n', "row 4: column 'user': no id"),
    refused("no_time_in_a_row.csv", GOOD + "c,z,\n", "row 4: column 'time': no time"),
    refused("unreadable_time.csv", GOOD + "c,z,yesterday\n", "row 4: column 'time': unreadable time.*yesterday"),
    refused("time_nan.csv", GOOD + "c,z,nan\n", "row 4: column 'time'"),
    refused("time_inf.csv", GOOD + "c,z,inf\n", "row 4: column 'time'"),
    refused("time_too_large.csv", GOOD + "c,z,1e300\n", "row 4: column 'time'"),
    refused("february_30.csv", "user,item,time\na,x,2024-02-30\n", "row 2: column 'time'.*2024-02-30"),
    refused("two_kinds_of_time.csv", GOOD + "c,z,2024-02-03\n", "row 4: column 'time': another kind"),
    refused("seconds_then_milliseconds.csv", GOOD + "c,z,1600000000000\n", "row 4: column 'time': another kind"),
    refused("latin1.csv", "user,item,time\nzoë,x,1\n".encode("latin-1"), "row 2: column 'user': not UTF-8"),
    refused("latin1_header.csv", "üser,user,item,time\n1,a,x,1\n".encode("latin-1"), "line 1: is not UTF-8"),
    refused("utf16.csv", GOOD.encode("utf-16"), "UTF-16"),
    refused("nul.csv", GOOD + "c\0,z,300\n", "line 4: a NUL byte"),
    refused("nul_in_the_header.csv", "user\0,item,time\na,x,1\n", "line 1: a NUL byte"),
    refused("long_id.csv", f"user,item,time\n{'a' * 5000},x,1\n", "row 2: column 'user': longer"),
    refused("10001_columns.csv", ",".join(f"c{n}" for n in range(10_001)) + "\n", "10001 columns"),
    refused("a_zip.csv", b"PK\3\4" + b"\1" * 100, "zip"),
    refused("parquet_inside.csv", b"PAR1" + b"\1" * 100, "parquet"),
    refused("not_gzip.csv.gz", GOOD, "gzip"),
    refused("torn.csv.gz", gzip.compress(GOOD.encode() * 100)[:-9], "gzip"),
    refused("empty.csv.gz", gzip.compress(b""), "empty"),
    refused("unknown.xlsx", "PK", "ending '.xlsx'"),
    refused("no_ending", GOOD, "ending ''"),
    refused("not_json.jsonl", "user,item,time\n", "line 1"),
    refused("a_list.jsonl", '[{"user":"a","item":"x","time":1}]\n', "line 1"),
    refused("pretty.jsonl", '{\n "user": "a"\n}\n', "line 1"),
    refused("empty.jsonl", "", "empty"),
    refused("scalar.jsonl", "3\n", "line 1"),
    refused("bad_line.jsonl", '{"user":"a","item":"x","time":1}\n{"user":\n', "row 2"),
    refused("float_id.jsonl", '{"user":1.9,"item":"x","time":1}\n', "user"),
    refused(
        "float_id_later.jsonl", '{"user":1,"item":"x","time":1}\n{"user":7.0,"item":"x","time":1}\n', "row 2.*user"
    ),
    refused("bool_id.jsonl", '{"user":true,"item":"x","time":1}\n', "user"),
    refused(
        "bool_id_later.jsonl", '{"user":1,"item":"x","time":1}\n{"user":true,"item":"x","time":1}\n', "row 2.*user"
    ),
    refused("object_id.jsonl", '{"user":{"id":1},"item":"x","time":1}\n', "user"),
    refused(
        "null_id.jsonl",
        '{"user":"a","item":"x","time":1}\n{"user":null,"item":"x","time":1}\n',
        "row 2: column 'user': no id",
    ),
    refused(
        "missing_key.jsonl", '{"user":"a","item":"x","time":1}\n{"user":"b","time":1}\n', "row 2: column 'item': no id"
    ),
    refused("key_twice.jsonl", '{"user":"a","user":"b","item":"x","time":1}\n', "twice"),
    refused("lone_surrogate.jsonl", '{"user":"\\ud800","item":"x","time":1}\n', "row 1|line 1"),
    refused("deep.jsonl", '{"user":' + "[" * 100_000 + "\n", "line 1"),
    refused("lists_of_other_length.jsonl", '{"user":"a","item":["x","y"],"time":[1]}\n', "row 1: .*length"),
    refused("null_in_a_list.jsonl", '{"user":"a","item":["x",null],"time":[1,2]}\n', "row 1: column 'item': no id"),
    refused("infinity.jsonl", '{"user":"a","item":"x","time":Infinity}\n', "row 1.*time"),
    refused("not_parquet.parquet", GOOD, "parquet"),
    refused("torn.parquet", b"PAR1" + b"\0" * 50, "parquet"),
    refused("empty.parquet", "", "empty"),
]


@pytest.mark.parametrize(("name", "data", "says"), WRONG)
def test_wrong_is_one_data_error(tmp_path, name, data, says):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(DataError, match=says) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_files_that_cannot_be_opened(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path, tmp_path / "no" / "folder.csv"):
        with pytest.raises(DataError, match=str(path)):
            read(path)
    path = tmp_path / "a.csv"
    path.write_text(GOOD)
    with pytest.raises(ConfigError, match="did you mean 'parquet'"):
        read(path, format="parqet")
    for delimiter in ("::", "\n", '"', "é"):
        with pytest.raises((DataError, ConfigError), match="delimiter"):
            read(path, delimiter=delimiter)
    with pytest.raises(ConfigError, match="on_bad_rows"):
        read(path, on_bad_rows="ignore")


def test_a_bomb_is_refused_before_it_goes_off(tmp_path, monkeypatch):
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"user,item,time\n" + b"a,x,1\n" * 100_000))
    assert len(read(path)) == 100_000
    monkeypatch.setattr(base, "FREE_BYTES", 100_000)
    with pytest.raises(DataError, match=r"grows beyond 1.* bytes when decompressed"):
        read(path)
    monkeypatch.setattr(base, "MAX_RATIO", 1000)
    assert len(read(path)) == 100_000


def test_a_quote_that_is_never_closed_in_a_large_file(tmp_path, monkeypatch):
    monkeypatch.setattr(csv, "BLOCK_BYTES", 1000)
    path = tmp_path / "a.csv"
    path.write_text("user,item,time\n" + "a,x,1\n" * 300 + 'a,"x,1\n' + "a,x,1\n" * 3000)
    with pytest.raises(DataError, match=r"a row is longer than .* bytes; is a quote not closed"):
        read(path)


FRAMES = {
    "float_ids": ({"user": [1.0, 2.0], "item": ["x", "y"], "time": [1, 2]}, "user.*double"),
    "bool_ids": ({"user": ["a", "b"], "item": [True, False], "time": [1, 2]}, "item.*bool"),
    "dates_as_ids": ({"user": pa.array([1, 2], pa.timestamp("s")), "item": ["x", "y"], "time": [1, 2]}, "user"),
    "null_user": ({"user": ["a", None], "item": ["x", "y"], "time": [1, 2]}, "row 2: column 'user': no id"),
    "null_int_item": ({"user": ["a", "b"], "item": [None, 3], "time": [1, 2]}, "row 1: column 'item': no id"),
    "null_time": ({"user": ["a", "b"], "item": ["x", "y"], "time": [1, None]}, "row 2: column 'time': no time"),
    "nan_time": ({"user": ["a", "b"], "item": ["x", "y"], "time": [1.0, float("nan")]}, "row 2: column 'time'"),
    "bool_time": ({"user": ["a"], "item": ["x"], "time": [True]}, "time.*bool"),
    "null_timestamp": (
        {"user": ["a"], "item": ["x"], "time": pa.array([None], pa.timestamp("us"))},
        "row 1: column 'time'",
    ),
    "struct_ids": ({"user": [{"a": 1}], "item": ["x"], "time": [1]}, "user"),
    "no_rows": (
        {"user": pa.array([], pa.string()), "item": pa.array([], pa.string()), "time": pa.array([], pa.int64())},
        "no rows|header",
    ),
}


@pytest.mark.parametrize("name", FRAMES)
def test_typed_columns_that_hold_no_ids_or_times(tmp_path, name):
    columns, says = FRAMES[name]
    table, path = pa.table(columns), tmp_path / "a.parquet"
    pq.write_table(table, path)
    for source in (table, path):
        with pytest.raises(DataError, match=says) as caught:
            read(source)
        assert "\n" not in str(caught.value)


def test_typed_ids_are_exact():
    for kind in (pa.int8(), pa.int64(), pa.uint16()):
        table = pa.table({"user": pa.array([7, 100], kind), "item": ["007", "7"], "time": [1, 2]})
        assert read(table) == [("7", "007", 1), ("100", "7", 2)]
    big = pa.table({"user": pa.array([2**64 - 1], pa.uint64()), "item": pa.array([-(2**63)], pa.int64()), "time": [1]})
    assert read(big) == [("18446744073709551615", "-9223372036854775808", 1)]
    coded = pa.table(
        {"user": pa.array(["a", "b"]).dictionary_encode(), "item": pa.array([1, 2]).dictionary_encode(), "time": [1, 2]}
    )
    assert read(coded) == [("a", "1", 1), ("b", "2", 2)]


def test_every_bad_row_is_dropped_and_counted(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(GOOD.encode() + b",z,1\nc,,2\nc,z,\nc,z,soon\nc,z\nc\xff,z,3\n\nd,w,400\n")
    batches = list(read_events(path, Columns(), on_bad_rows="drop"))
    assert [row for batch in batches for row in batch.table["user"].to_pylist()] == ["a", "b", "d"]
    dropped = {reason: n for batch in batches for reason, n in batch.dropped.items()}
    assert sum(dropped.values()) == 7
    assert len(dropped) == 7, dropped
    assert sum(batch.rows_read for batch in batches) == 10


def test_the_error_says_how_many_rows_are_like_it(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(GOOD + ",z,1\n,z,2\n,z,3\n")
    with pytest.raises(DataError, match=r"row 4: column 'user': no id \(such rows up to row 6: 3\)"):
        read(path)
