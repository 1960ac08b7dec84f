"""Files as they come from elsewhere, and what must become of each: the rows that can be used, others counted, or one error.

`FIXTURES` are written by hand. `generated(seed)` makes as many as are wanted: rows of which the maker knows what is wrong with
them, so that whatever a reader makes of the file can be compared with what is in it.
"""

import gzip
import io
import json
import random
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

GOOD = b"user,item,time\na,x,100\nb,y,200\n"
READ = (("a", "x", 100), ("b", "y", 200))
LINE = b'{"user":"a","item":"x","time":100}\n{"user":"b","item":"y","time":200}\n'
MS = 1_600_000_000_000


@dataclass(frozen=True)
class Dirty:
    """A file. rows: what is to be read where bad rows are dropped, None where nothing of it may be. dropped: how a reason
    begins -> rows. says: pattern of the error that comes where bad rows are refused; None where there is nothing wrong."""

    name: str
    data: bytes
    rows: tuple | None = READ
    dropped: dict[str, int] = field(default_factory=dict)
    says: str | None = None


def ok(name, data, rows=READ, **dropped):
    return Dirty(name, data, rows, dropped)


def row(name, data, says, rows=READ, **dropped):
    """A file with bad rows: refused with a message, or read without them."""
    return Dirty(name, data, rows, dropped, says)


def no(name, data, says):
    """A file of which nothing is read, in whatever way."""
    return Dirty(name, data, None, {}, says)


def parquet(columns, **options):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, **options)
    return sink.getvalue()


def arrow(columns, compression=None, **options):
    sink, table = io.BytesIO(), pa.table(columns)
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression, **options)) as out:
        out.write_table(table)
    return sink.getvalue()


TYPED = {"user": ["a", "b"], "item": ["x", "y"], "time": [100, 200]}


def typed(**changes):
    return {**TYPED, **changes}


def csv_of(*rows, head="user,item,time"):
    return "\n".join([head, *rows, ""]).encode()


WIDE = ",".join(f"c{n}" for n in range(1_000_000)).encode() + b"\n1\n"
"""A header of a million columns, 7 MB."""

FIXTURES = [
    # what is only odd
    ok("plain.csv", GOOD),
    ok("bom.csv", b"\xef\xbb\xbf" + GOOD),
    ok("crlf.csv", GOOD.replace(b"\n", b"\r\n")),
    ok("cr.csv", GOOD.replace(b"\n", b"\r")),
    ok("no_end.csv", GOOD[:-1]),
    ok("blank_inside.csv", GOOD.replace(b"b,", b"\n\nb,"), **{"blank line": 2}),
    ok("quoted_header.csv", b'"user","item","time"\n"a","x","100"\n"b","y","200"\n'),
    ok("zeros.csv", csv_of("007,7,1", "7,007,2", "7.0,+7,3"), (("007", "7", 1), ("7", "007", 2), ("7.0", "+7", 3))),
    ok(
        "beyond.csv",
        csv_of(f"{2**63},{-(2**63) - 1},1", "9" * 999 + ",x,2"),
        ((str(2**63), str(-(2**63) - 1), 1), ("9" * 999, "x", 2)),
    ),
    ok(
        "words.csv",
        csv_of("nan,null,1", "true,False,2", "-100,inf,3"),
        (("nan", "null", 1), ("true", "False", 2), ("-100", "inf", 3)),
    ),
    ok("compositions.csv", csv_of("caf\u00e9,x,1", "cafe\u0301,x,2"), (("caf\u00e9", "x", 1), ("cafe\u0301", "x", 2))),
    ok("spaces.csv", csv_of(" a,a ,1"), ((" a", "a ", 1),)),
    ok("formula.csv", csv_of('"=HYPERLINK(""http://x"")",@x,1'), (('=HYPERLINK("http://x")', "@x", 1),)),
    ok("before_1970.csv", csv_of("a,x,-1", "a,y,0"), (("a", "x", -1), ("a", "y", 0))),
    ok(
        "milliseconds.csv",
        csv_of(f"a,x,{MS}", f"a,y,{MS + 1500}"),
        (("a", "x", MS // 1000), ("a", "y", MS // 1000 + 1)),
    ),
    ok("iso.csv", csv_of("a,x,1970-01-01T00:00:07Z", "a,y,1970-01-01 01:00:09+01:00"), (("a", "x", 7), ("a", "y", 9))),
    ok("twice_the_same.csv", csv_of("a,x,1", "a,x,1"), (("a", "x", 1), ("a", "x", 1))),
    ok("more_columns.csv", b"z,user,item,time,z\n1,a,x,100,2\n1,b,y,200,2\n"),
    ok("plain.tsv", GOOD.replace(b",", b"\t")),
    ok("quote_in_a_cell.tsv", b'user\titem\ttime\na"b\tx\t1\n', (('a"b', "x", 1),)),
    ok("plain.csv.gz", gzip.compress(GOOD)),
    ok("two_members.csv.gz", gzip.compress(GOOD[:20]) + gzip.compress(GOOD[20:])),
    ok("plain.jsonl", LINE),
    ok("spread_out.jsonl", LINE.replace(b":", b" : ").replace(b",", b" ,\t")),
    ok("escaped.jsonl", LINE.replace(b'"a"', b'"\\u0061"')),
    ok(
        "deep_beside.jsonl",
        LINE + b'{"user":"c","item":"z","time":3,"more":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
        (*READ, ("c", "z", 3)),
    ),
    ok("typed.parquet", parquet(TYPED)),
    ok("coded.parquet", parquet(typed(user=pa.array(["a", "b"]).dictionary_encode()))),
    ok(
        "numbers.parquet",
        parquet(typed(user=[7, 8], item=pa.array([2**63, 1], pa.uint64()))),
        (("7", str(2**63), 100), ("8", "1", 200)),
    ),
    ok(
        "lists.parquet",
        parquet({"user": ["a"], "item": [["x", "y"]], "time": [[1, 2]]}),
        (("a", "x", 1), ("a", "y", 2)),
    ),
    ok("typed.arrow", arrow(TYPED)),
    ok("packed.arrow", arrow(TYPED, "zstd")),
    ok("packed.feather", arrow(TYPED, "lz4")),
    # rows that cannot be used
    row("no_user.csv", GOOD + b",z,3\n", "row 4: column 'user': no id", user_no_id=1),
    row("no_item.csv", GOOD + b"c,,3\n", "row 4: column 'item': no id", item_no_id=1),
    row("no_time.csv", GOOD + b"c,z,\n", "row 4: column 'time': no time", time_no_time=1),
    row("short.csv", GOOD + b"c,z\n", r"row 4: .*2 instead of 3", wrong_number=1),
    row(
        "short_between.csv",
        csv_of("a,x,100", "c", "c", "b,y,200", ",z,1"),
        "row 3: .*1 instead of 3",
        wrong_number=2,
        user_no_id=1,
    ),
    row("long.csv", GOOD + b"c,z,3,4\n", r"row 4: .*4 instead of 3", wrong_number=1),
    row("wide_row.csv", GOOD + b"," * 1_000_000 + b"\n", r"row 4: .*1000001 instead of 3", wrong_number=1),
    row("latin1.csv", GOOD + "zo\u00eb,z,3\n".encode("latin-1"), "row 4: column 'user': not UTF-8", user_not_UTF=1),
    row("overlong.csv", GOOD + b"\xc0\xaf,z,3\n", "row 4: column 'user': not UTF-8", user_not_UTF=1),
    row("surrogate.csv", GOOD + b"\xed\xa0\x80,z,3\n", "row 4: column 'user': not UTF-8", user_not_UTF=1),
    row("line_break.csv", GOOD + b'"c\nd",z,3\n', "row 4: column 'user': a line break", user_a_line=1),
    row("long_id.csv", GOOD + b"c" * 1001 + b",z,3\n", "row 4: column 'user': longer", user_longer=1),
    row("word_as_time.csv", GOOD + b"c,z,soon\n", "row 4: column 'time': unreadable.*soon", time_unreadable=1),
    row("nan_time.csv", GOOD + b"c,z,nan\n", "row 4: column 'time': unreadable", time_unreadable=1),
    row("inf_time.csv", GOOD + b"c,z,-inf\n", "row 4: column 'time': unreadable", time_unreadable=1),
    row("hex_time.csv", GOOD + b"c,z,0x10\n", "row 4: column 'time': unreadable", time_unreadable=1),
    row("huge_time.csv", GOOD + b"c,z,1e300\n", "row 4: column 'time'", time_=1),
    row("time_2_63.csv", GOOD + b"c,z,9223372036854775808\n", "row 4: column 'time'", time_=1),
    row(
        "february_30.csv",
        csv_of("a,x,1970-01-01", "c,z,2024-02-30"),
        "row 3: column 'time'.*2024-02-30",
        (("a", "x", 0),),
        time_unreadable=1,
    ),
    row("seconds_and_ms.csv", GOOD + f"c,z,{MS}\n".encode(), "row 4: column 'time': another kind", time_another=1),
    row(
        "ms_and_seconds.csv",
        csv_of(f"a,x,{MS}", "c,z,5"),
        "row 3: column 'time': another kind",
        (("a", "x", MS // 1000),),
        time_another=1,
    ),
    row("number_and_iso.csv", GOOD + b"c,z,2024-01-01\n", "row 4: column 'time': another kind", time_another=1),
    row(
        "zones.csv",
        csv_of("a,x,1970-01-01T00:00:07", "a,y,1970-01-01T00:00:09Z"),
        "row 3: column 'time': another kind",
        (("a", "x", 7),),
        time_another=1,
    ),
    row("two_units.csv", GOOD + b"c,z,50000000000\n", "row 4: column 'time': a time after 2100.*time_unit", time_a=1),
    row(
        "all_of_two_units.csv",
        csv_of("c,z,50000000000"),
        "row 2: column 'time': a time after 2100.*time_unit",
        (),
        time_a=1,
    ),
    row(
        "two_units_in_us.csv",
        csv_of("a,x,1600000000000000", "c,z,50000000000000"),
        "row 3: column 'time': a time after 2100",
        (("a", "x", 1_600_000_000),),
        time_a=1,
    ),
    row("unusable.jsonl", LINE + b'{"user":\n', "row 3: unusable line", unusable=1),
    row(
        "two_in_a_line.jsonl",
        LINE + b"\n" + LINE.replace(b"\n", b"") + b"\n",
        "row 4: unusable line",
        unusable=1,
        blank=1,
    ),
    row("over_two_lines.jsonl", LINE + b'{"user":"c",\n"item":"z","time":1}\n', "row 3: unusable line", unusable=2),
    row("key_twice.jsonl", LINE + b'{"user":"c","user":"d","item":"z","time":1}\n', "row 3: .*twice", unusable=1),
    row("bool_user.jsonl", LINE + b'{"user":true,"item":"z","time":1}\n', "row 3: .*user is true or false", unusable=1),
    row(
        "float_user.jsonl",
        LINE + b'{"user":1.9,"item":"z","time":1}\n',
        "row 3: .*user is a number with a fraction",
        unusable=1,
    ),
    row(
        "object_item.jsonl", LINE + b'{"user":"c","item":{"id":1},"time":1}\n', "row 3: .*item is an object", unusable=1
    ),
    row("half_a_pair.jsonl", LINE + b'{"user":"\\ud800","item":"z","time":1}\n', "row 3", unusable=1),
    row("nan.jsonl", LINE + b'{"user":"c","item":"z","time":NaN}\n', "row 3: .*time", time_unreadable=1),
    row("null.jsonl", LINE + b'{"user":null,"item":"z","time":1}\n', "row 3: column 'user': no id", user_no_id=1),
    row("no_key.jsonl", LINE + b'{"item":"z","time":1}\n', "row 3: column 'user': no id", user_no_id=1),
    row("digits.jsonl", LINE + b'{"user":"c","item":"z","time":' + b"9" * 5000 + b"}\n", "row 3", unusable=1),
    row("null.parquet", parquet(typed(user=["a", None])), "row 2: column 'user': no id", READ[:1], user_no_id=1),
    row("nan_time.parquet", parquet(typed(time=[100.0, float("nan")])), "row 2: column 'time'", READ[:1], time_=1),
    row(
        "far.parquet",
        parquet(typed(time=pa.array([100_000, 2**50], pa.timestamp("ms")))),
        "row 2: column 'time': .*9999",
        READ[:1],
        time_=1,
    ),
    row(
        "lengths.parquet",
        parquet({"user": ["a", "b"], "item": [["x"], ["y", "z"]], "time": [[100], [1]]}),
        "row 2: .*length",
        READ[:1],
        items_and=1,
    ),
    row(
        "bytes.parquet",
        parquet(typed(user=pa.array([b"a", b"\xff"], pa.binary()))),
        "row 2: column 'user': not UTF-8",
        READ[:1],
        user_not_UTF=1,
    ),
    # files that are none
    no("empty.csv", b"", "is empty"),
    no("only_bom.csv", b"\xef\xbb\xbf", "is empty"),
    no("only_spaces.csv", b"  \n \n", "is empty"),
    no("header.csv", b"user,item,time\n", "only a header"),
    no("no_column.csv", b"user,itme,time\na,x,1\n", "no column 'item'; did you mean 'itme'"),
    no("column_twice.csv", b"user,item,time,user\na,x,1,b\n", "'user' stands 2 times"),
    no("semicolons.csv", GOOD.replace(b",", b";"), "did you mean delimiter: ';'"),
    no("spaces_for_tabs.tsv", GOOD.replace(b",", b" "), "one column"),
    no("nul.csv", GOOD + b"c\0,z,3\n", "line 4: a NUL byte"),
    no("utf16.csv", GOOD.decode().encode("utf-16"), "UTF-16"),
    no("utf32.csv", GOOD.decode().encode("utf-32-be"), "NUL byte"),
    no("unclosed.csv", b'user,item,time\n"a,x,1\n' + b"b,y,2\n" * 3_000_000, "quote"),
    no("unclosed_short.csv", b'user,item,time\na,"x,1\nb,y,2\n', "row 2: .*quote"),
    no("million_columns.csv", WIDE, "1000000 columns"),
    no("million_columns.csv.gz", gzip.compress(WIDE, 1), "1000000 columns"),
    no("one_long_line.csv", b"user,item," + b"t" * (20 << 20), "longer than"),
    no("line_ends.csv", GOOD + b"\n" * 4_000_000, "line ends"),
    no("html.csv", b"<!DOCTYPE html>\n<html><body>404</body></html>\n", "one column"),
    no("zip.csv", b"PK\3\4" + bytes(100), "is zip"),
    no("gzip.csv", gzip.compress(GOOD), "is gzip"),
    no("torn.csv.gz", gzip.compress(GOOD * 100)[:-9], "no whole gzip"),
    no("flipped.csv.gz", gzip.compress(GOOD)[:-6] + b"\0" * 6, "no whole gzip"),
    no("padded.csv.gz", gzip.compress(GOOD) + b"more", "no whole gzip"),
    no("no_text.csv.gz", gzip.compress(bytes(1000)), "NUL"),
    no("list.jsonl", b"[1]\n", "line 1: .*object"),
    no("deep.jsonl", b'{"user":' + b"[" * 1_000_000 + b"\n", "line 1"),
    no("first_is_bool.jsonl", b'{"user":true,"item":"z","time":1}\n', "user.*bool"),
    no("first_is_float.jsonl", b'{"user":7.0,"item":"z","time":1}\n', "user.*double.*7.0"),
    no("magic.parquet", b"PAR1" + bytes(40) + b"PAR1", "parquet"),
    no("torn.parquet", parquet(TYPED)[:-20], "parquet"),
    no(
        "long_footer.parquet",
        b"PAR1" + bytes(20 << 20) + (18 << 20).to_bytes(4, "little") + b"PAR1",
        "describes its columns",
    ),
    no("bool_ids.parquet", parquet(typed(user=[True, False])), "user.*bool"),
    no("float_ids.parquet", parquet(typed(item=[1.9, 2.0])), "item.*double.*7.0"),
    no("date_ids.parquet", parquet(typed(item=pa.array([1, 2], pa.date32()))), "item.*date"),
    no("no_rows.parquet", parquet({n: pa.array([], pa.string()) for n in TYPED}), "no rows"),
    no("struct.parquet", parquet(typed(item=[{"a": 1}, {"a": 2}])), "item.*struct"),
    no("torn.arrow", arrow(TYPED)[:-30], "arrow"),
    no("cut.arrow", arrow(TYPED)[:300] + arrow(TYPED)[-60:], "arrow|Arrow"),
    no("unknown.xlsx", b"PK\3\4", "says no format"),
]


ENDINGS = ("csv", "tsv", "jsonl", "parquet", "csv.gz")
IDS = ("a", "b", "7", "007", "7.0", "nan", "-1", "caf\u00e9", "x y", "\u9774", "1e5", "true", str(2**64))
FAULTS = {"user: no id": "", "time: unreadable": "soon", "time: no time": "", "time: another": str(MS)}


def generated(seed):
    """A file of 1 to 40 rows, about a third of which have a fault."""
    draw = random.Random(seed)
    ending = draw.choice(ENDINGS)
    good, rows, dropped = [], [], {}
    for number in range(draw.randint(1, 40)):
        cells = [draw.choice(IDS), draw.choice(IDS), str(1_600_000_000 + draw.randint(0, 10**6))]
        fault = draw.choice([None, None, *FAULTS]) if number and ending != "parquet" else None
        if fault is None:
            good.append((cells[0], cells[1], int(cells[2])))
        else:
            cells[0 if fault.startswith("user") else 2] = FAULTS[fault]
            dropped[fault] = dropped.get(fault, 0) + 1
        rows.append(cells)
    data = WRITERS[ending.removesuffix(".gz")](rows, draw)
    data = gzip.compress(data) if ending.endswith(".gz") else data
    return Dirty(f"made_{seed}.{ending}", data, tuple(good), dropped, "row" if dropped else None)


def damaged(seed):
    """The same with some bytes changed, cut off, doubled or put in: nobody knows what is right, only what is not."""
    draw, made = random.Random(seed), generated(seed)
    data = bytearray(made.data)
    for _ in range(draw.randint(1, 4)):
        at, kind = draw.randrange(len(data) + 1), draw.randrange(5)
        if kind == 0:
            data[at : at + 1] = bytes([draw.randrange(256)])
        elif kind == 1:
            data[at:at] = draw.choice(
                [b'"', b"\0", b"\n", b"\r", b",", b"\t", b"\xff", b"{", b"}", b"[", b"\\", b"\x1a", b";;"]
            )
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            data[at:at] = data[at : at + draw.randrange(30)]
        elif data:
            data[at % len(data)] ^= 1 << draw.randrange(8)
        data = data or bytearray(b"\n")
    return Dirty(made.name, bytes(data), None, {}, None)


def _csv(delimiter):
    def write(rows, draw):
        quote, end = draw.random() < 0.5, draw.choice(["\n", "\r\n"])
        cell = (lambda text: f'"{text}"') if quote else str
        text = end.join(delimiter.join(map(cell, cells)) for cells in [["user", "item", "time"], *rows])
        return (
            (b"\xef\xbb\xbf" if draw.random() < 0.2 else b"")
            + text.encode()
            + (end.encode() if draw.random() < 0.8 else b"")
        )

    return write


def _jsonl(rows, draw):
    lines = []
    for user, item, time in rows:
        found = {"user": user, "item": item, "time": int(time) if time.isdigit() and draw.random() < 0.9 else time}
        names = draw.sample(list(found), 3)
        lines.append(
            json.dumps({name: found[name] for name in names if found[name] != ""}, ensure_ascii=draw.random() < 0.5)
        )
    lines[0] = json.dumps(dict(zip(("user", "item", "time"), rows[0], strict=True)))
    return ("\n".join(lines) + "\n").encode()


def _parquet(rows, draw):
    user, item, time = (list(column) for column in zip(*rows, strict=True))
    times = np.array(time, np.int64)
    options = {"compression": draw.choice(["none", "snappy", "zstd"]), "use_dictionary": draw.random() < 0.5}
    return parquet({"user": user, "item": item, "time": times}, row_group_size=draw.randint(1, 50), **options)


WRITERS = {"csv": _csv(","), "tsv": _csv("\t"), "jsonl": _jsonl, "parquet": _parquet}
