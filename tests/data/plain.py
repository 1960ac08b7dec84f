"""Preparing as it would be written if memory and time did not matter: whole columns, one sort of the rows. A reference."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.types import DropReport
from lifelong.data.gather import Gathered


def plain_gather(source):
    """What gather() must give, bit for bit; None where no event is left."""
    batches = list(source.events())
    events = pa.concat_tables([batch.table for batch in batches]).combine_chunks()
    rows_read = sum(batch.rows_read for batch in batches)
    dropped = sum((Counter(batch.dropped) for batch in batches), Counter())
    if not len(events):
        return None
    (users, user_E), (items, item_E) = _numbered(events["user"]), _numbered(events["item"])
    time_E = events["time"].to_numpy()
    kept_E, reasons = _kept(user_E, item_E, time_E, source.config)
    if not kept_E.any():
        return None
    ties = [events["tie"].to_numpy()] if "tie" in events.column_names else []
    order_E = np.lexsort([*ties, time_E, user_E])
    order_E = order_E[kept_E[order_E]]
    users, user_E = _compact(users, user_E[order_E])
    items, item_E = _compact(items, item_E[order_E])
    channels, channel_E = pa.array([], pa.string()), None
    if "channel" in events.column_names:
        channels, channel_E = _numbered(events["channel"])
        channel_E = channel_E[order_E].astype(np.int8)
    return Gathered(
        offsets_U1=np.concatenate(([0], np.cumsum(np.bincount(user_E)))).astype(np.int64),
        items_E=item_E,
        times_E=time_E[order_E],
        channel_E=channel_E,
        channels=channels.to_pylist(),
        users=_described(users, source.users()),
        items=_described(items, source.items()),
        report=DropReport(rows_read, len(order_E), {r: n for r, n in (dropped + Counter(reasons)).items() if n}),
    )


def _numbered(column):
    encoded = column.combine_chunks().dictionary_encode()
    by_id = pc.sort_indices(encoded.dictionary)
    place = np.empty(len(by_id), np.int32)
    place[by_id.to_numpy()] = np.arange(len(by_id))
    return encoded.dictionary.take(by_id), place[encoded.indices.to_numpy()]


def _kept(user_E, item_E, time_E, config):
    rows = list(zip(user_E.tolist(), item_E.tolist(), time_E.tolist(), strict=True))
    kept_E = np.ones(len(rows), bool)
    if config.duplicates == "drop":
        first = {row: n for n, row in reversed(list(enumerate(rows)))}
        kept_E = np.array([first[row] == n for n, row in enumerate(rows)])
    unique = int(kept_E.sum())
    events = Counter(item_E[kept_E].tolist())
    users = Counter(item for _, item in {(u, i) for (u, i, _), kept in zip(rows, kept_E, strict=True) if kept})
    rare = [events[i] < config.min_item_events or users[i] < config.min_item_users for i in item_E.tolist()]
    kept_E &= ~np.array(rare)
    common = int(kept_E.sum())
    lengths = Counter(user_E[kept_E].tolist())
    kept_E &= np.array([lengths[u] >= config.min_user_events for u in user_E.tolist()])
    return kept_E, {
        "exact duplicates": len(rows) - unique,
        f"of items with fewer than {config.min_item_events} events or {config.min_item_users} users": unique - common,
        f"of users with fewer than {config.min_user_events} events": common - int(kept_E.sum()),
    }


def _compact(ids, place_E):
    used = np.unique(place_E)
    return ids.take(pa.array(used)), np.searchsorted(used, place_E).astype(np.int32)


def _described(ids, table):
    columns = {"id": ids}
    if table is not None:
        place = pc.index_in(ids, value_set=table["id"].combine_chunks())
        columns |= {c: table[c].combine_chunks().take(place) for c in table.column_names if c != "id"}
    return pa.table(columns)
