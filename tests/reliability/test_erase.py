"""Who was learnt from, and taking them out: what comes out is the model that never saw them, and nothing leads back."""

import time

import numpy as np
import people
import pyarrow as pa
import pytest

from lifelong import LivingModel
from lifelong.core.errors import Conflict, DataError, ModelCorrupt, UsageError
from lifelong.core.progress import Silent
from lifelong.data.splits import TEST, TRAIN, VALID
from lifelong.keeping.identities import follow
from lifelong.model.filters import IdFilter
from lifelong.privacy import erasing, planning
from lifelong.privacy.asking import who_saw
from lifelong.privacy.erasing import erase
from lifelong.store.collect import Rules, collect, plan
from lifelong.store.store import Store


@pytest.fixture
def world(tmp_path, tmp_path_factory, monkeypatch):
    """A folder with shops and a model that has learnt people.family, both to be changed."""
    return people.world(tmp_path, tmp_path_factory, monkeypatch)


def opened(folder):
    return LivingModel.open(folder / "model", cache=folder / "cache")


def identities(model):
    return {name: entry["identity"] for name, entry in model.store.newest().body["tasks"].items()}


def how(folder, user):
    return {seen.task: seen.how for seen in who_saw(Store.open(folder / "model"), user) if not seen.ended}


# -- who saw ---------------------------------------------------------------------------------------------------------


def test_a_filter_misses_nobody_and_is_wrong_as_often_as_it_says():
    ids = pa.array([f"u{n}" for n in range(20_000)])
    made, others = IdFilter.of(ids, "salt"), pa.array([f"v{n}" for n in range(200_000)])
    assert made.holds(ids).all()
    assert made.holds(others).sum() <= 15  # 1.4e-5 of them are 3
    assert 3 * len(ids) <= made.bits_m.nbytes < 3 * len(ids) + 1024
    assert (IdFilter.of(ids.take(pa.array(np.arange(20_000)[::-1])), "salt").bits_m == made.bits_m).all()
    assert (IdFilter.of(ids, "pepper").bits_m != made.bits_m).mean() > 0.5
    assert not IdFilter.of(ids.slice(0, 0), "salt").holds(ids).any()


def test_who_saw_says_what_a_user_was_to_each_task(world):
    nobody = dict.fromkeys(["next", "east_claims", "west_probe", "west_claims"], "no")
    for part, word in ((TRAIN, "trained"), (VALID, "validated"), (TEST, "present")):
        assert how(world, people.someone("east", part)) == {**nobody, "east_claims": word}
    west = how(world, people.someone("west", TRAIN))
    assert west == {**dict.fromkeys(nobody, "trained"), "east_claims": "no"}
    assert how(world, "nobody") == nobody
    (through,) = [s.through for s in who_saw(Store.open("model"), people.someone("west")) if s.task == "east_claims"]
    assert through == ["next"]


def test_a_task_that_keeps_nothing_is_unknown(world):
    model = opened(world)
    quiet = people.label(".", "east", "quiet", strategy="probe")
    model.add_task({**quiet, "data": {**quiet["data"], "people": False}})
    assert how(world, people.someone("east"))["quiet"] == "unknown"
    assert "people" not in model.version.body["tasks"]["quiet"]["files"]


@pytest.mark.slow
def test_a_strategy_that_writes_back_gives_its_people_to_whom_it_changed(world):
    model = opened(world)
    model.add_task(people.label(".", "east", "over", strategy="sequential"), allow_forgetting=True)
    east = how(world, people.someone("east"))
    changed = {name for name, count in model.version.body["changed"].items() if count}
    assert "next" in changed
    assert all(east[name] == "trained" for name in [*changed, "over"])
    assert how(world, people.someone("west"))["over"] == "trained"  # it began where they had led


# -- taking out ------------------------------------------------------------------------------------------------------


def test_what_comes_out_is_the_model_that_never_saw_them(world):
    user, before = people.someone("east"), opened(world)
    was = identities(before)
    people.take_out(world, user)
    erased = erase(before, [user], grace=0)
    never = people.learn(world / "never", people.family("."))
    assert identities(before) == identities(never)  # every weight, catalogue and item, bit for bit
    assert identities(opened(world)) == identities(never)
    assert erased.kept == ["next", "west_probe"]
    assert {name for name in was if was[name] == identities(before)[name]} == set(erased.kept)
    assert erased.ended == {n: {"was": was[n], "is": identities(never)[n]} for n in ("east_claims", "west_claims")}
    assert erased.why["west_claims"] == "what was free for it depends on east_claims"
    assert erased.changed == {"next": 0, "west_probe": 0}
    assert set(how(world, user).values()) == {"no"}
    assert not list(world.glob("*.erasing-*"))
    assert not any(before.store.resume_folder("x").parent.glob("phase-*"))


def test_nothing_leads_back_and_a_gc_takes_what_was(world):
    user, model = people.someone("east"), opened(world)
    number = model.version.number
    old = {role: file["sha256"] for role, file in model.version.body["tasks"]["east_claims"]["files"].items()}
    people.take_out(world, user)
    erased = erase(model, [user], grace=3600)
    with pytest.raises(UsageError, match="from before an erasure"):
        model.store.rollback(number, 5)
    assert LivingModel.open("model", number).version.number == number  # until its time is over
    rules = Rules(last=10, young=0)
    assert number in plan(model.store, rules, time.time()).kept
    later = time.time() + 4000
    assert min(plan(model.store, rules, later).kept) == erased.version
    collect(model.store, rules, wait=0, clock=lambda: later)
    there = {path.name for path in (world / "model" / "objects").iterdir()}
    assert not there & {old[role] for role in ("weights", "people", "record", "probes")}
    with pytest.raises(UsageError, match="was collected on"):
        LivingModel.open("model", number)
    with pytest.raises(UsageError, match=r"was collected on|from before an erasure"):
        model.store.rollback(number, 5)
    assert {s.how for s in who_saw(model.store, user) if s.task == "east_claims"} == {"gone", "no"}
    assert not model.store.verify().problems
    assert follow(model.store.log())[1] == []  # a certificate finds nothing that is not explained
    assert opened(world).version.number == erased.version


@pytest.mark.slow
def test_what_is_pinned_stays_and_is_told(world):
    from lifelong.store.leases import pin

    user, model = people.someone("east"), opened(world)
    number = model.version.number
    people.take_out(world, user)
    erase(model, [user], grace=0)
    pin(model.store, number)
    kept = plan(model.store, Rules(last=1, young=0), time.time() + 1).kept
    assert kept[number] == "pinned as serving, though an erasure ended it"


@pytest.mark.slow
def test_no_rollback_into_the_time_before_is_possible_whatever_comes_after(world):
    user, model = people.someone("east"), opened(world)
    people.take_out(world, user)
    erased = erase(model, [user])
    model.remove("west_probe")
    assert "erase" not in model.version.body
    back = model.store.rollback(erased.version, 5)
    assert "erase" not in back.body
    with pytest.raises(UsageError, match="from before an erasure"):
        model.store.rollback(1, 5)


def test_the_data_must_be_without_them_first(world):
    model, user = opened(world), people.someone("east")
    before = model.store.newest()
    with pytest.raises(DataError, match="still hold 1 of the user") as caught:
        erase(model, [user])
    assert people.PREFIX not in str(caught.value)
    with pytest.raises(UsageError, match="no task has learnt from the 2 users"):
        erase(model, ["nobody", "no-one"])
    with pytest.raises(UsageError, match="nobody is named"):
        erase(model, [])
    assert model.store.newest() == before


def test_the_prepared_data_that_held_them_go(world):
    user, model = people.someone("east"), opened(world)
    key = model.members["east_claims"].record["data"]
    people.take_out(world, user)
    held = [path for path in (world / "cache").glob("*/meta.json") if f'"{key}"' in path.read_text()]
    assert len(held) == 1
    assert erase(model, [user]).prepared == 1
    assert not held[0].parent.exists()
    assert people.people_in(world / "model") == []


def test_so_do_those_that_a_task_of_the_past_was_learnt_from(world):
    user, other, model = people.someone("east"), people.someone("east", TEST), opened(world)
    keys = [model.members["east_claims"].record["data"]]
    task = model.members["east_claims"].task
    with (world / "east-events.csv").open("a") as file:
        file.write(f"{other},i01,1700000000\r\n")
    model.remove("east_claims")
    model.add_task(task)
    keys.append(model.members["east_claims"].record["data"])
    people.take_out(world, user)
    assert erase(model, [user]).prepared == 2
    left = "".join(path.read_text() for path in (world / "cache").glob("*/meta.json"))
    assert [key in left for key in keys] == [False, False]


class Stop(Exception):
    """A kill, as an erasure sees it."""


class StopAt(Silent):
    def __init__(self, word):
        self.word = word

    def say(self, text):
        if self.word in text:
            raise Stop


def test_stopped_in_the_middle_it_goes_on(world, monkeypatch):
    user, model = people.someone("east"), opened(world)
    before = model.store.newest()
    people.take_out(world, user)
    with pytest.raises(Stop):
        erase(model, [user], progress=StopAt("learning west_claims"))
    assert model.store.newest() == before
    (work,) = world.glob("model.erasing-*")
    made = Store.open(work).newest()
    monkeypatch.setattr(erasing, "_learn", only("west_claims", erasing._learn))
    assert erase(opened(world), [user]).kept == ["next", "west_probe"]
    assert opened(world).version.body["tasks"]["east_claims"] == made.body["tasks"]["east_claims"]
    assert not work.exists()


def only(name, learn_one):
    def learn(model, work, folder, task, *more):
        assert task.name == name, f"{task.name} was learnt already"
        return learn_one(model, work, folder, task, *more)

    return learn


@pytest.mark.slow
def test_who_comes_second_is_told(world, monkeypatch):
    user, model = people.someone("east"), opened(world)
    people.take_out(world, user)
    grow = erasing._grow
    monkeypatch.setattr(erasing, "_grow", lambda *a: [grow(*a), opened(world).remove("west_probe")][0])
    with pytest.raises(Conflict):
        erase(model, [user])


# -- faults that must be caught --------------------------------------------------------------------------------------


def test_an_erasure_that_keeps_who_claimed_after_them_is_caught(world, monkeypatch):
    """Fault: a task that claimed what the erased one had left free is kept, though its claims tell of them."""
    user, model = people.someone("east"), opened(world)
    before = model.store.newest()
    people.take_out(world, user)
    monkeypatch.setattr(planning, "claims_shared", lambda bank, member: False)
    with pytest.raises(ModelCorrupt, match="does not fit the tasks before it"):
        erase(model, [user])
    assert model.store.newest() == before


@pytest.mark.slow
def test_a_training_that_is_not_the_same_is_seen(world, monkeypatch):
    """Fault: another seed; what comes out is not the model that never saw them."""
    user, model = people.someone("east"), opened(world)
    people.take_out(world, user)
    for member in model.members.values():
        member.record["seed"] = 6
    erase(model, [user])
    never = people.learn(world / "never", people.family("."))
    assert {n for n, i in identities(never).items() if identities(model)[n] == i} == {"next", "west_probe"}


def test_an_erasure_that_learns_nothing_anew_is_another_model(world, monkeypatch):
    """Fault: the entries of before are taken over."""
    user, model = people.someone("east"), opened(world)
    people.take_out(world, user)
    monkeypatch.setattr(erasing, "_entries", lambda model, grown, plan: list(model.version.body["tasks"].items()))
    erase(model, [user])
    assert how(world, user)["east_claims"] == "trained"


@pytest.mark.slow
def test_where_the_root_saw_them_all_is_learnt_anew(tmp_path, monkeypatch):
    people.in_process(monkeypatch)
    monkeypatch.chdir(people.grown(tmp_path, of_the_east))
    user, model = people.someone("east"), opened(tmp_path)
    people.take_out(tmp_path, user)
    erased = erase(model, [user])
    assert erased.kept == []
    never = people.learn(tmp_path / "never", of_the_east("."))
    assert identities(model) == identities(never)
    assert follow(model.store.log())[1] == []


def of_the_east(folder):
    return [
        people.first(folder, "east"),
        people.label(folder, "west", "patched", strategy="peterrec"),
        people.label(folder, "east", "copied", strategy="finetune"),
        people.label(folder, "west", "child", strategy="probe", parent="next"),
        people.label(folder, "west", "over", strategy="sequential"),
    ][:4]


@pytest.mark.slow
def test_after_a_strategy_that_writes_back_all_is_learnt_anew(world):
    model = opened(world)
    model.add_task(people.label(".", "west", "over", strategy="sequential"), allow_forgetting=True, seed=5)
    user = people.someone("east")
    people.take_out(world, user)
    erased = erase(model, [user])
    assert erased.kept == []
    never = people.learn(world / "never", people.family("."))
    never.add_task(people.label(".", "west", "over", strategy="sequential"), allow_forgetting=True, seed=5)
    assert identities(model) == identities(never)
