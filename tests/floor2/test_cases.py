"""What a task makes of a data set: who is trained on, what is read, and input that is refused with one clear line."""

import numpy as np
import pyarrow as pa
import pytest
import worlds

from lifelong.core.errors import ConfigError, DataError
from lifelong.data.prepare import Prepared, prepare
from lifelong.data.splits import TEST, user_parts
from lifelong.model.cases import NO_ITEMS, make_cases
from lifelong.model.task import Task, as_task
from lifelong.opened import make_source


@pytest.fixture(scope="module")
def world(cache):
    return prepare(make_source(worlds.DATA, "test"), cache)


def cases_of(task, world, known=None):
    return make_cases(as_task(task), world, known, 1)


def small(labels, events=None, **more):
    """A data set of a few users with one event each, and a label column."""
    users = len(labels)
    return Prepared(
        name="small",
        key="k",
        folder=None,
        notice="",
        report=None,
        offsets_U1=np.arange(users + 1),
        items_E=np.zeros(users, np.int32),
        times_E=np.arange(users),
        users=pa.table({"id": [f"u{n}" for n in range(users)], "label_0": pa.array(labels, pa.string())}),
        items=pa.table({"id": ["a"], "domain": ["domain_0"]}),
        **more,
    )


def test_nobody_is_trained_on_who_is_a_profile_test_user(world):
    parts = user_parts(world.users["id"], as_task(worlds.label(0)).data.split)
    first, label = (
        cases_of(worlds.first(), world),
        cases_of(worlds.label(0), world, NO_ITEMS.extended(world.items["id"].combine_chunks(), 1)),
    )
    assert not (parts[first.train.users_N] == TEST).any()
    assert (parts[label.test.users_N] == TEST).all()
    assert not set(label.train.users_N) & (set(label.valid.users_N) | set(label.test.users_N))
    leaky = worlds.first()
    leaky["data"] = {**leaky["data"], "split": {"name": "time", "hold_out_users": False}}
    assert (parts[cases_of(leaky, world).train.users_N] == TEST).any()


def test_training_reads_nothing_on_or_after_the_cut(world):
    cases = cases_of(worlds.first(), world)
    before = cases.train.ends_N.max() if len(cases.train) else 0
    assert before <= len(cases.sequences.rows_E)
    for user in np.unique(cases.test.users_N):
        end = cases.test.ends_N[cases.test.users_N == user][0]
        mine = cases.train.ends_N[cases.train.users_N == user]
        assert (mine < end).all()


def test_a_child_reads_what_its_parent_knows_and_brings_rows_only_for_what_it_names(world):
    first = cases_of(worlds.first(), world)
    child = cases_of(worlds.cross(1), world, first.known)
    wider = make_cases(as_task(worlds.wider(1)), world, first.known, 1 + len(first.catalogue))
    assert len(child.new_items) == 0
    assert len(child.sequences.rows_E) == len(first.sequences.rows_E)
    assert sorted(wider.new_items.to_pylist()) == sorted(wider.catalogue)
    assert not set(first.catalogue) & set(child.catalogue)


def test_a_label_with_a_cut_reads_nothing_after_it(world):
    known = NO_ITEMS.extended(world.items["id"].combine_chunks(), 1)
    cut = int(np.quantile(np.asarray(world.times_E), 0.5))
    limited = Prepared(**{**vars(world), "label_cuts": {"label_0": cut}})
    cases = cases_of(worlds.label(0), limited, known)
    times = np.asarray(world.times_E)
    for part in (cases.train, cases.valid, cases.test):
        assert (times[part.ends_N - 1] < cut).all()


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["a", "b"] * 40 + ["nan"], "'nan'; leave the cell empty"),
        (["a"] * 80, "one class only"),
        ([None] * 80, "nobody has both a value of 'label_0' and a history"),
    ],
)
def test_labels_that_cannot_be_learnt(labels, says):
    with pytest.raises(DataError, match=says) as error:
        cases_of(worlds.label(0), small(labels), NO_ITEMS.extended(pa.array(["a"]), 1))
    assert "\n" not in str(error.value)


def test_a_class_that_no_training_user_has_is_named():
    labels = np.array(["a", "b"] * 100, object)
    world = small(labels)
    test_users = user_parts(world.users["id"], Task.from_values(worlds.label(0), "t").data.split) == TEST
    labels[np.flatnonzero(test_users)[0]] = "rare"
    with pytest.raises(DataError, match="class 'rare' of 'label_0' never occurs among the training users"):
        cases_of(worlds.label(0), small(labels), NO_ITEMS.extended(pa.array(["a"]), 1))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data": {"dataset": worlds.DATA, "label": "lable_0", "split": "by_user"}}, "did you mean 'label_0'"),
        ({"data": {"dataset": worlds.DATA, "label": "label_0", "split": "time"}}, "needs data.split: by_user"),
        ({"name": "../evil"}, "name"),
        (
            {
                "data": {
                    "dataset": worlds.DATA,
                    "label": "label_0",
                    "split": "by_user",
                    "targets": {"domain": "domain_1"},
                }
            },
            "leave one of them out",
        ),
        ({"head": "clasification"}, "did you mean 'classification'"),
        ({"strategy": {"name": "conure", "keeep": 0.3}}, "did you mean 'keep'"),
        ({"strategy": {"name": "conure", "keep": 3}}, "must lie in"),
        ({"metrics": ["accuracyy"]}, "did you mean 'accuracy'"),
        ({"fit": {"epochs": 0}}, "at least 1"),
        ({"data": {"dataset": worlds.DATA, "split": "by_user"}}, "needs data.label"),
        ({"paernt": "next"}, "did you mean 'parent'"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused_in_one_line(world, changes, says):
    with pytest.raises((ConfigError, DataError), match=says) as error:
        cases_of(worlds.label(0, **changes), world, NO_ITEMS.extended(world.items["id"].combine_chunks(), 1))
    assert "\n" not in str(error.value)


def test_a_parent_that_knows_nothing_of_the_data(world):
    with pytest.raises(DataError, match="its parent knows none of the 60 items"):
        cases_of(worlds.cross(1), world, NO_ITEMS.extended(pa.array(["x"]), 1))


def test_an_objective_of_labels_is_refused_for_items():
    with pytest.raises(
        ConfigError, match="objective supervised learns a label of users, and head next_item answers items"
    ):
        as_task(worlds.first(objective="supervised"))
