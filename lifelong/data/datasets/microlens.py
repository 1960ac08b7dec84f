"""MicroLens: comments on short videos as views, with titles, covers, likes and views (50k, 100k or 1M users)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.errors import DataError
from lifelong.data.columns import Columns
from lifelong.data.datasets.base import EventBatch
from lifelong.data.datasets.downloads.base import Download
from lifelong.data.datasets.downloads.histories import history_events
from lifelong.data.datasets.downloads.pictures import Pictures
from lifelong.data.datasets.downloads.rows import plain_rows
from lifelong.data.datasets.downloads.tables import called, first_of_each, prefixed, text_table
from lifelong.data.events import read_events
from lifelong.data.formats.base import pieces

COLUMNS = Columns(user="user", item="item", time="timestamp")
TITLES = ("titles.csv", "title_en.csv", "title.csv", "titles_en.csv")


class Microlens(Download):
    """An item is `100k-12`, for every variant numbers its videos from 1. Times are milliseconds, and those of one millisecond
    keep the order of the file. pairs.tsv names no times; an event's time is its place then.

    Titles are cut at the first comma of a line and never read as CSV, for quotes in them need not be closed; a line that does
    not begin with a number and a comma goes on with the title before it. A header is told by its first field.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Download.Config):
        """Options of the data set."""

        variant: Literal["50k", "100k", "1M"] = "100k"
        """How many users."""
        file: Literal["auto", "csv", "tsv"] = "auto"
        """Which form of the pairs: csv has times, tsv is a history a line; auto: csv where it is there."""
        pictures: str | None = None
        """Folder of the covers in `path`; left out: MicroLens-<variant>_covers, if it is there."""

    page = "github.com/westlake-repl/MicroLens"
    notice = "MicroLens (Ni et al., 2023; Westlake University): for research; not to be offered for download again."

    @property
    def _stem(self) -> str:
        return f"MicroLens-{self.options.variant}_"

    def files(self) -> dict[str, Path]:
        """events, titles and, where they are there, counts (likes and views) and categories."""
        endings = ("csv", "tsv") if self.options.file == "auto" else (self.options.file,)
        files = {"events": self.find(*(f"{self._stem}pairs.{ending}" for ending in endings))}
        files["titles"] = self.find(*(self._stem + title for title in TITLES))
        for role, name in (("counts", f"{self._stem}likes_and_views.txt"), ("categories", "tags_to_summary.csv")):
            if self.found(name):
                files[role] = self.found(name)[0]
        return files

    def events(self) -> Iterator[EventBatch]:
        """An event a pair, or an item of a history."""
        file = self.files()["events"]
        if file.suffix == ".tsv":
            return prefixed(history_events(file, self.drops), self.options.variant)
        read = read_events(file, COLUMNS, format="csv", delimiter=",", on_bad_rows=self.options.on_bad_rows)
        return prefixed(read, self.options.variant)

    def items(self) -> pa.Table:
        """title, domain (the variant); likes, views, category and image as far as they are there."""
        files = self.files()
        table = read_titles(files["titles"])
        if "counts" in files:
            opened = plain_rows(files["counts"], "\t", ["id", "likes", "views"])
            table = _joined(table, text_table(opened, {n: n for n in opened.names}, self.drops))
        if "categories" in files:
            opened = plain_rows(files["categories"], ",", last_takes_rest=True)
            columns = {"id": "videoID", "category": "category"}
            table = _joined(table, text_table(opened, columns, self.drops))
        table = table if self.pictures is None else self.pictures.beside(table)
        return called(table, self.options.variant)

    @cached_property
    def pictures(self) -> Pictures | None:
        """The covers."""
        return self.picture_folder(self.options.pictures, [f"{self._stem}covers"])


def read_titles(path: Path) -> pa.Table:
    """id and title. Raises DataError where no line begins with a number and a comma, or the text is not UTF-8."""
    ids: list[str] = []
    titles: list[str] = []
    for number, line in enumerate(_lines(path), 1):
        item, comma, title = line.partition(",")
        if comma and re.fullmatch(r'"?[0-9]+"?', item.strip()):
            ids.append(item.strip(' "'))
            titles.append(title)
        elif titles and line.strip():
            titles[-1] += "\n" + line
        elif number > 1 and line.strip():
            raise DataError(f"{path}: line {number}: {line!r:.60} begins with no number and a comma, as 12,title does")
    if not ids:
        raise DataError(f"{path}: has no line that begins with a number and a comma, as 12,title does")
    text = pa.array([" ".join(_unquoted(title).split()) or None for title in titles], pa.string())
    return first_of_each(pa.table({"id": pa.array(ids, pa.string()), "title": text}))


def _lines(path: Path) -> Iterator[str]:
    for piece in pieces(path, "text"):
        try:
            text = piece.decode()
        except UnicodeDecodeError:
            raise DataError(f"{path}: is not UTF-8; save the file as UTF-8") from None
        yield from text.replace("\r\n", "\n").removesuffix("\n").split("\n")


def _unquoted(title: str) -> str:
    """Without the quotes that CSV puts round a cell, where both are there; "" within them is one."""
    title = title.strip()
    if len(title) > 1 and title[0] == title[-1] == '"' and not title[1:-1].replace('""', "").count('"'):
        return title[1:-1].replace('""', '"')
    return title


def _joined(table: pa.Table, more: pa.Table) -> pa.Table:
    """With the columns of another table; items that are only there are added at the end."""
    place = pc.index_in(more["id"], value_set=table["id"].combine_chunks())
    extra = more["id"].filter(place.is_null())
    every = pa.concat_tables([table, pa.table({"id": extra})], promote_options="default").combine_chunks()
    row = pc.index_in(every["id"].combine_chunks(), value_set=more["id"].combine_chunks())
    for name in (n for n in more.column_names if n != "id"):
        every = every.append_column(name, more[name].combine_chunks().take(row))
    return every
