"""A data set from frames in memory: Arrow, pandas or polars, with any column names."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from lifelong.core.config import suggest
from lifelong.core.errors import DataError
from lifelong.data.columns import Columns
from lifelong.data.datasets.base import EventBatch, Source
from lifelong.data.events import read_events
from lifelong.data.formats.frame import as_table
from lifelong.data.ids import as_text, read_ids


class Frames(Source):
    """Events from a frame, items and users from others; `item_id` and `user_id` are their id columns.

    >>> events = pa.table({"who": ["a", "a"], "what": ["x", "y"], "when": [1, 2]})
    >>> source = Frames(events, columns=Columns(user="who", item="what", time="when"))
    """

    def __init__(
        self,
        events: Any,
        *,
        items: Any = None,
        users: Any = None,
        columns: Columns | None = None,
        item_id: str = "item",
        user_id: str = "user",
        on_bad_rows: str = "error",
        config: Source.Config | None = None,
    ) -> None:
        super().__init__(config or Source.Config())
        self.columns, self.on_bad_rows = columns or Columns(), on_bad_rows
        self._events = as_table(events, "events")
        self._items = None if items is None else described(as_table(items, "items"), item_id, "items")
        self._users = None if users is None else described(as_table(users, "users"), user_id, "users")

    def identity(self) -> dict[str, Any]:
        """Options and the hashes of the frames."""
        frames = {"events": self._events, "items": self._items, "users": self._users}
        hashes = {name: None if table is None else _table_hash(table) for name, table in frames.items()}
        return {**super().identity(), "columns": vars(self.columns), "on_bad_rows": self.on_bad_rows, **hashes}

    def events(self) -> Iterator[EventBatch]:
        """The rows of the frame."""
        return read_events(self._events, self.columns, on_bad_rows=self.on_bad_rows)

    def items(self) -> pa.Table | None:
        """The frame of items, every column as text."""
        return self._items

    def users(self) -> pa.Table | None:
        """The frame of users, every column as text."""
        return self._users


def described(table: pa.Table, id_column: str, label: str) -> pa.Table:
    """A side table with its id column called "id" and every other column as text.

    Raises DataError where the id is missing from the columns or a row, or stands twice.
    """
    if id_column not in table.column_names:
        raise DataError(f"{label}: there is no column {id_column!r} for the id{suggest(id_column, table.column_names)}")
    if "id" in table.column_names and id_column != "id":
        raise DataError(f"{label}: {id_column!r} is the id and there is also a column 'id'; rename that one")
    ids, flags = read_ids(table[id_column].combine_chunks(), f"{label}: column {id_column!r}")
    for reason, rows_N in flags:
        if rows_N.any():
            raise DataError(f"{label}: column {id_column!r}: {reason} in {int(rows_N.sum())} of {len(ids)} rows")
    if len(ids.unique()) != len(ids):
        counted = ids.value_counts()
        twice = next(c["values"] for c in counted.to_pylist() if c["counts"] > 1)
        shown = f" {twice!r}" if label.endswith("items") else ""
        raise DataError(f"{label}: the id{shown} stands more than once; {len(ids) - len(counted)} rows are too many")
    rows_N = np.arange(1, len(table) + 1)
    columns = {c: as_text(table[c].combine_chunks(), f"{label}: column {c!r}", rows_N) for c in table.column_names}
    return pa.table({"id": ids, **{c: column for c, column in columns.items() if c != id_column}})


def _table_hash(table: pa.Table) -> str:
    digest = hashlib.sha256()
    with pa.ipc.new_stream(pa.PythonFile(_Digest(digest), mode="w"), table.schema.remove_metadata()) as writer:
        writer.write_table(table.combine_chunks().replace_schema_metadata())
    return digest.hexdigest()


class _Digest:
    """A file that only hashes what is written to it."""

    closed = False

    def __init__(self, digest: Any) -> None:
        self._digest = digest

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return len(data)

    def flush(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""
