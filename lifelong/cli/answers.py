"""Answers written to a file as they come: Parquet, CSV or JSON lines, one row a user; it appears when it is whole."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from lifelong.core.errors import UsageError
from lifelong.core.written import need_file

Write = Callable[[pa.Table], None]


@contextmanager
def writing(path: Path, longest: int = 0) -> Iterator[Write]:
    """What takes tables of one schema, lists of at most `longest` values.

    The file is put in place at the end; after an error nothing is there. Raises UsageError as need_file does.
    """
    need_file(path)
    partial = path.parent / f".{path.name}.{token_hex(4)}.partial"
    try:
        with ENDINGS[path.suffix](partial, longest) as write:
            yield write
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def check_ending(path: Path) -> None:
    """Raises UsageError for a file that no format writes, or that cannot lie there."""
    if path.suffix not in ENDINGS:
        raise UsageError(f"--out {path}: the name must end in {', '.join(ENDINGS)}")
    need_file(path)


def flat(table: pa.Table, longest: int = 0) -> pa.Table:
    """The same with a column for every value of a list (`items.1`, `items.2`, …) or struct, as CSV wants it.

    Lists of no fixed size get `longest` columns, empty where there is nothing.
    """
    columns: dict[str, pa.ChunkedArray] = {}
    for name, column in zip(table.column_names, table.itercolumns(), strict=True):
        if pa.types.is_list(column.type):
            column = pc.list_slice(column.combine_chunks(), 0, longest, return_fixed_size_list=True)
        kind = column.type
        if pa.types.is_struct(kind):
            columns |= {f"{name}.{field.name}": part for field, part in zip(kind, column.flatten(), strict=True)}
        elif pa.types.is_fixed_size_list(kind):
            columns |= {f"{name}.{i + 1}": pc.list_element(column, i) for i in range(kind.list_size)}
        else:
            columns[name] = column
    return pa.table(columns)


@contextmanager
def _parquet(path: Path, longest: int) -> Iterator[Write]:
    writers: list[pyarrow.parquet.ParquetWriter] = []

    def write(table: pa.Table) -> None:
        if not writers:
            writers.append(pyarrow.parquet.ParquetWriter(path, table.schema))
        writers[0].write_table(table)

    try:
        yield write
    finally:
        for writer in writers:
            writer.close()


@contextmanager
def _csv(path: Path, longest: int) -> Iterator[Write]:
    with path.open("wb") as file:

        def write(table: pa.Table) -> None:
            options = pyarrow.csv.WriteOptions(include_header=file.tell() == 0)
            pyarrow.csv.write_csv(flat(table, longest), file, options)

        yield write


@contextmanager
def _json_lines(path: Path, longest: int) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:
        yield lambda table: file.writelines(json.dumps(row) + "\n" for row in table.to_pylist())


ENDINGS = {".parquet": _parquet, ".csv": _csv, ".jsonl": _json_lines}
