"""From a stream of events to sorted arrays: ids to indices, filters, order, and the account of every row."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.errors import DataError
from lifelong.core.types import DropReport
from lifelong.data.datasets.base import EventBatch, Source

MAX_CHANNELS = 127
"""So many fit into an int8."""


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

    Users and items are numbered in the order of their ids, so that the result does not depend on the order of the rows;
    events of a user are sorted by time, then tie, and those that are equal in both keep their order.
    """
    events, rows_read, dropped = _read(source)
    user_ids, user_E = numbered(events["user"])
    item_ids, item_E = numbered(events["item"])
    time_E = events["time"].to_numpy()
    kept_E, reasons = _kept(user_E, item_E, time_E, source.config)
    report = DropReport(rows_read, int(kept_E.sum()), {r: n for r, n in (dropped + Counter(reasons)).items() if n})
    if not report.rows_used:
        why = ", ".join(f"{n} {reason}" for reason, n in report.dropped.items()) or "there are no rows"
        raise DataError(f"{source.name}: no event is left of {rows_read} rows: {why}")
    order_E = np.flatnonzero(kept_E)
    order_E = order_E[_order(user_E[order_E], *(k[order_E] for k in (time_E, *_tie(events))))]
    user_ids, user_E = _compact(user_ids, user_E[order_E])
    item_ids, item_E = _compact(item_ids, item_E[order_E])
    channels, channel_E = _channels(events, order_E, source)
    return Gathered(
        offsets_U1=np.searchsorted(user_E, np.arange(len(user_ids) + 1)).astype(np.int64),
        items_E=item_E,
        times_E=time_E[order_E],
        channel_E=channel_E,
        channels=channels,
        users=_described(user_ids, source.users()),
        items=_described(item_ids, source.items()),
        report=report,
    )


def _read(source: Source) -> tuple[pa.Table, int, Counter[str]]:
    """All events with ids as dictionary indices, so that a long stream takes some 24 bytes an event."""
    tables, rows_read, dropped = [], 0, Counter[str]()
    for batch in source.events():
        rows_read += batch.rows_read
        dropped.update(batch.dropped)
        if len(batch.table):
            tables.append(encoded(batch))
    if not tables:
        why = ", ".join(f"{n} {reason}" for reason, n in dropped.items()) or "there are no rows"
        raise DataError(f"{source.name}: no event is left of {rows_read} rows: {why}")
    return joined(tables), rows_read, dropped


def joined(tables: list[pa.Table]) -> pa.Table:
    """The tables below each other in one chunk, with one dictionary a column."""
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def encoded(batch: EventBatch) -> pa.Table:
    """Columns in one order, the strings of them as dictionaries."""
    columns = [c for c in ("user", "item", "time", "tie", "channel") if c in batch.table.column_names]
    found = {c: batch.table[c].combine_chunks() for c in columns}
    return pa.table({c: a.dictionary_encode() if pa.types.is_string(a.type) else a for c, a in found.items()})


def numbered(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """The distinct ids, sorted, and the place of each row's id among them (int32)."""
    encoded = column.chunk(0)
    by_id = pc.sort_indices(encoded.dictionary)
    place = np.empty(len(by_id), np.int32)
    place[by_id.to_numpy()] = np.arange(len(by_id), dtype=np.int32)
    return encoded.dictionary.take(by_id), place[encoded.indices.to_numpy()]


def _kept(user_E: np.ndarray, item_E: np.ndarray, time_E: np.ndarray, config: Any) -> tuple[np.ndarray, dict[str, int]]:
    """Bool (E): without duplicates where asked for, rare items, then short users; and how many events each took."""
    kept_E = np.ones(len(user_E), bool)
    if config.duplicates == "drop":
        kept_E &= ~repeated(user_E, item_E, time_E)
    unique = int(kept_E.sum())
    kept_E &= ~_rare(user_E[kept_E], item_E[kept_E], int(item_E.max()) + 1, config)[item_E]
    after_items = int(kept_E.sum())
    kept_E &= (np.bincount(user_E[kept_E], minlength=int(user_E.max()) + 1) >= config.min_user_events)[user_E]
    return kept_E, {
        "exact duplicates": len(user_E) - unique,
        f"of items with fewer than {config.min_item_events} events or {config.min_item_users} users": unique
        - after_items,
        f"of users with fewer than {config.min_user_events} events": after_items - int(kept_E.sum()),
    }


def repeated(user_E: np.ndarray, item_E: np.ndarray, time_E: np.ndarray) -> np.ndarray:
    """Bool (E): True where an earlier row has the same user, item and time."""
    order_E = np.lexsort((time_E, item_E, user_E))  # stable, so the first of equals stays
    same_E = np.ones(max(len(order_E) - 1, 0), bool)
    for key_E in (user_E, item_E, time_E):
        same_E &= key_E[order_E[1:]] == key_E[order_E[:-1]]
    result_E = np.zeros(len(user_E), bool)
    result_E[order_E[1:][same_E]] = True
    return result_E


def _rare(user_E: np.ndarray, item_E: np.ndarray, items: int, config: Any) -> np.ndarray:
    rare_V = np.bincount(item_E, minlength=items) < config.min_item_events
    if config.min_item_users > 1:
        pairs = np.unique(item_E.astype(np.int64) << 32 | user_E)
        rare_V |= np.bincount(pairs >> 32, minlength=items) < config.min_item_users
    return rare_V


def _tie(events: pa.Table) -> list[np.ndarray]:
    return [events["tie"].to_numpy()] if "tie" in events.column_names else []


def _order(*keys_E: np.ndarray) -> np.ndarray:
    """The stable order by the first key, then the next …; a source that is in order already is not sorted again."""
    before_E, equal_E = np.zeros(max(len(keys_E[0]) - 1, 0), bool), np.ones(max(len(keys_E[0]) - 1, 0), bool)
    for key_E in keys_E:
        before_E |= equal_E & (key_E[1:] < key_E[:-1])
        equal_E &= key_E[1:] == key_E[:-1]
    return np.lexsort(keys_E[::-1]) if before_E.any() else np.arange(len(keys_E[0]))


def _compact(ids: pa.Array, place_E: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """The ids that still occur, and the place of each event's among them (int32)."""
    used = np.bincount(place_E, minlength=len(ids)) > 0
    return ids.filter(pa.array(used)), (np.cumsum(used, dtype=np.int32) - np.int32(1))[place_E]


def _channels(events: pa.Table, order_E: np.ndarray, source: Source) -> tuple[list[str], np.ndarray | None]:
    if "channel" not in events.column_names:
        return [], None
    names, channel_E = numbered(events["channel"])
    if len(names) > MAX_CHANNELS:
        raise DataError(f"{source.name}: {len(names)} kinds of events (channel), at most {MAX_CHANNELS} are possible")
    return names.to_pylist(), channel_E[order_E].astype(np.int8)


def _described(ids: pa.Array, table: pa.Table | None) -> pa.Table:
    """One row an id, with what the source knows of it (the first row where an id stands twice), nulls where nothing."""
    columns = {"id": ids.cast(pa.string())}
    if table is not None:
        place = pc.index_in(ids.cast(pa.string()), value_set=table["id"].combine_chunks().cast(pa.string()))
        fields = [c for c in table.column_names if c != "id"]
        columns |= {c: table[c].combine_chunks().take(place).cast(pa.string()) for c in fields}
    return pa.table(columns)
