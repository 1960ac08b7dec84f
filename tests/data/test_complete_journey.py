"""The Complete Journey: nothing about a basket can be read from the order of its lines; labels by hand."""

import datetime
import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lifelong.core.errors import DataError
from lifelong.data.datasets import complete_journey as module
from lifelong.data.datasets.complete_journey import CompleteJourney
from lifelong.data.prepare import prepare


@pytest.fixture(scope="module")
def prepared(cache):
    return prepare(CompleteJourney(CompleteJourney.Config()), cache)


def ascending(prepared):
    """The share of neighbours with one user and one time whose product ids ascend, and their number."""
    product_V = prepared.items["id"].combine_chunks().cast(pa.int64()).to_numpy()
    product_E, time_E = product_V[prepared.items_E], prepared.times_E
    user_E = np.repeat(np.arange(len(prepared.users)), np.diff(prepared.offsets_U1))
    basket_E = (user_E[1:] == user_E[:-1]) & (time_E[1:] == time_E[:-1])
    return (product_E[1:] > product_E[:-1])[basket_E].mean(), int(basket_E.sum())


def test_lines_of_a_basket_are_not_in_the_order_of_the_products(prepared):
    share, neighbours = ascending(prepared)
    assert neighbours > 500_000
    assert abs(share - 0.5) < 0.005


ORDER = "0288f2da95ecd7199a3ab22b0e4e1108b66fafa54551407329dbaf442b1d7bf8"
"""SHA-256 of "household product" of every event, households sorted as text, in the order that published splits have: the
lines of a basket by blake2b of "basket|product", 8 bytes, little endian."""


def test_lines_of_a_basket_lie_in_the_published_order(prepared):
    users, products = (np.array(table["id"].to_pylist()) for table in (prepared.users, prepared.items))
    user_E = np.repeat(users, np.diff(prepared.offsets_U1))
    lines = "\n".join(map(" ".join, zip(user_E, products[prepared.items_E], strict=True)))
    assert hashlib.sha256(lines.encode()).hexdigest() == ORDER


def test_the_order_of_the_file_would_be_noticed(tmp_path, monkeypatch):
    class AsInTheFile(CompleteJourney):
        def events(self):
            for batch in super().events():
                table = batch.table.slice(0, 50_000)
                yield type(batch)(table.drop_columns(["tie"]), len(table))

    share, neighbours = ascending(
        prepare(AsInTheFile(CompleteJourney.Config(min_item_events=1, ties="mixed")), tmp_path)
    )
    assert neighbours > 10_000
    assert share > 0.9


def test_every_line_is_accounted_for(prepared):
    lines = module._read("transactions", ["household_id"])
    assert prepared.report.rows_read == len(lines) == 1_469_307
    assert prepared.report.rows_used == len(prepared.items_E) > 1_300_000
    assert (np.bincount(prepared.items_E) >= 5).all()
    assert (np.diff(prepared.offsets_U1) >= 5).all()


def test_times_are_those_of_2017(prepared):
    first, last = (
        datetime.datetime.fromtimestamp(t, datetime.UTC) for t in (prepared.times_E.min(), prepared.times_E.max())
    )
    assert first.date() == datetime.date(2017, 1, 1)
    assert last.date() in (datetime.date(2017, 12, 31), datetime.date(2018, 1, 1))


def test_labels(prepared):
    known = {name: len(prepared.users) - prepared.users[name].null_count for name in prepared.users.column_names}
    assert 780 <= known["age"] <= 801
    assert set(prepared.users["kids_count"].unique().to_pylist()) == {None, "0", "1", "2", "3+"}
    redeemed = dict(zip(*pc.value_counts(prepared.users["coupon_redemption"].combine_chunks()).flatten(), strict=True))
    assert {key.as_py() for key in redeemed} == {None, "yes", "no"}
    assert prepared.label_cuts == {"coupon_redemption": 1_498_867_200}
    assert prepared.items["domain"].null_count < 10
    domains = [domain for domain in prepared.items["domain"].unique().to_pylist() if domain]
    assert {"grocery", "produce", "drug_gm"} <= set(domains)
    assert all(domain.replace("_", "a").isalnum() for domain in domains)


def test_redemption_is_of_the_campaigns_after_the_cut_only():
    tables = {
        "campaign_descriptions": pa.table(
            {"campaign_id": [1, 2, 3], "start_date": pa.array([datetime.date(2017, m, 1) for m in (6, 7, 8)])}
        ),
        "campaigns": pa.table({"household_id": ["a", "b", "b", "c"], "campaign_id": [1, 1, 2, 3]}),
        "coupon_redemptions": pa.table({"household_id": ["a", "b", "c"], "campaign_id": [1, 1, 3]}),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_read", lambda name, columns: tables[name].select(columns))
        found = module._coupon_redemption(pa.array(["a", "b", "c", "d"]), np.datetime64("2017-07-01"))
    assert found.to_pylist() == [None, "no", "yes", None]


def test_options_and_absence(monkeypatch):
    with pytest.raises(ValueError, match="coupon_cut is 'July'"):
        CompleteJourney.Config(coupon_cut="July")
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install"):
        CompleteJourney(CompleteJourney.Config()).identity()
