"""Reads events from any file or frame: batches of user, item and time, and the account of every row."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.config import suggest
from lifelong.core.errors import ConfigError, DataError
from lifelong.data.columns import Columns as Columns
from lifelong.data.datasets.base import CodedBatch, EventBatch
from lifelong.data.formats import csv, frame, jsonl, parquet
from lifelong.data.formats.base import BLANK, Block, Opened, alike, counted, explained, stat_of, unchanged
from lifelong.data.ids import Flags, as_text, coded_ids, read_ids
from lifelong.data.times import Clock

FORMATS = {
    **{".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"},
    **{".pq": "parquet", ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow"},
}
"""Ending -> format; text formats may end in .gz, too."""
TEXT = ("csv", "tsv", "jsonl")
MAX_TIE = 1 << 34
MOST_ITEMS = 1 << 24
"""Of one user in one row."""
EMPTY, UNEQUAL = "a user without events", "items and times are lists of different length"
HARMLESS = (BLANK, EMPTY)
"""Reasons that are counted and are never an error."""
RowFlags = list[tuple[str, str, np.ndarray]]
"""Role, reason and bool (N): the rows that cannot be used."""


def read_events(
    source: Any,
    columns: Columns,
    *,
    format: str | None = None,
    delimiter: str | None = None,
    names: list[str] | None = None,
    on_bad_rows: str = "error",
) -> Iterator[EventBatch]:
    """The events of a file (path) or frame, block by block.

    format is told by the file's ending where it is left out; names are those of a file without a header. Raises
    DataError naming file, row, column and reason for what cannot be used, or drops and counts it with
    on_bad_rows="drop".
    """
    return EventReader(open_events(source, format, delimiter, names), columns, on_bad_rows).batches()


def open_events(
    source: Any, format: str | None = None, delimiter: str | None = None, names: list[str] | None = None
) -> Opened:
    """A file or frame of which the format and the columns are known. Raises DataError where that fails."""
    if not isinstance(source, (str, Path)):
        return frame.opened(source)
    path = Path(source)
    format = format or _format(path)
    with explained(path, format):
        if path.is_dir():
            raise DataError(f"{path}: is a folder; name one file")
        before = stat_of(path)
        with open(path, "rb") as file:
            start = file.read(8)
    _check_start(path, format, start)
    if format in ("csv", "tsv"):
        found = csv.opened(path, format, delimiter, names)
    else:
        found = jsonl.opened(path) if format == "jsonl" else parquet.opened(path, format)
    return replace(found, blocks=lambda wanted: unchanged(path, before, found.blocks(wanted)))


def _format(path: Path) -> str:
    ending = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if ending.lower() not in FORMATS:
        raise DataError(f"{path}: the ending {ending!r} says no format; set format to one of {', '.join(_formats())}")
    return FORMATS[ending.lower()]


def _formats() -> list[str]:
    return sorted(set(FORMATS.values()))


def _check_start(path: Path, format: str, start: bytes) -> None:
    """Raises DataError where the first bytes say another format than the name does."""
    if format not in _formats():
        raise ConfigError(f"format is {format!r}{suggest(format, _formats())}")
    if not start:
        raise DataError(f"{path}: is empty")
    said = {b"PAR1": "parquet", b"ARRO": "arrow", b"\x1f\x8b": "gzip", b"PK\3\4": "zip", b"\xff\xfe": "UTF-16"}
    said[b"\xfe\xff"] = "UTF-16"
    found = next((name for bytes_, name in said.items() if start.startswith(bytes_)), None)
    expected = "gzip" if path.suffix == ".gz" else format if format not in TEXT else None
    if found != expected:
        raise DataError(f"{path}: is {found or 'no ' + str(expected)}, which does not fit the format {format}")


def read_table(path: str | Path, *, format: str | None = None, delimiter: str | None = None) -> pa.Table:
    """A small table (of items or users) with every column as text, null where it is empty; lists are joined by a space.

    Raises DataError for what cannot be read, and for a name that two columns have.
    """
    opened = open_events(path, format, delimiter)
    twice = [name for name in opened.names if opened.names.count(name) > 1]
    if twice:
        raise DataError(f"{opened.label}: column {twice[0]!r} stands {len(twice)} times; rename all but one")
    tables = []
    for block in opened.blocks({name: name for name in opened.names}):
        bad = [b for b in block.bad if b.reason not in HARMLESS]
        if bad:
            raise DataError(f"{opened.label}: row {bad[0].row}: {bad[0].reason}{bad[0].shown}")
        texts = {n: as_text(c, f"{opened.label}: column {n!r}", block.rows_N) for n, c in block.columns.items()}
        tables.append(pa.table(texts))
    if not tables:
        return pa.table({name: pa.array([], pa.string()) for name in opened.names})
    return pa.concat_tables(tables).combine_chunks()


class EventReader:
    """Turns blocks of raw columns into batches of events; afterwards `clock.kind` says what the times were."""

    def __init__(self, opened: Opened, columns: Columns, on_bad_rows: str = "error") -> None:
        if on_bad_rows not in ("error", "drop"):
            raise ConfigError(f"on_bad_rows is {on_bad_rows!r}; it is 'error' or 'drop'")
        self.opened, self.columns, self.on_bad_rows = opened, columns, on_bad_rows
        self.found = columns.find(opened.names, opened.label)
        self.clock = Clock(columns.time_unit)
        self.examples: dict[str, int] = {}
        """Reason -> the first row that was dropped for it."""
        self._order = 0

    def batches(self) -> Iterator[EventBatch]:
        """All blocks, one after the other. Raises DataError for a file without rows."""
        rows = 0
        for block in self.opened.blocks(self.found):
            batch = self._batch(block)
            rows += batch.rows_read
            yield batch
        if not rows:
            raise DataError(f"{self.opened.label}: has no rows, only a header")

    def _batch(self, block: Block) -> EventBatch:
        block = _exploded(block, self.opened.label)
        table, flags = self._read(block)
        reason_N = _first_reason(flags, len(block.rows_N))
        if self.on_bad_rows == "error":
            self._refuse(block, flags, reason_N)
        dropped = self._account(block, flags, reason_N)
        bad_N = reason_N >= 0
        kept = table.filter(pa.array(~bad_N)) if bad_N.any() else table
        return CodedBatch(kept, len(kept) + sum(dropped.values()), dropped)

    def _account(self, block: Block, flags: RowFlags, reason_N: np.ndarray) -> dict[str, int]:
        """Reason -> rows of the block that are dropped for it; the first row of each is kept in mind."""
        dropped = counted(block.bad)
        for bad in block.bad:
            self.examples.setdefault(bad.reason, bad.row)
        for index in np.unique(reason_N[reason_N >= 0]).tolist():
            reason, rows_n = f"{flags[index][0]}: {flags[index][1]}", block.rows_N[reason_N == index]
            dropped[reason] += len(rows_n)
            self.examples.setdefault(reason, int(rows_n.min()))
        return dict(dropped)

    def _read(self, block: Block) -> tuple[pa.Table, RowFlags]:
        """The columns of a batch for all rows of a block, and role, reason and rows (bool) of what is wrong."""
        read: dict[str, Any] = {}
        flags: RowFlags = []
        for role in ("user", "item", "channel"):
            if role in self.found:
                read[role], wrong = coded_ids(block.columns[role], self._where(role))
                flags += [(role, reason, rows) for reason, rows in wrong]
        read["time"], below_N, wrong = self._times(block)
        flags += [("time", reason, rows) for reason, rows in wrong]
        tie_N, wrong = self._ties(block)
        flags += [("tie", reason, rows) for reason, rows in wrong]
        read["tie"] = pa.array(below_N.astype(np.uint64) << np.uint64(34) | tie_N if below_N.any() else tie_N)
        return pa.table(read), flags

    def _times(self, block: Block) -> tuple[np.ndarray, np.ndarray, Flags]:
        """Seconds and the nanoseconds above them; the place in the file where there is no time."""
        if "time" in self.found:
            return self.clock.read(block.columns["time"], self._where("time"))
        order_N = np.arange(self._order, self._order + len(block.rows_N), dtype=np.int64)
        self._order += len(order_N)
        return order_N, np.zeros(len(order_N), np.int64), []

    def _ties(self, block: Block) -> tuple[np.ndarray, Flags]:
        if "tie" not in self.found:
            return np.zeros(len(block.rows_N), np.uint64), []
        text = read_ids(block.columns["tie"], self._where("tie"))[0]
        good = pc.match_substring_regex(text, r"^\d{1,11}$").fill_null(False)
        tie_N = pc.if_else(good, text, "0").cast(pa.uint64()).to_numpy(zero_copy_only=False)
        wrong = ~good.to_numpy(zero_copy_only=False) | (tie_N >= MAX_TIE)
        return np.where(wrong, np.uint64(0), tie_N), [(f"no whole number from 0 to {MAX_TIE - 1}", wrong)]

    def _where(self, role: str) -> str:
        return f"{self.opened.label}: column {self.found[role]!r}"

    def _refuse(self, block: Block, flags: RowFlags, reason_N: np.ndarray) -> None:
        """Raises DataError for the first bad row of the block; ids of users are not shown."""
        bad = [(b.row, b.reason + b.shown, b.reason) for b in block.bad if b.reason not in HARMLESS]
        rows_n = np.flatnonzero(reason_N >= 0)
        if len(rows_n):
            n = int(rows_n[np.argmin(block.rows_N[rows_n])])
            role, reason, _ = flags[reason_N[n]]
            shown = _shown(block.columns[role][n]) if role in ("time", "tie") else ""
            bad.append((int(block.rows_N[n]), f"column {self.found[role]!r}: {reason}{shown}", f"{role}: {reason}"))
        if bad:
            row, text, key = min(bad)
            such = self._account(block, flags, reason_N)[key]
            last = max(block.rows_N[-1:].tolist() + [b.end for b in block.bad])
            raise DataError(
                f"{self.opened.label}: row {row}: {text} (such rows up to row {last:,}: {such:,}); repair it, or "
                "leave such rows out with on_bad_rows: drop of the data set in YAML"
            )


def _shown(cell: pa.Scalar) -> str:
    """What stands in a cell that is no id, if anything."""
    if pa.types.is_temporal(cell.type):
        return ""  # Python has no dates as far away as those that are refused
    value = cell.as_py()
    return "" if value in (None, b"", "") else f" {value!r:.60}"


def _first_reason(flags: RowFlags, count: int) -> np.ndarray:
    """For each row the index of the first flag that is set, -1 where none is (N)."""
    reason_N = np.full(count, -1, np.int8)
    for index in range(len(flags) - 1, -1, -1):
        if flags[index][2].any():
            reason_N[flags[index][2]] = index
    return reason_N


def _exploded(block: Block, label: str) -> Block:
    """One row an event, where a row is a user and its items a list."""
    items = block.columns["item"]
    if not _is_list(items.type):
        return block
    lengths_N = pc.list_value_length(items).fill_null(0).to_numpy(zero_copy_only=False)
    wrong_N = np.zeros(len(lengths_N), bool)
    lists = [role for role, column in block.columns.items() if _is_list(column.type)]
    for role in lists:
        other_N = pc.list_value_length(block.columns[role]).fill_null(0).to_numpy(zero_copy_only=False)
        wrong_N |= other_N != lengths_N
    good_N = ~wrong_N & (lengths_N > 0)
    bad = alike(block.rows_N[wrong_N], UNEQUAL) + alike(block.rows_N[~wrong_N & (lengths_N == 0)], EMPTY)
    if lengths_N.max(initial=0) > MOST_ITEMS:
        row = block.rows_N[lengths_N.argmax()]
        raise DataError(f"{label}: row {row}: a list of {lengths_N.max():,} items, at most {MOST_ITEMS:,} are read")
    parent = pa.array(np.repeat(np.flatnonzero(good_N), lengths_N[good_N]))
    columns = {
        role: pc.list_flatten(column.filter(pa.array(good_N))) if role in lists else column.take(parent)
        for role, column in block.columns.items()
    }
    return Block(columns, block.rows_N[parent.to_numpy()], (*block.bad, *bad))


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
