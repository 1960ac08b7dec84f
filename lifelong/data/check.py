"""Says what was understood of an event file, what would be dropped and why, and what looks odd; changes nothing."""

import datetime
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.types import DropReport
from lifelong.data.columns import Columns
from lifelong.data.datasets.base import EventBatch
from lifelong.data.events import EventReader, open_events
from lifelong.data.ordering import repeated

EARLY = 631_152_000
"""1990, in unix seconds: hardly any event is older."""


@dataclass(frozen=True)
class CheckReport:
    """What is in a file. No id of a user is in it. first and last are unix seconds, None without a time column."""

    file: str
    format: str
    delimiter: str | None
    columns: dict[str, str]
    ignored: list[str]
    times: str
    rows: DropReport
    examples: dict[str, int]
    users: int
    items: int
    first: int | None
    last: int | None
    warnings: list[str]

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON."""
        return {**asdict(self), "rows": {**vars(self.rows), "dropped": dict(self.rows.dropped)}}

    def lines(self) -> list[tuple[str, str]]:
        """What to print: a name and what there is to say, line by line."""
        delimiter = f", delimiter {self.delimiter!r}" if self.delimiter else ""
        lines = [("file", self.file), ("format", self.format + delimiter)]
        lines += [(role, f"column {name!r}") for role, name in self.columns.items()]
        lines += [("ignored columns", ", ".join(self.ignored) or "none"), ("times", self.times)]
        if self.first is not None and self.last is not None:
            lines.append(("from … to", f"{_day(self.first)} … {_day(self.last)}"))
        lines += [("users", f"{self.users:,}"), ("items", f"{self.items:,}"), ("rows read", f"{self.rows.rows_read:,}")]
        lines.append(("rows used", f"{self.rows.rows_used:,}"))
        for reason, count in self.rows.dropped.items():
            lines.append((f"dropped: {reason}", f"{count:,} (first: row {self.examples[reason]})"))
        return lines + [(f"look at {n}", text) for n, text in enumerate(self.warnings, 1)]


def check(
    source: Any,
    columns: Columns,
    *,
    format: str | None = None,
    delimiter: str | None = None,
    names: list[str] | None = None,
) -> CheckReport:
    """Read a file (path) or frame to its end, dropping and counting what cannot be used.

    Raises DataError where the whole cannot be read: no such column, wrong delimiter, no rows.
    """
    opened = open_events(source, format, delimiter, names)
    reader = EventReader(opened, columns, on_bad_rows="drop")
    tables, read, dropped = [], 0, Counter[str]()
    for batch in reader.batches():
        read += batch.rows_read
        dropped.update(batch.dropped)
        tables += [_encoded(batch)] if len(batch.table) else []
    events = pa.concat_tables(tables).unify_dictionaries().combine_chunks() if tables else None
    user_ids, user_E = _numbered(events["user"]) if events else (pa.array([], pa.string()), np.empty(0, np.int32))
    item_ids, item_E = _numbered(events["item"]) if events else (pa.array([], pa.string()), np.empty(0, np.int32))
    time_E = events["time"].to_numpy() if events else np.empty(0, np.int64)
    timed = "time" in reader.found and len(time_E)
    return CheckReport(
        file=opened.label,
        format=opened.format,
        delimiter=opened.delimiter,
        columns=reader.found,
        ignored=[name for name in opened.names if name not in reader.found.values()],
        times=reader.clock.kind if "time" in reader.found else "none; the order of the file is taken",
        rows=DropReport(read, len(time_E), dict(dropped)),
        examples=reader.examples,
        users=len(user_ids),
        items=len(item_ids),
        first=int(time_E.min()) if timed else None,
        last=int(time_E.max()) if timed else None,
        warnings=[
            *_odd_ids("users", user_ids, shown=False),
            *_odd_ids("items", item_ids, shown=True),
            *(_odd_events(user_E, item_E, time_E) if timed else []),
            *_odd_sizes(user_E),
        ],
    )


def _encoded(batch: EventBatch) -> pa.Table:
    """User, item and time, ids as dictionaries, so that a long file takes some 16 bytes an event."""
    table = batch.table
    ids = {name: table[name].combine_chunks().dictionary_encode() for name in ("user", "item")}
    return pa.table({**ids, "time": table["time"]})


def _numbered(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """The distinct ids, sorted, and the place of each row's id among them (int32)."""
    encoded = column.chunk(0)
    by_id = pc.sort_indices(encoded.dictionary)
    place = np.empty(len(by_id), np.int32)
    place[by_id.to_numpy()] = np.arange(len(by_id), dtype=np.int32)
    return encoded.dictionary.take(by_id), place[encoded.indices.to_numpy()]


def _odd_ids(kind: str, ids: pa.Array, shown: bool) -> list[str]:
    """Ids that only a space or a leading zero keeps apart."""
    warnings = []
    for what, bare in (
        ("leading zeros", pc.utf8_ltrim(ids, "0")),
        ("spaces around them", pc.utf8_trim_whitespace(ids)),
    ):
        counted = bare.value_counts()
        twins = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
        if len(twins):
            example = ids.filter(pc.equal(bare, twins[0])).to_pylist()[:2]
            named = f", such as {example[0]!r} and {example[1]!r}" if shown else ""
            warnings.append(
                f"{len(twins)} ids of {kind} are also there with other {what}{named}; they count as different"
            )
    return warnings


def _odd_events(user_E: np.ndarray, item_E: np.ndarray, time_E: np.ndarray) -> list[str]:
    """Duplicates, an order that is not that of time, equal times, times that may be none."""
    warnings = []
    if twice := int(repeated(user_E, item_E, time_E).sum()):
        warnings.append(
            f"{twice:,} rows repeat user, item and time of an earlier one; they are kept (duplicates: drop)"
        )
    order_E = np.lexsort((time_E, user_E))
    by_user_E = np.argsort(user_E, kind="stable")
    if (time_E[by_user_E] != time_E[order_E]).any():
        warnings.append("the rows of a user are not in the order of time; they are sorted when the data are prepared")
    same_E = (user_E[order_E[1:]] == user_E[order_E[:-1]]) & (time_E[order_E[1:]] == time_E[order_E[:-1]])
    if same_E.sum() > len(time_E) / 10:
        share = same_E.sum() / len(time_E)
        warnings.append(f"{share:.0%} of events have the time of the one before; their order is that of the file")
    if time_E.min() < EARLY:
        warnings.append(f"the first event is of {_day(int(time_E.min()))}; are these times?")
    return warnings


def _odd_sizes(user_E: np.ndarray) -> list[str]:
    """A user with a large part of all events; users with too few to learn from."""
    if not len(user_E):
        return ["no row can be used"]
    lengths_U = np.bincount(user_E)
    warnings = []
    if len(lengths_U) > 100 and lengths_U.max() > max(1000, 0.01 * len(user_E)):
        warnings.append(f"one user has {lengths_U.max():,} of {len(user_E):,} events; is it a person?")
    if short := int((lengths_U < 3).sum()):
        warnings.append(f"{short:,} users have fewer than 3 events")
    return warnings


def _day(seconds: int) -> str:
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{seconds} seconds"
