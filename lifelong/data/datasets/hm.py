"""H&M: two years of purchases of fashion, with the words and a photograph of each article (Kaggle, 2022)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from lifelong.data.columns import Columns
from lifelong.data.datasets.base import CodedBatch, EventBatch
from lifelong.data.datasets.downloads.base import Download
from lifelong.data.datasets.downloads.order import same_time_order
from lifelong.data.datasets.downloads.pictures import Pictures
from lifelong.data.datasets.downloads.tables import text_table
from lifelong.data.events import read_events
from lifelong.data.formats import csv

COLUMNS = Columns(user="customer_id", item="article_id", time="t_dat", channel="sales_channel_id")
DIGITS = 10
"""Of an article's id, of which the first is 0."""
FIELDS = {
    "title": "prod_name",
    "description": "detail_desc",
    "type": "product_type_name",
    "group": "product_group_name",
    "appearance": "graphical_appearance_name",
    "colour": "colour_group_name",
    "department": "department_name",
    "section": "section_name",
    "domain": "index_group_name",
}
"""Our field of an article -> the column of articles.csv."""
BANDS = {"<20": 20, "20-24": 25, "25-29": 30, "30-39": 40, "40-49": 50, "50-59": 60, "60+": 1000}
"""Age band -> the age at which the next one begins."""


class Hm(Download):
    """A bought article is an event of its day; the lines of a customer and a day are ordered by a hash, for the file's order
    may tell something. The channel is 1 (shop) or 2 (online). An id has ten digits, the first of them 0: where a program
    that takes ids for numbers has cut that, it is put back."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Download.Config):
        """Options of the data set."""

        ties: Literal["hash", "file"] = "hash"
        """What orders the purchases of one customer on one day; file: the file, as published preprocessing does."""
        pictures: str | None = None
        """Folder of the photographs in `path`; left out: images, if it is there."""
        duplicates: Literal["keep", "drop"] = "drop"
        """drop: several pieces of an article on one day are one event."""

    page = "kaggle.com/competitions/h-and-m-personalized-fashion-recommendations"
    notice = "H&M Personalized Fashion Recommendations (H&M Group, Kaggle 2022): under the rules of the competition."

    def files(self) -> dict[str, Path]:
        """events, items and, where they are there, users."""
        files = {"events": self.find("transactions_train.csv", "transactions_train.csv.gz")}
        files["items"] = self.find("articles.csv", "articles.csv.gz")
        users = self.found("customers.csv", "customers.csv.gz")
        return {**files, "users": users[0]} if users else files

    def events(self) -> Iterator[EventBatch]:
        """An event a line, or an article and day."""
        file = self.files()["events"]
        for batch in read_events(file, COLUMNS, format="csv", on_bad_rows=self.options.on_bad_rows):
            table = batch.table
            item = pc.utf8_lpad(table["item"].combine_chunks(), DIGITS, "0")
            table = table.set_column(table.column_names.index("item"), "item", item)
            if self.options.ties == "hash":
                tie = pa.array(same_time_order(table["user"].combine_chunks(), item))
                table = table.set_column(table.column_names.index("tie"), "tie", tie)
            yield CodedBatch(table, batch.rows_read, batch.dropped)

    def items(self) -> pa.Table:
        """title, description, type, group, appearance, colour, department, section, domain (such as Ladieswear), image."""
        opened = csv.opened(self.files()["items"], "csv", ",", None)
        fields = {ours: theirs for ours, theirs in FIELDS.items() if theirs in opened.names}
        table = text_table(opened, {"id": "article_id", **fields}, self.drops)
        table = table.set_column(0, "id", pc.utf8_lpad(table["id"].combine_chunks(), DIGITS, "0"))
        return table if self.pictures is None else self.pictures.beside(table)

    def users(self) -> pa.Table | None:
        """age in years, age_band, club (such as ACTIVE), news (how often the customer wants them; NONE is an answer, too)."""
        files = self.files()
        if "users" not in files:
            return None
        wanted = {"id": "customer_id", "age": "age", "club": "club_member_status", "news": "fashion_news_frequency"}
        table = text_table(csv.opened(files["users"], "csv", ",", None), wanted, self.drops)
        age = pc.replace_substring_regex(table["age"].combine_chunks(), r"\.0+$", "")
        news = pc.replace_substring_regex(table["news"].combine_chunks(), "^(?i:none)$", "NONE")
        return table.set_column(1, "age", age).set_column(3, "news", news).append_column("age_band", _bands(age))

    @cached_property
    def pictures(self) -> Pictures | None:
        """The photographs: images/010/0108775015.jpg, a folder for the first three digits."""
        return self.picture_folder(self.options.pictures, ["images"])


def _bands(age: pa.Array) -> pa.Array:
    """The band of each age, null for what is no whole number."""
    whole = pc.match_substring_regex(age, "^[0-9]{1,3}$")
    years = pc.if_else(whole, age, None).cast(pa.int64())
    bands = pa.nulls(len(age), pa.string())
    for name, end in reversed(BANDS.items()):
        bands = pc.if_else(pc.less(years, end).fill_null(False), name, bands)
    return bands
