"""The batch commands on the tiny world: the files hold what the commands for one file print."""

import json

import pyarrow.parquet as pq
import pytest


@pytest.fixture
def folder(files, tmp_path):
    """The users of events.csv, in two files."""
    lines = (files / "events.csv").read_text().splitlines()
    (tmp_path / "events").mkdir()
    for name, users in (("a", ("u0", "u1")), ("b", ("u2", "u3", "u4"))):
        rows = [line for line in lines[1:] if line.partition(",")[0] in users]
        (tmp_path / "events" / f"{name}.csv").write_text("\n".join([lines[0], *rows, ""]))
    return tmp_path / "events"


def test_recommend(run, grown, files, folder, tmp_path):
    done = run("batch", "recommend", grown, "--input", folder, "--out", tmp_path / "out", "-k", 2, "--json").document
    assert (done["made"], done["complete"], done["totals"]["users_answered"]) == (2, True, 5)
    rows = run("recommend", grown, files / "events.csv", "-k", 2, "--json").document
    found = pq.read_table(tmp_path / "out").to_pylist()
    assert [row["item"] for row in found] == [item for row in rows for item in row["items"]]
    assert [row["score"] for row in found] == [score for row in rows for score in row["scores"]]
    assert [row["rank"] for row in found] == [1, 2] * 5
    said = run("batch", "recommend", grown, "--input", folder, "--out", tmp_path / "out", "-k", 2)
    assert "0 partitions answered, 2 were done already" in said.out


def test_represent_and_predict_by_shards(run, grown, folder, tmp_path):
    for shard in ("0/2", "1/2"):
        given = ("--input", folder, "--out", tmp_path / "v", "--shard", shard)
        done = run("batch", "represent", grown, *given, "--json").document
        assert done["shard"] == shard
    assert done["complete"]
    assert json.loads((tmp_path / "v" / "_manifest.json").read_text())["complete"]
    assert pq.read_table(tmp_path / "v").column_names == ["user", "vector"]
    given = ("--input", folder / "a.csv", folder / "b.csv", "--out", tmp_path / "p", "--task", "label")
    assert run("batch", "predict", grown, *given).code == 0
    ranked = pq.read_table(tmp_path / "p").to_pylist()
    assert {row["user"] for row in ranked if row["rank"] == 1} == {f"u{n}" for n in range(5)}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--shard", "2/2"), "--shard 2/2: write I/N with I from 0 to N - 1"),
        (("--task", "lable"), "no task 'lable'; did you mean 'label'"),
        (("-k", "0"), "k is 0"),
        (("--index", "an"), "'an' is not one of exact, ann"),
    ],
)
def test_a_wrong_call_writes_nothing(run, grown, folder, tmp_path, arguments, said):
    done = run("batch", "recommend", grown, "--input", folder, "--out", tmp_path / "out", *arguments)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert said in done.err
    assert not (tmp_path / "out").exists()


def test_an_approximate_index_says_how_good_it_is(run, grown, folder, tmp_path):
    pytest.importorskip("faiss", reason="the extra 'faiss' is not installed")
    done = run("batch", "recommend", grown, "--input", folder, "--out", tmp_path / "out", "--index", "ann")
    assert "approximate" in done.out
    assert "100.0% of the exact lists" in done.out
