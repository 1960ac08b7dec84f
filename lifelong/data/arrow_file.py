"""A table as one Arrow file, written without holding what is memory-mapped."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from lifelong.data.spill import release

STEP = 16 << 20
"""Bytes written at a time."""


def write_arrow(table: pa.Table, path: Path, mapped: Sequence[np.ndarray] = ()) -> None:
    """Every column in one chunk, so that it is one array when it is read; on the disk when this returns.

    Pages of `mapped`, the arrays that columns are made of, are given back as they are written.
    """
    table = table.combine_chunks()
    with open(path, "wb") as file:
        with pa.PythonFile(_Steps(file, mapped), mode="w") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=max(1, len(table)))
        file.flush()
        os.fsync(file.fileno())


class _Steps:
    """A file that takes large buffers step by step."""

    closed = False

    def __init__(self, file: IO[bytes], mapped: Sequence[np.ndarray]) -> None:
        self._file, self._mapped = file, mapped

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        for start in range(0, len(view), STEP):
            self._file.write(view[start : start + STEP])
            for array in self._mapped:
                release(array)
        return len(view)

    def flush(self) -> None:
        """Nothing to do before the end."""

    def close(self) -> None:
        """The file is closed by whoever opened it."""

    def tell(self) -> int:
        return self._file.tell()
