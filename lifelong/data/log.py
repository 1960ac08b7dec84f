"""A source read once: its events in the order in which they came, with codes in the place of ids, and all counts."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from lifelong.core.errors import DataError
from lifelong.data.datasets.base import Source
from lifelong.data.spill import Room, Rows, Shelf
from lifelong.data.vocabulary import Compact, Vocabulary

MAX_CHANNELS = 127
"""So many fit into an int8."""
PIECE = 1 << 20
"""Events coded at a time, at least; more where ids are many, so that what is known of them is not hashed too often."""
EVENT_BYTES = 64
"""About what an event takes while it waits to be coded."""


class Counts:
    """How often each code occurred; 0 for one that is only in a dictionary."""

    def __init__(self) -> None:
        self.by_code = np.zeros(0, np.int64)

    def add(self, codes_N: np.ndarray, codes: int) -> None:
        """Count some more, of so many codes."""
        found = np.bincount(codes_N, minlength=codes)
        found[: len(self.by_code)] += self.by_code
        self.by_code = found


@dataclass
class Log:
    """Everything that a source says of its events; rows hold codes of the vocabularies."""

    rows: Shelf
    users: Vocabulary = field(default_factory=Vocabulary)
    items: Vocabulary = field(default_factory=Vocabulary)
    channels: Vocabulary = field(default_factory=Vocabulary)
    of_user: Counts = field(default_factory=Counts)
    of_item: Counts = field(default_factory=Counts)
    rows_read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def events(self) -> int:
        """All that were not dropped by the source."""
        return self.rows_read - sum(self.dropped.values())


Waiting = list[tuple[Compact, Compact, np.ndarray, np.ndarray | None, Compact | None]]
"""Users, items, times, ties and channels of some batches."""


def read_log(source: Source, room: Room) -> Log:
    """Read a source to its end. Raises DataError where it has too many kinds of events."""
    log, waiting, count = Log(Shelf(room)), [], 0  # type: tuple[Log, Waiting, int]
    for batch in source.events():
        log.rows_read += batch.rows_read
        log.dropped.update(batch.dropped)
        if len(batch.coded):
            waiting.append(_compact(log, batch.coded))
            count += len(batch.coded)
        if count >= _piece(log, room):
            _take(log, waiting)
            waiting, count = [], 0
    if waiting:
        _take(log, waiting)
    if len(log.channels) > MAX_CHANNELS:
        raise DataError(
            f"{source.name}: {len(log.channels)} kinds of events (channel), at most {MAX_CHANNELS} are possible"
        )
    return log


def _piece(log: Log, room: Room) -> int:
    wanted = max(PIECE, 4 * max(len(log.users), len(log.items)))
    return wanted if room.folder is None else min(wanted, max(1, room.memory // EVENT_BYTES))


def _compact(log: Log, table: pa.Table) -> tuple[Compact, Compact, np.ndarray, np.ndarray | None, Compact | None]:
    columns = {name: _whole(table[name]) for name in table.column_names}
    tie_N = columns["tie"].to_numpy() if "tie" in columns else None
    return (
        log.users.compact(columns["user"]),
        log.items.compact(columns["item"]),
        columns["time"].to_numpy(),
        tie_N if tie_N is not None and tie_N.any() else None,
        log.channels.compact(columns["channel"].cast(pa.string())) if "channel" in columns else None,  # only those used
    )


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.unify_dictionaries().combine_chunks()


def _take(log: Log, waiting: Waiting) -> None:
    """Code what waits, and put it on the shelf."""
    users, items, times, ties, channels = zip(*waiting, strict=True)
    kinds = [channel for channel in channels if channel is not None]
    tie_N = None
    if any(tie is not None for tie in ties):
        tie_N = np.concatenate(
            [np.zeros(len(t), np.uint64) if n is None else n for t, n in zip(times, ties, strict=True)]
        )
    rows = Rows(
        log.users.codes(list(users)),
        log.items.codes(list(items)),
        np.concatenate(times),
        tie_N,
        log.channels.codes(kinds).astype(np.int8) if kinds else None,
    )
    log.of_user.add(rows.user, len(log.users))
    log.of_item.add(rows.item, len(log.items))
    log.rows.put(rows)
