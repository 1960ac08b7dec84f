"""How well answers tell whom a task was trained on: nothing at chance, much where a model has learnt people by heart."""

import json
from dataclasses import replace

import numpy as np
import people
import pytest

from lifelong import LivingModel
from lifelong.cli import main
from lifelong.core.errors import UsageError
from lifelong.growing import growth as growing
from lifelong.privacy import membership as attack
from lifelong.privacy.membership import WARN, judged, membership

NOISE = {
    "name": "synthetic",
    "users": 160,
    "items": 60,
    "events_per_user": 10,
    "domains": 1,
    "follow": 0.0,
    "taste": 0.0,
}
"""Nobody's next item can be told from anything, so what is known of it is known by heart: of 100 people even how often each of
60 items was bought tells who bought it (AUC .72 after two epochs)."""
MANY = {"name": "synthetic", "users": 400, "items": 12, "events_per_user": 10, "domains": 1}
"""Few items, many people who are alike."""
SPLIT = {"name": "time", "test": 0.3, "valid": 0.1}


def following(dataset, epochs):
    return {
        "name": "next",
        "encoder": {"name": "sasrec", "width": 16, "blocks": 1, "heads": 1, "dropout": 0.0},
        "length": 12,
        "head": "next_item",
        "data": {"dataset": dataset, "split": SPLIT},
        "fit": {"epochs": epochs, "patience": epochs, "batch_size": 32, "lr": 0.01, "weight_decay": 0.0},
    }


def pet(**changes):
    data = {"dataset": MANY, "label": "label_0", "split": {"name": "by_user", "test": 0.3}}
    return {"name": "pet", "head": "classification", "data": data, "fit": {"epochs": 1}, "strategy": "probe", **changes}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def honest(tmp_path_factory, cache):
    """A model that has learnt as ours do: the epoch that validation users like best is kept."""
    with pytest.MonkeyPatch.context() as patch:
        people.in_process(patch)
        model = LivingModel.pretrain(tmp_path_factory.mktemp("honest") / "model", following(MANY, 2), cache=cache)
        model.add_task(pet())
    return model


@pytest.fixture(scope="module")
def overfitted(tmp_path_factory, cache):
    """Fault: epochs are chosen on the training cases, so it learns them by heart."""
    honest_score = growing.validation_score
    with pytest.MonkeyPatch.context() as patch:
        people.in_process(patch)
        patch.setattr(
            growing, "validation_score", lambda net, cases, *a: honest_score(net, replace(cases, valid=cases.train), *a)
        )
        return LivingModel.pretrain(tmp_path_factory.mktemp("overfitted") / "model", following(NOISE, 25), cache=cache)


def test_what_was_learnt_by_heart_is_found_out(overfitted):
    found = membership(overfitted, "next", seed=3)
    assert found.attacks["loss"].value > 0.8 > WARN
    assert found.attacks["loss"].low > WARN
    assert found.attacks["list"].value > WARN  # the recommended lists alone give it away
    assert "above 0.60; train it for fewer epochs" in found.warning
    assert found.control.low < 0.5 < found.control.high


def test_an_honest_task_gives_nothing_away(honest):
    for task in ("next", "pet"):
        found = membership(honest, task)
        assert all(auc.low < 0.53 for auc in found.attacks.values()), found
        assert found.control.low < 0.5 < found.control.high
        assert (found.warning != "") == (max(auc.value for auc in found.attacks.values()) > WARN)


def test_members_were_trained_on_and_others_seen_by_nobody(honest, monkeypatch):
    scores = attack._scores
    for task, attacks in (("next", {"loss", "rank", "list"}), ("pet", {"loss", "sure"})):
        asked = []
        monkeypatch.setattr(attack, "_scores", lambda a, c, p, asked=asked: asked.append(p) or scores(a, c, p))
        found = membership(honest, task)
        monkeypatch.undo()
        inside, outside = (set(points.users_N.tolist()) for points in asked)
        cases, above = honest.cases(task), honest.cases("next")
        learnt = {*cases.train.users_N, *above.train.users_N}
        assert inside <= set(cases.train.users_N.tolist())
        assert outside
        assert not outside & learnt
        assert (found.members, found.others) == (len(inside), len(outside))
        assert set(found.attacks) == attacks
        assert all(np.bincount(points.users_N).max() <= attack.POINTS for points in asked)


def test_fewer_users_are_drawn_by_seed(honest):
    found = [membership(honest, "next", users=20, seed=seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    assert (found[0].members, found[0].others) == (20, 20)


def test_the_words_dealt_by_chance_come_out_at_a_half():
    random = np.random.default_rng(0)
    member_U = np.repeat([1, 0], [300, 100])
    found = judged("t", {"loss": member_U + random.normal(0, 0.1, 400)}, member_U, 0)
    assert found.attacks["loss"].value == 1.0
    assert abs(found.control.value - 0.5) < 0.01
    assert 0.42 < found.control.low < 0.47
    assert 0.53 < found.control.high < 0.58


def test_an_answer_by_hand():
    found = judged("t", {"loss": np.array([3.0, 1.0, 2.0, 0.0])}, np.array([1, 1, 0, 0]), 0)
    assert found.attacks["loss"].value == 0.75  # of four pairs three stand right
    assert "loss AUC 0.750" in found.warning


def test_without_anybody_held_out_nothing_is_told(tmp_path, cache, monkeypatch):
    people.in_process(monkeypatch)
    task = following(NOISE, 1)
    task["data"] = {**task["data"], "split": {**SPLIT, "hold_out_users": False}}
    task["data"]["dataset"] = {**NOISE, "users": 40}
    model = LivingModel.pretrain(tmp_path / "model", task, cache=cache)
    with pytest.raises(UsageError, match="nobody to compare its members with"):
        membership(model, "next")


def test_it_stands_in_the_document_of_an_evaluation(honest, cache, monkeypatch, capsys):
    monkeypatch.setenv("LIFELONG_CACHE", str(cache))
    assert main(["evaluate", str(honest.store.path), "pet", "--membership", "--json", "-q"]) == 0
    told = json.loads(capsys.readouterr().out)["pet"]["membership"]
    assert told == json.loads(json.dumps(membership(honest, "pet").as_dict()))
    assert main(["evaluate", str(honest.store.path), "pet", "--membership", "-q"]) == 0
    assert "membership of pet: AUC by loss" in capsys.readouterr().out
