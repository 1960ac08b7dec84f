"""Every data set keeps the contract, and the contract notices a source that does not."""

import itertools

import downloads
import numpy as np
import pyarrow as pa
import pytest
import releases

import lifelong.data.gather as gather_module
import lifelong.data.prepare as prepare_module
from lifelong.core.errors import DataError
from lifelong.core.registry import find, names
from lifelong.data.columns import Columns
from lifelong.data.datasets.base import EventBatch, Source
from lifelong.testing.datasets import DATASET_CHECKS, check_dataset


def own_files(folder):
    folder.mkdir()
    rows = [f"u{n % 7},{n % 11:03},{1_600_000_000 + (n * 37) % 50},{'click' if n % 3 else 'buy'}" for n in range(200)]
    (folder / "events.csv").write_text("\n".join(["who,what,when,how", *rows, "u1,,5,buy", "u1,3,soon,buy"]) + "\n")
    (folder / "items.csv").write_text("what,domain\n" + "".join(f"{n:03},d{n % 2}\n" for n in range(15)))
    (folder / "users.jsonl").write_text('{"who":"u1","age":"18-24"}\n{"who":"u2","age":null}\n')
    return {
        "events": str(folder / "events.csv"),
        "items": str(folder / "items.csv"),
        "users": str(folder / "users.jsonl"),
        "columns": Columns(user="who", item="what", time="when", channel="how"),
        "item_id": "what",
        "user_id": "who",
        "on_bad_rows": "drop",
        "duplicates": "drop",
    }


MADE = {
    "complete_journey": lambda folder: [
        {"ties": "mixed"}
    ],  # the quick one; the order of the other has a test of its own
    "synthetic": lambda folder: [{"users": 60, "items": 40}, {"users": 3, "items": 12, "min_item_events": 2}],
    "files": lambda folder: [own_files(folder / "own")],
    "movielens": lambda folder: [
        {"path": str(make(folder / release)), "min_user_events": 1} for release, make in releases.RELEASES.items()
    ],
    "movielens25m": lambda folder: [
        {"path": str(releases.ml_25m(folder / "25m")), "min_user_events": 1, "history": history}
        for folder, history in ((folder / "a", "before"), (folder / "b", "whole"))
    ],
    "tenrec": lambda folder: releases.tenrec(folder / "tenrec"),
    "ttl": lambda folder: releases.ttl(folder / "ttl"),
    **{name: lambda folder, name=name: getattr(downloads, name)(folder / name) for name in downloads.SETS},
}
"""Data set -> the options of the sources that are tested."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Data set -> its sources, made once."""
    made = {}

    def get(name):
        if name not in made:
            folder, cls = tmp_path_factory.mktemp(name), find("datasets", name)
            made[name] = [cls(cls.Config(**options)) for options in MADE[name](folder)]
        return made[name]

    return get


@pytest.mark.parametrize("check", DATASET_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", names("datasets"))
def test_contract(sources, cache, name, check):
    for source in sources(name):
        check(source, cache)


class Small(Source):
    """Six events of two users, two of them equal, with a tie that turns two round."""

    def identity(self):
        return {**super().identity(), "class": type(self).__name__}

    def table(self):
        return pa.table(
            {
                "user": ["b", "a", "b", "a", "b", "b"],
                "item": ["x", "y", "z", "x", "y", "y"],
                "time": [3, 1, 2, 1, 3, 3],
                "tie": pa.array([0, 2, 0, 1, 0, 0], pa.uint64()),
            }
        )

    def events(self):
        yield EventBatch(self.table(), 7, {"unusable": 1})

    def users(self):
        return pa.table({"id": ["a", "b"], "age": pa.array(["18", None])})


def changed(**columns):
    """A faulty Small: some columns are others (None: missing)."""

    class Changed(Small):
        def table(self):
            table = super().table()
            for name, values in columns.items():
                index = table.column_names.index(name)
                table = table.remove_column(index)
                table = table if values is None else table.add_column(index, name, values)
            return table

    return Changed


class _Planted:
    """Sources with a fault each; the contract must see every one of them."""

    NumbersAsIds = changed(user=pa.array([2, 1, 2, 1, 2, 2]))
    NoTime = changed(time=None)
    TimeAsFloat = changed(time=pa.array([3.0, 1.0, 2.0, 1.0, 3.0, 3.0]))
    NullUser = changed(user=pa.array(["b", None, "b", "a", "b", "b"]))
    EmptyItem = changed(item=pa.array(["x", "", "z", "x", "y", "y"]))
    SignedTie = changed(tie=pa.array([0, 2, 0, 1, 0, 0], pa.int64()))

    class UnknownColumn(Small):
        def events(self):
            yield EventBatch(self.table().append_column("price", pa.array([1.0] * 6)), 6)

    class OtherColumnsLater(Small):
        def events(self):
            yield EventBatch(self.table(), 6)
            yield EventBatch(self.table().drop_columns(["tie"]), 6)

    class AnotherTimeOtherEvents(Small):
        count = itertools.count()

        def events(self):
            time = pa.array([next(self.count)] * 6)
            yield EventBatch(self.table().set_column(2, "time", time), 6)

    class AnotherTimeOtherCounts(Small):
        count = itertools.count()

        def events(self):
            dropped = next(self.count)
            yield EventBatch(self.table(), 6 + dropped, {"unusable": dropped})

    class CountsNothingAsSomething(Small):
        def events(self):
            yield EventBatch(self.table(), 6, {"one": 1, "the other": -1})

    class NothingAtAll(Small):
        def events(self):
            return iter(())

    class IdentityIsNoJson(Small):
        def identity(self):
            return {**super().identity(), "seen": {1, 2}}

    class IdentityChanges(Small):
        count = itertools.count()

        def identity(self):
            return {**super().identity(), "now": next(self.count)}

    class IdentityForgetsOptions(Small):
        def identity(self):
            return {"name": "small"}

    class UserTwice(Small):
        def users(self):
            return pa.table({"id": ["a", "a"], "age": ["18", "19"]})

    class NumbersAsLabels(Small):
        def users(self):
            return pa.table({"id": ["a", "b"], "age": [18, 19]})

    class ItemsWithoutId(Small):
        def items(self):
            return pa.table({"item": ["x"]})

    class NullAmongItems(Small):
        def items(self):
            return pa.table({"id": pa.array(["x", None])})

    class CutOfNoLabel(Small):
        def label_cuts(self):
            return {"income": 5}

    class CutWithFraction(Small):
        def label_cuts(self):
            return {"age": 5.5}


def test_a_good_source_keeps_the_contract(tmp_path):
    check_dataset(Small(Source.Config()), tmp_path)
    check_dataset(Small(Source.Config(duplicates="drop")), tmp_path)


@pytest.mark.parametrize("fault", [v for v in vars(_Planted).values() if isinstance(v, type)], ids=lambda f: f.__name__)
def test_contract_catches(fault, tmp_path):
    with pytest.raises(AssertionError):
        check_dataset(fault(Source.Config()), tmp_path)


@pytest.mark.parametrize("key", ["time", "tie", "row"])
def test_contract_catches_a_wrong_order(key, tmp_path, monkeypatch):
    """As if preparing forgot one of the keys by which events are sorted, or turned equal ones round."""
    forgetful = {
        "time": lambda user_N, time_N, tie_N: np.lexsort((tie_N, user_N)),
        "tie": lambda user_N, time_N, tie_N: np.lexsort((time_N, user_N)),
        "row": lambda user_N, time_N, tie_N: np.lexsort((-np.arange(len(user_N)), tie_N, time_N, user_N)),
    }
    monkeypatch.setattr(gather_module, "order_of", forgetful[key])
    with pytest.raises(AssertionError, match="than by"):
        check_dataset(Small(Source.Config()), tmp_path)


def test_contract_catches_a_cache_that_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_module, "_is_whole", lambda folder: False)
    with pytest.raises((AssertionError, DataError)):
        check_dataset(Small(Source.Config()), tmp_path)
