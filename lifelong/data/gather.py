"""From a stream of events to sorted arrays: ids to indices, filters, order, and the account of every row."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.errors import DataError
from lifelong.core.types import DropReport
from lifelong.data.datasets.base import EventBatch, Source


@dataclass(frozen=True)
class Gathered:
    """Everything that is written down of a data set; see Prepared for the shapes."""

    offsets_U1: np.ndarray
    items_E: np.ndarray
    times_E: np.ndarray
    channel_E: np.ndarray | None
    channels: list[str]
    users: pa.Table
    items: pa.Table
    report: DropReport


def gather(source: Source) -> Gathered:
    """Read a source to its end. Raises DataError where no event is left.

    Users and items are numbered in the order of their ids, so that the result does not depend on the order of the rows; rows
    with equal time and tie keep theirs.
    """
    batches = list(source.events())
    dropped = sum((Counter(dict(b.dropped)) for b in batches), Counter())
    events = _joined(batches)
    kept, reasons = _filtered(events, source)
    dropped.update(reasons)
    report = DropReport(sum(b.rows_read for b in batches), len(kept), {r: n for r, n in dropped.items() if n})
    if not len(kept):
        why = ", ".join(f"{n} {reason}" for reason, n in report.dropped.items()) or "there are no rows"
        raise DataError(f"{source.name}: no event is left of {report.rows_read} rows: {why}")
    user_ids, user_E = _numbered(kept["user"])
    item_ids, item_E = _numbered(kept["item"])
    order_E = _order(kept, user_E)
    channels, channel_E = _channels(kept)
    return Gathered(
        offsets_U1=np.searchsorted(user_E[order_E], np.arange(len(user_ids) + 1)).astype(np.int64),
        items_E=item_E[order_E].astype(np.int32),
        times_E=kept["time"].to_numpy()[order_E],
        channel_E=None if channel_E is None else channel_E[order_E],
        channels=channels,
        users=_described(user_ids, source.users()),
        items=_described(item_ids, source.items()),
        report=report,
    )


def _joined(batches: list[EventBatch]) -> pa.Table:
    if not batches:
        return pa.table({"user": pa.array([], pa.string()), "item": pa.array([], pa.string()), "time": pa.array([], pa.int64())})
    return pa.concat_tables([b.table for b in batches])


def _filtered(events: pa.Table, source: Source) -> tuple[pa.Table, dict[str, int]]:
    """Without rare items, then without short users; and how many events that took."""
    config, whole = source.config, len(events)
    _, item_E = _numbered(events["item"])
    _, user_E = _numbered(events["user"])
    counts_V = np.bincount(item_E)
    pairs = np.unique(item_E.astype(np.int64) * (user_E.max(initial=0) + 1) + user_E)
    users_V = np.bincount(pairs // (user_E.max(initial=0) + 1), minlength=len(counts_V))
    rare_V = (counts_V < config.min_item_events) | (users_V < config.min_item_users)
    kept_E = ~rare_V[item_E] if whole else np.zeros(0, bool)
    after_items = int(kept_E.sum())
    lengths_U = np.bincount(user_E[kept_E], minlength=int(user_E.max(initial=0)) + 1)
    kept_E &= lengths_U[user_E] >= config.min_user_events if whole else kept_E
    reasons = {
        f"of items with fewer than {config.min_item_events} events or {config.min_item_users} users": whole - after_items,
        f"of users with fewer than {config.min_user_events} events": after_items - int(kept_E.sum()),
    }
    return events.filter(pa.array(kept_E)), reasons


def _numbered(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """The distinct ids, sorted, and the place of each row's id among them (int64)."""
    encoded = column.combine_chunks().dictionary_encode()
    ids = encoded.dictionary
    by_id = pc.sort_indices(ids).to_numpy()
    place = np.empty(len(ids), np.int64)
    place[by_id] = np.arange(len(ids))
    return ids.take(pa.array(by_id)), place[encoded.indices.to_numpy(zero_copy_only=False)]


def _order(events: pa.Table, user_E: np.ndarray) -> np.ndarray:
    keys = [events["time"].to_numpy(), user_E]
    if "tie" in events.column_names:
        keys.insert(0, events["tie"].to_numpy())
    return np.lexsort(keys)


def _channels(events: pa.Table) -> tuple[list[str], np.ndarray | None]:
    if "channel" not in events.column_names:
        return [], None
    names, channel_E = _numbered(events["channel"])
    return names.to_pylist(), channel_E.astype(np.int8)


def _described(ids: pa.Array, table: pa.Table | None) -> pa.Table:
    """One row an id, with what the source knows of it (the first row where an id stands twice), nulls where nothing."""
    columns = {"id": ids.cast(pa.string())}
    if table is not None:
        place = pc.index_in(ids.cast(pa.string()), value_set=table["id"].combine_chunks().cast(pa.string()))
        columns |= {c: table[c].combine_chunks().take(place).cast(pa.string()) for c in table.column_names if c != "id"}
    return pa.table(columns)
