"""A CSV file of Tenrec: a row an exposure with its signals; 1.0 beside 1, \\N for nothing, earlier clicks in columns."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.config import suggest
from lifelong.core.errors import DataError
from lifelong.data.events import HARMLESS, open_events
from lifelong.data.formats.base import Bad, Block, counted
from lifelong.data.ids import Flags, as_text, read_ids
from lifelong.data.vocabulary import Vocabulary

USER, ITEM = "user_id", "item_id"
EARLIER = [f"hist_{n}" for n in range(1, 11)]
"""Columns of ctr_data with the first ten clicks of the row's user, which have no rows there; 0 where there were fewer."""
STEPS = 16
"""Ties of a row: ten for earlier clicks, the last for the row itself."""
NOTHING = pa.array(["", "\\N", "nan", "NaN"], pa.string())
PADDING = "padding"


@dataclass(frozen=True)
class Rows:
    """Events: a table of user, item, channel (text) and tie (uint64), and what became of other rows of the file."""

    table: pa.Table
    dropped: Counter[str] = field(default_factory=Counter)

    def where(self, kept_N: np.ndarray, reason: str) -> "Rows":
        """With some rows dropped."""
        if kept_N.all():
            return self
        return Rows(self.table.filter(pa.array(kept_N)), self.dropped + Counter({reason: int((~kept_N).sum())}))

    def column(self, name: str) -> pa.Array:
        """One of the table's, in one piece."""
        return self.table[name].combine_chunks()


class TenrecFile:
    """A file of which the header is known. Raises DataError where a column that is needed is missing."""

    def __init__(self, path: Path, signals: list[str], drop: bool) -> None:
        self.path, self.signals, self.drop = path, signals, drop
        self._opened = open_events(path, "csv" if not path.name.endswith((".csv", ".csv.gz", ".tsv")) else None)
        self.columns = self._opened.names
        for name in (USER, ITEM, *signals):
            if self.columns.count(name) != 1:
                problem = "stands more than once" if name in self.columns else "is not there"
                way = "" if name in (USER, ITEM) else "; signals name columns of the file"
                raise DataError(f"{path}: column {name!r} {problem}{suggest(name, self.columns)}{way}")
        self._earlier = EARLIER if set(EARLIER) <= set(self.columns) else []

    def rows(self) -> Iterator[Rows]:
        """The events, block by block. Raises DataError at a bad row, unless they are to be dropped."""
        seen, any_row = Vocabulary(), False
        for block in self._opened.blocks({name: name for name in (USER, ITEM, *self.signals, *self._earlier)}):
            any_row = True
            yield self._events(block, seen)
        if not any_row:
            raise DataError(f"{self.path}: has no rows, only a header")

    def said(self, columns: list[str]) -> Iterator[tuple[pa.Array, pa.Array, dict[str, pa.Array]]]:
        """User, item and some columns (text, null where nothing is known) of the rows that name both, block by block."""
        for block in self._opened.blocks({name: name for name in (USER, ITEM, *columns)}):
            user, item, flags = self._ids(block)
            good = pa.array(~np.logical_or.reduce([wrong for _, _, wrong in flags]))
            values = {name: self._text(block, name).filter(good) for name in columns}
            yield user.filter(good), item.filter(good), values

    def _events(self, block: Block, seen: Vocabulary) -> Rows:
        user, item, flags = self._ids(block)
        channel_N = np.full(len(user), -1)
        for n, name in enumerate(self.signals):
            given_N, wrong_N = _given(block.columns[name])
            flags.append((name, "no number", wrong_N))
            channel_N[given_N] = n
        dropped = self._account(block, flags)
        good_N = ~np.logical_or.reduce([wrong for _, _, wrong in flags])
        channel = pa.array(self.signals).take(pa.array(channel_N, mask=channel_N < 0))
        tie_N = block.rows_N.astype(np.uint64) * np.uint64(STEPS) + np.uint64(STEPS - 1)
        table = pa.table({"user": user, "item": item, "channel": channel, "tie": tie_N})
        rows = Rows(table.filter(pa.array(good_N & (channel_N >= 0))), dropped)
        rows.dropped[f"no {' or '.join(self.signals)}"] += int((good_N & (channel_N < 0)).sum())
        return self._with_earlier(rows, block, user, good_N, seen) if self._earlier else rows

    def _with_earlier(self, rows: Rows, block: Block, user: pa.Array, good_N: np.ndarray, seen: Vocabulary) -> Rows:
        """With what users whose first row is here had clicked before, in the place of that row."""
        known, rows_n = len(seen), np.flatnonzero(good_N)
        named = user.filter(pa.array(good_N))
        code_n = seen.codes([seen.compact(named)]) if len(named) else np.empty(0, np.int32)
        _, first_n = np.unique(code_n, return_index=True)
        first_n = rows_n[first_n[code_n[first_n] >= known]]
        tables, padding = [rows.table], 0
        for step, name in enumerate(self._earlier):
            item = self._text(block, name).take(pa.array(first_n))
            there = pc.and_(item.is_valid(), pc.not_equal(item, "0")).fill_null(False)
            padding += len(item) - there.true_count
            tie = block.rows_N[first_n].astype(np.uint64) * np.uint64(STEPS) + np.uint64(step)
            channel = pa.repeat(self.signals[0], len(item))
            columns = {"user": user.take(pa.array(first_n)), "item": item, "channel": channel, "tie": tie}
            tables.append(pa.table(columns).filter(there))
        table = pa.concat_tables(tables).combine_chunks()
        return Rows(table.take(pc.sort_indices(table["tie"])), rows.dropped + Counter({PADDING: padding}))

    def _ids(self, block: Block) -> tuple[pa.Array, pa.Array, list[tuple[str, str, np.ndarray]]]:
        found, flags = [], []  # type: ignore[var-annotated]
        for name in (USER, ITEM):
            ids, wrong = read_ids(block.columns[name], f"{self.path}: column {name!r}")
            ids = _whole(ids)
            nothing = pc.is_in(ids, value_set=NOTHING).to_numpy(zero_copy_only=False)
            found.append(ids)
            more: Flags = [("no id", nothing)]
            flags += [(name, reason, rows) for reason, rows in (*wrong, *more)]
        return found[0], found[1], flags

    def _text(self, block: Block, name: str) -> pa.Array:
        text = _whole(as_text(block.columns[name], f"{self.path}: column {name!r}", block.rows_N))
        return pc.if_else(pc.is_in(text, value_set=NOTHING), pa.scalar(None, pa.string()), text)

    def _account(self, block: Block, flags: list[tuple[str, str, np.ndarray]]) -> Counter[str]:
        """Reason -> bad rows. Raises DataError for the first of them, unless they are to be dropped."""
        dropped, left_N, bad = counted(block.bad), np.ones(len(block.rows_N), bool), list(block.bad)
        for name, reason, wrong_N in flags:
            hit_N = wrong_N & left_N
            if hit_N.any():
                dropped[f"{name}: {reason}"] += int(hit_N.sum())
                n = int(np.flatnonzero(hit_N)[0])
                shown = "" if name == USER else f" {block.columns[name][n].as_py()!r:.40}"
                bad.append(Bad(int(block.rows_N[n]), f"column {name!r}: {reason}", shown))
                left_N &= ~wrong_N
        bad = [b for b in bad if b.reason not in HARMLESS]
        if bad and not self.drop:
            first = min(bad, key=lambda b: b.row)
            way = "repair it, or leave such rows out with on_bad_rows: drop"
            raise DataError(f"{self.path}: row {first.row}: {first.reason}{first.shown}; {way}")
        return dropped


def _given(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Bool (N): where a signal is above 0, and where it is no number; nothing, in any spelling, is 0."""
    coded = column.cast(pa.binary()).dictionary_encode()
    values = [_number(value) for value in coded.dictionary.to_pylist()]
    index_N = coded.indices.to_numpy(zero_copy_only=False)
    above = np.array([value is not None and value > 0 for value in values], bool)
    wrong = np.array([value is None for value in values], bool)
    return above[index_N], wrong[index_N]


def _number(cell: bytes) -> float | None:
    text = cell.decode("utf-8", "replace").strip()
    if text in NOTHING.to_pylist():
        return 0.0
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _whole(text: pa.Array) -> pa.Array:
    """12.0 as 12, which is how pandas writes a column of whole numbers with gaps."""
    return pc.replace_substring_regex(text, r"^([0-9]+)\.0+$", r"\1")
