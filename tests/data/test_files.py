"""Your own files as a data set: side tables, and an identity that changes with the contents and nothing else."""

import os

import pytest

from lifelong.core.config import build
from lifelong.core.errors import ConfigError, DataError
from lifelong.data.datasets.files import Files
from lifelong.data.prepare import prepare

EVENTS = "user,item,time\n007,x,3\n7,y,1\n007,z,2\n"


def made(folder, **options):
    folder.mkdir(exist_ok=True)
    (folder / "events.csv").write_text(EVENTS)
    (folder / "items.csv").write_text("item,domain\nx,book\ny,\nunseen,film\n")
    (folder / "users.tsv").write_text("user\tage\n007\t18-24\n")
    paths = {"events": "events.csv", "items": "items.csv", "users": "users.tsv"}
    return Files(build(Files.Config, {n: str(folder / p) for n, p in paths.items()} | options, "files"))


def test_by_hand(tmp_path):
    prepared = prepare(made(tmp_path / "own"), tmp_path / "cache")
    assert prepared.users.to_pydict() == {"id": ["007", "7"], "age": ["18-24", None]}
    assert prepared.items.to_pydict() == {"id": ["x", "y", "z"], "domain": ["book", None, None]}
    assert prepared.items_E.tolist() == [2, 0, 1]
    assert prepared.name == "files"
    assert prepared.label_cuts == {}


def test_the_identity_is_that_of_the_contents(tmp_path):
    here, there = made(tmp_path / "here"), made(tmp_path / "there")
    assert here.identity() == there.identity()
    os.utime(tmp_path / "there" / "events.csv", ns=(1, 1))
    assert here.identity() == there.identity()
    for name in ("events.csv", "items.csv", "users.tsv"):
        path = tmp_path / "there" / name
        before = path.read_text()
        path.write_text(before.replace("x", "w").replace("18", "19"))
        assert here.identity() != there.identity(), name
        path.write_text(before)
    assert here.identity() != made(tmp_path / "here", on_bad_rows="drop").identity()
    assert here.identity() != made(tmp_path / "here", columns={"tie": "time"}).identity()


def test_options_are_checked(tmp_path):
    with pytest.raises(ConfigError, match="'events' is missing"):
        build(Files.Config, {}, "files")
    with pytest.raises(ConfigError, match="format"):
        made(tmp_path, format="xml")
    with pytest.raises(ConfigError, match="did you mean 'user'"):
        made(tmp_path, columns={"usr": "x"})


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("items.csv", "id,domain\nx,book\n", "no column 'item' for the id"),
        ("items.csv", "itme,domain\nx,book\n", "did you mean 'itme'"),
        ("items.csv", "item,domain\nx,book\nx,film\n", "'x' stands more than once"),
        ("items.csv", "item,domain\n,book\n", "no id in 1 of 1 rows"),
        ("items.csv", "item,id\nx,1\n", "there is also a column 'id'"),
        ("users.tsv", "user\tage\n007\t18\n007\t19\n", "stands more than once"),
        ("users.tsv", "user\tage\n007\n", "row 2: wrong number of columns"),
    ],
)
def test_a_side_table_that_is_wrong(tmp_path, name, text, says):
    source = made(tmp_path / "own")
    (tmp_path / "own" / name).write_text(text)
    with pytest.raises(DataError, match=says) as caught:
        prepare(source, tmp_path / "cache")
    assert str(tmp_path / "own" / name) in str(caught.value)
    assert "007" not in str(caught.value)


def test_bad_rows_are_refused_or_counted(tmp_path):
    source = made(tmp_path / "own")
    (tmp_path / "own" / "events.csv").write_text(EVENTS + ",x,5\n7,x,soon\n")
    with pytest.raises(DataError, match=r"events\.csv: row 5: column 'user'"):
        prepare(source, tmp_path / "cache")
    source = Files(Files.Config(events=source.config.events, on_bad_rows="drop"))
    report = prepare(source, tmp_path / "cache").report
    assert (report.rows_read, report.rows_used) == (5, 3)
    assert sorted(report.dropped.values()) == [1, 1]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: cannot be read"):
        prepare(Files(Files.Config(events=str(tmp_path / "none.csv"))), tmp_path)
