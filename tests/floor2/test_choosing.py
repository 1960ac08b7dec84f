"""strategy: auto: the member is what the chosen strategy makes, dearer only beyond noise, within budget and plan, resumable."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import worlds

from lifelong import LivingModel
from lifelong.continual.strategies.auto import Auto
from lifelong.core import registry
from lifelong.core.compute import Compute
from lifelong.core.config import build
from lifelong.core.errors import CapacityError, ConfigError
from lifelong.core.progress import Silent
from lifelong.core.types import Classified
from lifelong.growing import choosing
from lifelong.growing.making import make_strategy
from lifelong.growing.resume import Resume
from lifelong.metrics.kinds.base import MeanOfCases
from lifelong.metrics.parse import parse
from lifelong.model.task import as_task
from lifelong.profiling.trained import aside

ROOM = {"share": 1.0}
HEAD = 4 * 68
"""Bytes of the head of a label: 4 classes, 16 columns and a bias."""


@pytest.fixture(autouse=True)
def quick_check(monkeypatch):
    """The fresh process is checked elsewhere; here it costs seconds a task."""
    monkeypatch.setattr("lifelong.keeping.committing.check_candidate", lambda store, body, before: {})


def auto(number=0, **options):
    return worlds.label(number, strategy={"name": "auto", "budget": ROOM, **options})


def growth_of(model, task):
    return model._growth(as_task(task), 0, Compute(device="cpu"), Silent())


def choice(model, name="label_0"):
    return model.members[name].record["choice"]


def name_of(spec):
    return spec if isinstance(spec, str) else spec["name"]


def skewed(monkeypatch, **gains):
    """Let strategies answer as if they were so much better than they are: log likelihood plus a constant."""
    real = choosing.outcome_of
    tried = []

    def outcome_of(answering, cases, points):
        outcome = real(answering, cases, points)
        right_N = np.full(len(outcome.targets_N), 0.2 * np.exp(gains.get(name_of(tried.pop()), 0.0)))
        right_N *= 1 + 0.01 * (np.arange(len(right_N)) % 7)
        probabilities_NC = np.repeat((1 - right_N)[:, None] / 3, 4, 1)
        probabilities_NC[np.arange(len(right_N)), outcome.targets_N] = right_N
        return Classified(probabilities_NC, outcome.targets_N)

    under = choosing.Growth.under

    def noted(self, spec):
        tried[:] = [spec]
        return under(self, spec)

    monkeypatch.setattr(choosing, "outcome_of", outcome_of)
    monkeypatch.setattr(choosing.Growth, "under", noted)


@pytest.mark.parametrize(
    ("gains", "chosen"),
    [
        ({}, "probe"),
        ({"peterrec": 0.5}, "peterrec"),
        ({"conure": 0.5}, "conure"),
        ({"peterrec": 0.3, "conure": 0.5}, "conure"),
        ({"peterrec": 0.5, "conure": 0.3}, "peterrec"),
        ({"probe": 0.5}, "probe"),
    ],
)
def test_the_best_is_chosen_and_of_equals_the_cheapest(living, monkeypatch, gains, chosen):
    skewed(monkeypatch, **gains)
    added = living.add_task(auto())
    assert choice(living)["chosen"] == chosen
    assert added.why.startswith(f"{chosen}: ")
    assert [name_of(line["strategy"]) for line in choice(living)["candidates"]] == ["probe", "peterrec", "conure"]
    assert living.inspect()["tasks"][-1]["strategy"] == chosen


def test_a_gain_below_the_margin_does_not_count(living, monkeypatch):
    skewed(monkeypatch, peterrec=0.5)
    living.add_task(auto(margin=0.6))
    assert choice(living)["chosen"] == "probe"


def test_it_makes_bit_for_bit_what_the_chosen_strategy_makes(living, born, tmp_path, cache, monkeypatch):
    skewed(monkeypatch, peterrec=0.5)
    chosen = living.add_task(auto())
    named = LivingModel.open(shutil.copytree(born, tmp_path / "named"), cache=cache)
    assert named.add_task(worlds.label(0, strategy="peterrec")).identity == chosen.identity
    assert living.bank.shares() == named.bank.shares()


@pytest.mark.parametrize(("gains", "chosen"), [({}, "probe"), ({"peterrec": 0.5}, "peterrec")])
def test_a_task_tried_aside_is_taken_in_as_auto_chooses(living, monkeypatch, gains, chosen):
    """What `evaluate --profile` and the audit of chance ask of a task; its dearest candidate would flatter or slander it."""
    skewed(monkeypatch, **gains)
    before = living.bank.shares()
    tried = aside(living, as_task(auto()), 0)
    assert tried.member.record["choice"]["chosen"] == chosen
    assert type(tried.growth.strategy) is registry.find("strategies", chosen)
    assert 0 < tried.epochs == sum(point["epoch"] > 0 for point in tried.member.record["curve"])
    assert list(living.members) == ["next"]
    assert living.bank.shares() == before


def test_the_record_is_kept_and_says_what_everything_cost(living, cache):
    added = living.add_task(auto())
    opened = LivingModel.open(living.store.path, cache=cache)
    kept = choice(opened)
    assert kept == json.loads(json.dumps(choice(living)))
    assert kept["why"] == added.why
    assert kept["strategy"]["name"] == "auto"
    assert not kept["depends_on_seconds"]
    assert kept["cases"] == len(living.cases("label_0").valid)
    bytes_of = [line["bytes"] for line in kept["candidates"]]
    assert bytes_of[0] < min(bytes_of[1:])
    assert all(line["seconds"] > 0 and np.isfinite(line["valid"]) for line in kept["candidates"])
    stored = opened.version.body["tasks"]["label_0"]["files"]["weights"]["bytes"]
    assert bytes_of[0] <= stored < bytes_of[0] + 1000  # the file's header


def test_the_choice_is_the_same_again(living, born, tmp_path, cache):
    first = living.add_task(auto())
    again = LivingModel.open(shutil.copytree(born, tmp_path / "again"), cache=cache)
    second = again.add_task(auto())
    assert second.identity == first.identity
    for a, b in zip(choice(living)["candidates"], choice(again)["candidates"], strict=True):
        assert {k: v for k, v in a.items() if k != "seconds"} == {k: v for k, v in b.items() if k != "seconds"}


def test_bytes_beyond_the_budget_are_not_spent(living):
    room = choosing.encoder_bytes(living.bank)
    living.add_task(auto(budget={"share": 300 / room}))
    lines = choice(living)["candidates"]
    assert choice(living)["chosen"] == "probe"
    assert [("left_out" in line) for line in lines] == [False, True, True]
    assert all("budget.share allows 300" in line["left_out"] for line in lines[1:])


@pytest.mark.parametrize("task", [worlds.cross, worlds.wider])
def test_a_head_and_rows_of_new_items_come_on_top_of_the_budget(living, task):
    """Else no task about items of its own would ever fit; what a strategy stores beside them still counts."""
    share = 500 / choosing.encoder_bytes(living.bank)
    name = task()["name"]
    living.add_task(task(strategy={"name": "auto", "budget": {"share": share}}))
    found = choice(living, name)
    assert (found["chosen"], found["room_bytes"]) == ("probe", 500)
    assert found["candidates"][0]["bytes"] > 20 * 16 * 4 > 500
    assert "beside its head and rows of new items, budget.share allows 500" in found["candidates"][2]["left_out"]


def test_a_thinner_patch_is_tried_where_the_widest_does_not_fit(living):
    room = choosing.encoder_bytes(living.bank)
    living.add_task(auto(budget={"share": 800 / room}))
    patch = choice(living)["candidates"][1]
    assert patch["strategy"] == {"name": "peterrec", "share": 8}
    assert patch["bytes"] <= 800 + HEAD


def test_no_dearer_candidate_is_begun_when_the_seconds_are_over(living):
    living.add_task(auto(budget={"share": 1.0, "seconds": 0.0}))
    assert choice(living)["depends_on_seconds"]
    assert ["left_out" in line for line in choice(living)["candidates"]] == [False, True, True]


def test_a_plan_that_is_used_up_leaves_the_weights_alone(living, monkeypatch):
    skewed(monkeypatch, conure=0.5)
    plan = {"expected_tasks": 3, "reserve": 0.1}
    for number in range(4):
        living.add_task(auto(number, plan=plan))
    names = [choice(living, f"label_{number}")["chosen"] for number in range(4)]
    assert names == ["conure", "conure", "probe", "probe"]
    assert "the plan is used up: 3 tasks own weights" in choice(living, "label_3")["why"]
    shares = living.bank.shares()
    assert shares[0] == pytest.approx(0.1, abs=0.02)
    assert shares[2] == pytest.approx(shares[3], abs=0.02)


def test_without_any_possible_candidate_it_says_why(living):
    task = auto(candidates=[{"name": "conure", "min_share": 0.9}])
    with pytest.raises(CapacityError, match=r"no candidate is possible: conure left out \(task 'label_0' would own"):
        living.add_task(task)
    assert len(living.store.numbers()) == 1


def test_a_first_task_claims_weights(tmp_path, cache):
    model = LivingModel.pretrain(tmp_path / "m", worlds.first(strategy={"name": "auto", "first": 0.5}), cache=cache)
    assert model.bank.shares()[0] == pytest.approx(0.5, abs=0.01)
    assert choice(model, "next")["chosen"] == "conure"


class Stop(Exception):
    pass


class StopAt(Silent):
    """Stops the run after so many epochs of all candidates together."""

    def __init__(self, epochs):
        self.left = epochs

    def say(self, text):
        self.left -= "epoch" in text
        if self.left < 0:
            raise Stop


@pytest.mark.parametrize("epochs", [1, 3, 5])
def test_a_killed_run_goes_on_in_its_candidate_to_the_same_bits(living, born, tmp_path, cache, monkeypatch, epochs):
    monkeypatch.setattr("lifelong.growing.resume.SECONDS_BETWEEN_SAVES", 0.0)
    task = {**auto(), "fit": {"epochs": 2}}
    whole = living.add_task(task)
    path = shutil.copytree(born, tmp_path / "killed")
    with pytest.raises(Stop):
        LivingModel.open(path, cache=cache).add_task(task, progress=StopAt(epochs))
    kept = {file.parent.name for file in (path / "resume").rglob("*.safetensors")}
    assert kept == {f"candidate-{n}" for n in range(len(kept))}
    trained = []
    real = Resume.load
    monkeypatch.setattr(Resume, "load", lambda self, n, state: (real(self, n, state), trained.append(state.epoch)))
    model = LivingModel.open(path, cache=cache)
    assert model.add_task(task).identity == whole.identity
    assert trained[0] > 0, "the first candidate began anew"
    assert not list((path / "resume").rglob("*.safetensors"))


def test_candidates_leave_nothing_behind(living):
    before = {name: value.clone() for name, value in living.bank.values.items()}
    growth = growth_of(living, auto())
    for spec in ("probe", "peterrec", "conure"):
        growth.under(spec).untrained()
    assert all(value.equal(before[name]) for name, value in living.bank.values.items())
    assert living.bank.shares() == LivingModel.open(living.store.path).bank.shares()


@pytest.mark.parametrize("spec", ["probe", "peterrec", "conure", "finetune"])
def test_an_untrained_member_is_as_large_as_a_trained_one(living, spec):
    guess, real = (growth_of(living, worlds.label(0, strategy=spec)) for _ in range(2))
    members = (guess.untrained(), real.run(Silent(), Resume(None)))
    sizes = [
        {name: tensor.nbytes for name, tensor in choosing.stored_tensors(growth.site.bank, member).items()}
        for growth, member in zip((guess, real), members, strict=True)
    ]
    assert sizes[0] == sizes[1]


class Error(MeanOfCases):
    outcome, title, higher_is_better = Classified, "error", False

    def cases(self, outcome):
        return outcome.probabilities_NC[:, 0]


@pytest.mark.parametrize("metric", [Error(), choosing.LogLikelihood(), parse("accuracy")])
def test_the_direction_of_the_metric_counts(living, metric):
    growth = growth_of(living, auto())
    chooser = choosing._Choice(growth, growth.strategy, Silent(), Resume(None))
    chooser.metric = metric
    right = np.tile([0.1, 0.9], (50, 1)) + 0.001 * np.arange(50)[:, None]
    tried = [
        choosing.Tried(name, growth, SimpleNamespace(), Classified(p, np.ones(50, np.int64)), 0)
        for name, p in (("good", right), ("bad", right[:, ::-1]))
    ]
    for one, other, better in ((tried[0], tried[1], True), (tried[1], tried[0], False), (tried[0], tried[0], False)):
        chooser.lines.append({})
        assert chooser._better(one, other) is better


@pytest.mark.parametrize(
    "wrong",
    [
        {"level": 1.0},
        {"margin": -0.1},
        {"first": 0.0},
        {"budget": {"share": 0.0}},
        {"budget": {"seconds": -1.0}},
        {"candidates": ["sequential"]},
        {"candidates": ["auto"]},
        {"candidates": ["prob"]},
        {"plan": {"expected_tasks": 9}, "candidates": [{"name": "conure", "layers": {"*": 1.0}}]},
        {"plan": {"expected_tasks": 9}, "candidates": [{"name": "conure", "plan": {"expected_tasks": 2}}]},
    ],
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ConfigError):
        build(Auto.Config, wrong, "strategy auto")


@pytest.mark.slow
def test_a_small_version_of_a_hundred_tasks(tmp_path, monkeypatch):
    from benchmarks.studies import hundred

    monkeypatch.undo()  # the fresh process is part of what it shows
    world = hundred.QUICK
    record = hundred.grow(world, tmp_path, lambda text: None)
    assert record["changed_bits"] == 0
    assert sum(record["chosen"].values()) == world.tasks
    assert record["mean_weights_share"] < 0.03
    alone = record["conure_alone"]
    assert alone["before_training"]
    assert "would own" in alone["said"]
    (table,) = hundred.tables({"hundred": record})
    assert table["rows"][0] == ["probe values of earlier tasks that changed", "0"]
    again = hundred.grow(world, tmp_path, lambda text: pytest.fail(f"{text} was done before"))
    assert again["gains"] == record["gains"]


def test_its_time_is_that_of_all_candidates():
    usual = make_strategy(as_task(auto()))
    assert (usual.passes, usual.tried) == (1.5, 3.5)  # conure retrains for half as long
    assert make_strategy(as_task(auto(candidates=["probe", {"name": "conure", "retrain": 2.5}]))).passes == 3.5
    assert make_strategy(as_task(worlds.label(strategy="probe"))).tried == 1.0


@pytest.mark.parametrize("strategy", ["conure", {"name": "conure", "keep": 0.5}, "probe", "ewc", "sequential"])
def test_a_plan_says_what_will_be_free(living, strategy):
    task = worlds.label(1, strategy=strategy)
    plan = living.plan(task)
    added = living.add_task(task, allow_forgetting=True)
    assert plan.free_afterwards == added.free
    assert (plan.free_afterwards < plan.free_before) is (strategy != "probe")
    assert plan.changes_earlier is (strategy in ("ewc", "sequential"))
