"""From a stream of events to sorted arrays: ids to places, filters, order, and the account of every row.

Three passes, none of which holds all events: the source is read into a log; the log is dealt into boxes of neighbouring
users; box by box is sorted, filtered and appended to the result. What exceeds the memory allowed lies in files.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.errors import DataError
from lifelong.core.types import DropReport
from lifelong.data.datasets.base import Source
from lifelong.data.log import Log, read_log
from lifelong.data.ordering import order_of, repeated_within
from lifelong.data.spill import Column, Room, Rows, Shelf

BOX = 1 << 18
"""Events of a box, about: sorted within the processor's cache, and few enough for user, time and row in 64 bits."""
MAX_BOXES = 1 << 16
"""So many numbers a uint16 has, which are sorted fastest."""


@dataclass(frozen=True)
class Gathered:
    """Everything that is written down of a data set; see Prepared for the shapes. Arrays may be memory-mapped."""

    offsets_U1: np.ndarray
    items_E: np.ndarray
    times_E: np.ndarray
    channel_E: np.ndarray | None
    channels: list[str]
    users: pa.Table
    items: pa.Table
    report: DropReport


@dataclass(frozen=True)
class Boxes:
    """Events by user. users_B1: box b holds users_B1[b] up to users_B1[b + 1], which are places in the order of ids."""

    rows: Shelf
    users_B1: np.ndarray
    users: int
    items: int


def gather(source: Source, room: Room | None = None) -> Gathered:
    """Read a source to its end. Raises DataError where no event is left, or the room's disk is full.

    Users and items are numbered in the order of their ids, so that the result does not depend on the order of the rows;
    events of a user are sorted by time, then tie, and those that are equal in both keep their order.
    """
    room = room or Room()
    log = read_log(source, room)
    _check_left(source, log.rows_read, log.events, dict(log.dropped))
    user_ids, place_U = log.users.ranked()
    item_ids, place_V = log.items.ranked()
    channels, place_C = log.channels.ranked()
    boxes = _dealt(log, place_U, place_V, place_C.astype(np.int8), room)
    kept = _Kept(source.config, boxes, _by_place(log.of_item.by_code, place_V))
    columns = [Column(room, kind) for kind in (np.int32, np.int64, np.int8)]
    for number in range(len(boxes.users_B1) - 1):
        rows = kept.of(number)
        for column, array in zip(columns, (rows.item, rows.time, rows.channel), strict=True):
            if array is not None:
                column.append(array)
    boxes.rows.close()
    report = _report(log, kept)
    _check_left(source, log.rows_read, report.rows_used, dict(report.dropped))
    used_U, used_V = kept.events_U > 0, kept.used_V
    return Gathered(
        offsets_U1=np.concatenate(([0], np.cumsum(kept.events_U[used_U]))),
        items_E=columns[0].whole(None if used_V.all() else np.cumsum(used_V, dtype=np.int32) - np.int32(1)),
        times_E=columns[1].whole(),
        channel_E=columns[2].whole() if len(channels) else None,
        channels=channels.to_pylist(),
        users=_described(user_ids.filter(pa.array(used_U)), source.users()),
        items=_described(item_ids.filter(pa.array(used_V)), source.items()),
        report=report,
    )


def _check_left(source: Source, rows_read: int, left: int, dropped: dict[str, int]) -> None:
    if not left:
        why = ", ".join(f"{n} {reason}" for reason, n in dropped.items()) or "there are no rows"
        raise DataError(f"{source.name}: no event is left of {rows_read} rows: {why}")


def _by_place(counts: np.ndarray, place: np.ndarray) -> np.ndarray:
    result = np.empty_like(counts)
    result[place] = counts
    return result


def _dealt(log: Log, place_U: np.ndarray, place_V: np.ndarray, place_C: np.ndarray, room: Room) -> Boxes:
    """The log's events in boxes of about BOX each, whole users together and in the order of their ids."""
    ends_U = np.cumsum(_by_place(log.of_user.by_code, place_U))
    size = max(BOX, -(-log.events // MAX_BOXES))
    box_U = np.concatenate(([0], ends_U[:-1])) // size
    box_U = np.concatenate(([0], np.cumsum(np.diff(box_U) > 0))).astype(np.uint16)  # none is empty
    count = int(box_U[-1]) + 1
    shelf = Shelf(room, count)
    for piece in log.rows.pieces():
        channel_N = None if piece.channel is None else place_C[piece.channel]
        rows = Rows(place_U[piece.user], place_V[piece.item], piece.time, piece.tie, channel_N)
        box_N = box_U[rows.user]
        if (box_N[1:] < box_N[:-1]).any():
            order_N = np.argsort(box_N, kind="stable")
            rows, box_N = rows.where(order_N), box_N[order_N]
        bounds = np.searchsorted(box_N, np.arange(count + 1))
        for number in np.flatnonzero(np.diff(bounds)).tolist():
            shelf.put(rows.where(slice(bounds[number], bounds[number + 1])), number)
    log.rows.close()
    return Boxes(shelf, np.searchsorted(box_U, np.arange(count + 1)), len(place_U), len(place_V))


class _Kept:
    """What the filters leave, box by box: without duplicates where asked for, without rare items, then short users."""

    def __init__(self, config: Any, boxes: Boxes, events_V: np.ndarray) -> None:
        self._config, self._boxes = config, boxes
        self.events_U, self.used_V = np.zeros(boxes.users, np.int64), np.zeros(boxes.items, bool)
        self.duplicates = self.rare = self.short = 0
        if config.duplicates == "drop" or config.min_item_users > 1:
            events_V, users_V = self._counted()
            self._rare_V = (events_V < config.min_item_events) | (users_V < config.min_item_users)
        else:
            self._rare_V = events_V < config.min_item_events

    def of(self, number: int) -> Rows:
        """The events of a box that are left, in order; the box is empty afterwards."""
        found = self._boxes.rows.box(number, empty=True)
        rows = self._in_order(found)
        self.duplicates += len(found) - len(rows)
        first, end = self._boxes.users_B1[number : number + 2].tolist()
        if self._rare_V.any():
            common = rows.where(~self._rare_V[rows.item])
            self.rare += len(rows) - len(common)
            rows = common
        events_u = np.bincount(rows.user - first, minlength=end - first)
        long_u = events_u >= self._config.min_user_events
        if not long_u.all():
            left = rows.where(long_u[rows.user - first])
            self.short += len(rows) - len(left)
            rows, events_u = left, events_u * long_u
        self.events_U[first:end] = events_u
        self.used_V[rows.item] = True
        return rows

    def _in_order(self, rows: Rows) -> Rows:
        order_N = order_of(rows.user, rows.time, rows.tie)
        rows = rows if order_N is None else rows.where(order_N)
        if self._config.duplicates == "keep":
            return rows
        row_N = np.arange(len(rows)) if order_N is None else order_N
        again_N = repeated_within(rows.user, rows.item, rows.time, row_N)
        return rows.where(~again_N) if again_N.any() else rows

    def _counted(self) -> tuple[np.ndarray, np.ndarray]:
        """Events and users of each item, without duplicates; a pass of its own over the boxes."""
        events_V, users_V = np.zeros(self._boxes.items, np.int64), np.zeros(self._boxes.items, np.int64)
        for number in range(len(self._boxes.users_B1) - 1):
            rows = self._in_order(self._boxes.rows.box(number))
            pairs = np.unique(rows.item.astype(np.int64) << 32 | rows.user)
            for counts_V, item_n in ((events_V, rows.item), (users_V, pairs >> 32)):
                items, times = np.unique(item_n, return_counts=True)
                counts_V[items] += times
        return events_V, users_V


def _report(log: Log, kept: _Kept) -> DropReport:
    config = kept._config
    reasons = Counter(
        {
            "exact duplicates": kept.duplicates,
            f"of items with fewer than {config.min_item_events} events or {config.min_item_users} users": kept.rare,
            f"of users with fewer than {config.min_user_events} events": kept.short,
        }
    )
    dropped = {reason: n for reason, n in (log.dropped + reasons).items() if n}
    return DropReport(log.rows_read, int(kept.events_U.sum()), dropped)


def _described(ids: pa.Array, table: pa.Table | None) -> pa.Table:
    """One row an id, with what the source knows of it (the first row where an id stands twice), nulls where nothing."""
    columns = {"id": ids.cast(pa.string())}
    if table is not None:
        place = pc.index_in(ids.cast(pa.string()), value_set=table["id"].combine_chunks().cast(pa.string()))
        fields = [c for c in table.column_names if c != "id"]
        columns |= {c: table[c].combine_chunks().take(place).cast(pa.string()) for c in fields}
    return pa.table(columns)
