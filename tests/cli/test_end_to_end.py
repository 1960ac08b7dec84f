"""The commands on a tiny invented world, each with --json; bad input gives one line, 2, and an untouched model."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import yaml
from small_world import FIRST, KNOWN, LABEL, hash_of

HISTORY = ("--history", ",".join(KNOWN))


@pytest.fixture
def copy(grown, tmp_path):
    """A copy of the model that may be changed."""
    return shutil.copytree(grown, tmp_path / "model")


def test_what_growing_prints(grown):
    first, second = (json.loads((grown.parent / f"{name}.json").read_text()) for name in ("pretrain", "add-task"))
    assert (first["task"], first["version"], first["changed"]) == ("next", 1, {})
    assert (second["task"], second["version"], second["changed"]) == ("label", 2, {"next": 0})
    assert second["free"] < first["free"] < 1


def test_a_dry_run_changes_nothing(run, grown, files, tmp_path):
    before = hash_of(grown)
    plan = run("add-task", grown, files / "label.yaml", "--set", "name=other", "--dry-run", "--json").document
    assert plan["task"] == "other"
    assert plan["trained"] > 0
    assert hash_of(grown) == before
    plan = run(
        "pretrain", tmp_path / "new", files / "first.yaml", "--dry-run", "--json", "--set", "fit.epochs=7"
    ).document
    assert plan["task"] == "next"
    assert not (tmp_path / "new").exists()


def test_evaluate(run, grown):
    measured = run("evaluate", grown, "--json").document
    assert list(measured) == ["next", "label"]
    assert all(measure.keys() == {"value", "low", "high", "n"} for row in measured.values() for measure in row.values())
    assert list(run("evaluate", grown, "label", "--part", "valid", "--json").document) == ["label"]
    assert "ndcg@10" in run("evaluate", grown, "next").out


def test_one_history(run, grown):
    assert len(run("represent", grown, *HISTORY, "--json").document["vector"]) == 16
    best = run("recommend", grown, *HISTORY, "-k", 4, "--no-repeats", "--json").document
    assert len(best["items"]) == len(best["scores"]) == 4
    assert not set(best["items"]) & set(KNOWN)
    said = run("predict", grown, *HISTORY, "--task", "label", "--json").document
    assert said["label"] == max(said["probabilities"], key=said["probabilities"].get)
    assert "100 %" not in run("predict", grown, *HISTORY, "--task", "label").out


def test_every_user_of_a_file(run, grown, files):
    rows = run("recommend", grown, files / "events.csv", "-k", 2, "--json").document
    assert [row["user"] for row in rows] == [f"u{n}" for n in range(5)]
    alone = run("recommend", grown, *HISTORY, "-k", 2, "--json").document
    assert {key: rows[0][key] for key in alone} == alone
    own = ("--user-col", "customer", "--item-col", "sku", "--time-col", "bought")
    assert run("recommend", grown, files / "own.csv", *own, "-k", 2, "--json").document == rows
    assert "u4" in run("recommend", grown, files / "events.csv").out


@pytest.mark.parametrize(
    ("command", "columns"),
    [
        (("represent",), ["user", "vector"]),
        (("recommend", "-k", 30), ["user", "items", "scores"]),  # 20 items there are
        (("predict", "--task", "label"), ["user", "label", "probabilities"]),
    ],
)
def test_files_of_answers_hold_the_same(run, grown, files, tmp_path, command, columns):
    out = {ending: tmp_path / f"users.{ending}" for ending in ("parquet", "jsonl", "csv")}
    for path in out.values():
        done = run(command[0], grown, files / "events.csv", *command[1:], "--out", path, "--json")
        assert done.document == {"users": 5, "out": str(path)}
    table = pq.read_table(out["parquet"])
    assert table.column_names == columns
    assert [json.loads(line) for line in out["jsonl"].read_text().splitlines()] == table.to_pylist()
    flat = pa.csv.read_csv(out["csv"])
    assert flat["user"].to_pylist() == table["user"].to_pylist()
    assert flat.num_columns > table.num_columns
    assert sorted(path.name for path in tmp_path.iterdir()) == ["users.csv", "users.jsonl", "users.parquet"]


def test_answers_do_not_depend_on_the_block(run, grown, files, monkeypatch):
    from lifelong.cli.commands import asking

    whole = run("represent", grown, files / "events.csv", "--json").document
    monkeypatch.setattr(asking, "BLOCK", 2)
    assert run("represent", grown, files / "events.csv", "--json").document == whole


def test_inspect_log_and_verify(run, grown):
    assert [task["name"] for task in run("inspect", grown, "--json").document["tasks"]] == ["next", "label"]
    assert [task["name"] for task in run("inspect", grown, "--version", 1, "--json").document["tasks"]] == ["next"]
    assert "label" in run("inspect", grown).out
    assert [entry["tasks"] for entry in run("log", grown, "--json").document] == [["next"], ["next", "label"]]
    check = run("verify", grown, "--json").document
    assert (check["ok"], check["version"], check["checked"]["tasks"], check["problems"]) == (True, 2, 2, [])


def test_verify_finds_a_flipped_bit(run, copy):
    victim = max((copy / "objects").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.chmod(0o644)
    victim.write_bytes(data)
    done = run("verify", copy, "--json")
    assert done.code == 1
    assert not done.document["ok"]
    assert victim.name in done.document["problems"][0]


def test_rollback(run, copy):
    assert run("rollback", copy, 1, "--json").document["version"] == 3
    assert [entry["tasks"] for entry in run("log", copy, "--json").document] == [["next"], ["next", "label"], ["next"]]
    assert run("rollback", copy, 3).code == 2
    assert run("rollback", copy, 9).code == 2


def test_data(run, files):
    checked = run("data", "check", files / "events.csv", "--json").document
    assert json.dumps(checked).count("15") >= 1
    prepared = run("data", "prepare", files / "first.yaml", "--json").document
    assert (prepared["name"], prepared["users"], prepared["items"]) == ("synthetic", 200, 60)
    assert "label_0" in run("data", "prepare", files / "first.yaml").out


def write(folder, name, values):
    path = folder / name
    path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    return path


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({**LABEL, "stratgy": "conure"}, "there is no option 'stratgy'; did you mean 'strategy'?"),
        ({**LABEL, "name": "../escape"}, "../escape"),
        ({**LABEL, "fit": {"epochs": "many"}}, "fit: epochs: expected a whole number, found 'many'"),
        ({**LABEL, "head": "clasification"}, "did you mean 'classification'?"),
        ({**LABEL, "name": "label"}, "is there already"),
        ({**LABEL, "name": "a", "parent": "nxt"}, "did you mean 'next'?"),
        ({**LABEL, "name": "a", "encoder": "sasrec"}, "chosen by a model's first task"),
        ({**LABEL, "name": "a", "strategy": "sequential"}, "--allow-forgetting"),
        ({**LABEL, "name": "a", "data": {**LABEL["data"], "label": "lable_0"}}, "did you mean 'label_0'?"),
        ("name: [", "line 1"),
        ("name: a\nname: b", "'name' stands twice"),
        ("", "expected a mapping"),
    ],
)
def test_a_bad_task_changes_nothing(run, grown, tmp_path, values, said):
    before = hash_of(grown)
    done = run("add-task", grown, write(tmp_path, "task.yaml", values), "--quiet")
    assert refused(done, said)
    assert hash_of(grown) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("represent", "headless.csv"), "there is no column 'user'"),
        (("represent", "empty.csv"), "empty.csv"),
        (("represent", "nowhere.csv"), "cannot be read"),
        (("represent", "strangers.csv"), "--unknown cold"),
        (("recommend", "--history", "nobody-knows"), "--unknown cold"),
        (("recommend", "--history", KNOWN[0], "-k", "0"), "at least one"),
        (("recommend", "--history", KNOWN[0], "--task", "label"), "use predict"),
        (("predict", "--history", KNOWN[0], "--task", "next"), "use recommend"),
        (("predict", "--history", KNOWN[0], "--task", "lable"), "did you mean 'label'?"),
        (("represent", "events.csv", "--history", "a"), "event file"),
        (("represent",), "event file"),
        (("represent", "events.csv", "--out", "users.xlsx"), "must end in .parquet, .csv, .jsonl"),
        (("represent", "events.csv", "--out", "nowhere/users.csv"), "there is no folder 'nowhere'"),
        (("evaluate", "lable"), "did you mean 'label'?"),
        (("inspect", "--version", "7"), "there is no version 7"),
        (("add-task", "nowhere.yaml"), "nowhere.yaml"),
        (("add-task", "label.yaml", "--set", "epochs"), "write it as key=value"),
    ],
)
def test_a_bad_question_changes_nothing(run, grown, files, monkeypatch, arguments, said):
    monkeypatch.chdir(files)
    before, there = hash_of(grown), sorted(files.iterdir())
    done = run(arguments[0], grown, *arguments[1:], "--quiet")
    assert refused(done, said)
    assert hash_of(grown) == before
    assert sorted(files.iterdir()) == there


def test_cold_users_are_answered_when_asked_for(run, grown, files):
    (row,) = run("represent", grown, files / "strangers.csv", "--unknown", "cold", "--json").document
    assert row == {"user": "u1", "vector": [0.0] * 16}


def test_no_model(run, tmp_path, files):
    for command in (
        ("inspect",),
        ("verify",),
        ("log",),
        ("evaluate",),
        ("rollback", "1"),
        ("add-task", files / "label.yaml"),
    ):
        assert refused(run(command[0], tmp_path / "none", *command[1:]), "there is no model")
    assert list(tmp_path.iterdir()) == []


def test_pretraining_where_a_model_is(run, grown, files):
    before = hash_of(grown)
    assert refused(run("pretrain", grown, files / "first.yaml"), "there is a model already")
    assert hash_of(grown) == before


def refused(done, said):
    assert (done.code, done.out) == (2, ""), done.err
    lines = done.err.splitlines()
    assert len(lines) == 1, lines
    assert said in lines[0]
    return lines[0].split(": ")[0].endswith("Error")


@pytest.mark.slow
def test_profile(run, grown, tmp_path):
    call = ("evaluate", grown, "--profile", "--folds", 2, "--repeats", 1, "--out", tmp_path / "out")
    document = run(*call, "--json", "--quiet").document
    task = document["tasks"]["label"]
    assert 0 < task["folds"]["users"] == task["unseen"] < task["drawn"]
    assert {"majority", "LR SVD64", "frozen vector + probe"} <= set(task["folds"]["methods"])
    assert json.loads((tmp_path / "out" / "profile.json").read_text())["tasks"] == document["tasks"]
    assert (tmp_path / "out" / "report.html").stat().st_size > 1000
    assert "unseen; those alone are asked" in run(*call[:-2], "label", "--quiet").out
    assert refused(run("evaluate", grown, "--profile", "next"), "predicts no class of users")


@pytest.mark.slow
def test_forgetting(run, files, tmp_path):
    out = tmp_path / "run"
    call = ("forgetting", files / "first.yaml", files / "label.yaml", "--strategies", "conure,sequential", "--out", out)
    document = run(*call, "--json", "--quiet").document
    assert document["strategies"]["conure"]["changed_bits"] == 0
    assert document["strategies"]["sequential"]["changed_bits"] > 0
    assert {"report.html", "forgetting.json", "forgetting.csv"} <= {path.name for path in out.iterdir()}
    before = (out / "forgetting.json").read_bytes()
    assert refused(run(*call), "--force")
    assert (out / "forgetting.json").read_bytes() == before
    assert Path(out / "report.html").stat().st_size > 1000
    assert FIRST["name"] in (out / "forgetting.csv").read_text()


@pytest.mark.slow
def test_doctor(run):
    report = run("doctor", "--json", "--quiet").document
    assert report["ok"]
    assert report["packages"]["torch"]
    assert report["torchvision"].split(":")[0] in (
        "native",
        "bridged",
        "absent",
        "imported before it could be looked at",
    )
