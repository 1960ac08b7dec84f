import csv

import pytest
from made_up import TASKS, document, many_runs

from lifelong.reports.csv import guarded, write_csv
from lifelong.reports.format import clean


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_one_row_per_learned_cell_in_full_precision(tmp_path):
    write_csv(document(), tmp_path / "r.csv")
    rows = read(tmp_path / "r.csv")
    assert len(rows) == 4 * 21
    assert list(rows[0]) == ["strategy", "after_task", "task", "metric", "value", "low", "high"]
    found = [r for r in rows if (r["strategy"], r["after_task"], r["task"]) == ("sequential", TASKS[3], TASKS[1])]
    assert len(found) == 1
    assert float(found[0]["value"]) == document()["strategies"]["sequential"]["matrix"][3][1]
    assert found[0]["metric"] == "ndcg@10"


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd", "-x", "@SUM(A1)", "  =1", "\t=1", "\r=1", "＝1", "-inf", "-1_0", "+-1"]
)
def test_formulas_are_guarded(text):
    assert guarded(text) == f"'{clean(text)}"


@pytest.mark.parametrize("value", ["-0.5", "+3", "-1e-5", "age=1", "", "a@b", -0.5, None])
def test_numbers_and_plain_text_are_left_alone(value):
    assert guarded(value) == value


def test_hostile_names_in_the_file(tmp_path):
    doc = {"strategies": {"=cmd|' /C calc'!A0": {"tasks": ['@a,"b"\nc'], "metric": ["-x"], "matrix": [[-0.25]]}}}
    write_csv(doc, tmp_path / "r.csv")
    (row,) = read(tmp_path / "r.csv")
    assert row["strategy"] == "'=cmd|' /C calc'!A0"
    assert row["task"] == '\'@a,"b"\nc'
    assert (row["metric"], row["value"], row["low"]) == ("'-x", "-0.25", "")


def test_nothing_to_write(tmp_path):
    write_csv({}, tmp_path / "r.csv")
    assert (tmp_path / "r.csv").read_text().strip() == "strategy,after_task,task,metric,value,low,high"


def test_every_run_has_its_rows_where_there_are_several(tmp_path):
    write_csv(many_runs(2, 3), tmp_path / "r.csv")
    rows = read(tmp_path / "r.csv")
    assert len(rows) == 4 * 21 * 6
    assert {(row["order"], row["seed"]) for row in rows} == {(o, s) for o in "12" for s in "012"}
    assert len([row for row in rows if row["low"]]) == 4 * 21
