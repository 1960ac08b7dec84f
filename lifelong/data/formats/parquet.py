"""Parquet and Arrow files, read by row groups and batches, only the columns needed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lifelong.core.errors import DataError
from lifelong.data.formats.arrow_sizes import ARROW_START, batch_sizes
from lifelong.data.formats.base import (
    BLOCK_ROWS,
    FREE_BYTES,
    MAX_COLUMNS,
    MAX_RATIO,
    Block,
    Opened,
    explained,
)
from lifelong.data.ids import is_text, without_views

VALUE_BYTES = 8
"""About what a value takes when it is read."""
FOOTER_BYTES = 16 << 20
"""Of a Parquet file's footer, at most; it is parsed as a whole, and a hundred columns in a thousand groups need as much."""

Batches = Callable[[list[str]], Iterator[pa.RecordBatch]]


def opened(path: Path, format: str) -> Opened:
    """A Parquet or Arrow file. Raises DataError where it is none, has too many columns, or expands without end."""
    with explained(path, format):
        names, batches = (_parquet if format == "parquet" else _arrow)(path)
    if len(names) > MAX_COLUMNS:
        raise DataError(f"{path}: {len(names)} columns, at most {MAX_COLUMNS} are read")

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
    _check_footer(path)
    file = pq.ParquetFile(path)
    meta = file.metadata
    texts = [field.name for field in file.schema_arrow if is_text(field.type)]
    size = sum(meta.row_group(g).total_byte_size for g in range(meta.num_row_groups))
    _check_growth(path, size, "decompressed")

    def batches(names: list[str]) -> Iterator[pa.RecordBatch]:
        values = _values(meta, names)
        _check_growth(path, values * VALUE_BYTES, "read")
        rows = max(1, BLOCK_ROWS * meta.num_rows * len(names) // max(values, 1))  # lists: fewer rows at a time
        coded = pq.ParquetFile(
            path, read_dictionary=[name for name in texts if name in names]
        )  # as it lies in the file
        return coded.iter_batches(batch_size=min(rows, BLOCK_ROWS), columns=names, use_threads=False)

    return list(file.schema_arrow.names), batches


def _check_footer(path: Path) -> None:
    """Raises DataError where the description of the columns alone is larger than a file of events may be."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 8))
        length = int.from_bytes(file.read(8)[:4], "little")
    if FOOTER_BYTES < length <= path.stat().st_size:
        raise DataError(f"{path}: describes its columns in {length:,} bytes, at most {FOOTER_BYTES:,} are read")


def _values(meta: pq.FileMetaData, names: list[str]) -> int:
    """How many values the columns hold, those within lists counted one by one."""
    paths = [meta.schema.column(c).path for c in range(meta.num_columns)]
    wanted = [c for c, path in enumerate(paths) if any(path == n or path.startswith(f"{n}.") for n in names)]
    return sum(meta.row_group(g).column(c).num_values for g in range(meta.num_row_groups) for c in wanted)


def _check_growth(path: Path, size: int, when: str) -> None:
    limit = max(FREE_BYTES, MAX_RATIO * path.stat().st_size)
    if size > limit:
        raise DataError(
            f"{path}: grows to {size:,} bytes when {when}, at most {limit:,} are; write it again with less compression, or in "
            "several files"
        )


def _arrow(path: Path) -> tuple[list[str], Batches]:
    with pa.OSFile(str(path)) as source:  # not memory-mapped: who cuts a mapped file short kills its readers
        file = pa.ipc.open_file(source)
        schema, count = file.schema, file.num_record_batches
    sizes = batch_sizes(path)
    if len(sizes) != count:
        raise DataError(f"{path}: holds {len(sizes)} batches, its footer says {count}; it is no whole Arrow file")
    _check_growth(path, sum(size for size, _ in sizes), "decompressed")
    _check_growth(path, sum(rows for _, rows in sizes) * VALUE_BYTES, "read")

    def batches(names: list[str]) -> Iterator[pa.RecordBatch]:
        options = pa.ipc.IpcReadOptions(included_fields=sorted(schema.get_field_index(name) for name in names))
        with pa.OSFile(str(path)) as source:
            source.seek(ARROW_START)
            for batch in pa.ipc.open_stream(source, options=options):
                batch.validate(full=True)  # offsets of a damaged file would be believed
                yield from (batch.slice(start, BLOCK_ROWS) for start in range(0, len(batch), BLOCK_ROWS))

    return list(schema.names), batches


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
