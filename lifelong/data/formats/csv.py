"""CSV and TSV, every cell as the bytes that stand there."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from lifelong.core.errors import DataError
from lifelong.data.formats.base import BLANK, BLOCK_BYTES, Bad, Block, Opened, Stream, explained, first_line

DELIMITERS = {"csv": ",", "tsv": "\t"}
SHOWN = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", " ": "space"}
MAX_COLUMNS = 10_000


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
    bad: list[Bad] = []  # filled by the reader, which is a block or two ahead

    def odd(row: pyarrow.csv.InvalidRow) -> str:
        quote = "; is a quote not closed?" if row.text.count('"') % 2 else ""
        reason = "wrong number of columns"
        bad.append(Bad(row.number, reason, f" ({row.actual_columns} instead of {row.expected_columns}{quote})"))
        return "skip"

    columns = list(wanted.values())
    with explained(path, format), Stream(path, marked=True) as stream:
        reader = pyarrow.csv.open_csv(
            pa.PythonFile(stream, mode="r"),
            read_options=pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False, column_names=names),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=odd
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.binary()), include_columns=columns, strings_can_be_null=False
            ),
        )
        row, taken = 1 if names else 2, 0
        for batch in reader:
            rows_N = _numbers(row, len(batch), [b.row for b in bad[taken:]])
            here = [b for b in bad[taken:] if not len(rows_N) or b.row < rows_N[-1]]
            taken += len(here)
            row = int(rows_N[-1]) + 1 if len(rows_N) else row
            yield _without_blanks(dict(zip(wanted, batch.columns, strict=True)), rows_N, here)
        if bad[taken:]:
            yield Block({role: pa.array([], pa.binary()) for role in wanted}, np.empty(0, np.int64), tuple(bad[taken:]))


def _numbers(first: int, count: int, odd: list[int]) -> np.ndarray:
    """The numbers of `count` rows from `first` on, but for those in `odd` (ascending), which were left out."""
    rows_N = np.arange(first, first + count, dtype=np.int64)
    for number in odd:
        rows_N[np.searchsorted(rows_N, number) :] += 1
    return rows_N


def _without_blanks(columns: dict[str, pa.Array], rows_N: np.ndarray, bad: list[Bad]) -> Block:
    filled_N = np.zeros(len(rows_N), bool)
    for column in columns.values():
        filled_N |= pa.compute.binary_length(column).to_numpy() > 0
    if filled_N.all():
        return Block(columns, rows_N, tuple(bad))
    bad += [Bad(int(row), BLANK) for row in rows_N[~filled_N]]
    return Block({r: c.filter(pa.array(filled_N)) for r, c in columns.items()}, rows_N[filled_N], tuple(bad))


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
