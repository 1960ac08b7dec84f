"""Histories, a user a line: `user <tab> item item item`, oldest first and without times."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lifelong.data.datasets.base import EventBatch
from lifelong.data.datasets.downloads.rows import places, plain_rows, refuse, words
from lifelong.data.formats.base import Block

EMPTY = "a history without user or items"


def history_events(path: Path, drops: bool) -> Iterator[EventBatch]:
    """Events whose time is their place in the history, from 0. Raises DataError for a line that is none, unless `drops`."""
    opened = plain_rows(path, "\t", ["user", "items"])
    for block in opened.blocks({"user": "user", "items": "items"}):
        refuse(opened, block.bad, drops)
        yield _events(block)


def _events(block: Block) -> EventBatch:
    user = pc.utf8_trim_whitespace(block.columns["user"])
    lists = words(pc.if_else(pc.equal(user, ""), None, block.columns["items"]))
    parent_M, place_M = places(lists)
    table = pa.table({"user": user.take(pa.array(parent_M)), "item": pc.list_flatten(lists), "time": place_M})
    dropped = Counter(b.reason for b in block.bad)
    dropped += Counter({EMPTY: lists.null_count})
    return EventBatch(table, len(table) + dropped.total(), dict(dropped))
