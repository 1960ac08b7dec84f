"""Your own files: CSV, TSV, JSONL, Parquet or Arrow with any column names; items and users beside them, if any."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from lifelong.data.columns import Columns
from lifelong.data.datasets.base import EventBatch, Source
from lifelong.data.events import read_events, read_table
from lifelong.data.filehash import file_identity
from lifelong.data.frames import described


class Files(Source):
    """One row an event, or one row a user with its items (and times) as a list."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Source.Config):
        """Options of the data set."""

        events: str
        """Path of the events."""
        items: str | None = None
        """Path of a table of items: an id, and fields such as domain, title, category."""
        users: str | None = None
        """Path of a table of users: an id, and labels."""
        columns: Columns = field(default_factory=Columns)
        """Which column of the events is what."""
        names: list[str] | None = None
        """Names of the columns, for events without a header."""
        format: Literal["csv", "tsv", "jsonl", "parquet", "arrow"] | None = None
        """Format of the events; left out: what the file's ending says."""
        delimiter: str | None = None
        """One character between columns of CSV or TSV events; left out: a comma, or a tab."""
        item_id: str = "item"
        """Column of the items' table that holds the id."""
        user_id: str = "user"
        """Column of the users' table that holds the id."""
        on_bad_rows: Literal["error", "drop"] = "error"
        """error: refuse the file at the first row that cannot be used; drop: leave it out and count it."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: Files.Config = config

    def identity(self) -> dict[str, Any]:
        """Options and the contents of the files; where these lie does not matter."""
        found = super().identity()
        for name in ("events", "items", "users"):
            path = found["options"][name]
            found["options"][name] = path and {"ending": "".join(Path(path).suffixes), **file_identity(path)}
        return found

    def events(self) -> Iterator[EventBatch]:
        """The rows of the events' file."""
        o = self.options
        return read_events(
            o.events, o.columns, format=o.format, delimiter=o.delimiter, names=o.names, on_bad_rows=o.on_bad_rows
        )

    def items(self) -> pa.Table | None:
        """The items' file, every column as text."""
        o = self.options
        return described(read_table(o.items), o.item_id, f"{o.items}: items") if o.items else None

    def users(self) -> pa.Table | None:
        """The users' file, every column as text."""
        o = self.options
        return described(read_table(o.users), o.user_id, f"{o.users}: users") if o.users else None
