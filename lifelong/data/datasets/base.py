"""Where events, items and users come from: the base of every data set."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa

from lifelong.core.config import plain

IDS = ("user", "item", "channel")
"""The columns of events that hold text."""


@dataclass(frozen=True)
class EventBatch:
    """Some events, and what became of the rows they were read from: rows_read = rows of `table` + the sum of `dropped`.

    table: user string, item string, time int64 unix seconds; optionally tie uint64 (order among equal times) and
    channel string (what kind of event). All batches of a source have the same columns.
    """

    table: pa.Table
    rows_read: int
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.rows_read != len(self.coded) + sum(self.dropped.values()):
            raise AssertionError(f"{self.rows_read} rows read, {len(self.coded)} used, dropped {dict(self.dropped)}")

    @property
    def coded(self) -> pa.Table:
        """The same events for preparing, which takes ids as whole numbers or dictionaries of text, too."""
        return self.table


class CodedBatch(EventBatch):
    """Events whose ids (user, item, channel) are whole numbers or dictionaries, text only when somebody asks for it."""

    def __init__(self, coded: pa.Table, rows_read: int, dropped: Mapping[str, int] | None = None) -> None:
        found = {"_coded": coded, "rows_read": rows_read, "dropped": dropped or {}}
        for name, value in found.items():
            object.__setattr__(self, name, value)  # the dataclass is frozen
        self.__post_init__()

    @property
    def coded(self) -> pa.Table:
        """As they were given."""
        return vars(self)["_coded"]

    @cached_property
    def table(self) -> pa.Table:  # type: ignore[override]
        """The events with ids as text."""
        coded = self.coded
        return pa.table({n: coded[n].cast(pa.string()) if n in IDS else coded[n] for n in coded.column_names})


class Source(ABC):
    """Base of all data sets. `notice` is quoted wherever results on the data are shown."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Options that every data set has; each sets its own defaults."""

        min_item_events: int = 1
        """Leave out items with fewer events."""
        min_item_users: int = 1
        """Leave out items that fewer users ever had."""
        min_user_events: int = 1
        """Leave out users with fewer events, after the items."""
        duplicates: Literal["keep", "drop"] = "keep"
        """What to do with a second event of the same user, item and second."""

        def __post_init__(self) -> None:
            for option in ("min_item_events", "min_item_users", "min_user_events"):
                if getattr(self, option) < 1:
                    raise ValueError(f"{option} is {getattr(self, option)}, it must be at least 1")

    notice: str = ""

    def __init__(self, config: Any) -> None:
        self.config = config

    @property
    def name(self) -> str:
        """The data set's YAML name."""
        return type(self).__module__.rpartition(".")[2]

    def identity(self) -> dict[str, Any]:
        """Everything that decides the result, as plain JSON; a data set is prepared again when it changes."""
        return {"name": self.name, "options": plain(self.config)}

    @abstractmethod
    def events(self) -> Iterator[EventBatch]:
        """All events, in any order; those of equal time and tie keep theirs. Raises DataError for unusable rows."""

    def items(self) -> pa.Table | None:
        """What is known of items: id string and string fields such as domain, category, title."""
        return None

    def users(self) -> pa.Table | None:
        """What is known of users: id string and labels as nullable strings."""
        return None

    def label_cuts(self) -> dict[str, int]:
        """Label -> unix seconds: only events before that moment may be read where the label is predicted."""
        return {}
