"""MIND: clicks on news of Microsoft, six weeks of 2019, with titles, abstracts and categories (small or large)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.errors import DataError
from lifelong.data.datasets.base import EventBatch
from lifelong.data.datasets.downloads.base import Download
from lifelong.data.datasets.downloads.rows import places, plain_rows, refuse, words
from lifelong.data.datasets.downloads.tables import first_of_each, text_table
from lifelong.data.formats.base import Bad, Block
from lifelong.data.vocabulary import Vocabulary

NEWS = ["id", "category", "subcategory", "title", "abstract", "url", "title_entities", "abstract_entities"]
BEHAVIORS = ["impression", "user", "time", "history", "shown"]
TIME = "%m/%d/%Y %I:%M:%S %p"
CLICK, HISTORY = "click", "history"
AGAIN, KNOWN = "a history told again", "of a history, read in an earlier part"
SKIPPED, UNLABELLED = "shown, not clicked", "shown, without a label"


class Mind(Download):
    """A click is an event at the time of its impression (channel `click`); what a user had read before a part of the data
    begins is his history there, in order and without times (channel `history`): it is put one second before the part's first
    impression. A later part tells a user's earlier clicks again, as history; those that were read before are left out.

    News shown and not clicked are counted, and so are those of impressions that have no labels (the test part).
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Download.Config):
        """Options of the data set."""

        variant: Literal["small", "large"] = "small"
        """50,000 users, or a million."""
        parts: list[Literal["train", "dev", "test"]] = field(default_factory=lambda: ["train", "dev"])
        """The folders that are read, in the order of time; test has no labels."""

    page = "msnews.github.io"
    notice = "MIND (Wu et al., ACL 2020; Microsoft): under the Microsoft Research License, for research only."

    def files(self) -> dict[str, Path]:
        """behaviors and news of each part. Raises DataError where one is missing."""
        found = {}
        for part in self.options.parts:
            folder = f"MIND{self.options.variant}_{part}"
            for name in ("behaviors.tsv", "news.tsv"):
                found[f"{part} {name}"] = self.find(f"{folder}/{name}")
        return found

    def events(self) -> Iterator[EventBatch]:
        """Histories and clicks of one part after the other."""
        read = _Read()
        for part in self.options.parts:
            path = self.files()[f"{part} behaviors.tsv"]
            start = min((int(times.min()) for _, times, _ in self._blocks(path) if len(times)), default=None)
            if start is None:
                raise DataError(f"{path}: has no row with a time such as 11/15/2019 8:55:22 AM")
            for block, times_N, dropped in self._blocks(path):
                yield _joined(_histories(block, start - 1, read), _clicks(block, times_N, read), dropped)
            read.end_part()

    def items(self) -> pa.Table:
        """title, abstract, category, subcategory; of a news in two parts the first."""
        tables = []
        for part in self.options.parts:
            opened = plain_rows(self.files()[f"{part} news.tsv"], "\t", NEWS)
            wanted = ("id", "title", "abstract", "category", "subcategory")
            tables.append(text_table(opened, {name: name for name in wanted}, self.drops))
        return first_of_each(pa.concat_tables(tables).combine_chunks())

    def _blocks(self, path: Path) -> Iterator[tuple[Block, np.ndarray, Counter[str]]]:
        """Rows with a user and a time, their times (unix seconds, as UTC), and how many others there are, by reason."""
        opened = plain_rows(path, "\t", BEHAVIORS)
        for block in opened.blocks({name: name for name in BEHAVIORS[1:]}):
            times = pc.strptime(block.columns["time"], format=TIME, unit="s", error_is_null=True)
            nobody = pc.equal(pc.utf8_trim_whitespace(block.columns["user"]), "")
            wrong = {"time: no month/day/year and hour": times.is_null(), "user: no id": nobody}
            good, bad = np.ones(len(times), bool), list(block.bad)
            for reason, rows in wrong.items():
                rows_N = rows.to_numpy(zero_copy_only=False) & good
                bad += [Bad(int(row), reason) for row in block.rows_N[rows_N]]
                good &= ~rows_N
            refuse(opened, bad, self.drops)
            kept = Block({n: c.filter(pa.array(good)) for n, c in block.columns.items()}, block.rows_N[good])
            times_N = times.filter(pa.array(good)).cast(pa.int64()).to_numpy(zero_copy_only=False)
            yield kept, times_N, Counter(b.reason for b in bad)


class _Read:
    """Which users' histories a part has told, and which (user, item) pairs earlier parts held."""

    def __init__(self) -> None:
        self._users, self._items = Vocabulary(), Vocabulary()
        self._told = np.zeros(0, bool)
        self._earlier, self._here = np.empty(0, np.int64), [np.empty(0, np.int64)]

    def first_rows(self, users: pa.Array) -> np.ndarray:
        """Bool (N): the first row of its user in this part."""
        code_N = self._codes(self._users, users)
        self._told = np.append(self._told, np.zeros(len(self._users) - len(self._told), bool))
        first_N = np.zeros(len(code_N), bool)
        first_N[np.unique(code_N, return_index=True)[1]] = True
        first_N &= ~self._told[code_N]
        self._told[code_N] = True
        return first_N

    def known_before(self, users: pa.Array, items: pa.Array) -> np.ndarray:
        """Bool (N): the pair was in an earlier part; all pairs are kept in mind."""
        pair_N = self._codes(self._users, users).astype(np.int64) << 32 | self._codes(self._items, items)
        self._here.append(np.unique(pair_N))
        return np.isin(pair_N, self._earlier)

    def end_part(self) -> None:
        """What was read up to here is earlier from now on."""
        self._earlier = np.unique(np.concatenate([self._earlier, *self._here]))
        self._told[:] = False
        self._here = [self._here[0]]

    @staticmethod
    def _codes(vocabulary: Vocabulary, ids: pa.Array) -> np.ndarray:
        return vocabulary.codes([vocabulary.compact(ids)]) if len(ids) else np.empty(0, np.int32)


def _histories(block: Block, time: int, read: _Read) -> tuple[pa.Table, Counter[str]]:
    """The history of each user whose first row is here, but for what earlier parts held."""
    user, lists = block.columns["user"], words(block.columns["history"])
    first_N = read.first_rows(user)
    lengths_N = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    again = int(lengths_N[~first_N].sum())
    user, lists = user.filter(pa.array(first_N)), lists.filter(pa.array(first_N))
    parent_M, place_M = places(lists)
    user, item = user.take(pa.array(parent_M)), pc.list_flatten(lists)
    known_M = read.known_before(user, item)
    table = _table(user, item, np.full(len(item), time), place_M, HISTORY).filter(pa.array(~known_M))
    return table, Counter({AGAIN: again, KNOWN: int(known_M.sum())})


def _clicks(block: Block, times_N: np.ndarray, read: _Read) -> tuple[pa.Table, Counter[str]]:
    """What was clicked of the news shown; `N1-1` was, `N2-0` was not, `N3` says nothing."""
    lists = words(block.columns["shown"])
    parent_M, place_M = places(lists)
    shown = pc.list_flatten(lists)
    clicked, skipped = (pc.ends_with(shown, ending) for ending in ("-1", "-0"))
    rows_n = np.flatnonzero(clicked.to_numpy(zero_copy_only=False))
    user = block.columns["user"].take(pa.array(parent_M[rows_n]))
    item = pc.utf8_slice_codeunits(shown.take(pa.array(rows_n)), 0, -2)
    read.known_before(user, item)
    table = _table(user, item, times_N[parent_M[rows_n]], place_M[rows_n], CLICK)
    unlabelled = len(shown) - len(rows_n) - skipped.true_count
    return table, Counter({SKIPPED: skipped.true_count, UNLABELLED: unlabelled})


def _table(user: pa.Array, item: pa.Array, time_M: np.ndarray, tie_M: np.ndarray, channel: str) -> pa.Table:
    columns = {
        "user": user,
        "item": item,
        "time": pa.array(time_M, pa.int64()),
        "tie": pa.array(tie_M.astype(np.uint64)),
    }
    return pa.table({**columns, "channel": pa.repeat(channel, len(item))})


def _joined(
    histories: tuple[pa.Table, Counter[str]], clicks: tuple[pa.Table, Counter[str]], dropped: Counter[str]
) -> EventBatch:
    table = pa.concat_tables([histories[0], clicks[0]]).combine_chunks()
    dropped = dropped + histories[1] + clicks[1]
    return EventBatch(table, len(table) + dropped.total(), dict(dropped))
