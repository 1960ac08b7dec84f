"""Lines of whole numbers without a header: a history `1,2,3`, or a history and what belongs to it, `1,2,3,,4,5`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.errors import DataError
from lifelong.data.formats.base import BLANK, Bad, alike, first_line, pieces
from lifelong.data.ids import decimal_numbers

PIECE_BYTES = 4 << 20
"""Bytes of text read at a time; what is made of them takes some ten times as much."""
COMMA, NEWLINE = 44, 10
NUMBER = r"^(-1|0|[1-9][0-9]{0,17})$"
GOOD, EMPTY_LINE, NO_PARTS, TWO_PARTS, EMPTY_CELL, NO_NUMBER = range(6)
REASONS = (
    *("", BLANK, "no double comma between history and targets", "a double comma, as between history and targets"),
    *("an empty cell", "a cell that is no whole number"),
)
"""What is wrong with a line, by its code."""


@dataclass(frozen=True)
class Lines:
    """N lines: cells_M int64, line after line; firsts_N where the cells of each begin, halves_N where what comes behind the
    double comma begins, ends_N where it ends; rows_N the numbers of the lines in the file, from 1; bad: all other lines."""

    cells_M: np.ndarray
    firsts_N: np.ndarray
    halves_N: np.ndarray
    ends_N: np.ndarray
    rows_N: np.ndarray
    bad: tuple[Bad, ...] = ()


def read_lines(path: Path, two_parts: bool) -> Iterator[Lines]:
    """The lines of a file, piece by piece; with `two_parts` each needs its double comma, and else none may have one.

    Raises DataError where the first line is no such line, or the file cannot be read.
    """
    _check_first(path, two_parts)
    row = 1
    for text in pieces(path, "text", PIECE_BYTES):
        text = text.replace(b"\r\n", b"\n") if b"\r" in text else text
        lines = _parsed(text, row, two_parts)
        row += text.count(b"\n")
        yield lines


def _check_first(path: Path, two_parts: bool) -> None:
    """One line that shows at once that the whole file is another."""
    line = first_line(path, "text")
    if "," not in line:
        likely = next((f"; there is {d!r} instead" for d in (";", "\t", "|", " ") if d in line), "")
        raise DataError(f"{path}: row 1: no comma between cells{likely}; it should be 1,2,3" + ",,4" * two_parts)
    if any(letter.isalpha() for letter in line):
        raise DataError(f"{path}: row 1: {line!r:.60} is no row of whole numbers; take a header away")
    if two_parts != (",," in line):
        way = "take the file of histories and targets" if two_parts else "take the file of histories alone"
        raise DataError(f"{path}: row 1: {REASONS[NO_PARTS if two_parts else TWO_PARTS]}; {way}")


def _parsed(text: bytes, row: int, two_parts: bool) -> Lines:
    """The lines of a piece, of which the first has the number `row`. T: cells with the empty ones, M: without them."""
    raw = np.frombuffer(text, np.uint8)
    between = (raw == COMMA) | (raw == NEWLINE)
    at_T = np.flatnonzero(between)
    lengths_T = np.diff(at_T, prepend=-1) - 1
    ends_L = np.flatnonzero(raw[at_T] == NEWLINE) + 1
    starts_L = np.concatenate(([0], ends_L[:-1]))
    before_T1 = np.concatenate(([0], np.cumsum(lengths_T > 0)))
    code_L, empty_L = _shape(np.flatnonzero(lengths_T == 0), starts_L, ends_L, two_parts)
    firsts_L, halves_L, last_L = before_T1[starts_L], before_T1[empty_L], before_T1[ends_L]
    cells = _cells(raw[~between], lengths_T[lengths_T > 0])
    cells_M, wrong_m = _numbers(cells)
    line_m, first_m = np.unique(np.searchsorted(last_L, wrong_m, side="right"), return_index=True)
    code_L[line_m] = np.where(code_L[line_m] == GOOD, NO_NUMBER, code_L[line_m])
    shown = {
        line: f" (cell {cell - firsts_L[line] + 1}: {cells[cell].as_py()[:30]!r})"
        for line, cell in zip(line_m.tolist(), wrong_m[first_m].tolist(), strict=True)
        if code_L[line] == NO_NUMBER
    }
    bad: tuple[Bad, ...] = ()
    for code in np.unique(code_L[code_L != GOOD]).tolist():
        line_n = np.flatnonzero(code_L == code)
        bad += alike(row + line_n, REASONS[code], shown.get(int(line_n[0]), ""))
    good = np.flatnonzero(code_L == GOOD)
    return Lines(cells_M, firsts_L[good], halves_L[good], last_L[good], row + good, bad)


def _shape(
    empty_t: np.ndarray, starts_L: np.ndarray, ends_L: np.ndarray, two_parts: bool
) -> tuple[np.ndarray, np.ndarray]:
    """What is wrong with each line as far as its empty cells show (L, int8), and where the first of these is, or its end."""
    from_L, to_L = np.searchsorted(empty_t, starts_L), np.searchsorted(empty_t, ends_L)
    count_L = to_L - from_L
    empty_L = np.where(count_L > 0, np.append(empty_t, 0)[from_L], ends_L)
    inside_L = (count_L == 1) & (empty_L > starts_L) & (empty_L < ends_L - 1)
    blank_L = (count_L == 1) & (ends_L - starts_L == 1)
    right_L = inside_L if two_parts else count_L == 0
    wrong_L = np.select([blank_L, count_L == 0, inside_L], [EMPTY_LINE, NO_PARTS, TWO_PARTS], EMPTY_CELL)
    return np.where(right_L, GOOD, wrong_L).astype(np.int8), empty_L


def _cells(joined: np.ndarray, lengths_M: np.ndarray) -> pa.Array:
    offsets = np.concatenate(([0], np.cumsum(lengths_M))).astype(np.int32)
    return pa.Array.from_buffers(pa.binary(), len(lengths_M), [None, pa.py_buffer(offsets), pa.py_buffer(joined)])


def _numbers(cells: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The cells as int64, 0 for those that are no whole number or have leading zeros, and which ones these are."""
    try:
        numbers = decimal_numbers(cells.cast(pa.string()))
    except pa.ArrowInvalid:  # not UTF-8
        numbers = None
    if numbers is not None or not len(cells):
        return np.empty(0, np.int64) if numbers is None else numbers, np.empty(0, np.int64)
    right = pc.match_substring_regex(cells, NUMBER)
    text = pc.if_else(right, cells, pa.scalar(b"0")).cast(pa.string())
    return text.cast(pa.int64()).to_numpy(), np.flatnonzero(~right.to_numpy(zero_copy_only=False))
