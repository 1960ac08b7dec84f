"""NineRec: one source (Bili) and nine targets on five platforms, with titles in Chinese and English and covers."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.errors import DataError
from lifelong.data.columns import Columns
from lifelong.data.datasets.base import EventBatch
from lifelong.data.datasets.downloads.base import Download
from lifelong.data.datasets.downloads.histories import history_events
from lifelong.data.datasets.downloads.pictures import Pictures
from lifelong.data.datasets.downloads.tables import called, prefixed, text_table
from lifelong.data.events import read_events
from lifelong.data.formats import csv
from lifelong.data.formats.base import Opened, first_line
from lifelong.data.ids import as_text

Variant = Literal[
    "Bili_500K",
    "Bili_2M",
    "Bili_Food",
    "Bili_Dance",
    "Bili_Movie",
    "Bili_Cartoon",
    "Bili_Music",
    "KU",
    "QB",
    "TN",
    "DY",
]
CELLS = ("first", "second", "time")
SURE = 0.95
"""Such a share of a column's cells must be known items for it to be the items' column, and not of the other's."""


class Ninerec(Download):
    """An item is `bili_food-123`: the same number is another item elsewhere; `domain` is the variant, such as bili_food.

    X_pair.csv has no header, and its columns stand in another order than its README says: the one whose values are in
    X_item.csv is the items'. X_behaviour.tsv (QB and TN) has no times; an event's time is its place in the history then, so
    take leave_one_out or by_user. Both sources share the covers of Bili_2M.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Download.Config):
        """Options of the data set."""

        variant: Variant = "Bili_500K"
        """Which of the data sets: two sources, nine targets."""
        pictures: str | None = None
        """Folder of the covers in `path`; left out: X_cover, if it is there."""
        item_column: Literal["auto", "first", "second"] = "auto"
        """Which column of X_pair.csv is the item."""
        file: Literal["auto", "pair", "behaviour"] = "auto"
        """pair: X_pair.csv. behaviour: X_behaviour.tsv. auto: the pairs where they have times, else the behaviour."""

    page = "github.com/westlake-repl/NineRec"
    notice = (
        "NineRec (Zhang et al., TPAMI 2024; Westlake University): for research; not to be offered for download again."
    )

    @property
    def domain(self) -> str:
        """The variant in small letters: in front of every item's id, and the domain of all items."""
        return str(self.options.variant).lower()

    def files(self) -> dict[str, Path]:
        """events and items."""
        x = self.options.variant
        pairs, behaviour = f"{x}_pair.csv", f"{x}_behaviour.tsv"
        usual = {"auto": (pairs, behaviour), "pair": (pairs,), "behaviour": (behaviour,)}[self.options.file]
        events = self.find(*usual)
        if self.options.file == "auto" and events.name == pairs and first_line(events, "csv").count(",") < 2:
            events = next(iter(self.found(behaviour)), events)  # pairs without times lie in no order
        return {"events": events, "items": self.find(f"{x}_item.csv")}

    def events(self) -> Iterator[EventBatch]:
        """An event a pair, or an item of a history."""
        file = self.files()["events"]
        batches = history_events(file, self.drops) if file.suffix == ".tsv" else self._pairs(file)
        return prefixed(batches, self.domain)

    def items(self) -> pa.Table:
        """title (English), title_zh (Chinese), domain, and image where there are covers."""
        known = self._items if self.pictures is None else self.pictures.beside(self._items)
        return called(known, self.domain)

    @cached_property
    def pictures(self) -> Pictures | None:
        """The covers; their names are the ids as the files have them."""
        x = self.options.variant
        shared = ["Source_Bili_2M_cover", "Bili_2M_cover"] if x in ("Bili_500K", "Bili_2M") else []
        return self.picture_folder(self.options.pictures, [f"{x}_cover", *shared])

    @cached_property
    def _items(self) -> pa.Table:
        """id, title and title_zh of X_item.csv, which has no header and quotes as CSV does."""
        file = self.files()["items"]
        width = len(csv.opened(file, "csv", ",", None).names)
        if width not in (2, 3):
            raise DataError(f"{file}: {width} columns; they are the item, its Chinese and its English text")
        names = ["id", "title_zh", "title"][:width]
        return text_table(csv.opened(file, "csv", ",", names), {name: name for name in names}, self.drops)

    def _pairs(self, file: Path) -> Iterator[EventBatch]:
        names = list(CELLS[: first_line(file, "csv").count(",") + 1])
        item = self._item_column(csv.opened(file, "csv", ",", names))
        user = "second" if item == "first" else "first"
        columns = Columns(user=user, item=item, time="time" if "time" in names else None)
        return read_events(
            file, columns, format="csv", delimiter=",", names=names, on_bad_rows=self.options.on_bad_rows
        )

    def _item_column(self, opened: Opened) -> str:
        """Block by block, until one column holds items and the other does not. Raises DataError where that never is."""
        if self.options.item_column != "auto":
            return str(self.options.item_column)
        known, hits, rows = self._items["id"].combine_chunks(), np.zeros(2), 0
        for block in opened.blocks({name: name for name in CELLS[:2]}):
            cells = [as_text(block.columns[n], opened.label, block.rows_N) for n in CELLS[:2]]
            hits += [pc.is_in(column, value_set=known).true_count for column in cells]
            rows += len(block.rows_N)
            sure = hits >= SURE * rows
            if rows and sure[0] != sure[1]:
                return CELLS[int(sure.argmax())]
        if rows and (hits == rows).sum() == 1:
            return CELLS[int(hits.argmax())]
        shares = " and ".join(f"{hit / max(1, rows):.0%}" for hit in hits)
        raise DataError(
            f"{opened.label}: {shares} of its first two columns are items of {self.options.variant}_item.csv; say which one is "
            "the item with item_column: first or second"
        )
