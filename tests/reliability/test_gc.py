"""What a gc takes and leaves: never what is kept, pinned, leased, young, claimed or unknown, whatever the clock says."""

import os
import random
import shutil
import threading

import pytest
from small_model import CREATED, add, body, overwrite
from torments import LONG_AGO, TODAY, gc, grown, littered, tree

from lifelong.core.errors import LifelongError, ModelCorrupt, UsageError
from lifelong.store import collect as collecting
from lifelong.store.collect import Plan, Rules, collect, plan
from lifelong.store.documents import references
from lifelong.store.files import Files
from lifelong.store.leases import Lease, pin, pins, served
from lifelong.store.store import Store
from lifelong.testing.store import DieAt, Died, Watched

pytestmark = pytest.mark.usefixtures("memory")
DAY = 86_400


@pytest.fixture
def model(memory):
    return littered(memory / "shop")


def only(store, number):
    """The objects that this version alone refers to."""
    others = {r.sha256 for v in store.log() if v.number != number for r in references(v.body)}
    return {r.sha256 for r in references(store.log()[number - 1].body)} - others


def objects(store):
    return {name for name in os.listdir(store.path / "objects") if len(name) == 64}


def collected(store, **options):
    rules = Rules(options.pop("last", 1), options.pop("young", 60), 60)
    return collect(store, rules, wait=0, clock=lambda: TODAY, pause=lambda seconds: None, **options)


# -- what goes and what stays --------------------------------------------------------------------------------------------


def test_what_no_kept_version_needs_goes_and_the_rest_stays(model):
    kept = {r.sha256 for n in (3, 4) for r in references(model.version(n).body)}
    gone = objects(model) - kept
    done = collected(model)
    assert objects(model) == kept
    assert set(done.objects) == gone
    assert done.kept == {4: "among the newest 1", 3: "pinned as serving"}
    assert set(done.versions) == model.collected() == {1, 2}
    assert (list(done.jobs), len(done.leftovers)) == (["stopped"], 2)
    assert sorted(done.unknown) == ["objects/README", "resume/list.csv", "resume/mine/notes.txt", "tmp/notes.txt"]
    for name in done.unknown:
        assert (model.path / name).read_bytes() == b"somebody's"
    assert sorted(os.listdir(model.path / "tmp")) == ["lock", "notes.txt"]


def test_the_history_still_verifies_and_says_collected(model):
    whole = model.verify()
    history = model.log()
    done = collected(model)
    report = Store.open(model.path).verify()
    strange = {problem.file for problem in whole.problems}
    assert {problem.file for problem in report.problems} == strange == {"objects/README"}
    lost = {reference.sha256 for number in (1, 2) for reference in references(history[number - 1].body)}
    assert {problem.file for problem in report.given_up} == {f"objects/{sha256}" for sha256 in lost}
    assert lost <= set(done.objects)
    assert model.log() == history
    assert model.newest() == history[-1]
    for ask in (lambda: model.version(1), lambda: model.rollback(2, CREATED), lambda: pin(model, 1)):
        with pytest.raises(UsageError, match=r"version [12] was collected on 2096-10-02: its files are gone for good"):
            ask()


def test_a_collected_excuse_holds_for_no_other_version(model):
    """An object that was collected, came back with a later version and then went missing is missing."""
    data = model.get(next(iter(references(model.version(1).body))))
    collected(model)
    newest = model.newest()
    back = model.put(data)
    model.commit({**newest.body, "more": back.as_dict()}, "add", newest, CREATED)
    assert f"objects/{back.sha256}" not in {problem.file for problem in model.verify().problems}
    (model.path / "objects" / back.sha256).unlink()
    assert f"objects/{back.sha256}" in {problem.file for problem in model.verify().problems}


def test_an_append_only_history_loses_no_version(memory):
    store = Store.create(memory / "shop")
    files, version = [], None
    for number in range(30):
        files.append(store.put(b"task %d" % number))
        version = store.commit(body(*files), "add", version, CREATED)
    assert collected(store).objects == {}
    assert store.collected() == set()
    assert store.version(1).number == 1


@pytest.mark.parametrize("last", [1, 2, 3, 10])
def test_the_newest_versions_stay(memory, last):
    store = Store.create(memory / "shop")
    version = None
    for number in range(5):
        version = store.commit(body(store.put(b"all of it %d" % number)), "add", version, CREATED)
    collected(store, last=last)
    assert store.collected() == set(range(1, 6 - last))
    for number in range(6 - min(last, 5), 6):
        assert all(store.get(r) for r in references(store.version(number).body))


def test_what_is_young_stays(model):
    files = tree(model.path)
    now = max(os.stat(model.path / "objects" / name).st_mtime for name in objects(model))
    done = collect(model, Rules(1), wait=0, clock=lambda: now + DAY - 5)
    assert (done.objects, done.versions, done.jobs) == ({}, {}, {})
    assert tree(model.path) == files
    assert collect(model, Rules(1), wait=0, clock=lambda: now + DAY + 5).objects


def test_a_young_version_keeps_its_old_objects(model):
    model.rollback(1, TODAY - 5)  # as somebody did a moment ago, and the next one another moment later
    model.commit(body(model.put(b"elsewhere")), "add", model.newest(), TODAY - 4)
    for name in objects(model):
        os.utime(model.path / "objects" / name, (LONG_AGO, LONG_AGO))
    done = collected(model)
    assert done.kept[5] == "young"
    assert all(model.get(r) for r in references(model.version(5).body))


@pytest.mark.parametrize("clock", [0, LONG_AGO, CREATED - 1, 2**33])
def test_a_wrong_clock_takes_nothing_that_is_kept(model, clock):
    lease = Lease(model, clock=lambda: clock)
    lease.hold([2])
    collect(model, Rules(1), wait=60, clock=lambda: clock, pause=lambda seconds: None)
    for number in (2, 3, 4):
        assert all(model.get(r) for r in references(model.version(number).body))


def test_nothing_is_planned_where_it_is_not_known_what_is_needed(model):
    files = tree(model.path)
    for name, data in (("versions/00000002.json", b""), ("aliases/serving", b"3"), ("tmp/lease-host-7-00000001", b"")):
        path = model.path / name
        before = path.read_bytes() if path.exists() else None
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        with pytest.raises(ModelCorrupt, match=name):
            collected(model)
        path.unlink()
        if before is not None:
            path.write_bytes(before)
    assert tree(model.path) == files


def test_rules_keep_at_least_the_newest():
    for wrong in ((0, 1, 1), (1, -1, 1), (1, 1, -1)):
        with pytest.raises(UsageError, match="at least the newest"):
            Rules(*wrong)


# -- pins and leases -----------------------------------------------------------------------------------------------------


def test_a_pin_names_what_is_served(model):
    assert (served(model).number, pins(model)) == (3, {"serving": 3})
    assert pin(model, 1).number == 1
    assert served(Store.open(model.path)).number == 1
    assert pin(model, None).number == served(model).number == 4
    assert pin(model, None).number == 4  # it may be said twice
    assert pins(model) == {}
    assert model.verify().problems[1:] == []


def test_a_pin_of_nothing_is_refused(model):
    overwrite(model.path / "objects" / only(model, 2).pop(), b"rotten")
    with pytest.raises(UsageError, match="no version 9"):
        pin(model, 9)
    with pytest.raises(ModelCorrupt, match="objects"):
        pin(model, 2)
    with pytest.raises(UsageError, match="is no name"):
        pin(model, 3, "../serving")
    assert pins(model) == {"serving": 3}


def test_a_damaged_pin_is_named_and_never_passed_over(model):
    path = model.path / "aliases" / "serving"
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], whole.replace(b'"v":3', b'"v":4'), whole + b" "):
        overwrite(path, damaged)
        assert "aliases/serving" in [problem.file for problem in model.verify().problems]
        for ask in (lambda: served(model), lambda: collected(model)):
            with pytest.raises(ModelCorrupt, match="aliases/serving"):
                ask()
    (model.path / "aliases" / "Strange").write_bytes(b"")
    assert "aliases/Strange" in [problem.file for problem in model.verify().problems]
    pin(model, 3)
    assert path.read_bytes() == whole


def test_a_lease_keeps_a_version_until_it_ends(model):
    with Lease(model, clock=lambda: TODAY - 30) as lease:
        lease.hold([1, 2])
        assert collected(model).kept[1].startswith("leased by ")
        lease.hold([2])
        collected(model)
        assert model.collected() == {1}
    collected(model)
    assert model.collected() == {1, 2}
    with pytest.raises(UsageError, match="was collected"), Lease(model) as late:
        late.hold([1])
    assert not [name for name in os.listdir(model.path / "tmp") if name.startswith("lease-")]


def test_a_lease_that_nobody_refreshes_expires(model):
    lease = Lease(model, seconds=60, clock=lambda: TODAY - 61)
    lease.hold([1, 2])
    assert lease.path.exists()
    collected(model)
    assert model.collected() == {1, 2}
    assert not lease.path.exists()


# -- two steps, and who comes in between ---------------------------------------------------------------------------------


def test_between_mark_and_removal_there_is_a_wait_and_another_look(model):
    waited = []

    def pause(seconds):
        waited.append(seconds)
        assert only(model, 1) <= objects(model)
        Lease(model, clock=lambda: TODAY).hold([1])

    collect(model, Rules(1, 60, 60), wait=60, clock=lambda: TODAY, pause=pause)
    assert waited == [60]
    assert all(model.get(r) for r in references(model.version(1).body))
    assert model.collected() == {2}


def test_a_gc_that_was_killed_while_it_waited_goes_on(model):
    def killed(seconds):
        raise Died

    with pytest.raises(Died):
        collect(model, Rules(1, 60, 60), wait=60, clock=lambda: TODAY, pause=killed)
    with pytest.raises(Died):  # too early
        collect(model, Rules(1, 60, 60), wait=60, clock=lambda: TODAY + 59, pause=killed)
    assert collect(model, Rules(1, 60, 60), wait=60, clock=lambda: TODAY + 61, pause=killed).objects
    assert not (model.path / "tmp" / "gc-mark").exists()


@pytest.mark.parametrize("mark", [b"", b"{}", b"\xff" * 99])
def test_a_mark_that_cannot_be_read_is_made_again(model, mark):
    (model.path / "tmp" / "gc-mark").write_bytes(mark)
    assert collected(model).objects


class Meanwhile(Files):
    """Somebody without a lock does something at the N-th file that is taken, before or after it is."""

    def __init__(self, at, when, act):
        self.at, self.when, self.act, self.count = at, when, act, 0

    def rename(self, source, target):
        mine = target.suffix == ".collected"
        self.count += mine
        if mine and (self.count, self.when) == (self.at, "before"):
            self.act()
        super().rename(source, target)
        if mine and (self.count, self.when) == (self.at, "after"):
            self.act()


def roll_back(path, noted):
    """Go back to version 1 by a writer that knows of no lock and no note."""

    def act():
        store = Store.open(path)
        store.collected = set
        try:
            noted.append(store.rollback(1, CREATED))
        except LifelongError as error:
            noted.append(error)

    return act


def overtaken_everywhere(folder, act):
    """What a writer committed, or was told, in the middle of a gc, and whether all that it committed is there."""
    noted = []
    for at in range(1, 5):
        for when in ("before", "after"):
            path = folder / f"{at}-{when}"
            store = littered(path)
            store.files = Meanwhile(at, when, act(path, noted))
            collected(store)
            for reference in references(Store.open(path).newest().body):
                store.get(reference)
    return noted


def test_a_writer_without_a_lock_in_the_middle_of_a_gc_gets_all_or_an_error(memory):
    noted = overtaken_everywhere(memory, roll_back)
    assert {type(one).__name__ for one in noted} == {"Version", "ModelCorrupt"}


def test_putting_what_a_gc_is_about_to_take_is_safe(memory):
    def put(path, noted):
        def act():
            store = Store.open(path)
            newest = store.newest()
            again = store.put(b"a shared vocabulary" * 3)
            noted.append(store.commit({**newest.body, "more": again.as_dict()}, "add", newest, CREATED))

        return act

    assert len(overtaken_everywhere(memory, put)) == 8


def test_a_writer_that_claims_nothing_would_be_found(memory, monkeypatch):
    monkeypatch.setattr(Files, "touch", lambda self, path: None)
    with pytest.raises(ModelCorrupt, match="missing"):
        overtaken_everywhere(memory, roll_back)


def test_a_gc_that_does_not_look_again_would_be_found(memory, monkeypatch):
    def take(store, due):
        for name in due.objects:
            taken = store.path / "tmp" / f"{name}.collected"
            store.files.rename(store.path / "objects" / name, taken)
            store.files.unlink(taken)

    monkeypatch.setattr(collecting, "_take", take)
    with pytest.raises(ModelCorrupt, match="missing"):
        overtaken_everywhere(memory, roll_back)


def claimed_and_killed(folder):
    """A gc is killed with an object in its hand that was claimed at this moment; then another gc runs."""
    for at in range(1, 60):
        path = folder / f"{at}"
        store = littered(path)
        try:
            collected(Store.open(path, files=_Dies(at, roll_back(path, []))))
        except Died:
            pass
        else:
            return
        collected(store)
        for reference in references(Store.open(path).newest().body):
            store.get(reference)


class _Dies(DieAt):
    """Dies at an operation, and before the first file is taken somebody claims it."""

    def __init__(self, at, act):
        super().__init__(at, "after")
        self.act = act

    def step(self, operation, arguments, perform):
        if operation == "rename" and arguments[1].suffix == ".collected" and self.act:
            act, self.act = self.act, None
            act()
        return super().step(operation, arguments, perform)


def test_a_gc_that_was_killed_with_a_claimed_object_in_its_hand_gives_it_back(memory):
    claimed_and_killed(memory)


def test_a_gc_that_gives_nothing_back_would_be_found(memory, monkeypatch):
    monkeypatch.setattr(collecting, "_put_back", lambda store: None)
    with pytest.raises(ModelCorrupt, match="missing"):
        claimed_and_killed(memory)


AT_ONCE = 1.0
"""Seconds that a gc waits between mark and deletion here; the default is a minute. With no wait and nothing young it may run
between a writer's claim and his commit, which take some 0.3 s where four threads share one interpreter."""


def test_writers_and_gcs_at_once(memory):
    """Two writers, with a lock and without, roll back and add; two gcs take what they can; nothing that counts is lost."""
    path = memory / "shop"
    grown(path)
    wrong = []

    def write(seed, lock):
        store, rng = Store.open(path), random.Random(seed)
        for _ in range(40):
            try:
                if rng.random() < 0.5:
                    store.rollback(rng.choice(store.numbers()[-4:-1]), CREATED)
                elif lock:
                    add(store, rng.randint(0, 3))
                else:
                    newest = store.newest()
                    store.commit(body(store.put(b"%d" % rng.randint(0, 3))), "add", newest, CREATED)
            except LifelongError:
                continue  # told, and nothing was committed

    def clean():
        for _ in range(4):
            try:
                collect(Store.open(path), Rules(2, 0, 60), wait=AT_ONCE, clock=lambda: TODAY)
            except LifelongError as error:
                wrong.append(error)

    threads = [threading.Thread(target=write, args=(1, True)), threading.Thread(target=write, args=(2, False))]
    threads += [threading.Thread(target=clean) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert Store.open(path).verify().problems == []
    assert len(Store.open(path).numbers()) > 10


def test_the_time_of_a_gc_with_many_objects_is_not_spent_on_reading_them(memory):
    store = littered(memory / "shop")
    counting = Watched(("read",))
    store.files = counting
    plan(store, Rules(), TODAY)
    assert counting.count <= 2 * len(store.numbers()) + 3  # versions, the pin and leases alone


def test_bytes_are_those_of_what_goes(model):
    found = plan(model, Rules(1, 60, 60), TODAY)
    assert found.bytes == sum(os.stat(model.path / "objects" / name).st_size for name in found.objects) + len(
        b"state"
    ) + sum(os.stat(model.path / "tmp" / name).st_size for name in found.leftovers)
    assert Plan().bytes == 0


def test_a_plan_changes_nothing(model):
    everything = sorted(p.relative_to(model.path) for p in model.path.rglob("*"))
    plan(model, Rules(1, 0, 0), TODAY)
    assert sorted(p.relative_to(model.path) for p in model.path.rglob("*")) == everything


def test_links_lead_nowhere(model):
    """What lies outside is none of ours, and neither is a link to it."""
    outside = model.path.parent / "outside"
    outside.mkdir()
    (outside / "phase-0.json").write_bytes(b"precious")
    os.utime(outside / "phase-0.json", (LONG_AGO, LONG_AGO))
    (model.path / "resume" / "linked").symlink_to(outside)
    (model.path / "resume" / "stopped" / "deeper").symlink_to(outside)
    (model.path / "objects" / ("0" * 64)).symlink_to(outside / "phase-0.json")
    shutil.rmtree(model.path / "tmp")
    (model.path / "tmp").symlink_to(outside)
    (outside / f"{0:032x}.partial").write_bytes(b"precious, too")
    done = plan(model, Rules(1, 60, 60), TODAY)
    assert {"objects/" + "0" * 64, "resume/linked", "resume/stopped/deeper"} <= set(done.unknown)
    assert done.jobs == {}
    gc(model)
    assert (outside / f"{0:032x}.partial").exists()
    assert (outside / "phase-0.json").read_bytes() == b"precious"
