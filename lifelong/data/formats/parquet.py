"""Parquet and Arrow files, read by row groups and batches, only the columns needed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lifelong.core.errors import DataError
from lifelong.data.formats.base import BLOCK_ROWS, FREE_BYTES, Block, Opened, explained
from lifelong.data.ids import is_text, without_views

MAX_RATIO = 2000
"""A Parquet file may say that it holds so many times its size; dictionaries and runs compress far better than text."""

Batches = Callable[[list[str]], Iterator[pa.RecordBatch]]


def opened(path: Path, format: str) -> Opened:
    """A Parquet or Arrow file. Raises DataError where it is none, or expands without end."""
    with explained(path, format):
        names, batches = (_parquet if format == "parquet" else _arrow)(path)

    def blocks(wanted: dict[str, str]) -> Iterator[Block]:
        with explained(path, format):
            yield from blocks_of(batches, wanted)

    return Opened(str(path), format, names, blocks)


def blocks_of(batches: Batches, wanted: dict[str, str]) -> Iterator[Block]:
    """Batches of typed columns as blocks; rows count from 1."""
    row = 1
    for batch in batches(list(dict.fromkeys(wanted.values()))):
        columns = {role: _checked(batch.column(name)) for role, name in wanted.items()}
        yield Block(columns, np.arange(row, row + len(batch), dtype=np.int64))
        row += len(batch)


def _parquet(path: Path) -> tuple[list[str], Batches]:
    file = pq.ParquetFile(path)
    meta = file.metadata
    texts = [field.name for field in file.schema_arrow if is_text(field.type)]
    size = sum(meta.row_group(g).total_byte_size for g in range(meta.num_row_groups))
    if size > max(FREE_BYTES, MAX_RATIO * path.stat().st_size):
        raise DataError(f"{path}: grows to {size} bytes when decompressed; write it again with less compression")

    def batches(names: list[str]) -> Iterator[pa.RecordBatch]:
        coded = pq.ParquetFile(
            path, read_dictionary=[name for name in texts if name in names]
        )  # as it lies in the file
        return coded.iter_batches(batch_size=BLOCK_ROWS, columns=names, use_threads=False)

    return list(file.schema_arrow.names), batches


def _arrow(path: Path) -> tuple[list[str], Batches]:
    file = pa.ipc.open_file(pa.memory_map(str(path)))

    def batches(names: list[str]) -> Iterator[pa.RecordBatch]:
        for number in range(file.num_record_batches):
            yield file.get_batch(number).select(names)

    return list(file.schema.names), batches


def _checked(column: pa.Array) -> pa.Array:
    """Text that is not UTF-8 as bytes, so that the row can be named; Arrow itself believes what a file says."""
    column = without_views(column)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
            return column.cast(pa.large_binary() if pa.types.is_large_string(kind) else pa.binary())
    return column
