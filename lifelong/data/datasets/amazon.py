"""Amazon reviews: what was reviewed when, with title, category and brand (2014 as P5, 2018 as UniSRec, 2023, or RecBole)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.errors import DataError
from lifelong.data.columns import Columns
from lifelong.data.datasets.base import CodedBatch, EventBatch
from lifelong.data.datasets.downloads.amazon_meta import clean, read_meta
from lifelong.data.datasets.downloads.base import Download
from lifelong.data.datasets.downloads.order import k_core, repeated, same_time_order
from lifelong.data.datasets.downloads.pictures import Pictures
from lifelong.data.datasets.downloads.rows import plain_rows
from lifelong.data.datasets.downloads.tables import first_of_each, text_table
from lifelong.data.events import EventReader, open_events
from lifelong.data.formats import csv
from lifelong.data.formats.base import Opened
from lifelong.data.vocabulary import Vocabulary

JSON = ("json.gz", "json", "jsonl.gz", "jsonl")
JSON_COLUMNS = (("reviewerID", "asin", "unixReviewTime"), ("user_id", "parent_asin", "timestamp"))
"""User, item, time: of 2014 and 2018, and of 2023."""
ATOMIC = ("user_id:token", "item_id:token", "timestamp:float")
RATINGS = ["first", "second", "rating", "time"]
PARTS = ("user", "item", "time", "tie")


class Amazon(Download):
    """A review is an event. Items without metadata are left out, then users and items with fewer than `core` reviews until
    none is left to go: so a result is the 5-core of papers, also from files that are none.

    Times are days as a rule; reviews of a user and a day are ordered by a hash, for files are often sorted by product. Rating
    files (.csv) name the item before the user or after it, by their year: the column whose values have metadata is the items'.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Download.Config):
        """Options of the data set."""

        variant: str = "Industrial_and_Scientific"
        """The category, as in the names of the files."""
        also: list[str] = field(default_factory=list)
        """More categories in the same data set, for UniSRec's pretraining on several domains; each has its own core."""
        file: str | None = None
        """Name of the file of reviews of `variant`, where several fit or another one is meant."""
        core: int = 5
        """Least reviews of each user and item; 1 for all."""
        min_user_events: int = 1
        """Leave out users with fewer events, beside `core`."""
        ties: Literal["hash", "file"] = "hash"
        """What orders the reviews of one user and second; file: the file, as published preprocessing does."""
        pictures: str | None = None
        """Folder of pictures in `path`, called by product; left out: images, if it is there."""
        duplicates: Literal["keep", "drop"] = "drop"
        """drop: a review that stands twice is one, before `core` is counted."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.core < 1:
                raise ValueError(f"core is {self.core}, it must be at least 1")

    page = "nijianmo.github.io/amazon"
    notice = "Amazon reviews (McAuley et al.; Ni et al., EMNLP 2019; Hou et al., 2024): for research; cite the papers."

    def files(self) -> dict[str, Path]:
        """events and items of each category."""
        found = {}
        for v in self._variants:
            reviews = [
                f"{stem}.{ending}" for stem in (f"{v}_5", f"reviews_{v}_5", v, f"reviews_{v}") for ending in JSON
            ]
            usual = [f"{v}.inter", *reviews, f"{v}.csv", f"ratings_{v}.csv"]
            asked = self.options.file if v == self.options.variant else None
            events = self.find(asked) if asked else self.find(*usual)
            meta = [f"meta_{v}.{ending}" for ending in JSON]
            found[f"{v} events"] = events
            found[f"{v} items"] = self.find(*([f"{v}.item"] if events.suffix == ".inter" else []), *meta)
        return found

    def events(self) -> Iterator[EventBatch]:
        """All reviews of a category that are left, at once: who is in a core is known at the end of the file only."""
        for variant in self._variants:
            yield self._events(variant)

    def items(self) -> pa.Table:
        """title, category, brand, each cleaned as UniSRec does; domain, the data set's category in small letters; image where
        there are pictures. An item of two categories is of the first."""
        tables = [
            table.append_column("domain", pa.repeat(variant.lower(), len(table)))
            for variant, table in self._items.items()
        ]
        table = first_of_each(pa.concat_tables(tables, promote_options="default").combine_chunks())
        return table if self.pictures is None else self.pictures.beside(table)

    @property
    def _variants(self) -> list[str]:
        return list(dict.fromkeys([self.options.variant, *self.options.also]))

    @cached_property
    def pictures(self) -> Pictures | None:
        """Pictures called by product, which are not part of the download."""
        return self.picture_folder(self.options.pictures, ["images"])

    @cached_property
    def _items(self) -> dict[str, pa.Table]:
        """Category -> its products."""
        files = {variant: self.files()[f"{variant} items"] for variant in self._variants}
        return {v: _atomic_items(f, self.drops) if f.suffix == ".item" else read_meta(f) for v, f in files.items()}

    def _events(self, variant: str) -> EventBatch:
        known, users, items = self._items[variant]["id"].combine_chunks(), Vocabulary(), Vocabulary()
        parts: list[list[np.ndarray]] = []
        read, dropped = 0, Counter[str]()
        for batch in self._reviews(self.files()[f"{variant} events"], known):
            table = batch.table.filter(pc.is_in(batch.table["item"], value_set=known)).combine_chunks()
            read, dropped = read + batch.rows_read, dropped + Counter(batch.dropped)
            dropped["of items without metadata"] += len(batch.table) - len(table)
            if len(table):
                parts.append(self._coded(table, users, items))
        if not parts:
            raise DataError(f"amazon: none of the {read:,} reviews of {variant} is of a product with metadata")
        whole = [np.concatenate(part) for part in zip(*parts, strict=True)]
        columns, left_out = self._left(dict(zip(PARTS, whole, strict=True)))
        table = pa.table({**columns, "user": _ids(users, columns["user"]), "item": _ids(items, columns["item"])})
        return CodedBatch(table, read, {reason: n for reason, n in (dropped + left_out).items() if n})

    def _reviews(self, file: Path, known: pa.Array) -> Iterator[EventBatch]:
        """All of a file, in its order."""
        if file.suffix == ".inter":
            opened = plain_rows(file, "\t")
            user, item, time = ATOMIC
        elif file.suffix == ".csv":
            opened = csv.opened(file, "csv", ",", RATINGS)
            user, item, time = *_user_and_item(opened, known), "time"
        else:
            opened = open_events(file, "jsonl")
            user, item, time = next((c for c in JSON_COLUMNS if c[0] in opened.names), JSON_COLUMNS[0])
        return EventReader(opened, Columns(user=user, item=item, time=time), self.options.on_bad_rows).batches()

    def _coded(self, table: pa.Table, users: Vocabulary, items: Vocabulary) -> list[np.ndarray]:
        user, item = (table[name].combine_chunks() for name in ("user", "item"))
        tie_N = table["tie"].to_numpy()
        if self.options.ties == "hash" and not tie_N.any():  # else times are finer than seconds, as in 2023
            tie_N = same_time_order(user, item)
        codes = (vocabulary.codes([vocabulary.compact(c)]) for vocabulary, c in ((users, user), (items, item)))
        return [*codes, table["time"].to_numpy(), tie_N]

    def _left(self, columns: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], Counter[str]]:
        """Without what stands twice, then the core."""
        left_out = Counter[str]()
        if self.options.duplicates == "drop":
            again_N = repeated(columns["user"], columns["item"], columns["time"])
            left_out["a review that stands twice"] = int(again_N.sum())
            columns = {name: column[~again_N] for name, column in columns.items()}
        kept_N = k_core(columns["user"], columns["item"], self.options.core)
        left_out[f"outside the {self.options.core}-core"] = int((~kept_N).sum())
        return {name: column[kept_N] for name, column in columns.items()}, left_out


def _user_and_item(opened: Opened, known: pa.Array) -> tuple[str, str]:
    """Which of the first two columns is which. Raises DataError where neither holds more products than the other."""
    for block in opened.blocks({name: name for name in RATINGS[:2]}):
        hits = [pc.is_in(block.columns[n].cast(pa.string()), value_set=known).true_count for n in RATINGS[:2]]
        if hits[0] != hits[1]:
            return (RATINGS[1], RATINGS[0]) if hits[0] > hits[1] else (RATINGS[0], RATINGS[1])
    raise DataError(f"{opened.label}: which column is the product? Neither holds more of those with metadata")


def _ids(vocabulary: Vocabulary, code_N: np.ndarray) -> pa.DictionaryArray:
    ids, place = vocabulary.ranked()
    return pa.DictionaryArray.from_arrays(pa.array(place[code_N]), ids)


def _atomic_items(path: Path, drops: bool) -> pa.Table:
    """RecBole's table of items: tabs, and columns called `title:token_seq` and the like."""
    opened = plain_rows(path, "\t")
    fields = {"title": "title", "category": "categories", "brand": "brand"}
    named = {name.partition(":")[0]: name for name in opened.names}
    columns = {"id": ATOMIC[1], **{ours: named[theirs] for ours, theirs in fields.items() if theirs in named}}
    table = text_table(opened, columns, drops)
    cleaned = {n: pa.array([clean(v) for v in table[n].to_pylist()], pa.string()) for n in columns if n != "id"}
    return pa.table({"id": table["id"], **cleaned})
