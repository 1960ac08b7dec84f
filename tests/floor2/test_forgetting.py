"""The forgetting run: conure exactly zero, the control above zero, and a killed run that goes on to the same document."""

import csv
import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
import worlds
import yaml

from lifelong import run_forgetting
from lifelong.core.errors import ConfigError, UsageError
from lifelong.core.written import write_whole
from lifelong.forgetting.run import _claim_folder, covers
from lifelong.model.task import Task

STRATEGIES = ["conure", "sequential"]
MORE = ["conure", "sequential", "joint", "scratch"]
KEYS = {"tasks", "metric", "matrix", "backward_transfer", "forgetting", "changed_bits", "parameters", "seconds"}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    folder, paths = tmp_path_factory.mktemp("tasks"), []
    for task in (
        worlds.first(),
        worlds.label(0, fit={"epochs": 2, "lr": 0.02}),
        worlds.cross(1, fit={"epochs": 2, "lr": 0.02}),
    ):
        paths.append(folder / f"{task['name']}.yaml")
        paths[-1].write_text(yaml.safe_dump(task))
    return paths


@pytest.fixture(scope="module")
def finished(tasks, cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIFELONG_CACHE", str(cache))
        patch.setattr("os.cpu_count", lambda: 1)  # in this process: the tests' machine is small
        yield out, run_forgetting(tasks, STRATEGIES, out)


def test_conure_keeps_and_the_control_forgets(finished):
    out, document = finished
    written = json.loads((out / "forgetting.json").read_text())
    assert written["strategies"] == document["strategies"]
    conure, sequential = (written["strategies"][name] for name in STRATEGIES)
    assert set(conure) >= KEYS
    assert conure["changed_bits"] == 0
    assert conure["forgetting"] == 0.0
    assert sequential["changed_bits"] > 0
    assert sequential["matrix"][-1][0] != sequential["matrix"][0][0]
    assert [len(set(prints) - {None}) for prints in conure["fingerprints"].values()] == [1, 1, 1]
    for strategy in (conure, sequential):
        assert strategy["matrix"][0][1:] == [None, None]
        assert all(value is not None for value in strategy["matrix"][-1])
    rows = list(csv.DictReader((out / "forgetting.csv").open()))
    assert {row["strategy"] for row in rows} == set(STRATEGIES)
    page = (out / "report.html").read_text()
    assert "sequential" in page
    attacked = written["membership"]
    assert list(attacked) == conure["tasks"]
    assert any("attacks" in found for found in attacked.values())
    assert "Who was learned from" in page
    assert written["statistics"]["advice"] == {}, "one strategy that isolates leaves no choice"
    assert "http" not in page.split("</style>")[1]


def test_a_killed_run_goes_on(finished, tasks, tmp_path):
    out, document = finished
    half = shutil.copytree(out, tmp_path / "half")
    steps = json.loads((half / "steps" / "sequential.json").read_text())
    (half / "steps" / "sequential.json").write_text(
        json.dumps(steps[:2])
    )  # the third task is committed, not yet measured
    (half / "forgetting.json").unlink()
    again = run_forgetting(tasks, STRATEGIES, half)
    assert again["strategies"] == document["strategies"]


def test_a_run_killed_while_it_writes_goes_on(finished, tasks, tmp_path):
    """The planted fault: a step file written in place would be half there."""
    out, document = finished
    half = shutil.copytree(out, tmp_path / "half")
    steps = half / "steps" / "sequential.json"
    steps.write_text(json.dumps(json.loads(steps.read_text())[:2]))
    (half / "forgetting.json").unlink()
    before = steps.read_bytes()
    with killed_before("sequential.json"), pytest.raises(KeyboardInterrupt):
        run_forgetting(tasks, STRATEGIES, half)
    assert steps.read_bytes() == before
    assert run_forgetting(tasks, STRATEGIES, half)["strategies"] == document["strategies"]


def test_a_run_killed_while_it_claims_its_folder_goes_on(tasks, tmp_path):
    read = [Task.read(path) for path in tasks]
    with killed_before("run.json"), pytest.raises(KeyboardInterrupt):
        _claim_folder(read, 0, tmp_path / "run", False)
    assert not (tmp_path / "run" / "run.json").exists()
    _claim_folder(read, 0, tmp_path / "run", False)
    assert "key" in json.loads((tmp_path / "run" / "run.json").read_text())


def test_a_text_is_there_as_a_whole_or_not_at_all(tmp_path):
    write_whole(tmp_path / "x.json", "old")
    with killed_before("x.json"), pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "x.json", "new")
    assert (tmp_path / "x.json").read_text() == "old"
    write_whole(tmp_path / "x.json", "new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["new"]


@contextmanager
def killed_before(name):
    """The process is killed just before the file of that name is put in place."""
    replace = os.replace

    def replaced(source, target):
        if Path(target).name == name:
            raise KeyboardInterrupt
        replace(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.replace", replaced)
        yield


def test_another_run_does_not_write_over_this_one(finished, tasks):
    out, _ = finished
    with pytest.raises(UsageError, match="other tasks or settings"):
        run_forgetting(tasks[:2], STRATEGIES, out)
    with pytest.raises(UsageError, match="at least two tasks"):
        run_forgetting(tasks[:1], STRATEGIES, out)
    with pytest.raises(ConfigError, match="did you mean 'conure'"):
        run_forgetting(tasks, ["conur"], out)
    with pytest.raises(ConfigError, match="did you mean 'keep'"):
        run_forgetting(tasks, [{"name": "conure", "kep": 0.5}], out)
    with pytest.raises(UsageError, match="at least one strategy"):
        run_forgetting(tasks, [], out)


def test_a_strategy_with_options_stands_beside_the_bare_one(finished, tasks, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("LIFELONG_CACHE", str(cache))
    out, document = finished
    more = shutil.copytree(out, tmp_path / "more")
    both = ["conure", {"name": "conure", "keep": 0.6}]
    assert not covers(more, both, 1, 1)
    found = run_forgetting(tasks, both, more)
    bare, wider = (found["strategies"][name] for name in ("conure", "conure keep=0.6"))
    assert bare == document["strategies"]["conure"]
    owned = [next(e["share"] for e in s["capacity"] if e["task"] == "label_0") for s in (bare, wider)]
    assert owned[1] == pytest.approx(2 * owned[0], rel=0.1)
    assert wider["isolates"]
    assert "conure keep=0.6" in (more / "report.html").read_text()
    assert covers(more, both, 1, 1)


@pytest.mark.slow
def test_more_strategies_orders_and_seeds_are_added_to_what_is_there(finished, tasks, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("LIFELONG_CACHE", str(cache))
    out, document = finished
    more = shutil.copytree(out, tmp_path / "more")
    found = run_forgetting(tasks, MORE, more, orders=2, seeds=2)
    for name in STRATEGIES:
        assert found["strategies"][name]["matrix"] == document["strategies"][name]["matrix"]
    assert found["orders"] == [["next", "label_0", "cross_1"], ["next", "cross_1", "label_0"]]
    assert found["seeds"] == [0, 1]
    shorts = {name: [run for run in found["runs"] if run["strategy"] == name] for name in MORE}
    assert [len(shorts[name]) for name in MORE] == [4, 4, 4, 2]
    assert all(run["changed_bits"] == 0 for run in shorts["conure"])
    assert all(run["changed_bits"] > 0 for run in shorts["sequential"])
    statistics = found["statistics"]["strategies"]
    assert statistics["conure"]["forgetting"] == {
        "mean": 0.0,
        "low": 0.0,
        "high": 0.0,
        "seeds": 2,
        "values": [0.0, 0.0],
    }
    assert statistics["conure"]["intransigence"]["seeds"] == 2
    gain = found["statistics"]["tasks"]["conure"]["label_0"]["gain"]
    assert gain["low"] <= gain["mean"] <= gain["high"]
    assert found["statistics"]["tasks"]["scratch"]["label_0"]["gain"] is None
    assert covers(more, STRATEGIES, 2, 2)
    assert not covers(more, STRATEGIES, 3, 2)
    advice = found["statistics"]["advice"]
    assert list(advice) == ["label_0", "cross_1"], "after the first task"
    assert {found["use"] for found in advice.values()} <= {"conure", "scratch"}, "those that isolate"
    for kept in (more / "outcomes" / "scratch").glob("*.valid.npz"):
        kept.unlink()
    again = run_forgetting(tasks, MORE, more, orders=2, seeds=2)
    assert len(again["statistics"]["advice"]) == 2, "the other seed has them"
    for kept in more.rglob("outcomes/scratch/*.valid.npz"):
        kept.unlink()
    assert run_forgetting(tasks, MORE, more, orders=2, seeds=2)["statistics"]["advice"] == {}
    assert not covers(out, MORE, 1, 1)
