"""PixelRec: views of videos with cover pictures, titles, tags and descriptions (50K, 200K, 1M, 8M users, or all)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import pyarrow as pa

from lifelong.core.errors import DataError
from lifelong.data.columns import Columns
from lifelong.data.datasets.base import EventBatch
from lifelong.data.datasets.downloads.base import Download
from lifelong.data.datasets.downloads.pictures import Pictures
from lifelong.data.datasets.downloads.tables import text_table
from lifelong.data.events import read_events
from lifelong.data.formats import csv

COLUMNS = Columns(user="user_id", item="item_id", time="timestamp")
COUNTS = ("view", "comment", "thumbup", "share", "coin", "favorite", "barrage")


class Pixelrec(Download):
    """Interactions and item information are two files of the same name in two folders: the header says which is which, and
    names the item before the user. Events of the same second keep the order of the file."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Download.Config):
        """Options of the data set."""

        variant: Literal["PixelRec50K", "Pixel200K", "Pixel1M", "Pixel8M", "PixelRec"] = "Pixel200K"
        """Which of the data sets."""
        pictures: str | None = None
        """Folder of the covers in `path`; left out: cover, covers or images, if one of them is there."""

    page = "github.com/westlake-repl/PixelRec"
    notice = "PixelRec (Cheng et al., 2023; Westlake University): for research; not to be offered for download again."

    def files(self) -> dict[str, Path]:
        """events and items, told apart by their headers."""
        name = f"{self.options.variant}.csv"
        found: dict[str, Path] = {}
        for path in self.found(name):
            header = csv.opened(path, "csv", ",", None).names
            role = "events" if "user_id" in header else "items" if "title" in header else None
            if role is not None:
                found.setdefault(role, path)
        missing = {"events": "item_id,user_id,timestamp", "items": "item_id,…,title,tag"}
        for role, header_wanted in missing.items():
            if role not in found:
                where = self.folder(name)
                raise DataError(
                    f"{where}: holds no {name} with the header {header_wanted}; pixelrec reads the files of {self.page}"
                )
        return found

    def events(self) -> Iterator[EventBatch]:
        """An event a row."""
        file = self.files()["events"]
        return read_events(file, COLUMNS, format="csv", delimiter=",", on_bad_rows=self.options.on_bad_rows)

    def items(self) -> pa.Table:
        """title, tag, description where the release has it, how often each was viewed and so on, image."""
        opened = csv.opened(self.files()["items"], "csv", ",", None)
        wanted = ["title", "tag", "description", *(f"{count}_number" for count in COUNTS)]
        columns = {"id": "item_id", **{name: name for name in wanted if name in opened.names}}
        table = text_table(opened, columns, self.drops)
        return table if self.pictures is None else self.pictures.beside(table)

    @cached_property
    def pictures(self) -> Pictures | None:
        """The covers, one flat folder for all variants."""
        return self.picture_folder(
            self.options.pictures, ["cover", "covers", "images", f"{self.options.variant}_covers"]
        )
