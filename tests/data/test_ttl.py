"""TTL in the format as downloaded: no header, no users, padding, double commas, no newline at the end; worked by hand."""

import numpy as np
import pytest
import releases
from given import histories

from lifelong.core.errors import DataError
from lifelong.core.fingerprint import canonical_json
from lifelong.data.datasets.ttl import FILES, VARIABLE, Ttl
from lifelong.data.formats import lines as module
from lifelong.data.formats.lines import read_lines
from lifelong.data.formats.padded import users_of
from lifelong.data.prepare import prepare

PRETRAIN, CLICK, AGE = (releases.TTL[FILES[task]] for task in ("pretrain", "click", "age"))


def folder_of(folder, **texts):
    folder.mkdir(exist_ok=True)
    for task, text in {"pretrain": PRETRAIN, "click": CLICK, "age": AGE, **texts}.items():
        (folder / FILES[task]).write_text(text)
    return folder


def source(folder, **options):
    return Ttl(Ttl.Config(path=str(folder), **options))


def prepared(folder, cache, **options):
    found = prepare(source(folder, **options), cache)
    return histories(found), found


def test_the_first_task_by_hand(tmp_path):
    found, data = prepared(folder_of(tmp_path / "ttl"), tmp_path / "cache")
    expected = [["7", "8", "9"], ["7", "7", "8", "10", "11"], ["12", "13", "14", "15", "16", "17"], ["7"]]
    assert sorted(found.values()) == sorted(expected)
    assert data.times_E[data.offsets_U1[:-1]].tolist() == [0] * 4
    assert data.report.rows_read == 24
    assert data.report.dropped == {"padding": 3 + 1 + 5}
    assert set(data.items["domain"].to_pylist()) == {"source"}
    assert data.users.column_names == ["id"]


def test_targets_come_after_the_whole_history(tmp_path):
    """Lines with one history are one user; 7 as a target is not 7 in a history; 3 twice in a line is one; 0 is padding."""
    found, data = prepared(folder_of(tmp_path / "ttl"), tmp_path / "cache", task="click")
    expected = [
        ["7", "8", "9", "click-3", "click-7", "click-5"],
        ["7", "7", "8", "10", "11", "click-3"],
        ["7", "click-3"],
    ]
    assert sorted(found.values()) == sorted(expected)
    domains = dict(zip(*(data.items[c].to_pylist() for c in ("id", "domain")), strict=True))
    assert {id for id, domain in domains.items() if domain == "click"} == {"click-3", "click-5", "click-7"}
    assert {id for id, domain in domains.items() if domain == "source"} == {"7", "8", "9", "10", "11"}
    assert data.report.dropped == {"padding": 3 + 1 + 3 + 5 + 1, "exact duplicates": 3 + 1}
    assert data.report.rows_read == 8 + 7 + 7 + 9


def test_labels_by_hand(tmp_path):
    """0 is a label like others; the user with two is the one whose history stands twice."""
    found, data = prepared(folder_of(tmp_path / "ttl"), tmp_path / "cache", task="age")
    age = dict(zip(*(data.users[c].to_pylist() for c in ("id", "age")), strict=True))
    by_history = {" ".join(items): age[user] for user, items in found.items()}
    assert by_history == {"7 8 9": "2", "7 7 8 10 11": "0", "12 13 14 15 16 17": "2", "7": None}
    assert data.report.dropped == {"padding": 3 + 1 + 5 + 5, "exact duplicates": 1}


def test_a_user_is_the_same_in_every_file_whatever_its_padding(tmp_path):
    folder = folder_of(tmp_path / "ttl", age=AGE.replace("0,0,0,7,8,9", "0,0,7,8,9"))
    users = [set(histories(prepare(source(folder, task=t), tmp_path / "c"))) for t in ("pretrain", "click", "age")]
    assert users[0] == users[2] > users[1]


def test_who_a_user_is():
    cells, lengths = np.array([1, 2, 1, 2, 3, 2, 1, 2, 2]), np.array([2, 3, 2, 2])
    one, two, three, four = users_of(cells, lengths).tolist()
    assert len({one, two, three, four}) == 4, "another order and another length is another user"
    assert users_of(np.array([1, 2]), np.array([2])).tolist() == [one]
    assert min(one, two, three, four) >= 0
    many = users_of(np.arange(10**5), np.ones(10**5, int))
    assert len(np.unique(many)) == 10**5


@pytest.mark.parametrize("size", [1, 7, 30, 10**6])
def test_the_size_of_a_piece_changes_nothing(tmp_path, monkeypatch, size):
    monkeypatch.setattr(module, "PIECE_BYTES", size)
    folder = folder_of(tmp_path / "ttl")
    tables = [
        [batch.table.to_pydict() for batch in source(folder, task=task).events()] for task in ("pretrain", "click")
    ]
    if size < 100:
        assert len(tables[0]) > 1
    monkeypatch.undo()
    for task, parts in zip(("pretrain", "click"), tables, strict=True):
        (whole,) = source(folder, task=task).events()
        joined = {(u, i, t) for part in parts for u, i, t in zip(part["user"], part["item"], part["time"], strict=True)}
        assert joined == set(zip(*(whole.table[c].to_pylist() for c in ("user", "item", "time")), strict=True))


ODD = {
    "last newline": lambda text: text + "\n",
    "blank lines": lambda text: text.replace("\n", "\n\n") + "\n\n",
    "crlf": lambda text: text.replace("\n", "\r\n") + "\r\n",
    "bom": lambda text: "\ufeff" + text,
    "-1 as padding": lambda text: text.replace("0,", "-1,").replace("1-1", "10"),
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_but_readable(tmp_path, odd):
    expected, _ = prepared(folder_of(tmp_path / "ttl"), tmp_path / "cache", task="click")
    folder = folder_of(tmp_path / "odd", click=ODD[odd](CLICK))
    found, data = prepared(folder, tmp_path / "cache", task="click")
    assert found == expected
    assert data.report.dropped.get("blank line", 0) == (4 if odd == "blank lines" else 0)


BAD = {
    "1,2,3": ("row 2: no double comma between", 1),
    "1,2,,3,,4": ("row 2: an empty cell", 1),
    "1,,,3": ("row 2: an empty cell", 1),
    "1,,3,": ("row 2: an empty cell", 1),
    ",1,,3": ("row 2: an empty cell", 1),
    "1,2,,": ("row 2: an empty cell", 1),
    ",,": ("row 2: an empty cell", 1),
    "1,two,,3": (r"row 2: a cell that is no whole number \(cell 2: b'two'\)", 1),
    "1,2.0,,3": (r"row 2: a cell that is no whole number \(cell 2: b'2.0'\)", 1),
    "01,2,,3": (r"row 2: a cell that is no whole number \(cell 1: b'01'\)", 1),
    "1,2,,-3": (r"row 2: a cell that is no whole number \(cell 3: b'-3'\)", 1),
    "1,2,,12345678901234567890": ("row 2: a cell that is no whole number", 1),
    "1,zoë,,3": ("row 2: a cell that is no whole number", 1),
    "0,0,,3": ("row 2: a history of padding only", 1),
    "1,2,,0": ("row 2: no target but padding", 1),
}


@pytest.mark.parametrize("line", BAD)
def test_a_bad_line_is_named_or_counted(tmp_path, line):
    first, _, rest = CLICK.partition("\n")
    folder = folder_of(tmp_path / "ttl", click=f"{first}\n{line}\n{rest}")
    says, count = BAD[line]
    with pytest.raises(DataError, match=says) as caught:
        prepare(source(folder, task="click"), tmp_path / "cache")
    assert str(folder / FILES["click"]) in str(caught.value)
    assert "on_bad_rows: drop" in str(caught.value)
    expected, clean = prepared(folder_of(tmp_path / "clean"), tmp_path / "cache", task="click")
    found, data = prepared(folder, tmp_path / "cache", task="click", on_bad_rows="drop")
    assert found == expected
    assert data.report.rows_read == clean.report.rows_read + count
    assert sum(data.report.dropped.values()) == sum(clean.report.dropped.values()) + count


def test_a_label_is_one(tmp_path):
    folder = folder_of(tmp_path / "ttl", age=AGE + "\n1,2,,3,4")
    with pytest.raises(DataError, match="row 6: more than one label"):
        prepare(source(folder, task="age"), tmp_path / "cache")


def test_bytes_that_are_no_text(tmp_path):
    folder = folder_of(tmp_path / "ttl")
    (folder / FILES["click"]).write_bytes(CLICK.encode() + b"\n1,\xff,,3\n")
    with pytest.raises(DataError, match=r"row 5: a cell that is no whole number \(cell 2: b'\\xff'\)"):
        prepare(source(folder, task="click"), tmp_path / "cache")


WRONG = {
    "": "is empty",
    "7;8;9;;3\n": "row 1: no comma between cells; there is ';' instead",
    "7 8 9\t3\n": r"row 1: no comma between cells; there is '\\t' instead",
    "item_1,item_2,,target\n7,8,,3\n": "row 1: .* is no row of whole numbers; take a header away",
    "7,8,9\n7,8,,3\n": "row 1: no double comma .*; take the file of histories and targets",
    "7,8,\0,,3": "NUL",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_file_is_refused_at_once(tmp_path, text):
    folder = folder_of(tmp_path / "ttl", click=text)
    for way in ("error", "drop"):
        with pytest.raises(DataError, match=WRONG[text]):
            prepare(source(folder, task="click", on_bad_rows=way), tmp_path / "cache")


def test_targets_where_none_belong(tmp_path):
    folder = folder_of(tmp_path / "ttl", pretrain=CLICK)
    with pytest.raises(DataError, match=r"row 1: a double comma.*; take the file of histories alone"):
        prepare(source(folder), tmp_path / "cache")
    folder = folder_of(tmp_path / "ttl", pretrain=PRETRAIN + "\n" + CLICK)
    with pytest.raises(DataError, match="row 5: a double comma"):
        prepare(source(folder), tmp_path / "cache")


def test_where_the_files_are(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(DataError, match=rf"tasks/ttl/README.md.*{VARIABLE}"):
        Ttl(Ttl.Config()).identity()
    folder = folder_of(tmp_path / "ttl")
    monkeypatch.setenv(VARIABLE, str(folder))
    assert Ttl(Ttl.Config()).identity() == source(folder).identity()
    with pytest.raises(DataError, match=r"lifestatus.csv: is not there; task life reads it, .*`file`"):
        source(folder, task="life").identity()
    (folder / "coldrec2_fine.csv").write_text(CLICK)
    other = source(folder, task="click", file="coldrec2_fine.csv")
    assert canonical_json(other.identity()) == canonical_json(source(folder, task="click").identity())


def test_every_line_is_seen_once(tmp_path):
    """Random lines: cells and rows as Python's own split says."""
    random = np.random.default_rng(0)
    rows = [random.integers(0, 10**6, random.integers(2, 40)).tolist() for _ in range(300)]
    path = tmp_path / "lines.csv"
    path.write_text("\n".join(",".join(map(str, row[:-1])) + f",,{row[-1]}" for row in rows))
    (found,) = read_lines(path, two_parts=True)
    for n, (first, half, end) in enumerate(zip(found.firsts_N, found.halves_N, found.ends_N, strict=True)):
        assert found.cells_M[first:half].tolist() == rows[n][:-1]
        assert found.cells_M[half:end].tolist() == rows[n][-1:]
    assert found.rows_N.tolist() == list(range(1, 301))
