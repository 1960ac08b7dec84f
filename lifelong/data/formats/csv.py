"""CSV and TSV, every cell as the bytes that stand there."""

import csv
import time
import weakref
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from lifelong.core.errors import DataError
from lifelong.data.formats.base import (
    BLANK,
    BLOCK_BYTES,
    MAX_COLUMNS,
    Bad,
    Block,
    Opened,
    Stream,
    alike,
    explained,
    first_line,
)

DELIMITERS = {"csv": ",", "tsv": "\t"}
WIDTH = "wrong number of columns"
SHOWN = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", " ": "space"}
PATIENCE = 2.0
"""Seconds that a thread gets to finish the block it reads."""
MOST_ODD = 1 << 17
"""So many rows of the wrong width within a block or two show that this is another file."""


def opened(path: Path, format: str, delimiter: str | None, names: list[str] | None) -> Opened:
    """A file with a header, or with the column names given. Raises DataError where it has one column only."""
    delimiter = delimiter or DELIMITERS[format]
    found = _cells(first_line(path, format), delimiter, path)
    if len(found) > MAX_COLUMNS:
        raise DataError(f"{path}: {len(found)} columns, at most {MAX_COLUMNS} are read")
    if len(found) == 1:
        raise DataError(f"{path}: one column found with {_name(delimiter)} between columns{_hint(found[0], delimiter)}")
    if names is not None and len(names) != len(found):
        raise DataError(f"{path}: {len(names)} names are given for {len(found)} columns")

    def blocks(wanted: dict[str, str]) -> Iterator[Block]:
        return _blocks(path, format, delimiter, names, wanted)

    return Opened(str(path), format, list(names or found), blocks, delimiter)


def _blocks(
    path: Path, format: str, delimiter: str, names: list[str] | None, wanted: dict[str, str]
) -> Iterator[Block]:
    odd, columns = _OddRows(path), list(wanted.values())
    with explained(path, format), odd.explained(), Stream(path, marked=True) as stream, _Lent(stream) as lent:
        reader = pyarrow.csv.open_csv(
            pa.PythonFile(lent.out(), mode="r"),
            read_options=pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False, column_names=names),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=odd.add
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.binary()), include_columns=columns, strings_can_be_null=False
            ),
        )
        row = 1 if names else 2
        try:
            for batch in reader:
                rows_N = _numbers(row, len(batch), odd.numbers)
                row = int(rows_N[-1]) + 1 if len(rows_N) else row
                here = odd.take(int(rows_N[-1]) if len(rows_N) else None)
                yield _without_blanks(dict(zip(wanted, batch.columns, strict=True)), rows_N, here)
        finally:
            del reader
        if odd.numbers:
            yield Block({role: pa.array([], pa.binary()) for role in wanted}, np.empty(0, np.int64), odd.take())


class _Lent:
    """A stream lent to Arrow, which reads ahead in a thread; leaving waits until the thread has given it back.

    A program that ends while the thread still has it is aborted, whatever it was about to say (exit code 134).
    """

    def __init__(self, stream: Stream) -> None:
        self._stream, self._out = stream, None  # type: tuple[Stream, weakref.ref[_Borrowed] | None]

    def out(self) -> "_Borrowed":
        """What Arrow is given."""
        borrowed = _Borrowed(self._stream)
        self._out = weakref.ref(borrowed)
        return borrowed

    def __enter__(self) -> "_Lent":
        return self

    def __exit__(self, *error: object) -> None:
        until = time.monotonic() + PATIENCE
        while self._out is not None and self._out() is not None and time.monotonic() < until:
            time.sleep(0.0005)


class _Borrowed:
    """Reads a stream as long as somebody holds it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.read, self.closed = stream.read, False

    def close(self) -> None:
        """The stream is closed by whoever opened it."""


class _OddRows:
    """Rows of the wrong width, which the reader leaves out; it is a block or two ahead of what it gives."""

    def __init__(self, path: Path) -> None:
        self._path, self._shown = path, []  # type: tuple[Path, list[str]]
        self._too_many = self._swallows = False
        self.numbers: list[int] = []

    def add(self, row: pyarrow.csv.InvalidRow) -> str:
        """What the reader calls for each. After MOST_ODD of them it is to stop, and at one whose open quote takes in the lines
        behind it: how many rows these would be, nobody can say."""
        open_quote = row.text.count('"') % 2
        quote = "; is a quote not closed?" if open_quote else ""
        self._swallows = bool(open_quote) and "\n" in row.text
        self.numbers.append(row.number)
        self._shown.append(f" ({row.actual_columns} instead of {row.expected_columns}{quote})")
        self._too_many = len(self.numbers) > MOST_ODD
        return "error" if self._too_many or self._swallows else "skip"

    def take(self, before: int | None = None) -> tuple[Bad, ...]:
        """Those up to a row, or all; they are forgotten."""
        count = len(self.numbers) if before is None else bisect_left(self.numbers, before)
        found = alike(np.array(self.numbers[:count]), WIDTH, self._shown[0] if count else "")
        del self.numbers[:count], self._shown[:count]
        return found

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turns the reader's stop into a DataError that says why."""
        try:
            yield
        except pa.ArrowInvalid:
            if self._swallows:
                raise DataError(f"{self._path}: row {self.numbers[-1]}: {WIDTH}{self._shown[-1]}; close it") from None
            if not self._too_many:
                raise
            raise DataError(
                f"{self._path}: row {self.numbers[0]}: {WIDTH}{self._shown[0]}, and so in {MOST_ODD:,} rows after it; is "
                "this the file that is meant?"
            ) from None


def _numbers(first: int, count: int, odd: list[int]) -> np.ndarray:
    """The numbers of `count` rows from `first` on, but for those in `odd` (ascending), which were left out.

    >>> _numbers(2, 3, [2, 4])
    array([3, 5, 6])
    """
    if not odd:
        return np.arange(first, first + count, dtype=np.int64)
    row_N = np.ones(count + len(odd), bool)
    inside = np.array(odd, np.int64) - first
    row_N[inside[inside < len(row_N)]] = False
    return np.flatnonzero(row_N)[:count] + first


def _without_blanks(columns: dict[str, pa.Array], rows_N: np.ndarray, bad: tuple[Bad, ...]) -> Block:
    filled_N = np.zeros(len(rows_N), bool)
    for column in columns.values():
        filled_N |= pa.compute.binary_length(column).to_numpy() > 0
    if filled_N.all():
        return Block(columns, rows_N, bad)
    bad += alike(rows_N[~filled_N], BLANK)
    return Block({r: c.filter(pa.array(filled_N)) for r, c in columns.items()}, rows_N[filled_N], bad)


def _cells(line: str, delimiter: str, path: Path) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [""])
    except (csv.Error, TypeError) as error:
        raise DataError(f"{path}: line 1: {error}; the delimiter is one character, here {delimiter!r}") from None


def _hint(line: str, delimiter: str) -> str:
    likely = [d for d in SHOWN if d != delimiter and d in line]
    return f"; did you mean delimiter: {likely[0]!r} ({SHOWN[likely[0]]})?" if likely else "; set delimiter"


def _name(delimiter: str) -> str:
    return f"{delimiter!r} ({SHOWN[delimiter]})" if delimiter in SHOWN else repr(delimiter)
