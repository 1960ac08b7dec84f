"""Checking a file: what is said of it, with counts that add up and no id of a user in it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong.core.errors import DataError
from lifelong.data.check import check
from lifelong.data.events import Columns

LINES = [
    "who;what;when;price",
    "secret-1;007;1600000000;3",
    "secret-1;7;1600000500;3",
    "secret-1;7;1600000500;3",
    "secret-2;x;1600000900;3",
    "secret-2;y;1600000100;3",
    "secret-3;x;1600000400;3",
    ";x;1600000400;3",
    "secret-3;x;soon;3",
    "secret-3;x",
]
COLUMNS = Columns(user="who", item="what", time="when")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("\n".join(LINES) + "\n")
    return path


def test_by_hand(path):
    report = check(path, COLUMNS, delimiter=";")
    assert (report.format, report.delimiter) == ("csv", ";")
    assert report.columns == {"user": "who", "item": "what", "time": "when"}
    assert report.ignored == ["price"]
    assert (report.rows.rows_read, report.rows.rows_used) == (9, 6)
    assert sorted(report.rows.dropped.values()) == [1, 1, 1]
    assert sorted(report.examples.values()) == [8, 9, 10]
    assert (report.users, report.items) == (3, 4)
    assert (report.first, report.last, report.times) == (1_600_000_000, 1_600_000_900, "seconds")
    said = " | ".join(report.warnings)
    for part in ("leading zeros", "'007' and '7'", "1 rows repeat", "not in the order of time", "fewer than 3 events"):
        assert part in said


def test_it_is_plain_json_and_lines_without_ids_of_users(path):
    report = check(path, COLUMNS, delimiter=";")
    text = json.dumps(report.as_dict(), allow_nan=False)
    shown = dict(report.lines())
    assert "secret" not in text + str(shown)
    assert shown["rows read"] == "9"
    assert "2020-09-13 12:26:40 UTC" in shown["from … to"]
    assert len(shown) == len(report.lines()), "a name stands twice"
    assert all(isinstance(value, str) and "\n" not in value for value in shown.values())


def test_user_ids_that_differ_in_zeros_are_counted_not_shown(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("user,item,time\n0042,x,1\n42,x,2\n")
    report = check(path, Columns())
    assert any("1 ids of users" in warning for warning in report.warnings)
    assert "42" not in str(report.warnings)


def test_nothing_usable_is_a_report_and_nothing_readable_an_error(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("user,item,time\na,x,soon\n,y,1\n")
    report = check(path, Columns())
    assert (report.rows.rows_used, report.users, report.first) == (0, 0, None)
    assert "no row can be used" in report.warnings
    assert report.lines()
    for text in ("", "user,item,time\n", "a,b\n1,2\n"):
        path.write_text(text)
        with pytest.raises(DataError, match=r"a\.csv"):
            check(path, Columns())


def test_without_times(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("user,item\na,x\na,x\n")
    report = check(path, Columns(time=None))
    assert (report.first, report.last) == (None, None)
    assert "order of the file" in report.times


CELLS = st.sampled_from(["", "1", "01", " 1", "x", "1e400", "-5", "99999999999999999", "2020-01-01"])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=2, max_size=4), min_size=1, max_size=20))
def test_counts_always_add_up(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "check.csv"
    path.write_text("\n".join(["user,item,time", *(",".join(row) for row in rows)]) + "\n")
    report = check(path, Columns())
    assert report.rows.rows_read == len(rows)
    assert report.rows.rows_used + sum(report.rows.dropped.values()) == len(rows)
    json.dumps(report.as_dict(), allow_nan=False)
    assert all("\n" not in value for _, value in report.lines())
