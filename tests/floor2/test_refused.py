"""What no call of the Python API can take: told as the command line tells it, before anything is done."""

import pytest
import worlds

from lifelong import LivingModel, run_forgetting
from lifelong.core.config import build
from lifelong.core.errors import ConfigError, UsageError
from lifelong.living import plan_first
from lifelong.model.task import Fit, as_task
from lifelong.privacy.membership import membership
from lifelong.profiling import Settings, profile

SEEDED = {
    "add_task": lambda model, seed: model.add_task(worlds.label(), seed=seed),
    "plan": lambda model, seed: model.plan(worlds.label(), seed=seed),
    "retrain": lambda model, seed: model.retrain("next", seed=seed),
    "evaluate": lambda model, seed: model.evaluate(seed=seed),
    "profile": lambda model, seed: profile(model, ["next"], Settings(seed=seed)),
    "membership": lambda model, seed: membership(model, "next", seed=seed),
    "plan_first": lambda model, seed: plan_first(worlds.first(), seed=seed),
}


@pytest.fixture(scope="module")
def model(born, cache):
    return LivingModel.open(born, cache=cache)


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64])
@pytest.mark.parametrize("call", SEEDED)
def test_a_seed_that_cannot_be_drawn_from(model, call, seed):
    with pytest.raises(UsageError, match=rf"^seed is {seed}; it must be at least 0 and below 2\*\*63"):
        SEEDED[call](model, seed)


@pytest.mark.parametrize(("seed", "seeds"), [(-1, 1), (2**64, 1), (2**63 - 1, 2)])
def test_seeds_of_a_forgetting_run(tmp_path, seed, seeds):
    with pytest.raises(UsageError, match="seed is"):
        run_forgetting(["no.yaml"], ["conure"], tmp_path / "run", seed=seed, seeds=seeds)
    assert not (tmp_path / "run").exists()


def test_no_model_is_made_with_a_wrong_seed(tmp_path):
    with pytest.raises(UsageError, match="seed is -1"):
        LivingModel.pretrain(tmp_path / "model", worlds.first(), seed=-1)
    assert not (tmp_path / "model").exists()


def test_the_largest_seed(tmp_path, cache):
    task = worlds.first(fit={"epochs": 1})
    made = LivingModel.pretrain(tmp_path / "model", task, seed=2**63 - 1, cache=cache)
    assert made.evaluate(seed=2**63 - 1)


@pytest.mark.parametrize("k", [0, -1, 2.5, None, "3"])
def test_a_number_of_items_that_is_none(model, k):
    with pytest.raises(UsageError, match=f"^k is {k!r}; ask for at least one item"):
        model.recommend([[]], k=k)


@pytest.mark.parametrize("histories", [None, 7, "abc", iter([["a"]])])
@pytest.mark.parametrize("ask", ["represent", "recommend"])
def test_histories_that_are_no_list(model, ask, histories):
    with pytest.raises(UsageError, match="give a list with one list of item ids for each user"):
        getattr(model, ask)(histories)


@pytest.mark.parametrize("history", [None, 7, "abc", [1]])
def test_a_history_that_is_no_list(model, history):
    with pytest.raises(UsageError, match="history 1: expected a list of item ids"):
        model.represent([[], history])


@pytest.mark.parametrize(("option", "value"), [("lr", 0.0), ("weight_decay", -0.1), ("average", 1.0), ("epochs", 0)])
def test_how_long_and_how_fast(option, value):
    with pytest.raises(ConfigError, match=f"^fit: {option} is {value}, it must"):
        build(Fit, {option: value}, "fit")


@pytest.mark.parametrize(("option", "value"), [("lr", float("inf")), ("weight_decay", float("nan"))])
def test_numbers_that_are_not_finite(option, value):
    with pytest.raises(ConfigError, match=f"fit: {option} is {value}; write a finite number"):
        as_task(worlds.first(fit={option: value}))
