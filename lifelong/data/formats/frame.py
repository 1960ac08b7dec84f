"""Frames in memory: Arrow tables, pandas and polars, and whatever else speaks Arrow's C stream interface."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from lifelong.core.errors import DataError
from lifelong.data.formats.base import BLOCK_ROWS, Block, Opened
from lifelong.data.formats.parquet import blocks_of


def as_table(frame: Any, label: str = "the frame") -> pa.Table:
    """Any frame as an Arrow table. Raises DataError where it is none, or a column holds mixed types."""
    frame = frame.collect() if hasattr(frame, "collect") and not hasattr(frame, "__arrow_c_stream__") else frame
    try:
        if isinstance(frame, pa.Table):
            return frame
        if isinstance(frame, (dict, pa.RecordBatchReader)) or hasattr(frame, "__arrow_c_stream__"):
            return frame.read_all() if isinstance(frame, pa.RecordBatchReader) else pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{label}: cannot be read: {str(error).splitlines()[0]}") from None
    raise DataError(f"{label}: {type(frame).__name__} is neither a path nor an Arrow, pandas or polars frame")


def opened(frame: Any) -> Opened:
    """A frame as if it were a file; rows count from 1."""
    table = as_table(frame)

    def batches(names: list[str]) -> Iterator[pa.RecordBatch]:
        yield from table.select(names).to_batches(max_chunksize=BLOCK_ROWS)

    def blocks(wanted: dict[str, str]) -> Iterator[Block]:
        yield from blocks_of(batches, wanted)

    return Opened("the frame", "frame", list(table.column_names), blocks)
