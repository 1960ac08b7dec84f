"""A first task without answers: trained by contrast, asked for user vectors alone, a parent to others."""

import numpy as np
import pytest
import torch
import worlds

from lifelong import LivingModel
from lifelong.asking.evaluation import COLD
from lifelong.core.errors import ConfigError, LifelongError, UsageError
from lifelong.growing import resume
from lifelong.growing.resume import State
from lifelong.keeping.checkpoint import read_tensors
from lifelong.model.task import as_task
from lifelong.objectives.clue import Clue


def universal(**changes):
    return worlds.first(
        **{"name": "universal", "head": "user_vector", "objective": {"name": "clue", "views": "mask"}, **changes}
    )


@pytest.fixture(scope="module")
def headless(tmp_path_factory, cache):
    return LivingModel.pretrain(tmp_path_factory.mktemp("headless") / "model", universal(), cache=cache)


def some_histories(model):
    items = model.members["universal"].items.to_pylist()
    return [items[:5], items[5:12], []]


def test_it_represents_and_says_what_it_cannot_do(headless):
    vectors = headless.represent(some_histories(headless))
    assert vectors.shape == (3, 16)
    assert not np.allclose(vectors[0], vectors[1])
    assert not vectors[2].any()
    for ask in (headless.recommend, headless.predict):
        with pytest.raises(UsageError, match="user vectors alone; use represent"):
            ask(some_histories(headless), "universal")


def test_it_is_measured_by_finding_users_again(headless):
    measured = headless.evaluate()["universal"]
    assert list(measured) == ["mrr@10", "hr@1", "hr@10"]
    assert 0 <= measured["hr@1"].value <= measured["mrr@10"].value <= measured["hr@10"].value <= 1
    assert all(np.isfinite(point["valid"]) for point in headless.members["universal"].record["curve"])


def test_it_is_a_parent_that_does_not_change(headless, tmp_path, cache):
    before = headless.represent(some_histories(headless), "universal")
    headless.add_task(worlds.label(strategy="probe"))
    assert headless.last_addition.changed == {"universal": 0}
    assert len(headless.predict(some_histories(headless), "label_0")) == 3
    assert (headless.represent(some_histories(headless), "universal") == before).all()
    assert headless.verify().ok


def test_neither_a_head_nor_a_predictor_is_sealed(headless):
    member = headless.members["universal"]
    assert member.catalogue == ()
    assert member.own == {}
    files = headless.version.body["tasks"]["universal"]["files"]
    assert not [name for name in read_tensors(headless.store, files, "weights") if "siamese" in name or "head" in name]


@pytest.mark.parametrize(
    "objective", ["clue", {"name": "sum", "of": ["autoregressive", {"name": "clue", "weight": 0.1}]}]
)
def test_a_killed_run_goes_on_to_the_same_bits_with_the_same_predictor(objective, tmp_path, cache, monkeypatch):
    monkeypatch.setattr(resume, "SECONDS_BETWEEN_SAVES", 0.0)
    head = "user_vector" if objective == "clue" else "next_item"
    task = universal(objective=objective, head=head, fit={"epochs": 3, "batch_size": 32}, strategy="scratch")
    judge = State.judge

    def dying(state, *args):
        judge(state, *args)
        assert any(name.startswith("beside/objective.") for name in state.tensors)
        if state.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(State, "judge", dying)
        with pytest.raises(KeyboardInterrupt):
            LivingModel.pretrain(tmp_path / "killed", task, cache=cache)
    models = [LivingModel.pretrain(tmp_path / name, task, cache=cache) for name in ("killed", "again")]
    vectors = [model.represent(some_histories(model)) for model in models]
    assert (vectors[0] == vectors[1]).all()


def test_an_objective_that_finds_out_that_it_is_of_no_use_stops_the_training(tmp_path, cache, monkeypatch):
    def collapsed(objective):
        raise LifelongError("all users look the same")

    monkeypatch.setattr(Clue, "end_epoch", collapsed)
    with pytest.raises(LifelongError, match="all users look the same"):
        LivingModel.pretrain(tmp_path / "model", universal(), cache=cache)
    with pytest.raises(UsageError):
        LivingModel.open(tmp_path / "model", cache=cache)


@pytest.mark.parametrize(
    ("head", "objective"),
    [
        ("user_vector", "autoregressive"),
        ("user_vector", {"name": "sum", "of": ["autoregressive", "clue"]}),
        ("next_item", "clue"),
        ("next_item", {"name": "sum", "of": ["clue_infonce", "clue"]}),
    ],
)
def test_a_head_that_its_objective_does_not_train_is_refused(head, objective):
    with pytest.raises(ConfigError, match="does not go with its objective"):
        as_task(universal(head=head, objective=objective))


def test_a_label_has_no_place_in_it():
    data = {"dataset": worlds.DATA, "label": "label_0", "split": "by_user"}
    with pytest.raises(ConfigError, match="user_vector predicts no label"):
        as_task(universal(data=data))


def test_what_the_objective_trains_for_itself_is_carried_from_phase_to_phase(tmp_path, cache, monkeypatch):
    """Conure's retraining goes on with the predictor of its training."""
    starts, ends = [], []
    make, restore = State.__init__, State.restore_best

    def made(state, *args):
        make(state, *args)
        starts.append({n: v.detach().clone() for n, v in state.tensors.items() if n.startswith("beside/")})

    def restored(state):
        restore(state)
        ends.append({n: v.detach().clone() for n, v in state.tensors.items() if n.startswith("beside/")})

    monkeypatch.setattr(State, "__init__", made)
    monkeypatch.setattr(State, "restore_best", restored)
    LivingModel.pretrain(tmp_path / "model", universal(strategy={"name": "conure", "retrain": 0.5}), cache=cache)
    assert len(starts) == 2
    assert starts[1].keys() == ends[0].keys() != set()
    assert all(torch.equal(starts[1][name], ends[0][name]) for name in ends[0])
    assert not all(torch.equal(starts[0][name], ends[0][name]) for name in ends[0])


def test_users_with_hardly_any_events_are_measured_with_the_others(tmp_path, cache):
    """A case is a user with two halves, so there are no cold points to be told apart."""
    data = {"dataset": {**worlds.DATA, "events_per_user": 6}, "inputs": {"domain": "domain_0"}, "split": "by_user"}
    model = LivingModel.pretrain(tmp_path / "model", universal(data=data), cache=cache)
    cases = model.cases("universal")
    short = cases.test.ends_N - cases.sequences.offsets_U1[cases.test.users_N] <= COLD
    assert short.any(), "nobody is cold here, so nothing is tested"
    assert list(model.evaluate()["universal"]) == ["mrr@10", "hr@1", "hr@10"]


@pytest.mark.parametrize("objective", ["clue", {"name": "clue_infonce", "views": "dropout"}])
def test_views_by_dropout_need_an_encoder_that_drops(objective, tmp_path, cache):
    encoder = {"name": "nextitnet", "width": 16, "dilations": [1]}
    with pytest.raises(ConfigError, match="both are the same; set encoder"):
        LivingModel.pretrain(tmp_path / "model", universal(objective=objective, encoder=encoder), cache=cache)
    dropping = universal(objective=objective, encoder={**encoder, "dropout": 0.2}, fit={"epochs": 1})
    assert LivingModel.pretrain(tmp_path / "model", dropping, cache=cache).verify().ok


def test_ewc_refuses_what_was_learnt_by_comparing_users(headless):
    task = worlds.label(1, strategy="ewc")
    with pytest.raises(ConfigError, match="'universal' compares users with each other; use replay"):
        headless.add_task(task, allow_forgetting=True)
