"""Labels from a time cut: four users worked by hand, the plain definition on random ones, and what cannot be asked."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from given import Given
from hypothesis import given, settings
from hypothesis import strategies as st

import lifelong.model.cases as cases_module
from lifelong.core.errors import ConfigError, DataError
from lifelong.data.derived import DAY, Buys, Churn, Propensity, derived_labels, first_at, read_derived
from lifelong.data.gather import gather
from lifelong.data.prepare import Prepared, prepare
from lifelong.data.splits import Split, user_parts
from lifelong.model.cases import make_cases
from lifelong.model.task import Task, TaskData

CUT = 1_509_494_400
"""2017-11-01, 00:00 UTC."""
EVENTS = [
    ("ann", "milk", -40, "buy"),
    ("ann", "milk", -3, "click"),
    ("ann", "beer", 0, "buy"),  # the cut's own moment comes after it
    ("ann", "milk", 20, "buy"),
    ("bob", "beer", -1, "buy"),
    ("bob", "milk", 2, "click"),
    ("cid", "milk", -50, "buy"),
    ("cid", "beer", 14, "buy"),  # the first moment after fourteen days
    ("dan", "beer", 3, "buy"),  # nothing before the cut
]
"""User, item, days after the cut, channel."""


class Shop(Given):
    def __init__(self, events=EVENTS):
        user, item, day, channel = zip(*events, strict=True)
        time = [int(CUT + d * DAY) for d in day]
        super().__init__({"user": user, "item": item, "time": time, "channel": channel})

    def items(self):
        return pa.table({"id": ["beer", "milk"], "kind": ["drink", "food"]})


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return prepare(Shop(), tmp_path_factory.mktemp("shop"))


BY_HAND = [
    ({"churn": {"days": 14}}, ["no", "no", "yes", "no"]),
    ({"churn": {"days": 15}}, ["no", "no", "no", "no"]),
    ({"churn": {"days": 2}}, ["no", "yes", "yes", "yes"]),
    ({"churn": {"days": 14, "channel": "buy"}}, ["no", "yes", "yes", "no"]),
    ({"churn": {"days": 14, "channel": "buy", "active_days": 45}}, ["no", "yes", None, None]),
    ({"churn": {"days": 14, "channel": ["buy", "click"], "active_days": 3}}, ["no", "no", None, None]),
    ({"buys": {"days": 14, "channel": "buy"}}, ["yes", "no", "no", "yes"]),
    ({"buys": {"days": 3, "channel": "click"}}, ["no", "yes", "no", "no"]),
    ({"propensity": {"days": 14, "field": "kind", "values": ["food"]}}, ["no", "yes", "no", "no"]),
    ({"propensity": {"days": 14, "field": "kind", "values": ["food"], "channel": "buy"}}, ["no"] * 4),
    ({"propensity": {"days": 14, "field": "kind", "values": ["food", "drink"]}}, ["yes", "yes", "no", "yes"]),
]


@pytest.mark.parametrize(("label", "expected"), BY_HAND)
def test_by_hand(shop, label, expected):
    ((kind, options),) = label.items()
    label = read_derived({kind: {"cut": "2017-11-01", **options}}, "label")
    assert derived_labels(label, shop).to_pylist() == expected


def test_where_histories_end(shop):
    """ann 2 of 4, bob 1 of 2, cid 1 of 2, dan 0 of 1."""
    assert first_at(shop.offsets_U1, shop.times_E, CUT).tolist() == [2, 5, 7, 8]
    assert first_at(shop.offsets_U1, shop.times_E, 0).tolist() == [0, 4, 6, 8]
    assert first_at(shop.offsets_U1, shop.times_E, 2**62).tolist() == [4, 6, 8, 9]


EVENT = st.tuples(st.sampled_from("abc"), st.sampled_from(["milk", "beer"]), st.integers(-6, 6), st.sampled_from("xy"))


@settings(max_examples=40, deadline=None)
@given(st.lists(EVENT, min_size=1, max_size=25), st.integers(1, 4), st.sampled_from([None, 1, 3]))
def test_the_plain_definition(events, days, active):
    """One loop a user over all its events, as it would be said in words."""
    events = [("a", "milk", -1, "x"), ("a", "beer", -1, "y"), ("z", "beer", 9, "x"), *events]
    prepared = prepared_in_memory(events)
    found = derived_labels(Buys(cut="2017-11-01", days=days, channel="x", active_days=active), prepared)
    milk = derived_labels(Propensity(cut="2017-11-01", days=days, field="kind", values=["food"]), prepared)
    churn = derived_labels(Churn(cut="2017-11-01", days=days), prepared)
    for n, user in enumerate(sorted({event[0] for event in events})):
        mine = [event[1:] for event in events if event[0] == user]
        later = [(item, channel) for item, day, channel in mine if 0 <= day < days]
        was_active = active is None or any(-active <= day < 0 and channel == "x" for _, day, channel in mine)
        said = "yes" if any(channel == "x" for _, channel in later) else "no"
        assert found[n].as_py() == (said if was_active else None)
        assert milk[n].as_py() == ("yes" if any(item == "milk" for item, _ in later) else "no")
        assert churn[n].as_py() == ("no" if later else "yes")


def prepared_in_memory(events):
    """As prepare would make it, without a folder."""
    source = Shop(events)
    found = vars(gather(source))
    return Prepared(name="shop", key="shop", folder=Path(), notice="", **found)


def test_the_days_must_be_there(shop):
    Buys(cut="2017-11-21", days=1)
    derived_labels(Buys(cut="2017-11-01", days=21), shop)
    with pytest.raises(
        DataError, match=r"22 days from 2017-11-01 on, but the last event is of 2017-11-21; take an earl"
    ):
        derived_labels(Buys(cut="2017-11-01", days=22), shop)


@pytest.mark.parametrize(
    ("label", "error", "says"),
    [
        (
            {"churn": {"cut": "2017-11-01", "days": 1, "channel": "bye"}},
            DataError,
            "no channel 'bye'; did you mean 'buy'",
        ),
        (
            {"propensity": {"field": "knd", "values": ["food"], "days": 1}},
            DataError,
            "no field 'knd'; did you mean 'kind'",
        ),
        ({"propensity": {"field": "kind", "values": ["fod"], "days": 1}}, DataError, "has the kind 'fod'; .*'food'"),
        (
            {"propensity": {"field": "id", "values": ["milk"], "days": 1}},
            DataError,
            "no field 'id'; did you mean 'kind'",
        ),
        ({"chrn": {}}, ConfigError, "task: there is no derived label 'chrn'; did you mean 'churn'"),
        ({"churn": {"days": 1}, "buys": {"days": 1}}, ConfigError, "task: a derived label is one of .* here are 2"),
        ({}, ConfigError, "here are 0"),
        ({"churn": {"cut": "November", "days": 1}}, ConfigError, "task.churn: cut is 'November', write a day"),
        ({"churn": {"days": 0}}, ConfigError, "days is 0"),
        ({"churn": {"days": 1, "active_days": 0}}, ConfigError, "active_days is 0"),
        ({"churn": {"days": 1, "until": 3}}, ConfigError, "no option 'until'"),
        ({"propensity": {"days": 1}}, ConfigError, "'field' is missing"),
    ],
)
def test_what_cannot_be_asked(shop, label, error, says):
    label = {kind: {"cut": "2017-11-01", **options} for kind, options in label.items()}
    with pytest.raises(error, match=says):
        derived_labels(read_derived(label, "task"), shop)


def test_a_moment_with_a_zone():
    assert Buys(cut="2017-11-01", days=1).seconds == CUT
    assert Buys(cut="2017-11-01T02:00:00+02:00", days=1).seconds == CUT
    assert Buys(cut="2017-11-01 00:00", days=1).seconds == CUT


def test_many_users_take_no_loop():
    """A million events: the search reads some of each user's times only."""
    offsets = np.arange(0, 1_000_001, 100)
    times = np.tile(np.arange(100), 10_000)
    assert (first_at(offsets, times, 40) == offsets[:-1] + 40).all()


def crowd(users=60):
    """Users u0, u1, … with an event each day from nine days before the cut on; every third one stops at the cut."""
    days = [(n, d) for n in range(users) for d in range(-9, 0 if n % 3 == 0 else 9) if (n + 2 * d) % 5 or d == -9]
    late = [(f"z{n}", "milk", 3.5, "buy") for n in range(7)]
    return prepared_in_memory([(f"u{n}", ("milk", "beer")[(n + d) % 2], d, "buy") for n, d in days] + late)


CHURN = {"churn": {"cut": "2017-11-01", "days": 8}}


def churn_cases(prepared, label=None):
    label = label or CHURN
    data = TaskData(dataset="synthetic", label=label, split=Split(name="by_user", valid=0.2, test=0.2))
    return make_cases(Task(name="churn", data=data, head="classification").check(), prepared, None, 1)


def check_no_history_reaches_the_cut(prepared, cases):
    """Every readable event of a case lies before the cut: counted here by the users' own times."""
    for part in (cases.train, cases.valid, cases.test):
        for user, end in zip(part.users_N.tolist(), part.ends_N.tolist(), strict=True):
            times = prepared.times_E[prepared.offsets_U1[user] : prepared.offsets_U1[user + 1]]
            read = times[: end - prepared.offsets_U1[user]]
            assert len(read) == (times < CUT).sum(), "all that lies before the cut is read"
            assert (read < CUT).all(), f"user {user} is read beyond the cut"


def test_histories_end_at_the_cut_and_labels_begin_there():
    prepared = crowd()
    cases = churn_cases(prepared)
    check_no_history_reaches_the_cut(prepared, cases)
    assert cases.catalogue == ("no", "yes")
    assert cases.left_out == {"users without the label": 0, "users without history": 7}
    ids = prepared.users["id"].to_pylist()
    for part in (cases.train, cases.valid, cases.test):
        for user, target in zip(part.users_N.tolist(), part.targets_N.tolist(), strict=True):
            assert cases.catalogue[target] == ("yes" if int(ids[user][1:]) % 3 == 0 else "no")
    assert sum(map(len, (cases.train, cases.valid, cases.test))) == 60


@pytest.mark.parametrize("fault", ["the whole history", "one event too many"])
def test_an_event_after_the_cut_inside_a_history_is_caught(monkeypatch, fault):
    def leaking(offsets_U1, times_E, moment):
        right = first_at(offsets_U1, times_E, moment)
        return offsets_U1[1:] if fault == "the whole history" else np.minimum(right + 1, offsets_U1[1:])

    monkeypatch.setattr(cases_module, "first_at", leaking)
    prepared = crowd()
    with pytest.raises(AssertionError, match="cut"):
        check_no_history_reaches_the_cut(prepared, churn_cases(prepared))


def test_a_derived_label_needs_a_split_by_user():
    data = TaskData(dataset="synthetic", label={"churn": {"cut": "2017-11-01", "days": 8}})
    with pytest.raises(DataError, match="split: by_user"):
        make_cases(Task(name="churn", data=data, head="classification"), crowd(), None, 1)


def test_a_label_in_a_task_file(tmp_path):
    """A date without quotes stays what it is, through settings and JSON; a wrong label is told when the file is read."""
    text = """
name: churn
head: classification
data: {dataset: synthetic, label: {churn: {cut: 2017-11-01, days: 14}}, split: by_user}
"""
    (tmp_path / "churn.yaml").write_text(text)
    task = Task.read(tmp_path / "churn.yaml", ["data.label.churn.days=7"])
    assert task.data.label == {"churn": {"cut": "2017-11-01", "days": 7}}
    assert task.data.derived == Churn(cut="2017-11-01", days=7)
    assert Task.from_values(json.loads(json.dumps(task.to_values())), "stored") == task
    (tmp_path / "churn.yaml").write_text(text.replace("days", "day"))
    with pytest.raises(
        ConfigError, match=r"task 'churn': data.label.churn: there is no option 'day'; did you mean 'days'"
    ):
        Task.read(tmp_path / "churn.yaml")
    assert TaskData(dataset="x", label="age").derived is None


def test_users_do_not_change_sides_between_labels():
    prepared = crowd()
    split = Split(name="by_user", valid=0.2, test=0.2)
    parts_U = user_parts(prepared.users["id"], split)
    label = {"propensity": {"field": "kind", "values": ["food"], "cut": "2017-11-01", "days": 1}}
    for cases in (churn_cases(prepared), churn_cases(prepared, label)):
        for code, part in enumerate((cases.train, cases.valid, cases.test)):
            assert (parts_U[part.users_N] == code).all()
