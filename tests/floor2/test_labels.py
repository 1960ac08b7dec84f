"""Every kind of label from a file of users to answers: learnt, sealed, predicted, measured, cold users apart."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import worlds

from lifelong import LivingModel
from lifelong.asking.answers import LabelsPrediction, NumberPrediction, Prediction
from lifelong.cli import main
from lifelong.core.errors import ConfigError, DataError
from lifelong.core.progress import Silent
from lifelong.data.datasets.synthetic import Synthetic
from lifelong.model.cases import make_cases
from lifelong.model.task import as_task

COLD_USERS = 30


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The world's events, the first users cut down to a few, and labels of every kind in a file of users."""
    folder = tmp_path_factory.mktemp("files")
    source = Synthetic(Synthetic.Config(**{k: v for k, v in worlds.DATA.items() if k != "name"}))
    events = pa.concat_tables([batch.table.select(["user", "item", "time"]) for batch in source.events()])
    users, random = source.users(), np.random.default_rng(0)
    ids = users["id"].to_pylist()
    user_E, domain_E = (events[c].to_pylist() for c in ("user", "item"))
    known = {
        i for i, d in zip(*(source.items()[c].to_pylist() for c in ("id", "domain")), strict=True) if d == "domain_0"
    }
    cold, seen, kept = set(ids[:COLD_USERS]), {}, []
    for place, (user, item) in enumerate(zip(user_E, domain_E, strict=True)):
        seen[user] = seen.get(user, 0) + (item in known)
        if user not in cold or seen[user] <= 3:
            kept.append(place)
    pq.write_table(events.take(kept), folder / "events.parquet")
    classes = [int(name[-1]) for name in users["label_0"].to_pylist()]
    said = {
        "spend": [None if n % 17 == 3 else f"{1000 + 100 * c + random.normal():.2f}" for n, c in enumerate(classes)],
        "band": [["<18", "18-24", "25+"][c % 3] for c in classes],
        "tags": [["a"] * (c % 2) + ["b"] * (c > 0) + ["c"] for c in classes],
        "cat": [str(c % 2) for c in classes],
        "dog": [["no", "yes"][int(c > 0)] for c in classes],
    }
    pq.write_table(pa.table({"user": users["id"], **said}), folder / "users.parquet")
    return {"name": "files", "events": str(folder / "events.parquet"), "users": str(folder / "users.parquet")}


def task(files, name, label, head, **changes):
    data = {"dataset": files, "label": label, "split": "by_user"}
    return {"name": name, "head": head, "data": data, "strategy": "probe", "fit": {"epochs": 1}, **changes}


def tasks(files):
    return [
        task(files, "spend", "spend", "regression"),
        task(files, "band", "band", "ordinal"),
        task(files, "tags", "tags", {"name": "multi_label", "weighting": "balanced"}),
        task(files, "pets", ["cat", "dog"], "multi_label", metrics=["map", "auc"]),
    ]


def cases_of(living, given):
    read = as_task(given)
    return make_cases(
        read, living.prepare(read, Silent()), living._known("next"), len(living.bank.owners["items.weight"])
    )


def test_targets_have_the_shape_of_the_head(living, files):
    found = {given["name"]: cases_of(living, given) for given in tasks(files)}
    kinds = {name: (cases.train.targets_N.dtype, cases.catalogue) for name, cases in found.items()}
    assert kinds["spend"] == (np.float32, ("spend",))
    assert kinds["band"] == (np.int64, ("<18", "18-24", "25+"))
    assert kinds["tags"] == (np.float32, ("a", "b"))  # everybody has c
    assert kinds["pets"] == (np.float32, ("cat", "dog"))
    assert found["pets"].train.targets_N.shape[1] == 2
    assert found["spend"].left_out["users without the label"] > 0
    assert len(found["spend"].train) < len(found["band"].train)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"head": "regression", "metrics": ["accuracy"]}, "metric 'accuracy' does not measure number"),
        ({"head": "multi_label", "metrics": ["ndcg@10"]}, "does not measure labels; head multi_label goes with auc"),
        ({"head": "classification", "metrics": ["rmse"]}, "metric 'rmse' does not measure classes"),
        ({"label": ["cat", "dog"], "head": "ordinal"}, "head ordinal predicts one label, data.label names 2"),
        ({"label": None, "head": "regression"}, "a head that answers number needs data.label"),
        ({"label": ["cat", "cat"], "head": "multi_label"}, "'cat' stands twice"),
        ({"head": "next_item"}, "next_item predicts no label of users"),
    ],
)
def test_a_task_whose_parts_do_not_fit_is_refused(files, change, says):
    with pytest.raises(ConfigError, match=says):
        as_task(task(files, **{"name": "x", "label": "cat", "head": "classification", **change}))


def test_labels_with_different_cuts_are_refused(living, files):
    early, late = ({"buys": {"cut": day, "days": 1}} for day in ("2020-09-25", "2020-09-28"))
    given = task(files, "both", [early, {"churn": late["buys"]}], "multi_label")
    with pytest.raises(DataError, match="cut at different moments"):
        cases_of(living, given)


@pytest.fixture(scope="module")
def grown(born, files, cache, tmp_path_factory):
    path = tmp_path_factory.mktemp("grown") / "model"
    shutil.copytree(born, path)
    living = LivingModel.open(path, cache=cache)
    for given in tasks(files):
        living.add_task(given)
    return path


def read_by(living):
    """Three items that every task reads."""
    return living.members["next"].items.to_pylist()[:3]


@pytest.mark.slow
def test_they_are_sealed_and_answer_after_opening_again(grown, cache):
    living = LivingModel.open(grown, cache=cache)
    assert living.verify().ok
    one, two, three = read_by(living)
    histories = [[one, two], [three], []]
    (spend, *_), (band, *_), (tags, *_) = (living.predict(histories, name) for name in ("spend", "band", "tags"))
    assert isinstance(spend, NumberPrediction)
    assert 900 < spend.value < 1500  # the label's own units
    assert isinstance(band, Prediction)
    assert list(band.probabilities) == ["<18", "18-24", "25+"]
    assert isinstance(tags, LabelsPrediction)
    assert tags.labels == [name for name, probability in tags.probabilities.items() if probability >= 0.5]
    for name in ("spend", "band", "tags", "pets"):  # bit for bit, whoever else is asked
        whole = living.predict(histories * 9, name)
        assert [living.predict([history], name)[0] for history in histories] == whole[:3]


@pytest.mark.slow
def test_cold_users_are_measured_apart(grown, cache):
    living = LivingModel.open(grown, cache=cache)
    measured = living.evaluate(["spend", "tags"])
    cases = living.cases("tags")
    lengths = cases.test.ends_N - cases.sequences.offsets_U1[cases.test.users_N]
    found = measured["tags"]
    assert list(found) == ["auc", "map", "micro_f1", "auc/cold", "map/cold", "micro_f1/cold"]
    assert found["micro_f1/cold"].n == (lengths <= 3).sum() > 0
    assert found["micro_f1"].n == len(cases.test)
    assert {"mae", "mae/cold"} <= set(measured["spend"])


@pytest.mark.slow
def test_on_the_command_line(grown, cache, monkeypatch, capsys, files, tmp_path):
    monkeypatch.setenv("LIFELONG_CACHE", str(cache))
    one, two, _ = read_by(LivingModel.open(grown, cache=cache))
    assert main(["predict", str(grown), "--task", "spend", "--history", f"{one},{two}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["value"] > 900
    assert main(["predict", str(grown), "--task", "pets", "--history", one]) == 0
    assert "cat" in capsys.readouterr().out
    out = tmp_path / "tags.csv"
    assert main(["predict", str(grown), files["events"], "--task", "tags", "--out", str(out), "--unknown", "cold"]) == 0
    assert out.read_text().splitlines()[0] == '"user","labels","probabilities.a","probabilities.b"'
