"""Histories for asking a model: sorted by user, oldest first, rows of equal time in their order."""

import pytest

from lifelong.core.errors import DataError
from lifelong.data.events import Columns
from lifelong.data.histories import read_histories


def items_of(read):
    users, histories = read
    return users, [[event.item for event in history] for history in histories]


def test_by_hand(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("user,item,time\nb,x,3\na,007,2\nb,y,1\nb,z,3\na,7,1\n")
    assert items_of(read_histories(path, Columns())) == (["a", "b"], [["7", "007"], ["y", "x", "z"]])


def test_kind_and_time_come_along(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("user,item,time,kind\na,x,20,buy\na,y,10,view\n")
    _, (history,) = read_histories(path, Columns(channel="kind"))
    assert history == [("y", "view", 10), ("x", "buy", 20)]


def test_parts_of_a_second_count(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("user,item,time\na,x,1600000000700\na,y,1600000000300\n")
    assert items_of(read_histories(path, Columns())) == (["a"], [["y", "x"]])


def test_without_times_the_rows_are_in_order(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"user":"b","item":["x","y"]}\n{"user":"a","item":["z"]}\n{"user":"b","item":["w"]}\n')
    assert items_of(read_histories(path, Columns(time=None))) == (["a", "b"], [["z"], ["x", "y", "w"]])


def test_nothing_is_an_error(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("user,item,time\n")
    with pytest.raises(DataError, match="only a header"):
        read_histories(path, Columns())
