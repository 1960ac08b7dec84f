"""What prepared data are known by: a SHA-256 over their values, whatever files, reader or library version they came through."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.fingerprint import canonical_json
from lifelong.data.arrow_file import STEP
from lifelong.data.gather import Gathered
from lifelong.data.spill import release


def contents_hash(gathered: Gathered, label_cuts: dict[str, int]) -> str:
    """SHA-256 (hex) of all that tasks can see of a data set; the report of how it was read is no part of it."""
    digest = hashlib.sha256(canonical_json([gathered.channels, label_cuts]))
    for array in (gathered.offsets_U1, gathered.items_E, gathered.times_E, gathered.channel_E):
        if array is not None:
            _take_in(digest, array)
    for table in (gathered.users, gathered.items):
        for name, column in zip(table.column_names, table.columns, strict=True):
            digest.update(canonical_json([name, str(column.type), len(column)]))
            for array in _plain(column):
                _take_in(digest, array)
    return digest.hexdigest()


def _take_in(digest: Any, array: np.ndarray) -> None:
    """Dtype, length and bytes; a memory-mapped array is given back as it is read."""
    digest.update(canonical_json([str(array.dtype), len(array)]))
    view = np.ascontiguousarray(array).view(np.uint8).data
    for start in range(0, len(view), STEP):
        digest.update(view[start : start + STEP])
        release(array)


def _plain(column: pa.ChunkedArray) -> Iterator[np.ndarray]:
    """The values of a column as arrays whose bytes depend on nothing else: which are known, how long texts are, the texts."""
    yield np.packbits(column.is_null().to_numpy())
    if pa.types.is_primitive(column.type):
        yield column.to_numpy()
        return
    texts = pc.fill_null(column.cast(pa.large_string()), "").combine_chunks()
    ends = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset :][: len(texts) + 1]
    yield np.diff(ends)
    yield np.frombuffer(texts.buffers()[2] or b"", np.uint8)[ends[0] : ends[-1]]
