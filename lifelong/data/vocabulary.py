"""External ids and their numbers: strings, append-only, so that a number once given never changes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.core.errors import DataError


class Vocabulary:
    """String id -> index, from 0 in the order of first appearance. "007" and "7" are two ids.

    >>> Vocabulary(["b", "a"]).extend(["a", "c"]).decode([0, 1, 2])
    ['b', 'a', 'c']
    """

    def __init__(self, ids: Any = ()) -> None:
        self._ids = _strings(ids).unique()

    @property
    def ids(self) -> pa.Array:
        """All ids, string, in the order of their indices."""
        return self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._ids.equals(other._ids)

    __hash__ = None  # type: ignore[assignment]

    def encode(self, ids: Any) -> np.ndarray:
        """The index of each id, int32, -1 where it is not known. Raises DataError for anything but text."""
        return pc.index_in(_strings(ids), value_set=self._ids).fill_null(-1).to_numpy(zero_copy_only=False)

    def extend(self, ids: Any) -> "Vocabulary":
        """A larger vocabulary: what is not known yet follows, in the order of first appearance."""
        return Vocabulary(pa.concat_arrays([self._ids, _strings(ids)]))

    def decode(self, index: Sequence[int] | np.ndarray) -> list[str]:
        """The ids at some indices. Raises DataError for an index outside."""
        index = np.asarray(index, np.int64)
        if len(index) and (index.min() < 0 or index.max() >= len(self)):
            raise DataError(f"index {index.min()} … {index.max()} is outside a vocabulary of {len(self)} ids")
        return self._ids.take(pa.array(index)).to_pylist()


def _strings(ids: Any) -> pa.Array:
    """Any list, Arrow or numpy array of text as one string array, without nulls."""
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    try:
        array = ids if isinstance(ids, pa.Array) else pa.array(list(ids), pa.string())
        if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
            raise DataError(f"ids are text, found {array.type}; write 7 as '7'")
        array = array.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"ids are text: {str(error).splitlines()[0]}") from None
    if array.null_count:
        raise DataError(f"{array.null_count} of {len(array)} ids are missing")
    return array
