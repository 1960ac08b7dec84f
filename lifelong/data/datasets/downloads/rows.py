"""Rows of text cut at a delimiter and nowhere else: a quote is a letter like any other; and lists in a cell."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.errors import DataError
from lifelong.data.formats.base import BLANK, BLOCK_BYTES, Bad, Block, Opened, first_line, pieces
from lifelong.data.ids import NOT_UTF8, valid_text

WRONG = "wrong number of columns"


def plain_rows(
    path: Path, delimiter: str, names: Sequence[str] | None = None, *, last_takes_rest: bool = False
) -> Opened:
    """A file of which every physical line is a row, with a header or with the names given; \\r\\n ends a line, too.

    last_takes_rest: a line is cut only so often that each name gets a cell, as for titles with commas in them. Other lines of
    another width are bad ones.
    """
    header = [] if names is not None else first_line(path, "text").split(delimiter)
    columns = list(names or header)

    def blocks(wanted: dict[str, str]) -> Iterator[Block]:
        row = 1
        for text in pieces(path, "text", BLOCK_BYTES):
            lines = text.removesuffix(b"\n").split(b"\n")
            rows_N = np.arange(row, row + len(lines))
            skip = 1 if header and row == 1 else 0
            row += len(lines)
            cells = _cut(pa.array(lines[skip:], pa.binary()), rows_N[skip:], delimiter, len(columns), last_takes_rest)
            yield Block({role: cells[0][columns.index(name)] for role, name in wanted.items()}, cells[1], cells[2])

    return Opened(str(path), "text", columns, blocks, delimiter)


def _cut(
    lines: pa.Array, rows_N: np.ndarray, delimiter: str, width: int, last_takes_rest: bool
) -> tuple[list[pa.Array], np.ndarray, tuple[Bad, ...]]:
    """The cells column by column, the numbers of their rows, and the rows that are none."""
    text, not_utf8_N = valid_text(lines)
    text = pc.utf8_rtrim(text.fill_null(""), "\r")
    blank_N = (pc.binary_length(text).to_numpy() == 0) & ~not_utf8_N
    parts = pc.split_pattern(text, delimiter, max_splits=width - 1 if last_takes_rest else None)
    count_N = pc.list_value_length(parts).to_numpy(zero_copy_only=False)
    good_N = (count_N == width) & ~not_utf8_N & ~blank_N
    kept = pc.list_flatten(parts.filter(pa.array(good_N)))
    cells = [kept.take(pa.array(np.arange(n, len(kept), width))) for n in range(width)]
    reason_N = np.select([not_utf8_N, blank_N], [NOT_UTF8, BLANK], WRONG)
    bad = [
        Bad(int(rows_N[n]), str(reason_N[n]), f" ({count_N[n]} instead of {width})" if reason_N[n] == WRONG else "")
        for n in np.flatnonzero(~good_N).tolist()
    ]
    return cells, rows_N[good_N], tuple(bad)


def words(column: pa.Array) -> pa.Array:
    """The words of each cell, which white space separates; none of an empty cell. A list array."""
    trimmed = pc.utf8_trim_whitespace(column)
    return pc.utf8_split_whitespace(pc.if_else(pc.equal(trimmed, ""), None, trimmed))


def places(lists: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """For every value of the lists: in which of them it is, and the how-manieth of it (int64, from 0)."""
    lengths_N = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    parent_M = np.repeat(np.arange(len(lengths_N)), lengths_N)
    return parent_M, np.arange(len(parent_M)) - np.repeat(np.cumsum(lengths_N) - lengths_N, lengths_N)


def refuse(opened: Opened, bad: Sequence[Bad], drops: bool) -> None:
    """Raises DataError for the first row that is none, unless such rows are to be left out."""
    serious = [b for b in bad if b.reason != BLANK]
    if serious and not drops:
        first = min(serious, key=lambda b: b.row)
        way = "repair it, or leave such rows out with on_bad_rows: drop"
        raise DataError(f"{opened.label}: row {first.row}: {first.reason}{first.shown}; {way}")
